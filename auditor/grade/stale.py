"""Which waivers cover nothing: only those of which all was looked at that they could cover, and told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address, ip_network

from auditor.addresses import Members, contains, difference, in_scope, intersection
from auditor.catalogue.ports import usual_ports
from auditor.grade.matching import Terms
from auditor.grade.waivers import Held
from auditor.model.breach import StaleWaiver
from auditor.model.drift import Comparison
from auditor.model.inventory import Host, Inventory, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import OF_INVENTORY, Address, Family, Kind, Network, Protocol, Result

_AT_ANY_ADDRESS = frozenset({Kind.UNKNOWN_HOST, Kind.UNDECLARED_PORT, Kind.ALL_PORTS_OPEN, Kind.BOUNDARY_LEAK})
# No search for a host's further addresses finds all of them, and what answers for others is asked a few of them.
_NEVER_ALL = frozenset({Kind.UNDECLARED_ADDRESS, Kind.ANSWERS_FOR_OTHERS})
_TOLD = frozenset({Result.VERIFIED, Result.DRIFTED})


def stale(held: Iterable[Held], inventory: Inventory, comparisons: Sequence[Comparison]) -> Iterator[Held]:
    """Those that have begun and matched nothing, though all was looked at. One for each match, the one that ends last.

    Waivers of the same match stand for one another: where one of them has matched, none is stale.
    """
    by_match: dict[str, list[Held]] = defaultdict(list)
    for one in held:
        if one.begun:
            by_match[one.waiver.match.written].append(one)
    if not by_match:
        return
    looked = _Looked(inventory, comparisons)
    for same in by_match.values():
        if not any(one.matched for one in same) and looked.at_all_of(same[0].terms):
            yield max(same, key=lambda one: one.last)


def stale_waiver(one: Held) -> StaleWaiver:
    return StaleWaiver(one.waiver, one.expired)


class _Looked:
    """What an audit looked at, and could tell."""

    def __init__(self, inventory: Inventory, comparisons: Sequence[Comparison]) -> None:
        self._inventory = inventory
        self._lost = {one.host for one in inventory.unresolved}
        self._views = {comparison.viewpoint.name: comparison.viewpoint for comparison in comparisons}
        self._covered: dict[str, set[Address]] = {name: set() for name in self._views}
        self._sights: dict[str, dict[str, list[tuple[str, Address]]]] = {}
        self._told: dict[tuple[str, Address, Protocol], int] = {}
        for comparison in comparisons:
            for outcome in comparison.outcomes:
                e = outcome.expectation
                self._covered[e.viewpoint].add(e.address)
                if outcome.result in _TOLD and outcome.kind is not Kind.HOST_UNREACHABLE:  # which tells of no port
                    key = e.viewpoint, e.address, e.protocol
                    self._told[key] = self._told.get(key, 0) | outcome.ports.bits

    def at_all_of(self, terms: Terms) -> bool:
        """Whether all that the match could fit was looked at, from everywhere, and nothing of it is in doubt."""
        kinds = frozenset(terms.match.kinds)
        if kinds and kinds <= OF_INVENTORY:
            return True
        if kinds & _NEVER_ALL:
            return False
        views = [view for name, view in self._inventory.viewpoints.items() if terms.viewpoints.fit(name)]
        if any(view.name not in self._views for view in views):
            return False
        strangers = () if kinds and kinds.isdisjoint(_AT_ANY_ADDRESS) else tuple(_strangers(terms))
        return all(self._declared_told(view, terms) and self._strangers_told(view, terms, strangers) for view in views)

    def _declared_told(self, view: Viewpoint, terms: Terms) -> bool:
        """Whether all was told of the declared addresses that the match fits and the viewpoint has before it."""
        seen = self._in_sight(view)
        for host in self._hosts(terms):
            if host.name in self._lost:  # it has an address that nobody looked at
                return False
            places = [
                address
                for interface, address in seen.get(host.name, ())
                if terms.interfaces.fit(interface)
                and terms.fit_address(address)
                and Family.of(address) in (terms.match.families or Family)
            ]
            needed = {protocol: _needed(terms, protocol, host) for protocol in Protocol if places}
            if not all(self._all_told(view, address, needed) for address in places):
                return False
        return True

    def _strangers_told(self, view: Viewpoint, terms: Terms, networks: Sequence[Network]) -> bool:
        """The same for addresses that no host declares, which only a match by address can mean."""
        if not networks:
            return True
        inside = intersection(intersection(networks, view.targets), self._inventory.scope.allow)
        own = [ip_network(address) for address in view.addresses]
        inside = difference(inside, (*self._inventory.scope.deny, *own))
        families = {Family.of(address) for address in view.addresses} & set(terms.match.families or Family)
        seen = [network for network in inside if Family.of(network) in families]
        covered = [address for address in self._covered[view.name] if contains(seen, address)]
        if len(covered) < sum(network.num_addresses for network in seen):
            return False
        needed = {protocol: _needed(terms, protocol, None) for protocol in Protocol}
        return all(self._all_told(view, address, needed) for address in covered)

    def _hosts(self, terms: Terms) -> Iterator[Host]:
        hosts = self._inventory.hosts
        named = (hosts[name] for name in sorted(terms.hosts.exact) if name in hosts)
        for host in named if terms.hosts.plain else hosts.values():
            if terms.fit_host(host.name, host.tags):
                yield host

    def _in_sight(self, view: Viewpoint) -> dict[str, list[tuple[str, Address]]]:
        """The interfaces and addresses of each host that audits from there may look at at all; worked out once."""
        if view.name not in self._sights:
            sight = self._sights[view.name] = defaultdict(list)
            targets = Members(view.targets)
            for host in self._inventory.hosts.values():
                for interface in host.interfaces.values():
                    for address in interface.addresses:
                        known = Family.of(address) in view.families and address not in view.addresses
                        if known and address in targets and in_scope(address, self._inventory.scope):
                            sight[host.name].append((interface.name, address))
        return self._sights[view.name]

    def _all_told(self, view: Viewpoint, address: Address, needed: dict[Protocol, PortSet]) -> bool:
        return address in self._covered[view.name] and not any(
            ports.bits & ~self._told.get((view.name, address, protocol), 0) for protocol, ports in needed.items()
        )


def _strangers(terms: Terms) -> Iterator[Network]:
    """The networks in which the match may fit an address that no host declares."""
    match = terms.match
    if match.tags or match.interfaces or match.services:
        return
    if not match.hosts:
        yield from match.addresses
    for name in sorted(terms.hosts.exact):
        try:
            address = ip_address(name)
        except ValueError:
            continue
        if terms.fit_address(address):
            yield ip_network(address)


def _needed(terms: Terms, protocol: Protocol, host: Host | None) -> PortSet:
    """The ports that must have been told: those that are named, else all of TCP and the usual ones of UDP."""
    services = host.services if host else ()
    ports = terms.ports(protocol)
    if terms.services.given:
        return ports & PortSet.union(one.ports(protocol) for one in services if terms.services.fit(one.name))
    if protocol is Protocol.TCP or terms.has_ports:
        return ports
    usual = usual_ports(protocol) | PortSet.union(one.ports(protocol) for one in services)
    return ports & usual
