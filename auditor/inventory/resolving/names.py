"""DNS names of interfaces: what they lead to is taken on only where it may be probed and is nobody else's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network

from auditor import addresses
from auditor.model.inventory import Host, Interface, Inventory, Scope, Service, SourceRange, Unresolved
from auditor.model.observation import Resolved
from auditor.model.words import Address

Lookup = Callable[[Collection[str]], Mapping[str, tuple[Address, ...] | str]]
_BROADCAST = ip_address("255.255.255.255")
_Place = tuple[str, str]  # a host and its interface


def resolve_names(inventory: Inventory, lookup: Lookup) -> Inventory:
    """The inventory with the addresses of its DNS names.

    `lookup` gives the addresses of each name, or in words why there are none. What cannot be told, and each address
    that is refused, is in `unresolved`.
    """
    places = {name: place for place, interface in _interfaces(inventory) for name in interface.names}
    if not places:
        return inventory
    answers = lookup(sorted(places))
    judge = _Judge(inventory, places, answers)
    resolved, unresolved = {}, []
    for name, place in sorted(places.items(), key=lambda item: (item[1][0], item[0])):
        resolved[name], problems = judge.judge(place[0], name)
        unresolved += problems
    renewed = _Renewed(resolved, frozenset(one.name for one in unresolved))
    return replace(
        inventory,
        hosts={name: renewed.host(host) for name, host in inventory.hosts.items()},
        resolved=resolved,
        unresolved=tuple(unresolved),
    )


def as_then(resolved: Iterable[Resolved], lookup: Lookup) -> Lookup:
    """A lookup of where names led when saved evidence was made; `lookup` tells where they lead today.

    nmap takes the first address of a name as a rule: where today's are the same still, they are taken all. A name that
    has moved, or is gone, is taken where it led, in each family of which the evidence tells. An address to which
    several names led at different times is that of the last.
    """
    latest: dict[Address, datetime] = {}
    known = {(_plain(one.name), one.address, one.at) for one in resolved}
    for _, address, at in known:
        latest[address] = max(at, latest.get(address, at))
    then: dict[str, set[Address]] = {}
    for name, address, at in known:
        if at == latest[address]:
            then.setdefault(name, set()).add(address)

    def look_up(names: Collection[str]) -> dict[str, tuple[Address, ...] | str]:
        today = lookup(names)
        return {name: _merged(then.get(_plain(name), set()), today.get(name, ())) for name in names}

    return look_up


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def _merged(then: set[Address], today: tuple[Address, ...] | str) -> tuple[Address, ...] | str:
    if not then:
        return today
    found = set(then)
    for version in (4, 6):
        was = {one for one in then if one.version == version}
        now = {one for one in today if one.version == version} if not isinstance(today, str) else set()
        if not was or was & now:
            found |= now
    return tuple(sorted(found, key=addresses.by_address))


def _interfaces(inventory: Inventory) -> Iterator[tuple[_Place, Interface]]:
    for host in inventory.hosts.values():
        for interface in host.interfaces.values():
            yield (host.name, interface.name), interface


class _Judge:
    """Decides which addresses that names lead to are taken on."""

    def __init__(
        self, inventory: Inventory, places: Mapping[str, _Place], answers: Mapping[str, tuple[Address, ...] | str]
    ) -> None:
        self._scope = inventory.scope
        self._allowed = Scope(inventory.scope.allow)
        self._places = places
        self._answers = answers
        self._declared = {
            address: place for place, interface in _interfaces(inventory) for address in interface.addresses
        }
        self._led: dict[Address, list[str]] = {}
        for name, answer in sorted(answers.items()):
            for address in () if isinstance(answer, str) else answer:
                self._led.setdefault(address, []).append(name)

    def judge(self, host: str, name: str) -> tuple[tuple[Address, ...], list[Unresolved]]:
        """The addresses of the name that are taken on, and what is not."""
        answer = self._answers.get(name, ())
        if isinstance(answer, str):
            return (), [Unresolved(host, name, f"has no address: {answer}")]
        if not answer:
            return (), [Unresolved(host, name, "has no address")]
        refused = {address: why for address in answer if (why := self._refusal(name, address))}
        kept = tuple(address for address in answer if address not in refused)
        problems = [
            Unresolved(host, name, f"leads to {address}, {why}: not probed", address)
            for address, why in refused.items()
        ]
        return kept, problems

    def _refusal(self, name: str, address: Address) -> str | None:
        if why := _unfit(address):
            return why
        if not addresses.in_scope(address, self._allowed):
            return "outside `scope.allow`"
        if not addresses.in_scope(address, self._scope):
            return "which `scope.deny` holds"
        here = self._places[name]
        owner = self._declared.get(address, here)
        if owner != here:
            return f"which belongs to {_of(owner, here)}"
        for other in self._led[address]:
            if self._places[other] != here:
                return f"and so does {other} of {_of(self._places[other], here)}"
        return None


def _unfit(address: Address) -> str | None:
    """Why an address cannot be that of a machine which others reach."""
    if address.is_loopback:
        return "a loopback address, which every machine has for itself"
    if address.is_unspecified:
        return "the unspecified address, which no machine has"
    if address.is_multicast or address == _BROADCAST:
        return "which is for many machines at once"
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        return "which means something on one machine alone"
    return None


def _of(other: _Place, here: _Place) -> str:
    return f"the interface {other[1]} of this host" if other[0] == here[0] else f"the host {other[0]}"


class _Renewed:
    """Hosts with the addresses that names gave them, and with sources in which those stand. Source sets stay shared."""

    def __init__(self, resolved: Mapping[str, tuple[Address, ...]], unsure: frozenset[str]) -> None:
        self._resolved = resolved
        self._unsure = unsure
        self._sets: dict[int, tuple[SourceRange, ...]] = {}
        self._ranges: dict[int, SourceRange] = {}

    def host(self, host: Host) -> Host:
        interfaces = {name: self._interface(one) for name, one in host.interfaces.items()}
        return replace(host, interfaces=interfaces, services=tuple(map(self._service, host.services)))

    def _interface(self, interface: Interface) -> Interface:
        found = [address for name in interface.names for address in self._resolved[name]]
        return (
            replace(interface, addresses=tuple(dict.fromkeys((*interface.addresses, *found)))) if found else interface
        )

    def _service(self, service: Service) -> Service:
        key = id(service.sources)
        if key not in self._sets:
            named = any(source.names for source in service.sources)
            self._sets[key] = tuple(map(self._range, service.sources)) if named else service.sources
        sources = self._sets[key]
        return service if sources is service.sources else replace(service, sources=sources)

    def _range(self, source: SourceRange) -> SourceRange:
        if source.names and id(source) not in self._ranges:
            found = (ip_network(address) for name in source.names for address in self._resolved[name])
            self._ranges[id(source)] = replace(
                source,
                networks=addresses.difference((*source.networks, *found)),
                names=tuple(name for name in source.names if name in self._unsure),
            )
        return self._ranges.get(id(source), source)
