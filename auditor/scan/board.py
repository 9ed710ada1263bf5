"""Several looks at the same endpoints → one state for each.

Open beats closed beats filtered beats open|filtered, and a reply outranks silence: a probe that is lost can only turn
an answer into silence, never the other way round. Looks that agree add up to `attempts`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Self

from auditor.addresses import by_address
from auditor.model.observation import ICMP_ERRORS, LINK_REPLIES, PROHIBITED, Failure, Identity, Observation, Reply
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.nmap.records import HostRecord, Sight

Place = tuple[Address, Protocol]

_RANK = {
    PortState.OPEN: 0,
    PortState.CLOSED: 1,
    PortState.UNFILTERED: 2,
    PortState.FILTERED: 3,
    PortState.CLOSED_FILTERED: 4,
    PortState.OPEN_FILTERED: 5,
}
_ALL = 0.9  # of the ports of an address; where more look open, nobody takes them for open one by one
_NONE = PortSet()
ANSWERS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.UNFILTERED})  # only the address itself gives these
SILENCE = "no-response"  # nmap's reason where nothing came back
# With what routers say of hosts that they do not reach: while a link is down, that is said of everything behind it.
UNHEARD = {SILENCE} | (ICMP_ERRORS - PROHIBITED - {"port-unreach", "proto-unreach"})


def rejection(sight: Sight) -> bool:
    """Whether a firewall has said "port unreachable"; a client is told the same for that as for a reset."""
    return (sight.state, sight.reason) == (PortState.FILTERED, "port-unreach")


class Board:
    """Collects what the passes of one scan saw and failed to see. The one mutable thing of the stage."""

    def __init__(self) -> None:
        self._seen: dict[Place, dict[Sight, int]] = {}
        self._failed: dict[tuple[Place, str], int] = {}
        self._replies: dict[Address, set[Reply]] = {}

    @classmethod
    def of(cls, records: Iterable[HostRecord]) -> Self:
        """What these alone have seen."""
        board = cls()
        board.take(records)
        return board

    def take(self, records: Iterable[HostRecord]) -> None:
        """Take in several records, in order."""
        for record in records:
            self.add(record)

    def add(self, record: HostRecord) -> None:
        """Take in one host as one pass saw it; a record is one look, so its own ports do not confirm each other."""
        if record.reply is not None:
            reply = Reply(record.address, record.reply, record.reply_ttl or None)
            self._replies.setdefault(record.address, set()).add(reply)
        first: dict[Place, int] = {}  # ports seen so far where this is the first look; most often it is the only one
        for seen in record.seen:
            place, bits = (record.address, seen.protocol), seen.ports.bits
            sight = seen.sight if record.at is None else replace(seen.sight, at=record.at)
            if place not in self._seen:
                self._seen[place], first[place] = {sight: bits}, bits
            elif place in first and not first[place] & bits and sight not in self._seen[place]:
                self._seen[place][sight] = bits
                first[place] |= bits
            else:
                self._seen[place] = _laid_over(self._seen[place], bits, sight)
                first.pop(place, None)

    def fail(self, address: Address, protocol: Protocol, ports: PortSet, reason: str) -> None:
        """Note ports that a pass asked about in vain. They count only where no other pass saw them."""
        if ports:
            key = (address, protocol), reason
            self._failed[key] = self._failed.get(key, 0) | ports.bits

    def ports(self, address: Address, protocol: Protocol, *states: PortState) -> PortSet:
        """The ports of one address that are in one of the states."""
        sights = self._seen.get((address, protocol), {})
        return PortSet.union(PortSet(bits) for sight, bits in sights.items() if sight.state in states)

    def nearly_all_open(self, address: Address, protocol: Protocol, besides: PortSet = _NONE) -> bool:
        """Whether nearly all ports of the address that were seen are open: something answers there in place of it."""
        opened = self.ports(address, protocol, PortState.OPEN) - besides
        return len(opened) > _ALL * len(self.ports(address, protocol, *PortState) - besides)

    def addresses(self) -> tuple[Address, ...]:
        """Every address of which some port was seen."""
        return tuple(dict.fromkeys(address for address, _ in self._seen))

    def silent(self, address: Address) -> bool:
        """Whether some port of the address gave no answer."""
        return any(sight.reason in UNHEARD for p in Protocol for sight in self._seen.get((address, p), {}))

    def silence(self, address: Address, protocol: Protocol) -> PortSet:
        """The ports of one address that gave no answer."""
        sights = self._seen.get((address, protocol), {})
        return PortSet.union(PortSet(bits) for sight, bits in sights.items() if sight.reason in UNHEARD)

    def refused_on_the_way(self, address: Address, protocol: Protocol) -> PortSet:
        """The ports of one address for which somebody, a firewall as a rule, has sent an ICMP error that tells so."""
        sights = self._seen.get((address, protocol), {})
        return PortSet.union(PortSet(bits) for sight, bits in sights.items() if sight.reason in ICMP_ERRORS - UNHEARD)

    def rejected(self, address: Address, protocol: Protocol) -> PortSet:
        """The filtered ports of one address for which an ICMP "port unreachable" came, as many firewalls send it."""
        sights = self._seen.get((address, protocol), {})
        return PortSet.union(PortSet(bits) for sight, bits in sights.items() if rejection(sight))

    def recognised(self, address: Address, protocol: Protocol) -> PortSet:
        """The open ports of one address on which a version probe has had a conversation."""
        sights = self._seen.get((address, protocol), {})
        return PortSet.union(PortSet(b) for sight, b in sights.items() if sight.identity and sight.identity.probed)

    def distrust_silence(self, address: Address, reason: str, protocols: Iterable[Protocol] = Protocol) -> None:
        """Turn the silence of an address into failures."""
        for protocol in protocols:
            self.take_out(address, protocol, self.silence(address, protocol), reason)

    def take_out(self, address: Address, protocol: Protocol, ports: PortSet, reason: str) -> None:
        """Turn what was seen of some ports into failures."""
        place = address, protocol
        if self._seen.get(place) and ports:
            self._seen[place] = {
                sight: left for sight, bits in self._seen[place].items() if (left := bits & ~ports.bits)
            }
            self.fail(address, protocol, ports, reason)

    def forget(self, addresses: Iterable[Address], protocol: Protocol, reason: str) -> None:
        """Take back failures for a reason that has been settled."""
        for address in addresses:
            self._failed.pop(((address, protocol), reason), None)

    def agree(self, address: Address, protocol: Protocol, ports: PortSet) -> None:
        """Count one more look that saw these ports as they were seen before."""
        place = address, protocol
        counted: dict[Sight, int] = {}
        for sight, bits in self._seen.get(place, {}).items():
            once_more = replace(sight, attempts=sight.attempts + 1)
            for one, part in ((once_more, bits & ports.bits), (sight, bits & ~ports.bits)):
                if part:
                    counted[one] = counted.get(one, 0) | part
        self._seen[place] = counted

    def answered(self, address: Address) -> bool:
        """Whether the address itself has given any reply that came over a path, on a port or to a ping."""
        on_port = any(sight.state in ANSWERS for p in Protocol for sight in self._seen.get((address, p), {}))
        return on_port or any(one.reason not in LINK_REPLIES for one in self.replies_of(address))

    def near(self, address: Address) -> bool:
        """Whether the address has answered on the scanner's own link."""
        return any(one.reason in LINK_REPLIES for one in self.replies_of(address))

    def replies_of(self, address: Address) -> frozenset[Reply]:
        """The signs of life of one address apart from ports."""
        return frozenset(self._replies.get(address, ()))

    def observations(self, now: datetime) -> tuple[Observation, ...]:
        """One state per endpoint, sorted; `now` stands in where nmap gave no time."""
        found = [
            Observation(
                address,
                protocol,
                PortSet(bits),
                sight.state,
                sight.reason,
                sight.at or now,
                sight.ttl,
                sight.reply_from if sight.reply_from != address else None,
                sight.identity,
                sight.attempts,
                sight.since,
            )
            for (address, protocol), sights in self._seen.items()
            for sight, bits in sights.items()
        ]
        return tuple(sorted(found, key=_order))

    def failures(self) -> tuple[Failure, ...]:
        """What was asked about and never seen, each endpoint once, sorted."""
        done = {place: PortSet.union(map(PortSet, sights.values())).bits for place, sights in self._seen.items()}
        failures = []
        for (place, reason), bits in self._failed.items():
            left = bits & ~done.get(place, 0)
            done[place] = done.get(place, 0) | left
            if left:
                failures.append(Failure(*place, PortSet(left), reason))
        return tuple(sorted(failures, key=_order))

    def replies(self) -> tuple[Reply, ...]:
        """Signs of life apart from ports, sorted."""
        return tuple(sorted((one for every in self._replies.values() for one in every), key=reply_order))


def covered(records: Iterable[HostRecord], protocol: Protocol) -> PortSet:
    """The ports that one pass's records of one address have a state for."""
    return PortSet.union(seen.ports for record in records for seen in record.seen if seen.protocol is protocol)


def rank(state: PortState) -> int:
    """Which of two states outweighs the other: the lower."""
    return _RANK[state]


def reply_order(reply: Reply) -> tuple[object, ...]:
    return by_address(reply.address), reply.reason, reply.ttl or 0


def _order(one: Observation | Failure) -> tuple[object, ...]:
    return by_address(one.address), one.protocol, one.ports.first, one.reason


def _laid_over(old: dict[Sight, int], bits: int, sight: Sight) -> dict[Sight, int]:
    """`old`, with one more look at `bits` laid over it."""
    new: dict[Sight, int] = {}
    for known, known_bits in old.items():
        both = known_bits & bits
        if both:
            better = _better(known, sight)
            new[better] = new.get(better, 0) | both
            bits &= ~both
            known_bits &= ~both  # noqa: PLW2901 - what is left of it keeps its place
        if known_bits:
            new[known] = new.get(known, 0) | known_bits
    if bits:
        new[sight] = new.get(sight, 0) | bits
    return new


def _better(one: Sight, other: Sight) -> Sight:
    """The weightier of two looks at one endpoint; of two that agree, the better detailed, counted twice."""
    best = min(one, other, key=_weight)
    if one.state is not other.state:
        return best
    ttl = best.ttl
    if not ttl and one.reason == other.reason:  # what answers is asked by connections, which tell no TTL: nmap says 0
        ttl = one.ttl or other.ttl or ttl
    return replace(best, ttl=ttl, attempts=one.attempts + other.attempts)


def _weight(sight: Sight) -> tuple[int, bool, tuple[bool, ...], bool]:
    return _RANK[sight.state], sight.reason == SILENCE, _untold(sight.identity), sight.ttl is None


def _untold(identity: Identity | None) -> tuple[bool, ...]:
    """What a look does not tell of what answers, the weightiest first.

    One that met a service at a bad moment, such as a connection that was closed without a word, unsays no other.
    """
    if identity is None:
        return True, True, True, True, True
    return False, not identity.probed, not identity.product, not identity.tunnel, not identity.version
