"""Which declared host carries an address that nothing declares: told by hardware addresses, and by `dynamic`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditor.addresses import contains
from auditor.hardware import Names, identifies, names_of
from auditor.model.expectation import Carried
from auditor.model.inventory import Interface, Inventory
from auditor.model.observation import Label
from auditor.model.words import Address

_Macs = Mapping[Address, frozenset[str]]


def carrying(
    inventory: Inventory, views: Iterable[tuple[Iterable[Address], Iterable[Label]]]
) -> dict[Address, Carried]:
    """By address, who carries it and on which interface; what cannot be told is not in it.

    `views` are the addresses and the hardware addresses that each viewpoint tells of.

    A host carries an address that has the hardware address of one of its declared addresses, as seen from the same
    viewpoint, and that of no other host: one that several have, or many, is a router's, which answers for them. Else
    it carries an address in a `dynamic` prefix that no other host has, unless their hardware addresses are known to
    differ. What viewpoints tell differently is not told.
    """
    found: dict[Address, set[Carried]] = defaultdict(set)
    attached = _Attached(inventory)
    for addresses, labels in views:
        told = tuple(labels)
        macs = _macs(told)
        owners = attached.owners(macs, names_of(told))
        for address in {*macs, *addresses}:
            if address not in attached.places and (one := attached.of(address, macs, owners)):
                found[address].add(one)
    return {address: one for address, (one, *more) in found.items() if not more}


def _macs(labels: Iterable[Label]) -> _Macs:
    macs: dict[Address, frozenset[str]] = {}
    for label in labels:
        if label.mac:
            macs[label.address] = macs.get(label.address, frozenset()) | {label.mac}
    return macs


@dataclass(frozen=True, slots=True)
class _Place:
    host: str
    interface: Interface


class _Attached:
    """The interfaces of all hosts, by address and by prefix."""

    def __init__(self, inventory: Inventory) -> None:
        every = [_Place(host.name, one) for host in inventory.hosts.values() for one in host.interfaces.values()]
        self.places = {address: place for place in every for address in place.interface.addresses}
        self._dynamic = [place for place in every if place.interface.dynamic]

    def owners(self, macs: _Macs, names: Names) -> Mapping[str, list[_Place]]:
        """By hardware address, the places that have it; none where it is that of several hosts, or identifies none."""
        sharing: dict[str, list[Address]] = defaultdict(list)
        for address, here in macs.items():
            for mac in here:
                sharing[mac].append(address)
        found = {
            mac: [place for address in those if (place := self.places.get(address))]
            for mac, those in sharing.items()
            if identifies(those, self.places.keys(), names)
        }
        return {mac: places for mac, places in found.items() if len({place.host for place in places}) == 1}

    def of(self, address: Address, macs: _Macs, owners: Mapping[str, list[_Place]]) -> Carried | None:
        mine = macs.get(address, frozenset())
        named = [place for mac in mine for place in owners.get(mac, ())]
        if named and all(mac in owners for mac in mine) and len({place.host for place in named}) == 1:
            return self._on(address, named)
        within = [place for place in self._dynamic if contains(place.interface.dynamic, address)]
        if named or len({place.host for place in within}) != 1:  # another host's, or nobody's, or several hosts'
            return None
        known = {mac for place in within for one in place.interface.addresses for mac in macs.get(one, ())}
        if mine and known and mine.isdisjoint(known):
            return None
        return Carried(within[0].host, within[0].interface.name, address, declared=True)

    def _on(self, address: Address, named: list[_Place]) -> Carried:
        """On the interface of the host that may have it, else on the one whose declared address is nearest to it."""
        host = named[0].host
        for place in self._dynamic:
            if place.host == host and contains(place.interface.dynamic, address):
                return Carried(host, place.interface.name, address, declared=True)
        nearest = min(named, key=lambda place: (_distance(address, place.interface), place.interface.name))
        return Carried(host, nearest.interface.name, address)


def _distance(address: Address, interface: Interface) -> int:
    """How many of the last bits differ from the nearest address of the family; all of them where there is none."""
    return min(_differing(address, interface), default=128)


def _differing(address: Address, interface: Interface) -> Iterator[int]:
    for one in interface.addresses:
        if one.version == address.version:
            yield (int(one) ^ int(address)).bit_length()
