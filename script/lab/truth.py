"""What a right report must say of a drawn estate, from the rules that were installed and the listeners that listen.

Written from the contract, apart from the auditor and as small as possible: routes, firewalls and listeners give each
endpoint's state, declarations what it should be, a table the outcome. Where the contract leaves it to chance what is
seen (an ICMP error that is sent once a second, a lost packet), an endpoint has several outcomes that are all right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from itertools import pairwise, product

from lab.drawing import TCP, targets
from lab.drawn import Drawn, Host, Machine, Service, View, router_address
from lab.firewall import ECHO, TIMESTAMP, Address, Network, Packet, Verdict

Usual = Mapping[str, frozenset[int]]
Key = tuple[str, ...]  # of a finding: kind, viewpoint, host, interface, family, and what else its kind has
MUTE = ("odd", "silent")
OPEN, CLOSED, FILTERED, NOTHING, UNSENT = "open", "closed", "filtered", "open|filtered", "unsent"


@dataclass(frozen=True, slots=True)
class Option:
    """One right answer: the outcome, and the finding where it is `drifted`."""

    outcome: str
    finding: Key | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """Neighbouring ports of one address that are alike in everything, and the answers that are right there."""

    view: str
    host: str
    address: str
    protocol: str
    first: int
    last: int
    state: str
    options: frozenset[Option]
    due: Key | None = None  # a finding that must be there, on some of its ports if not on these

    def __str__(self) -> str:
        ports = f"{self.first}-{self.last}" if self.first != self.last else str(self.first)
        right = " or ".join(
            sorted(
                option.outcome + (f" {' '.join(option.finding)}" if option.finding else "") for option in self.options
            )
        )
        return f"{self.view}: {self.host} {self.address} {ports}/{self.protocol}: {self.state}: {right}"


@dataclass(frozen=True, slots=True)
class Sight:
    """What one probe may show. `by` is who answers: `host`, `router` or nobody."""

    state: str
    by: str = ""
    prohibited: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    address: Address
    host: Host
    interface: str
    machine: Machine


def slots(drawn: Drawn, usual: Usual) -> list[Slot]:
    """The truth about everything that an audit of the estate covers. `usual` are the catalogue's usual ports."""
    return [slot for view in drawn.views for slot in _Look(drawn, view, usual).slots()]


class _Look:
    """An estate from one viewpoint."""

    def __init__(self, drawn: Drawn, view: View, usual: Usual) -> None:
        self._drawn = drawn
        self._view = view
        self._usual = usual
        self._entries = targets(view, drawn.segments)
        machines = {a: m for m in drawn.machines for own in m.addresses.values() for a in own}
        self._places = [
            Place(address, host, interface, machines[address])
            for host in drawn.hosts
            for interface, own in host.addresses.items()
            for address in own
            if address not in (*drawn.denied, *view.addresses)
            and view.address(address.version)
            and any(address in entry for entry in self._entries)
        ]

    def slots(self) -> Iterator[Slot]:
        seen = {place: list(self._sights(place)) for place in self._places}
        sure = {entry for entry in self._entries if any(self._proves(place, seen[place], entry) for place in seen)}
        sure |= {entry for entry in self._entries if self._canary_proves(entry)}
        perhaps = sure | {entry for entry in self._entries if self._router_proves(entry)}
        for place, sights in seen.items():
            proofs = {any(place.address in entry for entry in entries) for entries in (sure, perhaps)}
            dead = self._unreachable(place, sights)
            crowded = self._open_everywhere(place, sights)
            for protocol, first, last, options in sights:
                here = _Expected.of(place, protocol, first, self._view, self._drawn)
                right = frozenset(
                    self._option(place, here, sight, first, proved=proved, unreachable=unreachable, crowded=crowded)
                    for sight, proved, unreachable in product(options, proofs, dead)
                )
                unopened = all(sight.state != OPEN for sight in options)
                if protocol == "tcp" and here.undeclared and unopened and self._refusals_missing(place):
                    right |= {Option("unverified")}
                leaks = {option.finding for option in right if option.finding and option.finding[0] == "boundary-leak"}
                if crowded and protocol == "tcp":
                    leaks = {self._drifted(place, "all-ports-open", str(place.address)).finding}
                state = " or ".join(sorted({sight.state for sight in options}))
                address, due = str(place.address), next(iter(leaks), None)
                yield Slot(self._view.name, place.host.name, address, protocol, first, last, state, right, due)

    # the network

    def _sights(self, place: Place) -> Iterator[tuple[str, int, int, frozenset[Sight]]]:
        for protocol in ("tcp", "udp"):
            ports = set(self._usual[protocol])
            if protocol == "tcp" and self._drawn.profile == "standard":
                ports = set(range(1, 65536))
            ports |= {
                p for s in place.host.services if s.protocol == protocol for a, b in s.ports for p in range(a, b + 1)
            }
            for first, last in self._runs(place, ports):
                yield protocol, first, last, frozenset(self._sight(place, protocol, first))

    def _runs(self, place: Place, ports: set[int]) -> Iterator[tuple[int, int]]:
        """The ports in runs, within which no rule, no listener and no declaration begins or ends."""
        edges = {1, 65536, *self._drawn.router.edges(), *place.machine.chain.edges()}
        singles = {one.port for one in place.machine.listeners}
        singles |= {p for s in place.host.services for a, b in s.ports for p in range(a, b + 1)}
        for port in singles:
            edges |= {port, port + 1}
        edges |= {edge for port in ports for edge in (port, port + 1) if {port - 1, port + 1} - ports}
        for first, beyond in pairwise(sorted(edge for edge in edges if 1 <= edge <= 65536)):
            if first in ports:
                yield first, beyond - 1

    def _sight(self, place: Place, protocol: str, port: int) -> Iterator[Sight]:
        silence = Sight(FILTERED if protocol == "tcp" else NOTHING)
        if self._lost(place):
            yield Sight(UNSENT)
            return
        by, verdict = self._passage(place, protocol, port)
        match verdict:
            case Verdict.DROP:
                yield silence
                if not by and self._view.segment not in _segments(place):
                    yield Sight(FILTERED, "router")  # it finds no neighbour of that address, and may say so
            case Verdict.RESET:
                yield Sight(CLOSED, "host")  # nobody can tell who has sent it
            case Verdict.REFUSE if protocol == "udp" and by == "host":
                yield from self._refusal(place)
            case Verdict.PROHIBIT | Verdict.REFUSE:
                yield Sight(FILTERED, by, prohibited=verdict is Verdict.PROHIBIT)
                yield silence  # most such errors are never sent, and nmap does not need them
            case Verdict.ACCEPT:
                yield from self._answer(place, protocol, port)

    def _reset(self, place: Place, port: int) -> Iterator[Sight]:
        """Declared ports are asked at leisure; a sweep may get no answer, or lose it."""
        yield Sight(CLOSED, "host")
        undeclared = _Expected.of(place, "tcp", port, self._view, self._drawn).undeclared
        if undeclared and (place.machine.few_resets or self._drawn.loss or self._drawn.bottleneck):
            yield Sight(FILTERED)

    def _refusals_missing(self, place: Place) -> bool:
        """Whether closed ports may look filtered where that matters; then silence there tells nothing."""
        few = place.machine.few_resets or self._drawn.loss or self._drawn.bottleneck
        return few and self._view.boundary == "filtered"

    def _refusal(self, place: Place) -> Iterator[Sight]:
        """Over UDP, at leisure: only where all of a machine's ICMP errors are for UDP does its limit leave them be."""
        yield Sight(CLOSED, "host")
        chain = place.machine.chain
        errors = {chain.policy, *(rule.verdict for rule in chain.rules)} & {Verdict.PROHIBIT, Verdict.REFUSE}
        if self._drawn.loss or (errors and not self._drawn.free_icmp):
            yield Sight(NOTHING)

    def _answer(self, place: Place, protocol: str, port: int) -> Iterator[Sight]:
        what = listening(place, protocol, port)
        if what is None:
            yield from self._reset(place, port) if protocol == "tcp" else self._refusal(place)
        elif protocol == "tcp" or what == "echo" or (what, port) == ("dns", 53):
            yield Sight(OPEN, "host")
            if place.machine.middlebox and self._drawn.loss and protocol == "tcp":
                yield Sight(FILTERED)  # of so many open ports a sweep may lose one both times
        else:
            yield Sight(NOTHING)
            if what == "dns":
                yield Sight(OPEN, "host")  # where the version probe asks in its words

    def _lost(self, place: Place) -> bool:
        """Whether the viewpoint has no route to there."""
        return place.address.version in self._view.unrouted and self._view.segment not in _segments(place)

    def _answers_stay(self, place: Place) -> bool:
        """Whether the machine is one that a viewpoint stands on, without a route for what it would answer."""
        views = (view for view in self._drawn.views if view.name == place.machine.name)
        return any(place.address.version in view.unrouted for view in views)

    def _passage(self, place: Place, protocol: str, port: int) -> tuple[str, Verdict]:
        """Who decides about a packet to there, and what. DROP also where nobody is."""
        source = self._view.address(place.address.version)
        assert source is not None
        segment = next(s for s, own in place.machine.addresses.items() if place.address in own)
        if segment != self._view.segment:
            packet = Packet(source, place.address, protocol, port, self._view.segment)
            verdict = self._drawn.router.verdict(packet)
            if verdict is not Verdict.ACCEPT:
                return "router", verdict
        if not place.machine.alive:
            return "", Verdict.DROP
        if segment != self._view.segment and self._answers_stay(place):
            return "host", Verdict.DROP
        return "host", place.machine.chain.verdict(Packet(source, place.address, protocol, port, segment))

    # signs of life and proofs

    def _replies(self, place: Place, sights: list[tuple[str, int, int, frozenset[Sight]]]) -> bool:
        """Whether the address itself answers anything over a path. Of its many ICMP errors some are sent."""
        if self._lost(place):
            return False
        if any(sight.by == "host" for *_, options in sights for sight in options):
            return True
        pings = (ECHO, TIMESTAMP) if place.address.version == 4 else (ECHO,)
        return any(self._passage(place, "icmp", ping) == ("host", Verdict.ACCEPT) for ping in pings)

    def _proves(self, place: Place, sights: list[tuple[str, int, int, frozenset[Sight]]], entry: Network) -> bool:
        return place.address in entry and self._replies(place, sights)

    def _canary_proves(self, entry: Network) -> bool:
        """Routers answer pings. A host that is a canary is in the coverage anyway."""
        near = self._view.segment
        routers = {
            str(router_address(segment, version))
            for segment in self._drawn.segments
            for version in (4, 6)
            if segment == near or version not in self._view.unrouted
        }
        return any(canary in routers and ip_address(canary) in entry for canary in self._view.canaries)

    def _router_proves(self, entry: Network) -> bool:
        """By its ICMP errors, which come from the viewpoint's side of it, if nmap tells who has sent them."""
        return any(router_address(self._view.segment, version) in entry for version in (4, 6))

    def _unreachable(self, place: Place, sights: list[tuple[str, int, int, frozenset[Sight]]]) -> set[bool]:
        """Whether nothing comes from an address that should serve something over TCP."""
        wanted = any(
            _Expected.of(place, protocol, first, self._view, self._drawn).state == "reachable"
            for protocol, first, *_ in sights
            if protocol == "tcp"
        )
        near = place.machine.alive and self._view.segment in _segments(place)
        if not wanted or near or self._lost(place) or self._replies(place, sights):
            return {False}
        prohibited = any(sight.prohibited for *_, options in sights for sight in options)
        return {True, False} if prohibited else {True}

    def _open_everywhere(self, place: Place, sights: list[tuple[str, int, int, frozenset[Sight]]]) -> bool:
        """Whether over 90 % of at least 50 undeclared TCP ports are open."""
        asked = opened = 0
        for protocol, first, last, options in sights:
            if protocol == "tcp" and _Expected.of(place, protocol, first, self._view, self._drawn).undeclared:
                asked += last - first + 1
                opened += last - first + 1 if any(sight.state == OPEN for sight in options) else 0
        return asked >= 50 and opened > 0.9 * asked

    # the table

    def _drifted(self, place: Place, kind: str, *what: str) -> Option:
        family = f"ipv{place.address.version}"
        return Option("drifted", (kind, self._view.name, place.host.name, place.interface, family, *what))

    def _option(
        self, place: Place, here: _Expected, sight: Sight, port: int, *, proved: bool, unreachable: bool, crowded: bool
    ) -> Option:
        drifted = partial(self._drifted, place)
        if sight.state == UNSENT:
            return Option("unverified")
        if not proved and sight.by != "host" and not sight.prohibited:
            return Option("unverified")
        if sight.state == OPEN:
            if crowded and here.protocol == "tcp" and listening(place, "tcp", port) in MUTE:
                return Option("unverified")
            if here.state == "blocked":
                what = here.service.name if here.service else f"{port}/{here.protocol}"
                return drifted(here.why, what)
            assert here.service is not None
            return self._spoken(place, here, port, drifted("wrong-service", here.service.name))
        if here.state == "permitted":
            return Option("verified")
        if unreachable and proved:
            if here.state == "reachable" and here.protocol == "tcp":
                return drifted("host-unreachable", str(place.address))
            return Option("unverified")
        if here.state == "reachable":
            assert here.service is not None
            if sight.state == NOTHING:
                return Option("unverified" if here.answers else "silent")
            return drifted({CLOSED: "service-refused", FILTERED: "service-filtered"}[sight.state], here.service.name)
        if sight.state == NOTHING:
            return Option("silent")
        if sight.state == CLOSED and self._view.boundary == "filtered":
            return drifted("boundary-leak")
        return Option("verified")

    def _spoken(self, place: Place, here: _Expected, port: int, wrong: Option) -> Option:
        """What answers, where something should. Nothing is drawn that only looks like something else."""
        what = listening(place, here.protocol, port)
        assert what is not None
        if here.protocol == "udp":
            return Option("verified")
        if what in MUTE:
            return Option("unverified" if here.speaks else "verified")
        another = here.service_class not in (None, TCP[what][1]) or here.speaks not in (None, what)
        return wrong if another else Option("verified")


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an endpoint should be. `why` is the kind of finding where it is blocked and open all the same."""

    protocol: str
    state: str
    why: str = ""
    service: Service | None = None
    answers: bool = True
    service_class: str | None = None
    speaks: str | None = None

    @property
    def undeclared(self) -> bool:
        return self.why == "undeclared-port"

    @classmethod
    def of(cls, place: Place, protocol: str, port: int, view: View, drawn: Drawn) -> _Expected:
        declaring = sorted(
            (s for s in place.host.services if s.protocol == protocol and any(a <= port <= b for a, b in s.ports)),
            key=lambda service: service.name,
        )
        attached = [service for service in declaring if place.interface in service.interfaces]
        here = [service for service in attached if place.address.version in service.versions]
        own = view.address(place.address.version)
        if here:
            if any(own in drawn.ranges[name] for service in here for name in service.sources):
                state = "permitted" if all(service.optional for service in here) else "reachable"
                return cls(
                    protocol,
                    state,
                    service=here[0],
                    answers=all(service.answers for service in here),
                    service_class=next((s.service_class for s in here if s.service_class), None),
                    speaks=next((s.speaks for s in here if s.speaks), None),
                )
            return cls(protocol, "blocked", "outside-source-range", here[0])
        if attached:
            return cls(protocol, "blocked", "wrong-family", attached[0])
        if declaring:
            return cls(protocol, "blocked", "wrong-interface", declaring[0])
        return cls(protocol, "blocked", "undeclared-port")


def listening(place: Place, protocol: str, port: int) -> str | None:
    """What listens on an endpoint of a machine."""
    wild = {4: ("::", "0.0.0.0"), 6: ("::",)}[place.address.version]
    for one in place.machine.listeners:
        if (one.protocol, one.port) == (protocol, port) and one.bind in (*wild, str(place.address)):
            return one.what
    return "silent" if place.machine.middlebox and protocol == "tcp" else None


def _segments(place: Place) -> tuple[str, ...]:
    return tuple(segment for segment, own in place.machine.addresses.items() if place.address in own)
