"""What each endpoint of the coverage should be from one viewpoint, and on what ground."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from auditor.addresses import by_address, difference, overlap
from auditor.inventory.expecting.controls import controls
from auditor.inventory.expecting.coverage import (
    SWEEPING,
    Asked,
    Place,
    choose,
    cover,
    ports_asked,
    ports_of,
    slices_left_out,
    unasked_left_out,
)
from auditor.inventory.reading.cycles import no_cycles
from auditor.model.discovery import Discovery
from auditor.model.expectation import Carried, Expectation, Expectations, HostLimits, LeftOut, Unasked, host_limits
from auditor.model.inventory import Host, Inventory, Service, SourceRange, Viewpoint
from auditor.model.limits import NO_LIMITS
from auditor.model.ports import PortSet, partition
from auditor.model.rotation import Rotation
from auditor.model.words import HERE, Address, Basis, ExpectedState, Family, Profile, Protocol

_MOST_OTHERS = 1024  # live addresses that no host declares; a device may answer for a whole network
_NOTHING: Mapping[Address, Carried] = MappingProxyType({})


def expect(
    inventory: Inventory,
    viewpoint: Viewpoint,
    profile: Profile,
    *,
    hosts: Collection[str] = (),
    tags: Collection[str] = (),
    asked: Asked | None = None,
    rotation: Rotation | None = None,
    found: Discovery | None = None,
    carried: Mapping[Address, Carried] = _NOTHING,
    unasked: Sequence[Unasked] = (),
    left_out: Sequence[LeftOut] = (),
) -> Expectations:
    """What every endpoint of the coverage should be from the viewpoint.

    With `asked`, what saved evidence asked about, the coverage is that and every declared endpoint, and the profile is
    `compare` whatever was given. With `found`, what a search for undeclared addresses found, those are looked at too.
    `unasked` are addresses that the evidence names and did not ask: left out where no host declares them. `left_out` is
    what else it leaves out, in place of what would be said of the same without it.
    `carried` tells which undeclared addresses a declared host carries. `hosts` and `tags` narrow the coverage to the
    hosts that have one of them. `rotation` tells which slice of the undeclared ports is due, where the viewpoint sweeps
    them in slices. Raises UsageError for a host or tag that matches nothing.
    """
    profile = profile if asked is None else Profile.COMPARE
    rotation = rotation if profile in SWEEPING and viewpoint.slices > 1 else None
    narrowed = bool(hosts or tags)
    chosen = choose(inventory, hosts, tags)
    others = None if asked is None and found is None else {address for address, _ in asked or ()}
    if found is not None and others is not None:
        others |= found.addresses
    most = _MOST_OTHERS if asked is None else None
    if others is not None:
        others -= {address for one in unasked for address in one.addresses}
    coverage = cover(inventory, viewpoint, profile, chosen, others, carried=carried, narrowed=narrowed, most=most)
    known = {one.what for one in left_out}
    coverage.left_out = {one for one in coverage.left_out if one.what not in known}
    coverage.left_out.update(left_out, unasked_left_out(inventory, unasked))
    coverage.left_out.update(found.left_out if found else ())
    if rotation:
        coverage.left_out.update(slices_left_out(rotation))
    expecting = _Expecting(viewpoint, profile, asked, rotation)
    with no_cycles():
        every = [one for place in sorted(coverage.places, key=_order) for one in expecting.of(place)]
    limits = dict(host_limits(inventory, viewpoint))
    for one in coverage.carried:
        host = inventory.hosts[one.host]
        if host.limits != NO_LIMITS or viewpoint.limits.host_rate is not None:
            limits[one.address] = HostLimits(host.name, host.limits.host_rate, host.limits.windows)
    return Expectations(
        viewpoint=viewpoint,
        profile=profile,
        expectations=tuple(every),
        left_out=tuple(sorted(coverage.left_out)),
        undeclared=tuple(sorted(coverage.strangers, key=by_address)),
        limits=limits,
        rotation=None if narrowed else rotation,
        carried=tuple(sorted(coverage.carried, key=_by_host)),
        controls=controls(inventory, viewpoint, coverage, carried) if asked is None else (),
    )


def _by_host(one: Carried) -> tuple[str, str, tuple[int, bytes]]:
    return one.host, one.interface, by_address(one.address)


def _order(place: Place) -> tuple[str, str, tuple[int, bytes]]:
    return place.host.name if place.host else str(place.address), place.interface, by_address(place.address)


@dataclass(frozen=True, slots=True)
class _Part:
    """Ports that one and the same set of services declares, and what that means for one interface and family.

    `services` are the places of those that the basis speaks of among the host's, the first of them standing for all.
    """

    ports: PortSet
    state: ExpectedState
    basis: Basis
    services: tuple[int, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True)
class _Admission:
    """The name of the range that admits the viewpoint, or whether one admits a part of where it may stand."""

    source: str | None = None
    partly: bool = False


_Shape = tuple[tuple[object, ...], ...]  # of a host: all that its services have to say, other than their names
_Parts = tuple[tuple[Protocol, tuple[_Part, ...]], ...]


class _Expecting:
    """Works out once what hosts of the same shape have in common: most hosts of an estate are like many others.

    Port sets and source sets are told apart by identity, which loading shares; it costs no look at 65,535 bits. The
    hosts hold them as long as this lives.
    """

    def __init__(
        self, viewpoint: Viewpoint, profile: Profile, asked: Asked | None, rotation: Rotation | None = None
    ) -> None:
        self._viewpoint = viewpoint
        self._same_everywhere = asked is None  # the ports to look at depend on the host's services alone
        self._covered = ports_of(profile, rotation) if asked is None else ports_asked(asked)
        self._admitting: dict[tuple[int, Family], _Admission] = {}
        self._holding: dict[tuple[int, Family], bool] = {}
        self._sets: dict[int, PortSet] = {}
        self._shapes: dict[_Shape, _Shape] = {}
        self._declared: dict[tuple[int, str, int], _Parts] = {}
        self._looked_at: dict[tuple[int, str, int], _Parts] = {}
        self._host: Host | None = None
        self._shape: _Shape = ()
        self._services: dict[tuple[int, ...], tuple[Service | None, tuple[str, ...]]] = {}

    def of(self, place: Place) -> Iterator[Expectation]:
        host, interface = (place.host.name, place.interface) if place.host else (str(place.address), None)
        for protocol, parts in self._parts(place):
            for part in parts:
                service, others = self._united(part.services)
                yield Expectation(
                    viewpoint=self._viewpoint.name,
                    host=host,
                    interface=interface,
                    address=place.address,
                    protocol=protocol,
                    ports=part.ports,
                    state=part.state,
                    basis=part.basis,
                    service=service,
                    other_services=others,
                    source=part.source,
                )

    def _parts(self, place: Place) -> _Parts:
        """The ports to look at, those declared nowhere on the host included, in order of their first ports."""
        if place.host is not self._host or place.host is None:
            self._take(place.host)
        if place.carried:
            return self._nothing_declared(place)
        key = id(self._shape), place.interface, place.address.version
        if key not in self._declared:
            self._declared[key] = tuple(self._declared_parts(place))
        if not self._same_everywhere:
            return self._all_parts(place, self._declared[key])
        if key not in self._looked_at:
            self._looked_at[key] = self._all_parts(place, self._declared[key])
        return self._looked_at[key]

    def _nothing_declared(self, place: Place) -> _Parts:
        """All ports as undeclared, whatever the host declares for its other addresses: nothing declares this one."""
        services = place.host.services if place.host else ()
        declared = ((protocol, PortSet.union(one.ports(protocol) for one in services)) for protocol in Protocol)
        looked_at = ((protocol, self._covered(place.address, protocol, ports, _NONE)) for protocol, ports in declared)
        return tuple((protocol, (self._narrowed(_CARRIED, ports.bits),)) for protocol, ports in looked_at if ports)

    def _take(self, host: Host | None) -> None:
        self._host = host
        self._services = {(): (None, ())}
        shape = tuple(map(self._saying, host.services)) if host else ()
        self._shape = self._shapes.setdefault(shape, shape)

    def _saying(self, service: Service) -> tuple[object, ...]:
        """All that expectations take from a service, other than itself. Of its sources that is whom they admit."""
        return (
            id(service.tcp),
            id(service.udp),
            service.interfaces,
            service.families,
            *(self._admits(service, family) for family in Family),
            _unsure(service),
            service.optional,
        )

    def _united(self, indices: tuple[int, ...]) -> tuple[Service | None, tuple[str, ...]]:
        if indices not in self._services and self._host:
            self._services[indices] = _united(tuple(self._host.services[index] for index in indices))
        return self._services[indices]

    def _all_parts(self, place: Place, declared: _Parts) -> _Parts:
        return tuple((protocol, self._within(place, protocol, parts)) for protocol, parts in declared)

    def _within(self, place: Place, protocol: Protocol, parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
        """The parts as far as they are to be looked at, and the rest of what is."""
        declared = PortSet.union(part.ports for part in parts)
        here = PortSet.union(part.ports for part in parts if part.basis in HERE)
        covered = self._covered(place.address, protocol, declared, here)
        found = [self._narrowed(part, part.ports.bits & covered.bits) for part in parts]
        found.append(self._narrowed(_UNDECLARED, covered.bits & ~declared.bits))
        return tuple(sorted((part for part in found if part.ports), key=lambda part: part.ports.first))

    def _narrowed(self, part: _Part, bits: int) -> _Part:
        return replace(part, ports=self._sets.setdefault(bits, PortSet(bits)))

    def _declared_parts(self, place: Place) -> Iterator[tuple[Protocol, tuple[_Part, ...]]]:
        """The ports declared anywhere on the host, by what declares them, as seen on this interface and family."""
        services = place.host.services if place.host else ()
        family = Family.of(place.address)
        for protocol in Protocol:
            split = partition([service.ports(protocol) for service in services])
            yield protocol, tuple(self._part(services, place.interface, family, *each) for each in split)

    def _part(
        self, services: Sequence[Service], interface: str, family: Family, declared: PortSet, declaring: tuple[int, ...]
    ) -> _Part:
        """`declaring` are the places of the services that all declare the ports, in order of their names."""
        ports = self._sets.setdefault(declared.bits, declared)
        attached = tuple(index for index in declaring if interface in services[index].interfaces)
        here = tuple(index for index in attached if family in services[index].families)
        if here:
            admitted = [self._admits(services[index], family) for index in here]
            source = next((one.source for one in admitted if one.source), None)
            if source is None:
                basis = Basis.OUTSIDE_SOURCES
                if any(one.partly for one in admitted):
                    basis = Basis.VIEWPOINT_UNKNOWN
                elif any(_unsure(services[index]) for index in here):
                    basis = Basis.SOURCES_UNKNOWN
                return _Part(ports, ExpectedState.BLOCKED, basis, here)
            permitted = all(services[index].optional for index in here)
            state = ExpectedState.PERMITTED if permitted else ExpectedState.REACHABLE
            return _Part(ports, state, Basis.DECLARED, here, source)
        basis = Basis.OTHER_FAMILY if attached else Basis.OTHER_INTERFACE
        return _Part(ports, ExpectedState.BLOCKED, basis, attached or declaring)

    def _admits(self, service: Service, family: Family) -> _Admission:
        """Whether the service admits the viewpoint, worked out once for each source set that services share."""
        key = id(service.sources), family
        if key not in self._admitting:
            admitting = (source.name for source in service.sources if self._holds(source, family))
            name = next(admitting, None)
            known = name is not None or self._viewpoint.address_of(family) is not None
            self._admitting[key] = _Admission(name) if known else self._together(service, family)
        return self._admitting[key]

    def _together(self, service: Service, family: Family) -> _Admission:
        """What the sources admit of where the viewpoint may stand, as none of them has all of it."""
        stands = self._viewpoint.stands(family)
        some = [source for source in service.sources if overlap(stands, source.networks)]
        if some and not difference(stands, [network for source in some for network in source.networks]):
            return _Admission(" and ".join(source.name for source in some))
        return _Admission(partly=bool(some))

    def _holds(self, source: SourceRange, family: Family) -> bool:
        key = id(source), family
        if key not in self._holding:
            address = self._viewpoint.address_of(family)
            stands = () if address else self._viewpoint.stands(family)
            whole = bool(stands) and not difference(stands, source.networks)
            self._holding[key] = address in source if address else whole
        return self._holding[key]


def _unsure(service: Service) -> bool:
    """Whether it is not known of everything where its sources are."""
    return any(source.names for source in service.sources)


_NONE = PortSet()
_CARRIED = _Part(PortSet(), ExpectedState.BLOCKED, Basis.UNDECLARED_ADDRESS)
_UNDECLARED = _Part(PortSet(), ExpectedState.BLOCKED, Basis.UNDECLARED)


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
