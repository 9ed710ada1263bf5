"""Where a viewpoint stands: the source address that its system uses, asked before any probe is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network

import pytest

from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, Via, Viewpoint, WorkerVia
from auditor.model.words import Address, ViewpointKind
from auditor.scan.plan.source import check_sources, located
from tests.unit.scan.test_doctor import Said

POD = Viewpoint(
    "pod",
    ViewpointKind.CONTAINER,
    (),
    (ip_network("10.20.0.0/16"),),
    within=(ip_network("10.42.0.0/16"), ip_network("2001:db8:2::/64")),
)
A, B, C = map(ip_address, ("10.20.0.1", "10.20.0.2", "10.20.0.3"))
SIX = ip_address("2001:db8:1::1")


@dataclass
class System:
    """Its routes: from which address each target is reached. None: there is no route; an address of nothing: no word.

    Those of a worker of a cluster are under its name.
    """

    sources: Mapping[Address, str | None] | Mapping[str, Mapping[Address, str | None]]

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[Said]:
        assert argv[:4] == ["ip", "-j", "route", "get"]
        target = ip_address(argv[4])
        routes = self.sources[via.worker] if isinstance(via, WorkerVia) else self.sources
        used = routes[target]
        yield Said("", 2, "Network is unreachable") if used is None else Said(json.dumps([{"prefsrc": used}]))


class Nowhere:
    @asynccontextmanager
    async def run(self, _via: Via, _argv: Sequence[str], **_: bool) -> AsyncIterator[Said]:
        raise TransportError("there is no such pod")
        yield


def stand(system: object, addresses: Sequence[Address] = (A, B, C), viewpoint: Viewpoint = POD) -> tuple[str, ...]:
    found = asyncio.run(located(system, viewpoint, addresses))
    return tuple(map(str, found.addresses))


def lost(system: object, addresses: Sequence[Address], viewpoint: Viewpoint) -> dict[Address, str]:
    found = asyncio.run(check_sources(system, viewpoint, addresses))
    assert found.failure is None
    return dict(found.lost)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({A: "10.42.0.9", B: "10.42.0.9", C: "10.42.0.9"}, ("10.42.0.9",)),
        ({A: "10.42.0.8", B: "10.42.0.9", C: "10.42.0.9"}, ("10.42.0.9",)),
        ({A: "10.42.0.10", B: "10.42.0.9", C: None}, ("10.42.0.9",)),
        ({A: "192.0.2.7", B: "192.0.2.7", C: "10.42.0.9"}, ("10.42.0.9",)),
        ({A: "192.0.2.7", B: "192.0.2.7", C: None}, ()),
        ({A: None, B: None, C: None}, ()),
        ({A: "", B: "", C: ""}, ()),
    ],
)
def test_where_it_stands(sources: Mapping[Address, str | None], expected: tuple[str, ...]) -> None:
    """At the address within its range that most targets are reached from; the lowest of several; else nowhere."""
    assert expected == stand(System(sources))


def test_each_family_has_its_own() -> None:
    """One may be found and the other not."""
    assert stand(System({A: "10.42.0.9", SIX: "2001:db8:2::9"}), (A, SIX)) == ("10.42.0.9", "2001:db8:2::9")
    assert stand(System({A: "10.42.0.9", SIX: "fe80::1"}), (A, SIX)) == ("10.42.0.9",)


def test_a_fixed_address_is_not_looked_for() -> None:
    """It is checked, and never replaced."""
    fixed = replace(POD, addresses=(ip_address("10.42.0.1"),), within=())

    assert stand(System({A: "10.42.0.9"}), (A,), fixed) == ("10.42.0.1",)


def test_a_place_that_cannot_be_asked_has_no_address() -> None:
    """And the check says why, before anything is sent."""
    assert stand(Nowhere()) == ()
    assert asyncio.run(check_sources(Nowhere(), POD, (A,))).failure == "there is no such pod"


def test_what_goes_another_way_is_lost_alone() -> None:
    """From outside the range, from another address within it, without a route, from nobody knows where."""
    system = System({A: "10.42.0.9", B: "10.42.0.8", C: "192.0.2.7", ip_address("10.20.0.4"): None, SIX: "fe80::1"})
    found = lost(system, (A, B, C, ip_address("10.20.0.4"), SIX), replace(POD, addresses=(ip_address("10.42.0.9"),)))

    assert set(found) == {B, C, ip_address("10.20.0.4"), SIX}
    assert "from 10.42.0.8, and others from 10.42.0.9" in found[B]
    assert found[C] == (
        "the system sends IPv4 probes from 192.0.2.7, but viewpoint pod is declared within 10.42.0.0/16; "
        "correct `within`"
    )
    assert "no route" in found[ip_address("10.20.0.4")]
    assert "within 2001:db8:2::/64" in found[SIX]


def test_none_found_loses_all_of_the_family() -> None:
    """Nothing is probed from an address that may be anyone's, though it lies within the range by now."""
    assert set(lost(System({A: "10.42.0.9", B: "192.0.2.7"}), (A, B), POD)) == {A, B}


def test_a_fixed_address_that_is_not_used_fails_the_viewpoint() -> None:
    """As before, and the way out is said."""
    fixed = replace(POD, addresses=(ip_address("10.42.0.1"),), within=())
    found = asyncio.run(check_sources(System({A: "10.42.0.9"}), fixed, (A,)))

    assert found.failure == (
        "the system sends IPv4 probes from 10.42.0.9, but viewpoint pod is declared as 10.42.0.1; "
        "correct `addresses`, or set `nat: true`"
    )


def test_workers_that_stand_elsewhere_are_named() -> None:
    """Each is asked; what one of them reaches from another address is lost, whoever else does not."""
    viewpoint = replace(POD, via=ClusterVia("pod", "tcp://127.0.0.1:8786", ("tcp://a:1", "tcp://b:1")))
    system = System({"tcp://a:1": {A: "10.42.0.9", B: "10.42.0.9"}, "tcp://b:1": {A: "10.42.0.9", B: "10.42.0.8"}})

    assert stand(system, (A, B), viewpoint) == ("10.42.0.9",)
    found = lost(system, (A, B), replace(viewpoint, addresses=(ip_address("10.42.0.9"),)))
    assert list(found) == [B]
    assert found[B].startswith("worker tcp://b:1: ")
