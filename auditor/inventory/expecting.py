"""What each endpoint of the coverage should be from one viewpoint, and on what ground."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from auditor.addresses import by_address
from auditor.inventory.coverage import Asked, Place, choose, cover, ports_asked, ports_of
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Host, Inventory, Service, SourceRange, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState, Family, Profile, Protocol

_EMPTY = PortSet()


def expect(
    inventory: Inventory,
    viewpoint: Viewpoint,
    profile: Profile,
    *,
    hosts: Collection[str] = (),
    tags: Collection[str] = (),
    asked: Asked | None = None,
) -> Expectations:
    """What every endpoint of the coverage should be from the viewpoint.

    With `asked`, what saved evidence asked about, the coverage is that and every declared endpoint, and the profile is
    `compare` whatever was given. `hosts` and `tags` narrow it to the hosts that have one of them. Raises UsageError for
    a host or tag that matches nothing.
    """
    profile = profile if asked is None else Profile.COMPARE
    chosen = choose(inventory, hosts, tags)
    coverage = cover(inventory, viewpoint, profile, chosen, asked, narrowed=bool(hosts or tags))
    expecting = _Expecting(viewpoint, profile, asked)
    found = [expectation for place in coverage.places for expectation in expecting.of(place)]
    found.sort(key=_order)
    undeclared = tuple(sorted((p.address for p in coverage.places if p.host is None), key=by_address))
    return Expectations(viewpoint, profile, tuple(found), tuple(sorted(coverage.left_out)), undeclared)


def _order(one: Expectation) -> tuple[object, ...]:
    return one.host, one.interface or "", by_address(one.address), one.protocol, one.ports.first


@dataclass(frozen=True, slots=True)
class _Part:
    """Ports that one and the same set of services declares, and what that means for one interface and family."""

    ports: PortSet
    state: ExpectedState
    basis: Basis
    service: Service | None
    others: tuple[str, ...] = ()
    source: str | None = None


class _Expecting:
    """Keeps what is alike between addresses: the answer for each source set, and one PortSet for each set of ports."""

    def __init__(self, viewpoint: Viewpoint, profile: Profile, asked: Asked | None) -> None:
        self._viewpoint = viewpoint
        self._covered = ports_of(profile) if asked is None else ports_asked(asked)
        self._admitting: dict[tuple[int, Family], str | None] = {}
        self._holding: dict[tuple[int, Family], bool] = {}
        self._sets: dict[int, PortSet] = {}
        self._host: Host | None = None
        self._parts: dict[tuple[str, Family, Protocol], tuple[_Part, ...]] = {}
        self._declared: dict[Protocol, PortSet] = {}

    def of(self, place: Place) -> Iterator[Expectation]:
        for protocol in Protocol:
            parts = self._declared_parts(place, protocol)
            here = PortSet.union(part.ports for part in parts if part.basis in _HERE)
            covered = self._covered(place.address, protocol, self._declared.get(protocol, _EMPTY), here)
            for part in parts:
                yield from self._expectation(place, protocol, part, part.ports.bits & covered.bits)
            rest = covered.bits & ~PortSet.union(part.ports for part in parts).bits
            yield from self._expectation(place, protocol, _UNDECLARED, rest)

    def _expectation(self, place: Place, protocol: Protocol, part: _Part, bits: int) -> Iterator[Expectation]:
        if bits:
            yield Expectation(
                viewpoint=self._viewpoint.name,
                host=place.host.name if place.host else str(place.address),
                interface=place.interface if place.host else None,
                address=place.address,
                protocol=protocol,
                ports=self._sets.setdefault(bits, PortSet(bits)),
                state=part.state,
                basis=part.basis,
                service=part.service,
                other_services=part.others,
                source=part.source,
            )

    def _declared_parts(self, place: Place, protocol: Protocol) -> tuple[_Part, ...]:
        """The ports declared anywhere on the host, by what declares them, as seen on this interface and family."""
        if place.host is None:
            return ()
        if place.host is not self._host:
            self._host = place.host
            self._parts = {}
            self._declared = {one: PortSet.union(s.ports(one) for s in place.host.services) for one in Protocol}
        family = Family.of(place.address)
        key = place.interface, family, protocol
        if key not in self._parts:
            split = _split(place.host.services, protocol)
            self._parts[key] = tuple(self._part(place.interface, family, *each) for each in split)
        return self._parts[key]

    def _part(self, interface: str, family: Family, bits: int, services: tuple[Service, ...]) -> _Part:
        """`services` all declare the ports, in order of their names."""
        ports = self._sets.setdefault(bits, PortSet(bits))
        attached = tuple(one for one in services if interface in one.interfaces)
        here = tuple(one for one in attached if family in one.families)
        first, others = _united(here or attached or services)
        if here:
            source = next(filter(None, (self._admits(one, family) for one in here)), None)
            if source is None:
                return _Part(ports, ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES, first, others)
            state = ExpectedState.PERMITTED if all(one.optional for one in here) else ExpectedState.REACHABLE
            return _Part(ports, state, Basis.DECLARED, first, others, source)
        basis = Basis.OTHER_FAMILY if attached else Basis.OTHER_INTERFACE
        return _Part(ports, ExpectedState.BLOCKED, basis, first, others)

    def _admits(self, service: Service, family: Family) -> str | None:
        """The name of the range that admits the viewpoint, worked out once for each source set that services share."""
        key = id(service.sources), family
        if key not in self._admitting:
            admitting = (source.name for source in service.sources if self._holds(source, family))
            self._admitting[key] = next(admitting, None)
        return self._admitting[key]

    def _holds(self, source: SourceRange, family: Family) -> bool:
        key = id(source), family
        if key not in self._holding:
            address = self._viewpoint.address_of(family)
            self._holding[key] = address is not None and address in source
        return self._holding[key]


_HERE = frozenset({Basis.DECLARED, Basis.OUTSIDE_SOURCES})
_UNDECLARED = _Part(_EMPTY, ExpectedState.BLOCKED, Basis.UNDECLARED, None)


def _united(services: tuple[Service, ...]) -> tuple[Service, tuple[str, ...]]:
    """The first of several names for one endpoint, with what all of them say of it, and the other names."""
    first, *rest = services
    if not rest:
        return first, ()
    sources = tuple(dict.fromkeys(source for one in services for source in one.sources))
    united = replace(
        first,
        sources=sources,
        protocol=next((one.protocol for one in services if one.protocol), None),
        behind=next((one.behind for one in services if one.behind), None),
        answers=all(one.answers for one in services),
    )
    return united, tuple(one.name for one in rest)


def _split(services: Sequence[Service], protocol: Protocol) -> list[tuple[int, tuple[Service, ...]]]:
    """The declared ports as disjoint sets, each with all the services that declare it.

    Goes through the ports once, from where one service begins or ends to the next: thousands of them may share a host.
    """
    changes: dict[int, int] = {}  # by port, the services that begin there or have ended before, as bits
    for index, service in enumerate(services):
        for first, last in service.ports(protocol).ranges():
            changes[first] = changes.get(first, 0) ^ 1 << index
            changes[last + 1] = changes.get(last + 1, 0) ^ 1 << index
    parts: dict[int, int] = {}
    ports = sorted(changes)
    owners = 0
    for first, after in pairwise(ports):
        owners ^= changes[first]
        if owners:
            parts[owners] = parts.get(owners, 0) | PortSet.span(first, after - 1).bits
    return [(bits, tuple(services[index] for index in PortSet(owners))) for owners, bits in parts.items()]
