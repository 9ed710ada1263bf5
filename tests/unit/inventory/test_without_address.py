"""A viewpoint without a fixed address: what is expected from it, as long as it is not known where it stands."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor.inventory.expecting.expecting import expect
from auditor.inventory.lint import lint, sight
from auditor.inventory.loading import load, load_with_places
from auditor.model.inventory import Inventory
from auditor.model.words import Basis, ExpectedState, Family, Profile
from tests.unit.inventory.test_expect import left_out, one
from tests.unit.inventory.test_lint import TODAY

TEXT = """
version: 1
name: estate
scope: {allow: [10.20.0.0/16]}
ranges:
  pods: {cidrs: [10.42.0.0/16], except: [10.42.9.0/24]}
  lower: [10.42.0.0/17]
  upper: [10.42.128.0/17]
viewpoints:
  pod: {kind: container, addresses: auto, within: WITHIN}
hosts:
  web:
    interfaces: {lan: [10.20.1.10]}
    services:
      whole: {ports: 1/tcp, from: [10.42.0.0/16]}
      halves: {ports: 2/tcp, from: [lower, upper]}
      part: {ports: 3/tcp, from: [lower]}
      none: {ports: 4/tcp, from: [10.43.0.0/16]}
      both: {ports: 5/tcp, from: [10.43.0.0/16, lower, 10.42.0.0/16]}
      fit: {ports: 6/tcp, from: [lower], optional: true}
"""
WEB = ip_address("10.20.1.10")


def estate(folder: Path, within: str = "10.42.0.0/16") -> Inventory:
    path = folder / "estate.yaml"
    path.write_text(TEXT.replace("WITHIN", within), encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(
    ("port", "state", "basis", "source"),
    [
        (1, ExpectedState.REACHABLE, Basis.DECLARED, "10.42.0.0/16"),
        (2, ExpectedState.REACHABLE, Basis.DECLARED, "lower and upper"),
        (3, ExpectedState.BLOCKED, Basis.VIEWPOINT_UNKNOWN, None),
        (4, ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES, None),
        (5, ExpectedState.REACHABLE, Basis.DECLARED, "10.42.0.0/16"),
        (6, ExpectedState.BLOCKED, Basis.VIEWPOINT_UNKNOWN, None),
        (7, ExpectedState.BLOCKED, Basis.UNDECLARED, None),
    ],
)
def test_what_holds_wherever_it_stands(
    tmp_path: Path, port: int, state: ExpectedState, basis: Basis, source: str | None
) -> None:
    """Reachable where the sources have all of the range, blocked where they have none of it, else not known."""
    found = one(expect(inventory := estate(tmp_path), inventory.viewpoints["pod"], Profile.STANDARD), WEB, port)

    assert (state, basis, source) == (found.state, found.basis, found.source)


@pytest.mark.parametrize(("address", "basis"), [("10.42.0.9", Basis.DECLARED), ("10.42.200.9", Basis.OUTSIDE_SOURCES)])
def test_where_it_was_found(tmp_path: Path, address: str, basis: Basis) -> None:
    """Once it is known where it stands, that decides, as if it had been declared."""
    inventory = estate(tmp_path)
    pod = replace(inventory.viewpoints["pod"], addresses=(ip_address(address),))

    assert one(expect(inventory, pod, Profile.QUICK), WEB, 3).basis is basis


@pytest.mark.parametrize(
    ("within", "networks"),
    [
        ("lower", ["10.42.0.0/17"]),
        ("[lower, upper]", ["10.42.0.0/16"]),
        ("10.42.1.7", ["10.42.1.7/32"]),
        ('[upper, "2001:db8:2::/64"]', ["10.42.128.0/17", "2001:db8:2::/64"]),
    ],
)
def test_what_within_names(tmp_path: Path, within: str, networks: list[str]) -> None:
    """A name of a range, a network, an address, or several; less what the range excepts."""
    pod = estate(tmp_path, within).viewpoints["pod"]

    assert (list(map(ip_network, networks)), ()) == (list(pod.within), pod.addresses)


def test_what_a_range_excepts_is_no_part_of_it(tmp_path: Path) -> None:
    """As everywhere where a range is named."""
    pod = estate(tmp_path, "pods").viewpoints["pod"]

    assert not pod.may_be(ip_address("10.42.9.1"))
    assert pod.may_be(ip_address("10.42.8.1"))


def test_its_families_are_those_of_the_range(tmp_path: Path) -> None:
    """Over the other one it does not look, as a viewpoint does not that has no address of that."""
    inventory = estate(tmp_path)
    found = expect(inventory, inventory.viewpoints["pod"], Profile.QUICK)

    assert frozenset({Family.IPV4}) == found.viewpoint.families
    assert [(what, why) for what, why in left_out(found) if "no IPv" in why] == []


def test_an_address_within_the_range_that_is_found_is_the_only_one(tmp_path: Path) -> None:
    """Before it is found any of them may be its own."""
    pod = estate(tmp_path).viewpoints["pod"]
    found = replace(pod, addresses=(ip_address("10.42.0.9"),))

    assert [pod.may_be(ip_address(f"10.42.0.{last}")) for last in (8, 9)] == [True, True]
    assert [found.may_be(ip_address(f"10.42.0.{last}")) for last in (8, 9)] == [False, True]


def test_lint_takes_it_to_stand_wherever_it_may(tmp_path: Path) -> None:
    """A range in which no address of it can lie is unseen, and what it looks at is watched."""
    estate(tmp_path)
    inventory, places = load_with_places(tmp_path / "estate.yaml")

    assert sight(inventory).unseen == ("10.43.0.0/16",)
    assert (sight(inventory).watched[Family.IPV4], sight(inventory).unwatched) == (1, ())
    assert "unwatched-address" not in {one.rule for one in lint(inventory, places, TODAY)}
