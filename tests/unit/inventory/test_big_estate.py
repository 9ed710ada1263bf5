"""The estate of over thirty hosts says nothing twice, and means what it should. `UPDATE=1` rewrites its table."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from auditor.cli.main import cli
from auditor.inventory.loading import load
from auditor.model.words import ViewpointKind
from auditor.pipeline.validating import validate

ESTATE = Path("inventories/estate")
ROOT = Path(__file__).parents[3]
EXPECTED = ROOT / "tests" / "data" / "estate-expected.txt"
WRITTEN = date(2026, 11, 24)


def test_it_is_big_and_of_every_kind() -> None:
    """Every kind of viewpoint looks at over thirty hosts, some of which are addresses that several machines share."""
    found = load(ROOT / ESTATE)

    assert len(found.hosts) > 30
    assert set(ViewpointKind) == {viewpoint.kind for viewpoint in found.viewpoints.values()}
    assert {"db": ("db-1", "db-2"), "office-forward": ("crm-1",), "www": ("lb-1", "lb-2")} == {
        host.name: host.members for host in found.hosts.values() if host.members
    }


def declared() -> Iterator[tuple[str, Any]]:
    """Each key and value that is written for a service, of roles and of hosts."""
    for path in sorted((ROOT / ESTATE).rglob("*.yaml")):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for owner in [*data.get("roles", {}).values(), *data.get("hosts", {}).values()]:
            yield from owner.get("services", {}).items()


def test_it_says_nothing_twice() -> None:
    """No two declarations are alike, and no reason is given twice: what machines share is in a role."""
    services = Counter(str(service) for _, service in declared() if service)
    reasons = Counter(service["reason"] for _, service in declared() if service and "reason" in service)

    assert [text for text, times in services.items() if times > 1] == []
    assert [text for text, times in reasons.items() if times > 1] == []
    assert len(services) < sum(len(host.services) for host in load(ROOT / ESTATE).hosts.values()) / 2


def test_nothing_about_it_is_doubtful() -> None:
    """It keeps its own policy and has no lint, on the day it was written."""
    found = validate(ROOT / ESTATE, WRITTEN)

    assert found.breaches == ()
    assert [str(one) for one in found.lint] == []


def test_its_waivers_keep_to_its_policy() -> None:
    """They are valid when written, and run for no longer than the policy lets them."""
    found = load(ROOT / ESTATE)

    assert len(found.waivers) == 2
    assert found.policy.max_waiver_days
    for waiver in found.waivers:
        assert waiver.since <= WRITTEN <= waiver.expires
        assert (waiver.expires - waiver.since).days <= found.policy.max_waiver_days


def test_what_each_viewpoint_should_reach() -> None:
    """Every line has been read and found right; a changed line has to be, too."""
    result = CliRunner().invoke(cli, ["expect", str(ROOT / ESTATE), "-V", "all"], prog_name="auditor")
    table = result.stdout.partition("\nFrom ")[0]
    text = "".join(f"{line.rstrip()}\n" for line in table.splitlines() if line.strip())

    if os.environ.get("UPDATE"):
        EXPECTED.write_text(text, encoding="utf-8")
    assert result.exit_code == 0
    assert text == EXPECTED.read_text(encoding="utf-8")
