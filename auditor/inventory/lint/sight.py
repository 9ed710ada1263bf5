"""What the viewpoints see of the inventory: the sources that they stand in, and the addresses that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network

from auditor.addresses import Members, by_address, overlap
from auditor.inventory.lint.note import FEW, Note
from auditor.inventory.reading.places import Places
from auditor.inventory.reading.text import counted, listed
from auditor.model.inventory import Inventory, Path, Service, SourceRange
from auditor.model.lint import Sight
from auditor.model.words import Address, Boundary, Family, ViewpointKind

_SUBNET = {Family.IPV4: 24, Family.IPV6: 64}  # what is likely one network: its addresses are told in one line


def sight(inventory: Inventory) -> Sight:
    """How much of the inventory its viewpoints see."""
    stands = _Standing(inventory)
    sources = {source.name: source for each in _source_sets(inventory) for source in each.sources}
    total, watched = dict.fromkeys(Family, 0), dict.fromkeys(Family, 0)
    unwatched, denied = [], []
    looks = _Looking(inventory)
    for place in _places(inventory):
        family = Family.of(place.address)
        total[family] += 1
        if looks.denied(place.address):
            denied.append((place.host, place.address))
        elif looks.at(place.address):
            watched[family] += 1
        else:
            unwatched.append((place.host, place.address))
    return Sight(
        ranges=tuple(sorted(sources)),
        unseen=tuple(sorted(name for name, source in sources.items() if not stands.within(source))),
        addresses=total,
        watched=watched,
        unwatched=tuple(unwatched),
        denied=tuple(denied),
    )


def sight_notes(inventory: Inventory, places: Places) -> Iterator[Note]:
    if not inventory.viewpoints:
        message = "no viewpoint is declared, so that nothing can be audited; add one under `viewpoints`"
        yield Note("no-viewpoint", ("viewpoints",), message)
        return
    for viewpoint in inventory.viewpoints.values():
        if viewpoint.kind is ViewpointKind.PUBLIC and viewpoint.boundary is not Boundary.FILTERED:
            message = "from this public viewpoint a closed port passes for blocked, though a packet got through"
            yield Note("public-boundary", ("viewpoints", viewpoint.name), f"{message}; add `boundary: filtered`")
    yield from _unseen(inventory, places)
    yield from _unwatched(inventory)


@dataclass(slots=True)
class _SourceSet:
    """One set of sources, the first service that has it, and how many have."""

    sources: tuple[SourceRange, ...]
    host: str
    service: Service
    users: int = 0


def _source_sets(inventory: Inventory) -> list[_SourceSet]:
    """The distinct source sets of services; those that were written alike are one object."""
    sets: dict[int, _SourceSet] = {}
    for host in inventory.hosts.values():
        for service in host.services:
            if service.sources:
                one = sets.get(id(service.sources))
                if one is None:
                    one = sets[id(service.sources)] = _SourceSet(service.sources, host.name, service)
                one.users += 1
    return list(sets.values())


class _Standing:
    """Whether a viewpoint stands in a source, or may: an audit tells of one whose address is not fixed."""

    def __init__(self, inventory: Inventory) -> None:
        stands = [viewpoint.stands(family) for viewpoint in inventory.viewpoints.values() for family in Family]
        self._networks = [network for each in stands for network in each]
        self._known: dict[str, bool] = {}

    def within(self, source: SourceRange) -> bool:
        if source.name not in self._known:
            self._known[source.name] = overlap(source.networks, self._networks)
        return self._known[source.name]


def _unseen(inventory: Inventory, places: Places) -> Iterator[Note]:
    """Sources of services that have none in which a viewpoint stands: one note each, however many services."""
    stands = _Standing(inventory)
    unseen: dict[str, list[_SourceSet]] = {}
    for each in _source_sets(inventory):
        if not any(map(stands.within, each.sources)):
            for source in each.sources:
                unseen.setdefault(source.name, []).append(each)
    for name, sets in unseen.items():
        first = sets[0]
        users = sum(each.users for each in sets)
        whose = f"`{first.host}.{first.service.name}`" + (f" and {counted(users - 1, 'other')}" if users > 1 else "")
        message = f"no viewpoint stands in `{name}`, so that nobody sees whether {whose} can be reached as declared"
        yield Note("unseen-range", _path_of(name, first, inventory, places), f"{message}; add a viewpoint there")


def _path_of(name: str, first: _SourceSet, inventory: Inventory, places: Places) -> Path:
    """Where a source stands: its range, or else the first `from` that names it."""
    if name in inventory.ranges:
        return "ranges", name
    index = [source.name for source in first.sources].index(name)
    return (*places.of_service(first.host, first.service.name, "from"), index)


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    interface: str
    address: Address


def _places(inventory: Inventory) -> Iterator[_Place]:
    for host in inventory.hosts.values():
        for interface in host.interfaces.values():
            for address in sorted(interface.addresses, key=by_address):
                yield _Place(host.name, interface.name, address)


class _Looking:
    """Whether a viewpoint looks at an address: it has the family, the address is in its targets and is not its own."""

    def __init__(self, inventory: Inventory) -> None:
        self._denied = Members(inventory.scope.deny)
        self._viewpoints = [
            (viewpoint.families, Members(viewpoint.targets), frozenset(viewpoint.addresses))
            for viewpoint in inventory.viewpoints.values()
        ]
        self.families = frozenset[Family]().union(*(families for families, _, _ in self._viewpoints))

    def denied(self, address: Address) -> bool:
        return address in self._denied

    def at(self, address: Address) -> bool:
        family = Family.of(address)
        return any(
            family in families and address in targets and address not in own
            for families, targets, own in self._viewpoints
        )


@dataclass(slots=True)
class _Unwatched:
    """Addresses that nobody looks at, as far as one note tells them, from the first on."""

    path: Path
    hosts: dict[str, None] = field(default_factory=dict)
    addresses: list[Address] = field(default_factory=list)


def _unwatched(inventory: Inventory) -> Iterator[Note]:
    """One note for a family that no viewpoint has, and one for each subnet that none looks at."""
    looks = _Looking(inventory)
    families: dict[Family, _Unwatched] = {}
    subnets: dict[object, _Unwatched] = {}
    for place in _places(inventory):
        if looks.denied(place.address) or looks.at(place.address):
            continue
        family = Family.of(place.address)
        path: Path = ("hosts", place.host, "interfaces", place.interface)
        if family in looks.families:
            subnet = ip_network((place.address, _SUBNET[family]), strict=False)
            one = subnets.setdefault(subnet, _Unwatched(path))
        else:
            one = families.setdefault(family, _Unwatched(("viewpoints",)))
        one.hosts[place.host] = None
        one.addresses.append(place.address)
    for family, one in families.items():
        message = f"no viewpoint has an {family.spelled} address, so that nobody looks at {_told(one)}"
        yield Note("unwatched-family", one.path, f"{message}; give one to a viewpoint")
    for one in subnets.values():
        message = f"no viewpoint looks at {_told(one)}"
        yield Note("unwatched-address", one.path, f"{message}; add it to the `targets` of one, or add a viewpoint")


def _told(one: _Unwatched) -> str:
    return f"{listed([*map(str, one.addresses)], FEW)} of {listed(one.hosts, FEW)}"
