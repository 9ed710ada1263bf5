"""Source sets compared: who is in one and not in the other, and whether those can be trusted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from auditor import addresses
from auditor.model.inventory import Inventory, Service, SourceRange
from auditor.model.words import Family, Network, Source, Trust

Sources = tuple[Source, ...]


class SourceSets:
    """Unites and subtracts source sets; each distinct set, and each difference, is worked out once.

    Equal sets are one object, so that `is` compares them. It keeps what it is asked about alive.
    """

    def __init__(self) -> None:
        self._known: dict[Sources, Sources] = {}
        self._united: dict[tuple[object, ...], Sources] = {}
        self._without: dict[tuple[int, int], Sources] = {}
        self._kept: list[object] = []

    def of(self, services: Sequence[Service], family: Family | None) -> Sources:
        """Who of the family may reach what all these services declare; of both families where it is None."""
        families = {family} if family else {one for service in services for one in service.families}
        key = (*sorted(families), *sorted({id(service.sources) for service in services}))
        if key not in self._united:
            self._kept += [service.sources for service in services]
            ranges = [source for service in services for source in service.sources]
            networks = [n for source in ranges for n in source.networks if Family.of(n) in families]
            names = [name for source in ranges for name in source.names]  # of either family
            self._united[key] = self._one(addresses.sources_less([*networks, *names]))
        return self._united[key]

    def without(self, sources: Sources, others: Sources) -> Sources:
        """Both as this object gives them."""
        if sources is others or not sources:
            return self._one(())
        if not others:
            return sources
        key = id(sources), id(others)
        if key not in self._without:
            self._without[key] = self._one(addresses.sources_less(sources, others))
        return self._without[key]

    def union(self, sets: Iterable[Sources]) -> Sources:
        distinct = tuple({id(one): one for one in sets}.values())
        if len(distinct) == 1:
            return distinct[0]
        key = ("union", *sorted(map(id, distinct)))
        if key not in self._united:
            self._united[key] = self._one(addresses.sources_less(source for one in distinct for source in one))
        return self._united[key]

    def _one(self, sources: Sources) -> Sources:
        return self._known.setdefault(sources, sources)


class Trusting:
    """Whether sources are trusted, by the stricter of BASE and HEAD."""

    def __init__(self, base: Inventory, head: Inventory) -> None:
        self._base = base.ranges
        declared = [r for r in base.ranges.values() if r.declared_trust]
        self._trusted = [n for r in declared if r.trust is Trust.TRUSTED for n in r.networks]
        # Untrusted by word and not by size: wherever they come in, BASE knows better than their size tells.
        self._untrusted = [
            n
            for r in declared
            if r.trust is Trust.UNTRUSTED and addresses.trust_of(r.networks) is Trust.TRUSTED
            for n in r.networks
        ]
        self._unsuspected = [n for r in base.ranges.values() if r.trust is Trust.TRUSTED for n in r.networks]
        # What a public viewpoint sees stands for what strangers see: to let its address in is to let them in.
        viewpoints = [*base.viewpoints.values(), *head.viewpoints.values()]
        public = [network for v in viewpoints if v.untrusted for family in Family for network in v.stands(family)]
        self._strangers = addresses.difference(public, self._trusted)
        self._ranges: dict[int, tuple[SourceRange, Trust]] = {}
        self._gains: dict[tuple[int, ...], Trust] = {}

    def of_range(self, source: SourceRange) -> Trust:
        """The trust of a range of HEAD: a name keeps BASE's distrust, and nothing is trusted by HEAD's word alone."""
        if id(source) not in self._ranges:
            self._ranges[id(source)] = source, self._of_range(source)
        return self._ranges[id(source)][1]

    def _of_range(self, source: SourceRange) -> Trust:
        before = self._base.get(source.name)
        if source.trust is Trust.UNTRUSTED or (before and before.trust is Trust.UNTRUSTED):
            return Trust.UNTRUSTED
        return Trust.TRUSTED if source.machines else self._by_size(source.networks)

    def of_gain(self, gained: Sources, services: Sequence[Service]) -> Trust:
        """The trust of what these services of HEAD let in anew."""
        key = (id(gained), *(id(service.sources) for service in services))
        if key not in self._gains:
            self._gains[key] = self._of_gain(gained, {id(r): r for s in services for r in s.sources}.values())
        return self._gains[key]

    def _of_gain(self, gained: Sources, ranges: Iterable[SourceRange]) -> Trust:
        """DNS names are of declared hosts, which are our own, and so trusted."""
        networks = [source for source in gained if not isinstance(source, str)]
        if self._strangers and addresses.overlap(networks, self._strangers):
            return Trust.UNTRUSTED
        giving = [source for source in ranges if addresses.overlap(source.networks, networks)]
        if any(self.of_range(source) is Trust.UNTRUSTED for source in giving):
            return Trust.UNTRUSTED
        literals = [network for source in ranges if not source.named for network in source.networks]
        if not all(source.named for source in giving) and addresses.trust_of(literals) is Trust.UNTRUSTED:
            return Trust.UNTRUSTED
        machines = [network for source in giving if source.machines for network in source.networks]
        return self._by_size(addresses.difference(networks, machines))

    def _by_size(self, networks: Collection[Network]) -> Trust:
        """By size, less what BASE declares trusted."""
        suspected = addresses.difference(networks, self._unsuspected) if self._untrusted else ()
        if addresses.overlap(suspected, self._untrusted):
            return Trust.UNTRUSTED
        return addresses.trust_of(addresses.difference(networks, self._trusted) if self._trusted else networks)
