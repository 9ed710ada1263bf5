"""What is answered alike for addresses that nobody has: by a device on the way, in place of whoever is asked.

A relay that takes every connection to a port, a resolver or a SIP helper, a router that resets what it knows nothing
of, a user-space network: their answers prove neither that an address lives, nor its path, service or exposure. Controls
show them, addresses that no host declares and no host carries. In an audit those were asked for this; in saved evidence
they are whatever undeclared addresses it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.addresses import Neighbourhoods, by_address, hosts_of
from auditor.model.expectation import Expectations
from auditor.model.observation import LINK_REPLIES, Controls, Identity, Observation, Reply, Scan
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import Address, Boundary, Network, PortState, Protocol

# Nearly all controls, and five at least, before their answers are a device's: a handful of unknown hosts, however
# alike, is outvoted by the dead addresses among them. One of eight may differ: somebody may have it all the same.
_LEAST = 5
_SHARE = 0.85
# Of a sample of ports: where controls answer to so many, and to more than half, the device does so on any other too.
_MANY = 20
_INITIAL_TTLS = (32, 64, 128, 255)  # of the systems in use
_CLAIMED = frozenset({PortState.OPEN, PortState.CLOSED})  # what a device says in an address's own name
_ECHOES = frozenset({"echo-reply", "timestamp-reply", "addressmask-reply"})
# A host that lives says so by more than a reset: whoever is searched for is asked by other pings too.
_REMARKED = frozenset({"reset", "conn-refused"})

_Place = tuple[Network, Protocol, PortState]


@dataclass(frozen=True, slots=True)
class _Device:
    """What controls answer alike on `ports`, by replies of that TTL; None where nmap does not say it.

    `heard` is by port what was recognised there at controls.
    """

    ports: PortSet
    ttl: int | None
    heard: Mapping[int, frozenset[str]]


@dataclass(slots=True)
class Alike:
    """The devices that answer for others before one viewpoint."""

    expectations: Expectations
    scan: Scan
    notes: tuple[str, ...] = ()
    _where: Neighbourhoods = field(init=False)
    _devices: dict[_Place, list[_Device]] = field(default_factory=lambda: defaultdict(list))
    _pinged: dict[Network, set[tuple[str, int | None]]] = field(default_factory=lambda: defaultdict(set))

    def __post_init__(self) -> None:
        self._where = Neighbourhoods(self.expectations.viewpoint.targets)
        saved = self.scan.controls is None
        controls = self._saved() if saved else self.scan.controls or Controls()
        self._find_devices(controls, saved=saved)
        self._find_pings(controls, saved=saved)
        self.notes = tuple(self._told())

    def answered(self, observation: Observation) -> PortSet:
        """Those of its ports that a device answers: what was recognised there alone is the address's own."""
        place = self._place(observation) if self._devices else None
        ports = PortSet()
        for device in self._devices.get(place, ()) if place else ():
            if _same(device.ttl, observation.ttl):
                ports |= observation.ports & device.ports - self._own(observation, device)
        return ports

    def lives(self, reply: Reply) -> bool:
        """Whether the reply is a sign of life: controls do not give it too."""
        near = self._where.of(reply.address)
        return near is None or not any(
            reason == reply.reason and _same(ttl, reply.ttl) for reason, ttl in self._pinged.get(near, ())
        )

    def doubted(self) -> frozenset[Address]:
        """The addresses of which a reply that counts for nothing may have been a host's all the same."""
        replies = (*self.scan.replies, *self.scan.found) if self._pinged else ()
        return frozenset(
            one.address
            for one in replies
            if one.reason not in _REMARKED and one.reason not in LINK_REPLIES and not self.lives(one)
        )

    def entry(self, address: Address) -> Network | None:
        """The `targets` entry that the address is in."""
        return self._where.entry(address)

    def _own(self, observation: Observation, device: _Device) -> PortSet:
        identity = observation.identity
        if identity is None or not identity.probed or observation.address in self.scan.talkative:
            return PortSet()
        label = _label(identity)
        return PortSet.of(*(port for port in observation.ports if label not in device.heard.get(port, ())))

    def _place(self, observation: Observation) -> _Place | None:
        if observation.state not in _CLAIMED or observation.reply_from not in (None, observation.address):
            return None
        near = self._where.of(observation.address)
        return (near, observation.protocol, observation.state) if near else None

    def _saved(self) -> Controls:
        """Saved evidence: whatever undeclared addresses it has; how they came into it is not known."""
        strangers = set(self.expectations.undeclared) - {one.address for one in self.expectations.viewpoint.canaries}
        replies = tuple(one for one in self.scan.replies if one.address in strangers)
        return Controls(tuple(one for one in self.scan.observations if one.address in strangers), replies)

    def _find_devices(self, controls: Controls, *, saved: bool) -> None:
        asked: dict[tuple[Network, Protocol], dict[Address, PortSet]] = defaultdict(dict)
        claims: dict[_Place, list[Observation]] = defaultdict(list)
        for one in controls.observations:
            if near := self._where.of(one.address):
                mine = asked[near, one.protocol]
                mine[one.address] = mine.get(one.address, PortSet()) | one.ports
                if place := self._place(one):
                    claims[place].append(one)
        for place, seen in claims.items():
            of = asked[place[0], place[1]]
            least = max(_LEAST, int(len(of) * _SHARE) + 1)
            for ttl in _ttls(seen):
                same = [one for one in seen if _same(ttl, one.ttl)]
                answering = _by_address(same)
                ports = in_most(answering.values(), least)
                if ports and not self._sure(place, ttl, ports, answering, controls if not saved else None):
                    continue
                if ports and not saved:
                    ports = _extended(ports, PortSet.union(of.values()))
                if ports:
                    self._devices[place].append(_Device(ports, ttl, _heard(same)))

    def _sure(
        self,
        place: _Place,
        ttl: int | None,
        ports: PortSet,
        answering: Mapping[Address, PortSet],
        controls: Controls | None,
    ) -> bool:
        """Whether what addresses that nobody is known to have answer alike is a device's, and not hosts'.

        A network may be full of hosts that nobody declared, such as an office's, and they may well be alike. Controls
        were chosen whoever lives there: enough that answer no echo are dead. Of saved evidence (`controls` is None) it
        is not known whether addresses are in it because they live: nearly all of the network has to answer. Else it is
        a device's if one address answers there from nearer than it does elsewhere.
        """
        same = {address for address, mine in answering.items() if mine & ports}
        if controls is None:
            enough = self._whole(place[0], same)
        else:
            enough = len(same - {one.address for one in controls.replies if one.reason in _ECHOES}) >= _LEAST
        return enough or self._nearer(place, ttl, ports)

    def _nearer(self, place: _Place, ttl: int | None, ports: PortSet) -> bool:
        """Whether some address answers on one of the ports from nearer than it does elsewhere."""
        near = _distance(ttl)
        if near is None:
            return False
        here = [one for one in self.scan.observations if one.ttl and self._where.of(one.address) == place[0]]
        there = {
            one.address
            for one in here
            if (one.protocol, one.state) == place[1:] and _same(ttl, one.ttl) and one.ports & ports
        }
        return any(one.address in there and one.state in _CLAIMED and (_distance(one.ttl) or 0) > near for one in here)

    def _further(self, network: Network, ttl: int | None) -> bool:
        """Whether something in the network answers from further away."""
        near = _distance(ttl)
        return near is not None and any(
            (_distance(one.ttl) or 0) > near and one.state in _CLAIMED and self._where.of(one.address) == network
            for one in self.scan.observations
        )

    def _whole(self, near: Network, answering: Collection[Address]) -> bool:
        """Whether these are nearly all of the network that nobody is known to have."""
        if len(answering) < _LEAST:
            return False
        declared = {one.address for one in self.expectations.expectations if one.interface is not None}
        free = sum(address not in declared for address in hosts_of(near))
        return len(answering) > free * _SHARE

    def _find_pings(self, controls: Controls, *, saved: bool) -> None:
        replies: dict[Network, dict[tuple[str, int | None], set[Address]]] = defaultdict(lambda: defaultdict(set))
        for reply in controls.replies:
            if reply.reason not in LINK_REPLIES and (near := self._where.of(reply.address)):
                replies[near][reply.reason, reply.ttl].add(reply.address)
        pinged: dict[Network, set[Address]] = defaultdict(set)
        for address in controls.pinged:
            if near := self._where.of(address):
                pinged[near].add(address)
        for near, by_kind in replies.items():
            least = max(_LEAST, int(len(pinged[near]) * _SHARE) + 1)
            for kind, answering in by_kind.items():
                nearly_all = self._whole(near, answering) if saved else len(answering) >= least
                # Who answers an echo lives as a rule, so it takes more than that all do.
                if nearly_all and (kind[0] not in _ECHOES or self._further(near, kind[1])):
                    self._pinged[near].add(kind)

    def _told(self) -> Iterator[str]:
        """What no finding tells."""
        for near, kinds in sorted(self._pinged.items(), key=lambda one: by_address(one[0].network_address)):
            said = ", ".join(sorted({reason for reason, _ in kinds}))
            yield (
                f"addresses of {near} that nobody declares answer pings alike ({said}): a device on the way does that "
                "for all, so such an answer is no sign of life there"
            )
        if self.expectations.viewpoint.boundary is not Boundary.FILTERED:
            for (near, protocol, state), devices in sorted(self._devices.items(), key=lambda one: str(one[0])):
                if state is PortState.CLOSED:
                    ports = PortSet.union(device.ports for device in devices)
                    yield (
                        f"addresses of {near} that nobody declares refuse {ports}/{protocol} alike: a device on the "
                        "way does that for all, so a refusal is no sign of life there"
                    )


def in_most(sets: Iterable[PortSet], least: int) -> PortSet:
    """The ports that are in at least so many of the sets.

    Counted for all ports at once, a binary digit of the counts in each number: a scan may have 65,535 of 256 addresses.
    """
    digits: list[int] = []
    for one in sets:
        carry, place = one.bits, 0
        while carry:
            if place == len(digits):
                digits.append(0)
            digits[place], carry = digits[place] ^ carry, digits[place] & carry
            place += 1
    more, equal = 0, PortSet.union(map(PortSet, digits)).bits
    for place in reversed(range(max(len(digits), least.bit_length()))):
        digit = digits[place] if place < len(digits) else 0
        if least >> place & 1:
            equal &= digit
        else:
            more |= equal & digit
            equal &= ~digit
    return PortSet(more | equal)


def _extended(ports: PortSet, asked: PortSet) -> PortSet:
    """Where most of a sample is answered, so is whatever was not in it."""
    return ALL_PORTS - (asked - ports) if len(ports) >= _MANY and 2 * len(ports) > len(asked) else ports


def _by_address(seen: Iterable[Observation]) -> dict[Address, PortSet]:
    found: dict[Address, PortSet] = {}
    for one in seen:
        found[one.address] = found.get(one.address, PortSet()) | one.ports
    return found


def _ttls(seen: Iterable[Observation]) -> list[int | None]:
    """The TTLs that were told; where none was, that."""
    return [*sorted({one.ttl for one in seen if one.ttl})] or [None]


def _same(one: int | None, other: int | None) -> bool:
    """Whether two replies may have come as far. A connect scan tells no TTL, nor does a line of many ports."""
    return not one or not other or one == other


def _distance(ttl: int | None) -> int | None:
    """How many routers a reply has passed, from what systems begin with."""
    return next((first - ttl for first in _INITIAL_TTLS if ttl <= first), None) if ttl else None


def _heard(seen: Iterable[Observation]) -> dict[int, frozenset[str]]:
    heard: dict[int, set[str]] = defaultdict(set)
    for one in seen:
        if one.identity is not None and one.identity.probed:
            for port in one.ports:
                heard[port].add(_label(one.identity))
    return {port: frozenset(labels) for port, labels in heard.items()}


def _label(identity: Identity) -> str:
    """What answers, without what differs from one answer to the next."""
    return f"{identity.tunnel}/{identity.name}/{identity.product}"
