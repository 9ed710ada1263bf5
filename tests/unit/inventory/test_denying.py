"""Networks denied by whoever runs an audit, whatever the inventory allows."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor.addresses import OutOfScopeError, probe_target
from auditor.errors import UsageError
from auditor.inventory.expecting.denying import denying
from auditor.inventory.expecting.expecting import expect
from auditor.model.inventory import Canary, Host, Interface, Inventory, Scope
from auditor.model.words import Profile
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.plan import plan
from tests.builders import viewpoint
from tests.commands import CASES, auditor

ONE, TWO = ip_address("203.0.113.10"), ip_address("203.0.113.66")
HERE = replace(viewpoint(), canaries=(Canary(TWO),))
ESTATE = Inventory(
    "estate",
    Scope((ip_network("203.0.113.0/24"),)),
    {},
    {"public": HERE},
    {str(one): Host(str(one), {"public": Interface("public", (one,))}, ()) for one in (ONE, TWO)},
)


def test_what_is_denied_is_out_of_scope_everywhere() -> None:
    """No probe target is made of it, and it is left out by name; a canary there is none."""
    denied = denying(ESTATE, ["203.0.113.64/26"])
    expected = expect(denied, HERE, Profile.QUICK)
    planned = plan(expected, denied.scope, Abilities("7.93"))

    with pytest.raises(OutOfScopeError):
        probe_target(TWO, denied.scope)
    assert {ONE} == {address for job in planned.jobs for address in job.addresses}
    assert {("203.0.113.66: 203.0.113.66", "denied by --deny"), ("canary 203.0.113.66", "denied by --deny")} <= {
        (one.what, one.reason) for one in expected.left_out
    }


def test_the_inventory_denies_as_before() -> None:
    """Its own reason stays, and nothing changes where nothing more is denied."""
    own = replace(ESTATE, scope=replace(ESTATE.scope, deny=(ip_network("203.0.113.10/32"),)))
    left_out = expect(denying(own, ["203.0.113.66"]), HERE, Profile.QUICK).left_out

    assert own is denying(own, [])
    assert {"in scope.deny", "denied by --deny"} <= {one.reason for one in left_out}


@pytest.mark.parametrize("text", ["", "10.0.0.1/8", "everything", "-oN"])
def test_what_is_no_network_is_bad_usage(text: str) -> None:
    """A deny list with a mistake in it must not be a shorter one."""
    with pytest.raises(UsageError, match=r"^--deny: "):
        denying(ESTATE, [text])


def test_a_site_wide_list_in_the_configuration(tmp_path: Path) -> None:
    """`deny` of a table is the default of --deny, for whatever inventory."""
    config = tmp_path / "auditor.toml"
    config.write_text('[expect]\ndeny = ["203.0.113.0/24"]\n', encoding="utf-8")
    inventory = CASES / "clean.exit0" / "inventory.yaml"
    ended = auditor("expect", inventory, "--config", config)

    assert (0, True) == (ended.returncode, "denied by --deny" in ended.stdout), ended
    assert 2 == auditor("expect", inventory, "--deny", "x").returncode
