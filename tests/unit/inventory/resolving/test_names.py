"""DNS names of interfaces: looked up when an audit begins, taken on only where they may be probed."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import pytest

from auditor.drift.compare import compare
from auditor.errors import InventoryError
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory
from auditor.model.observation import Observation, Reply, Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, Kind, PortState, Profile, Protocol, Result, Technique

TEXT = """
version: 1
name: estate
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 127.0.0.0/8, "fe80::/64"], deny: [203.0.113.99]}
viewpoints:
  near: {kind: internal, addresses: [203.0.113.200]}
roles: {app: {}}
hosts:
  db:
    interfaces: {lan: [203.0.113.20]}
    services:
      one: {ports: 1/tcp, from: ["host:web"]}
      all: {ports: 2/tcp, from: ["role:app"]}
      both: {ports: 3/tcp, from: ["host:web", 203.0.113.200]}
      other: {ports: 4/tcp, from: [203.0.113.7]}
  web:
    roles: [app]
    tags: [production]
    interfaces: {lan: [203.0.113.10, web.example.com], wan: [Www.Example.com, 203.0.113.11]}
    services: {https: {ports: 443/tcp, interfaces: [lan, wan], from: ["host:db"]}}
  other: {roles: [app], interfaces: {lan: [other.example.com]}}
"""
SURE: dict[str, tuple[str, ...] | str] = {
    "web.example.com": ("203.0.113.12", "2001:db8:1::12"),
    "www.example.com": ("203.0.113.13",),
    "other.example.com": ("203.0.113.14",),
}
MAPPED = str(ip_address("::ffff:203.0.113.30"))  # written in one way or another by versions of Python
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


class Resolver:
    """Answers from a table, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, tuple[str, ...] | str]) -> None:
        self._answers = answers
        self.asked: list[list[str]] = []

    def __call__(self, names: Collection[str]) -> dict[str, tuple[Address, ...] | str]:
        self.asked.append(list(names))
        answers = {name: self._answers.get(name, "unknown") for name in names}
        return {
            name: found if isinstance(found, str) else tuple(map(ip_address, found)) for name, found in answers.items()
        }


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "estate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def resolved(folder: Path, **answers: tuple[str, ...] | str) -> Inventory:
    """The estate with all names in order, but for those given by their first label."""
    changed = {f"{name}.example.com": answer for name, answer in answers.items()}
    return load(write(folder), Resolver(SURE | changed))


def addresses(found: Inventory, host: str, interface: str) -> list[str]:
    return [str(address) for address in found.hosts[host].interfaces[interface].addresses]


def networks(found: Inventory, service: str) -> dict[str, list[str]]:
    (only,) = (one for one in found.hosts["db"].services if one.name == service)
    return {source.name: [str(network) for network in source.networks] for source in only.sources}


def unsure(found: Inventory, service: str) -> list[tuple[str, ...]]:
    (only,) = (one for one in found.hosts["db"].services if one.name == service)
    return [source.names for source in only.sources]


def test_without_a_lookup_names_stay_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of an inventory says nothing to any network."""
    monkeypatch.setattr(socket, "getaddrinfo", None)
    found = load(write(tmp_path))

    assert found.hosts["web"].interfaces["wan"].names == ("www.example.com",)
    assert addresses(found, "web", "wan") == ["203.0.113.11"]
    assert ("www.example.com", "web.example.com") == unsure(found, "one")[0][::-1]
    assert (found.resolved, found.unresolved) == ({}, ())


def test_all_names_are_asked_for_at_once(tmp_path: Path) -> None:
    """In lower case, each once."""
    resolver = Resolver(SURE)
    load(write(tmp_path), resolver)

    assert resolver.asked == [["other.example.com", "web.example.com", "www.example.com"]]


def test_nothing_is_asked_for_a_wrong_inventory_or_one_without_names(tmp_path: Path) -> None:
    """Errors come first."""
    resolver = Resolver(SURE)
    numbers = count(30)
    load(write(tmp_path, re.sub(r"(?i)[a-z]+\.example\.com", lambda _: f"203.0.113.{next(numbers)}", TEXT)), resolver)
    with pytest.raises(InventoryError):
        load(write(tmp_path, TEXT.replace("4/tcp", "0/tcp")), resolver)

    assert resolver.asked == []


def test_addresses_join_the_interface_and_the_sources(tmp_path: Path) -> None:
    """As if they had been written in place of the name, which stays beside them for the record."""
    found = resolved(tmp_path)

    assert addresses(found, "web", "lan") == ["203.0.113.10", "203.0.113.12", "2001:db8:1::12"]
    assert addresses(found, "web", "wan") == ["203.0.113.11", "203.0.113.13"]
    assert networks(found, "one") == {
        "host:web": ["203.0.113.10/31", "203.0.113.12/31", "2001:db8:1::12/128"],
    }
    assert networks(found, "all") == {
        "role:app": ["203.0.113.10/31", "203.0.113.12/31", "203.0.113.14/32", "2001:db8:1::12/128"],
    }
    assert {(): 1} == {names: 1 for service in ("one", "all", "both") for names in unsure(found, service)}
    assert {name: [str(one) for one in found.resolved[name]] for name in found.resolved} == {
        name: list(answer) for name, answer in SURE.items()
    }
    assert found.unresolved == ()


def test_expectations_cover_what_names_lead_to(tmp_path: Path) -> None:
    """The declared service is expected there."""
    found = resolved(tmp_path)
    expected = expect(found, found.viewpoints["near"], Profile.QUICK).coverage()

    assert (ip_address("203.0.113.13"), Protocol.TCP) in expected


@pytest.mark.parametrize(
    ("answer", "kept", "reasons"),
    [
        ("no such name", [], ["has no address: no such name"]),
        ((), [], ["has no address"]),
        (("192.0.2.1",), [], ["leads to 192.0.2.1, outside `scope.allow`: not probed"]),
        (
            ("203.0.113.30", "192.0.2.1", "2001:db8:2::1"),
            ["203.0.113.30"],
            [
                "leads to 192.0.2.1, outside `scope.allow`: not probed",
                "leads to 2001:db8:2::1, outside `scope.allow`: not probed",
            ],
        ),
        (("203.0.113.99",), [], ["leads to 203.0.113.99, which `scope.deny` holds: not probed"]),
        (
            ("127.0.0.1",),
            [],
            ["leads to 127.0.0.1, a loopback address, which every machine has for itself: not probed"],
        ),
        (("0.0.0.0",), [], ["leads to 0.0.0.0, the unspecified address, which no machine has: not probed"]),
        (("224.0.0.1",), [], ["leads to 224.0.0.1, which is for many machines at once: not probed"]),
        (("fe80::1%2",), [], ["leads to fe80::1%2, which means something on one machine alone: not probed"]),
        ((MAPPED,), [], [f"leads to {MAPPED}, which means something on one machine alone: not probed"]),
        (("203.0.113.20",), [], ["leads to 203.0.113.20, which belongs to the host db: not probed"]),
        (("203.0.113.10",), [], ["leads to 203.0.113.10, which belongs to the interface lan of this host: not probed"]),
        (("203.0.113.14",), [], ["leads to 203.0.113.14, and so does other.example.com of the host other: not probed"]),
        (
            ("203.0.113.12",),
            [],
            ["leads to 203.0.113.12, and so does web.example.com of the interface lan of this host: not probed"],
        ),
        (("203.0.113.11",), ["203.0.113.11"], []),
    ],
)
def test_what_is_refused(answer: tuple[str, ...] | str, kept: list[str], reasons: list[str], tmp_path: Path) -> None:
    """It becomes no address of the host, and is told; what else the name leads to stays."""
    found = resolved(tmp_path, www=answer)
    mine = [one for one in found.unresolved if one.name == "www.example.com"]

    assert [str(address) for address in found.resolved["www.example.com"]] == kept
    assert addresses(found, "web", "wan") == ["203.0.113.11", *(one for one in kept if one != "203.0.113.11")]
    assert [one.reason for one in mine] == reasons
    assert {one.host for one in mine} <= {"web"}


def test_two_hosts_of_one_address_both_go_without(tmp_path: Path) -> None:
    """Which of them it is cannot be told."""
    found = resolved(tmp_path, www=("203.0.113.14",))

    assert sorted((one.host, one.name) for one in found.unresolved) == [
        ("other", "other.example.com"),
        ("web", "www.example.com"),
    ]
    assert addresses(found, "other", "lan") == []


@pytest.mark.parametrize("answer", ["gone", ("192.0.2.1",), ("203.0.113.30", "192.0.2.1")])
def test_incomplete_sources_accuse_nobody(answer: tuple[str, ...] | str, tmp_path: Path) -> None:
    """The viewpoint may be where an unresolved name leads: what only that could admit is unverified, seen or not."""
    found = resolved(tmp_path, www=answer)
    expected = expect(found, found.viewpoints["near"], Profile.QUICK, hosts=["db"])
    basis = {
        each.ports.first: each.basis for each in expected.expectations if each.service and each.protocol is Protocol.TCP
    }

    assert {
        1: Basis.SOURCES_UNKNOWN,
        2: Basis.SOURCES_UNKNOWN,
        3: Basis.DECLARED,
        4: Basis.OUTSIDE_SOURCES,
    } == basis
    for state, reason in ((PortState.OPEN, "syn-ack"), (PortState.CLOSED, "reset")):
        assert {1: Result.UNVERIFIED, 2: Result.UNVERIFIED} == {
            port: result for port, result in results(expected, state, reason).items() if port < 3
        }
    assert results(expected, PortState.OPEN, "syn-ack")[4] is Kind.OUTSIDE_SOURCE_RANGE


def results(expected: Expectations, state: PortState, reason: str) -> dict[int, object]:
    """What becomes of the ports 1 to 4 of db, all in one state."""
    db = ip_address("203.0.113.20")
    seen = [Observation(db, Protocol.TCP, PortSet.of(port), state, reason, NOW, 63) for port in range(1, 5)]
    scan = Scan("near", Technique.SYN, "7.93", tuple(seen), (Reply(db, "echo-reply"),))
    comparison = compare(expected, scan)
    return {
        outcome.ports.first: outcome.kind or outcome.result
        for outcome in comparison.outcomes
        if outcome.observation is not None
    }


def test_why_an_endpoint_is_unverified_names_the_name(tmp_path: Path) -> None:
    """So that it can be mended."""
    found = resolved(tmp_path, www="gone")
    expected = expect(found, found.viewpoints["near"], Profile.QUICK, hosts=["db"])
    seen = Observation(ip_address("203.0.113.20"), Protocol.TCP, PortSet.of(1), PortState.OPEN, "syn-ack", NOW, 63)
    outcomes = compare(expected, Scan("near", Technique.SYN, "7.93", (seen,))).outcomes

    assert [outcome.reason for outcome in outcomes if outcome.observation] == [
        "open, and whether it is meant for this viewpoint is not known: www.example.com could not be resolved"
    ]


def test_source_sets_stay_shared(tmp_path: Path) -> None:
    """One set written many times is one set after the names are known, too."""
    text = TEXT + '  more: {interfaces: {lan: [203.0.113.21]}, services: {s: {ports: 9/tcp, from: ["role:app"]}}}\n'
    found = load(write(tmp_path, text), Resolver(SURE))
    (more,) = found.hosts["more"].services
    (every,) = (one for one in found.hosts["db"].services if one.name == "all")

    assert more.sources is every.sources


@pytest.mark.parametrize(
    ("answer", "undeclared", "why"),
    [
        ("gone", [], ["perhaps that of other, whose DNS name could not be resolved"]),
        (("192.0.2.1",), ["203.0.113.77"], []),
        (("203.0.113.14",), ["203.0.113.77"], []),
    ],
)
def test_an_address_of_no_host_may_be_that_of_a_lost_one(
    answer: tuple[str, ...] | str, undeclared: list[str], why: list[str], tmp_path: Path
) -> None:
    """Where a name leads nowhere, it cannot be said of an address in the evidence that no host has it."""
    found = resolved(tmp_path, other=answer)
    stranger = ip_address("203.0.113.77")
    asked = {(stranger, Protocol.TCP): PortSet.of(22)}
    expected = expect(found, found.viewpoints["near"], Profile.COMPARE, asked=asked)

    assert undeclared == [str(address) for address in expected.undeclared]
    assert why == [left.reason for left in expected.left_out if left.what == str(stranger)]
