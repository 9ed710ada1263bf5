"""Where audits no longer look: hosts, addresses, scope, viewpoints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from auditor import addresses
from auditor.change.exposure import spots
from auditor.change.keys import listed, weak
from auditor.model.change import Change, Written
from auditor.model.inventory import Host, Inventory, Path, Scope, Viewpoint
from auditor.model.words import Address, Boundary, Family, Network, ViewpointKind


def seeing(base: Written, head: Written) -> Iterator[Change]:
    """The keys by which HEAD takes something out of sight."""
    declared = set(spots(head.inventory))
    for host in base.inventory.hosts.values():
        yield from _host(host, base, head, declared)
    yield from _scope(base.inventory.scope, head)
    stand_ins = [v for name, v in head.inventory.viewpoints.items() if name not in base.inventory.viewpoints]
    for name, before in base.inventory.viewpoints.items():
        after = head.inventory.viewpoints.get(name)
        if after is not None:
            yield from _Viewpoint(before, after, base.inventory, head, declared).changes()
        elif not any(_stands_in(one, before, base.inventory, head, declared) for one in stand_ins):
            yield weak(head, ("viewpoints", name), "nothing looks from there any more", base=base)


def _host(host: Host, base: Written, head: Written, declared: set[Address | str]) -> Iterator[Change]:
    """Addresses that nobody declares any more, whatever their host is called. Out of scope nobody looked anyway."""
    gone: dict[str, list[Address | str]] = {}
    for interface in host.interfaces.values():
        for address in (*interface.addresses, *interface.names):
            if address not in declared and (
                isinstance(address, str) or addresses.in_scope(address, base.inventory.scope)
            ):
                gone.setdefault(interface.name, []).append(address)
    if gone and host.name not in head.inventory.hosts:
        every = [address for each in gone.values() for address in each]
        what = f"nobody declares {listed(every)} any more"
        yield weak(head, ("hosts", host.name), what, host=host.name, base=base)
        return
    for interface_name, each in gone.items():
        path = "hosts", host.name, "interfaces", interface_name
        yield weak(head, path, f"nobody declares {listed(each)} any more", host=host.name)


def _scope(before: Scope, head: Written) -> Iterator[Change]:
    after = head.inventory.scope
    if (before.allow, before.deny) == (after.allow, after.deny):
        return
    probed = addresses.difference(before.allow, before.deny)
    if lost := addresses.difference(probed, after.allow):
        yield weak(head, ("scope", "allow"), f"no longer has {listed(lost)}")
    if denied := addresses.intersection(probed, after.deny):
        yield weak(head, ("scope", "deny"), f"now has {listed(denied)}")


def _stands_in(
    after: Viewpoint, before: Viewpoint, base: Inventory, head: Written, declared: set[Address | str]
) -> bool:
    """Whether it is the other one by another name, and sees no less."""
    return (
        after.kind is before.kind
        and (set(after.addresses), after.within) == (set(before.addresses), before.within)
        and after.via == before.via
        and not any(_Viewpoint(before, after, base, head, declared).changes())
    )


class _Viewpoint:
    """One viewpoint that both have. `declared` are HEAD's addresses and names."""

    def __init__(
        self, before: Viewpoint, after: Viewpoint, base: Inventory, head: Written, declared: set[Address | str]
    ) -> None:
        self._before = before
        self._after = after
        self._base = base
        self._head = head
        self._declared = declared

    def changes(self) -> Iterator[Change]:
        before, after = self._before, self._after
        if before.kind is ViewpointKind.PUBLIC and after.kind is not before.kind:
            yield self._weak("kind", f"was {before.kind}, is {after.kind}")
        if what := [*self._families(), *self._moves()]:
            yield self._weak("addresses", "; ".join(what))
        if after.nat and not before.nat:
            yield self._weak("nat", "was false, is true: the source address is no longer checked")
        if before.nat and after.nat and after.via != before.via:
            yield self._weak("via", f"was {before.via}, is {after.via}, and with `nat` no source address is checked")
        if what := [*self._lost(), *self._merged()]:
            yield self._weak("targets", "; ".join(what))
        if before.boundary is Boundary.FILTERED and after.boundary is Boundary.ANY:
            yield self._weak("boundary", "was filtered, is any")
        if after.slices > before.slices:
            yield self._weak("sweep", f"was {_slices(before.slices)}, is {_slices(after.slices)}")
        if known := self._canaries():
            yield self._weak("canaries", f"now has {listed(known)}, which no host declares")

    def _weak(self, key: str, what: str) -> Change:
        path: Path = ("viewpoints", self._after.name, key)
        return weak(self._head, path, what)

    def _families(self) -> Iterator[str]:
        for family in Family:
            if family in self._before.families - self._after.families:
                yield f"no longer has one of {family}, so that nothing is looked at over it"

    def _moves(self) -> Iterator[str]:
        """Moved into a source range, it sees what is open there as declared; at a declared address, it skips that.

        One without a fixed address may stand anywhere within its range.
        """
        for family in sorted(self._before.families & self._after.families):
            old, new = self._before.stands(family), self._after.stands(family)
            if not (entered := addresses.difference(new, old)):
                continue
            address = self._after.address_of(family)
            word = "stands in" if address else "may stand in"
            why = [f"{word} {name}" for name, networks in self._sources if _moves_into(networks, old, entered)]
            if address in self._declared and self._before.address_of(family) not in self._declared:
                why.append("is a host's own, which is not looked at from there")
            if why:
                yield f"was {_stood(self._before, family)}, is {_stood(self._after, family)}, which {listed(why)}"

    @cached_property
    def _sources(self) -> list[tuple[str, tuple[Network, ...]]]:
        """The source sets in use, each once, by name."""
        sets = self._head.inventory.source_sets()
        ranges = {source.name: source.networks for sources in sets for source in sources}
        return sorted(ranges.items())

    def _lost(self) -> Iterator[str]:
        """What is no target any more though both scopes have it; what the scope lost is told of the scope."""
        if self._before.targets == self._after.targets:
            return
        lost = addresses.difference(self._before.targets, self._after.targets)
        for scope in (self._base.scope, self._head.inventory.scope):
            lost = addresses.intersection(lost, addresses.difference(scope.allow, scope.deny)) if lost else ()
        if lost:
            yield f"no longer has {listed(lost)}"

    def _merged(self) -> Iterator[str]:
        """A reply proves the path to all of its entry: what was proved apart is now proved by any of them."""
        known, new = _Nets(self._before.targets), _Nets(set(self._after.targets) - set(self._before.targets))
        merged: dict[Network, list[Network]] = {}
        for one in sorted(self._before.targets, key=_order) if new.every else ():
            if not any(known.around(one)):
                for wide in new.around(one):
                    merged.setdefault(wide, []).append(one)
        for wide, held in merged.items():
            if len(held) > 1:
                yield f"has {wide} around {listed(held)}: a reply from one of them proves the path to all"

    def _canaries(self) -> list[Address]:
        """Of an address in the canaries nobody reports that no host declares it."""
        known = {canary.address for canary in self._before.canaries}
        new = {canary.address for canary in self._after.canaries} - known
        return sorted((one for one in new if one not in self._declared), key=addresses.by_address)


def _slices(count: int) -> str:
    return "all ports in each audit" if count == 1 else f"{count} slices, of which each audit sweeps one"


def _moves_into(networks: tuple[Network, ...], old: tuple[Network, ...], entered: tuple[Network, ...]) -> bool:
    """Whether some of the source range is entered by a viewpoint that did not stand in it before for certain."""
    return addresses.overlap(networks, entered) and bool(addresses.difference(old, networks))


def _stood(viewpoint: Viewpoint, family: Family) -> str:
    address = viewpoint.address_of(family)
    return str(address) if address else f"within {listed(viewpoint.stands(family))}"


class _Nets:
    """Networks, asked for those that are around another one."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self.every = frozenset(networks)
        self._lengths = sorted({(network.version, network.prefixlen) for network in self.every})

    def around(self, network: Network) -> Iterator[Network]:
        """Those that hold all of it and more."""
        for version, length in self._lengths:
            if version == network.version and length < network.prefixlen:
                wide = network.supernet(new_prefix=length)
                if wide in self.every:
                    yield wide


def _order(network: Network) -> tuple[tuple[int, bytes], int]:
    return addresses.by_address(network.network_address), network.prefixlen
