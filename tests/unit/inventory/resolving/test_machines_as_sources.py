"""`host:NAME` and `role:NAME` in `from`: declared machines as sources."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from auditor import addresses
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.inventory import Inventory, SourceRange
from auditor.model.words import ExpectedState, Profile, Trust

TEXT = """
version: 1
name: estate
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 10.20.0.0/16, 11.0.0.0/8]}
viewpoints:
  on-web-1: {kind: internal, addresses: [10.20.1.10, "2001:db8:1::10"]}
  on-web-2: {kind: internal, addresses: [10.20.1.11]}
roles:
  web: {services: {peer: {ports: 7/tcp, interfaces: [lan], from: ["role:web"]}}}
  both: {}
hosts:
  web-1: {roles: [web, both], interfaces: {lan: [10.20.1.10], public: [203.0.113.10, "2001:db8:1::10"]}}
  web-2: {roles: [web], interfaces: {lan: [10.20.1.11]}}
  db:
    roles: [both]
    interfaces: {lan: [10.20.1.20]}
    services:
      one: {ports: 1/tcp, from: ["host:web-1"]}
      all: {ports: 2/tcp, from: ["role:web"]}
      mixed: {ports: 3/tcp, from: [192.0.2.0/24, "role:both", "host:web-2"]}
      myself: {ports: 4/tcp, from: ["host:db"]}
"""


def inventory(folder: Path, text: str = TEXT) -> Inventory:
    path = folder / "estate.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def sources(found: Inventory, host: str, service: str) -> tuple[SourceRange, ...]:
    (only,) = (one for one in found.hosts[host].services if one.name == service)
    return only.sources


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("one", {"host:web-1": ["10.20.1.10/32", "203.0.113.10/32", "2001:db8:1::10/128"]}),
        ("all", {"role:web": ["10.20.1.10/31", "203.0.113.10/32", "2001:db8:1::10/128"]}),
        (
            "mixed",
            {
                "192.0.2.0/24": ["192.0.2.0/24"],
                "role:both": ["10.20.1.10/32", "10.20.1.20/32", "203.0.113.10/32", "2001:db8:1::10/128"],
                "host:web-2": ["10.20.1.11/32"],
            },
        ),
        ("myself", {"host:db": ["10.20.1.20/32"]}),
    ],
)
def test_the_addresses_of_all_interfaces(service: str, expected: dict[str, list[str]], tmp_path: Path) -> None:
    """As the fewest disjoint networks, under the name as it is written."""
    found = sources(inventory(tmp_path), "db", service)

    assert expected == {one.name: [str(network) for network in one.networks] for one in found}
    assert {one.trust for one in found} == {Trust.TRUSTED}


def test_a_role_s_service_may_be_for_the_role(tmp_path: Path) -> None:
    """As cluster members are for each other; the set is the same object everywhere."""
    found = inventory(tmp_path)

    assert sources(found, "web-1", "peer") is sources(found, "web-2", "peer") is sources(found, "db", "all")


def test_the_viewpoint_on_a_host_is_admitted(tmp_path: Path) -> None:
    """A viewpoint with the address of a host stands where the host's clients stand."""
    found = inventory(tmp_path)
    reachable = {
        name: sorted(
            each.service.name
            for each in expect(found, viewpoint, Profile.QUICK, hosts=["db"]).expectations
            if each.state is ExpectedState.REACHABLE and each.service
        )
        for name, viewpoint in found.viewpoints.items()
    }

    assert {"on-web-1": ["all", "mixed", "one"], "on-web-2": ["all", "mixed"]} == reachable


def test_own_machines_are_trusted_however_many(tmp_path: Path) -> None:
    """A range of as many public addresses would be untrusted."""
    machines = "\n".join(
        f"  m{i}: {{roles: [web], interfaces: {{lan: [11.0.{i // 250}.{i % 250}]}}}}" for i in range(300)
    )
    found = inventory(tmp_path, f"{TEXT}{machines}\n")

    assert sources(found, "db", "all")[0].trust is Trust.TRUSTED
    assert ip_address("11.0.1.49") in sources(found, "db", "all")[0]


def test_a_role_is_worked_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many services it is written in."""
    worked = []
    real = addresses.difference

    def counted(networks: object, without: object = ()) -> object:
        worked.append(len(found := list(networks)))  # type: ignore[call-overload]
        return real(found, without)  # type: ignore[arg-type]

    monkeypatch.setattr(addresses, "difference", counted)
    hosts = "\n".join(
        f"  m{i}: {{roles: [web], interfaces: {{lan: [11.0.0.{i}]}}, services: {{s: {{ports: 1/tcp, "
        f"from: [11.1.0.{i}, 'role:web']}}}}}}"
        for i in range(1, 60)
    )
    inventory(tmp_path, f"{TEXT}{hosts}\n")

    assert [size for size in worked if size > 50] == [63]
