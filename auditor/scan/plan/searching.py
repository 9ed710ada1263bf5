"""What a search for undeclared addresses will send from one viewpoint. Pure: sends nothing."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from auditor.addresses import (
    ProbeNetwork,
    ProbeTarget,
    by_address,
    contains,
    difference,
    first_of,
    in_scope,
    intersection,
    probe_network,
    probe_target,
)
from auditor.model.expectation import HostLimits, LeftOut, host_limits
from auditor.model.inventory import Inventory, Scope, Viewpoint
from auditor.model.words import Address, Family, Network, Technique
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.links import Link
from auditor.scan.plan.pings import Pings, pings

MOST = 65_536  # addresses swept in one entry of targets
_IN_ONE_RUN = 4096  # addresses; what is lost with a run that breaks off
_MOST_WORDS = 512  # networks in one run: keeps argument lists short
_NEAR = 24  # the bits of the networks around declared addresses that come first where not all can be swept
_SHOWN = 4  # networks named in one line


@dataclass(frozen=True, slots=True)
class Sweep:
    """One entry of the viewpoint's targets, as far as it is swept: IPv4 networks without what is known there."""

    entry: Network
    runs: tuple[tuple[ProbeNetwork, ...], ...]

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(one.network for run in self.runs for one in run)

    @property
    def asked(self) -> int:
        return sum(network.num_addresses for network in self.networks)


@dataclass(frozen=True, slots=True)
class Group:
    """An interface on which all IPv6 neighbours are asked at once; the scope allows all of its prefixes.

    `sources` are the viewpoint's own addresses there, one for each prefix.
    """

    interface: str
    prefixes: tuple[ProbeNetwork, ...]
    sources: tuple[Address, ...]

    def commands(self, rate: float) -> Iterator[tuple[str, ...]]:
        yield command.multicast(self.interface, self.prefixes, rate=rate)
        for source in self.sources:
            yield command.echo_all(self.interface, self.prefixes, source, rate=rate)


@dataclass(frozen=True, slots=True)
class Search:
    """What one viewpoint's search will send. Pings of neighbours that it finds by multicast follow from that.

    `near` are declared addresses on its own links, whose hardware addresses tell what else their hosts carry. `own`
    are all addresses of its machine. `problem` says why nothing can be searched from there.
    """

    viewpoint: Viewpoint
    scope: Scope
    abilities: Abilities
    known: frozenset[Address]
    own: frozenset[Address]
    links: tuple[Link, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    near: tuple[ProbeTarget, ...] = ()
    groups: tuple[Group, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    limits: Mapping[Address, HostLimits] = field(default_factory=dict)
    problem: str | None = None

    @property
    def technique(self) -> Technique:
        return self.abilities.technique

    @property
    def rate(self) -> float:
        return float(self.viewpoint.rate)

    @property
    def pings(self) -> Pings:
        return pings(self.technique, self.viewpoint.limits.host_rate)

    def sweeping(self, run: Sequence[ProbeNetwork]) -> tuple[str, ...]:
        """The command of one run of a sweep."""
        return command.sweep(self.technique, run, rate=self.rate, pings=self.pings.options)

    @property
    def probes(self) -> int:
        """About how many packets it sends where nothing answers."""
        asked = sum(sweep.asked for sweep in self.sweeps)
        spoken = sum(len(command.MULTICAST) + len(group.sources) for group in self.groups)
        return asked * self.pings.each + 2 * len(self.near) + spoken

    @property
    def seconds(self) -> float:
        """About how long it takes where nothing answers."""
        runs = sum(len(sweep.runs) for sweep in self.sweeps)
        return self.probes / self.rate + runs + 6 * len(self.groups)

    @property
    def commands(self) -> Iterator[str]:
        for sweep in self.sweeps:
            for run in sweep.runs:
                yield shlex.join(self.sweeping(run))
        for group in self.groups:
            yield from map(shlex.join, group.commands(self.rate))
        for family in Family:
            if targets := [one for one in self.near if Family.of(one.address) is family]:
                yield shlex.join(command.ping(self.technique, targets, link=True, rate=self.rate))

    def meant(self, address: Address) -> bool:
        """Whether an address that was heard of is one to look for: in scope and targets, and not known."""
        return (
            in_scope(address, self.scope)
            and contains(self.viewpoint.targets, address)
            and Family.of(address) in self.viewpoint.families
            and address not in self.known
            and address not in self.own
        )


def search(inventory: Inventory, viewpoint: Viewpoint, abilities: Abilities, links: Sequence[Link]) -> Search:
    """What to send for the addresses that nobody declared in the viewpoint's targets."""
    scope = inventory.scope
    declared = {
        address
        for host in inventory.hosts.values()
        for interface in host.interfaces.values()
        for address in interface.addresses
    }
    own = frozenset({*viewpoint.addresses, *(link.address for link in links)})
    known = frozenset({*declared, *(canary.address for canary in viewpoint.canaries)})
    draft = _Draft(scope, known | own, declared, min(viewpoint.limits.hosts or _IN_ONE_RUN, _IN_ONE_RUN))
    left_out: list[LeftOut] = []
    sweeps = [draft.sweep(entry, left_out) for entry in _entries(viewpoint, Family.IPV4)]
    groups: list[Group] = []
    for entry in _entries(viewpoint, Family.IPV6):
        what = f"IPv6 addresses in {entry} that no host declares, other than those of neighbours"
        left_out.append(LeftOut(what, "never looked for by brute force"))
    if Family.IPV6 in viewpoint.families:
        groups = list(_groups(viewpoint, scope, links, left_out, raw=abilities.raw))
    near = sorted((one for one in declared if _looked_at(one, viewpoint, scope, own, links)), key=by_address)
    return Search(
        viewpoint=viewpoint,
        scope=scope,
        abilities=abilities,
        known=known,
        own=own,
        links=tuple(links),
        sweeps=tuple(one for one in sweeps if one.runs),
        near=tuple(probe_target(address, scope) for address in near),
        groups=tuple(groups),
        left_out=tuple(left_out),
        limits=dict(host_limits(inventory, viewpoint)),
        problem=abilities.problem,
    )


def _entries(viewpoint: Viewpoint, family: Family) -> Iterator[Network]:
    """Those of a family that the viewpoint has."""
    own = family in viewpoint.families
    return (entry for entry in dict.fromkeys(viewpoint.targets) if own and Family.of(entry) is family)


def _looked_at(
    address: Address, viewpoint: Viewpoint, scope: Scope, own: Collection[Address], links: Iterable[Link]
) -> bool:
    near = any(link.prefix.version == address.version and address in link.prefix for link in links)
    family = Family.of(address) in viewpoint.families
    return near and family and address not in own and contains(viewpoint.targets, address) and in_scope(address, scope)


@dataclass(frozen=True, slots=True)
class _Draft:
    scope: Scope
    known: frozenset[Address]
    declared: Collection[Address]
    most: int  # addresses in one run

    def sweep(self, entry: Network, left_out: list[LeftOut]) -> Sweep:
        parts = difference(intersection((entry,), self.scope.allow), self.scope.deny)
        taken = parts
        if sum(part.num_addresses for part in parts) > MOST:
            taken = self._bounded(parts)
            rest = difference(parts, taken)
            count = sum(part.num_addresses for part in rest)
            named = ", ".join(map(str, rest[:_SHOWN])) + (f" and {len(rest) - _SHOWN} more" if rest[_SHOWN:] else "")
            what = f"{count:,} addresses in {entry} that no host declares: {named}"
            left_out.append(LeftOut(what, f"no more than {MOST:,} addresses of an entry of targets are searched"))
        inside = [ip_network(address) for address in self.known if address.version == 4 and contains(taken, address)]
        return Sweep(entry, tuple(self._runs(difference(taken, inside))))

    def _bounded(self, parts: Sequence[Network]) -> tuple[Network, ...]:
        """As much as is swept: around declared addresses first, where undeclared ones are likeliest to matter."""
        around = {ip_network((address, _NEAR), strict=False) for address in self.declared if address.version == 4}
        near = first_of(intersection(parts, around), MOST)
        room = MOST - sum(one.num_addresses for one in near)
        return difference((*near, *first_of(difference(parts, near), room)))

    def _runs(self, networks: Iterable[Network]) -> Iterator[tuple[ProbeNetwork, ...]]:
        run: list[ProbeNetwork] = []
        room = self.most
        for network in networks:
            for piece in _pieces(network, self.most):
                if run and (piece.num_addresses > room or len(run) == _MOST_WORDS):
                    yield tuple(run)
                    run, room = [], self.most
                run.append(probe_network(piece, self.scope))
                room -= piece.num_addresses
        if run:
            yield tuple(run)


def _pieces(network: Network, most: int) -> Iterable[Network]:
    """The network in parts of no more than so many addresses."""
    if network.num_addresses <= most:
        return (network,)
    return network.subnets(new_prefix=network.max_prefixlen - most.bit_length() + 1)


def _groups(
    viewpoint: Viewpoint, scope: Scope, links: Sequence[Link], left_out: list[LeftOut], *, raw: bool
) -> Iterator[Group]:
    """The interfaces whose every neighbour may be asked: a packet to ff02::1 reaches all of them."""
    allowed = difference(intersection(viewpoint.targets, scope.allow), scope.deny)
    prefixes: dict[str, dict[Network, Address]] = {}
    for link in links:
        if link.prefix.version == 6 and link.prefix.prefixlen < 128:
            prefixes.setdefault(link.interface, {}).setdefault(link.prefix, link.address)
    for interface, sources in sorted(prefixes.items()):
        every = tuple(sources)
        outside = difference(every, allowed)
        reason = None
        if not intersection(every, allowed):
            continue
        if outside:
            reason = f"a packet to all neighbours would reach those in {', '.join(map(str, outside[:_SHOWN]))} too"
        elif not raw:
            reason = "needs raw sockets, which this viewpoint does not have"
        elif not command.INTERFACE.fullmatch(interface):
            reason = "nmap cannot be given the name of that interface"
        if reason is None:
            yield Group(interface, tuple(probe_network(one, scope) for one in every), tuple(sources.values()))
        else:
            named = ", ".join(map(str, every))
            left_out.append(LeftOut(f"IPv6 neighbours in {named} that the viewpoint's system does not know", reason))
