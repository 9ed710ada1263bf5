"""Whether a path still carries what is sent: endpoints that have answered are asked again and again beside a sweep.

A sweep takes every silence for a firewall's. The pulse is what tells a firewall from a path that loses packets, from a
device that has had enough of the scanner, and from a host or link that has gone down.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, islice
from math import inf

from auditor.addresses import any_in, by_address, contains, probe_target
from auditor.model.inventory import Scope, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Network, PortState, Protocol, Technique
from auditor.scan.board import ANSWERS, Board
from auditor.scan.nmap import command
from auditor.scan.runs.run import Run
from auditor.scan.runs.runner import Runner

_GAPS = (0.4, 0.8, 1.6)  # seconds between the first beats, so that a short sweep has some
_GAP = 4.0  # seconds between the others: nmap takes 0.3 s of CPU to start
_ENDPOINTS = 64  # that one beat asks of each family, where so many have answered
ENOUGH = 64  # answers due, before a beat that is under way need not be waited for
_TIMES = 16  # that one beat asks each of them at most, where they are few: less than 64 answers tell too little
_PROBES = 512  # that one beat sends to each family at most: the ports of all endpoints go to each of its addresses
_SOON = 1.0  # seconds until the next beat, where an address has not answered to the last
_SHARE = 0.02  # of the viewpoint's rate
_MISSES = 3  # times in a row without an answer, until an address is asked whether it is still there
_LONGEST = 2.0  # seconds that the packets of one beat may take
_OUTLIER = 0.25  # of the loss to one address; where all others lose less than this together, it is not the path's
_OUTLIER_LOST = 0.3  # of the probes, and more, before an address is one: chance alone makes smaller differences
_PATIENT_RETRIES = 5
_PATIENT_RATE = 20.0  # packets a second

Endpoint = tuple[Address, int]


@dataclass(frozen=True, slots=True)
class Beat:
    """One round of questions: its middle (seconds, monotonic), how often each address was asked and answered.

    `turns` are the times that each address was asked, one after the other, and whether it answered then at all.
    """

    at: float
    asked: Counter[Address]
    answered: Counter[Address]
    turns: dict[Address, list[bool]]

    @property
    def missed(self) -> set[Address]:
        """The addresses that did not answer several times in a row, or not once."""
        return {address for address, turns in self.turns.items() if _longest_silence(turns) >= min(_MISSES, len(turns))}


@dataclass(slots=True)
class Gap:
    """A time in which an address did not answer: from `since` (also as seconds, monotonic), perhaps until `until`."""

    start: float
    since: datetime
    end: float | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """So many endpoints were asked once, and so many of them did not answer."""

    asked: int = 0
    lost: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.asked if self.asked else 0.0


@dataclass(slots=True)
class Pulse:
    """The pulse of one viewpoint. `sweeping` are the addresses that sweeps have in work; they come first."""

    viewpoint: Viewpoint
    scope: Scope
    technique: Technique
    runner: Runner
    boards: tuple[Board, ...]
    now: Callable[[], datetime]
    limited: Callable[[Address], bool] = lambda _address: False  # whose host bears no more than the sweep itself
    sweeping: set[Address] = field(default_factory=set)
    beats: list[Beat] = field(default_factory=list)
    gaps: dict[Address, list[Gap]] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _beating: asyncio.Lock = field(default_factory=asyncio.Lock)
    _misses: dict[Address, tuple[int, Gap]] = field(default_factory=dict)

    async def run(self) -> None:
        """Beat until cancelled."""
        gaps = iter(_GAPS)
        while True:
            async with self._beating:
                await self.beat()
            gap = next(gaps, _GAP)
            await asyncio.sleep(min(gap, _SOON) if self._misses else gap)

    async def beat(self) -> None:
        """Ask once what should answer."""
        known = [one for board in self.boards for one in answering(board) if not self.limited(one[0])]
        budget = max(1, int(min(_PROBES, self.viewpoint.rate * _SHARE * _LONGEST)))
        for family in Family:
            mine = [one for one in known if Family.of(one[0]) is family]
            asked = choose(mine, self.sweeping, self.viewpoint.targets, budget)
            if asked:
                probes = len({address for address, _ in asked}) * len({port for _, port in asked})
                times = max(1, min(_TIMES, _ENDPOINTS // len(asked), budget // probes))
                await self._ask(asked, times, self.viewpoint.rate * _SHARE)

    async def _ask(self, asked: frozenset[Endpoint], times: int, rate: float) -> None:
        at, since = time.monotonic(), self.now()
        run = await self.runner.beat(self._argv(asked, max(1.0, rate), 0, times), self._opened(asked) * times)
        if run.problem is not None or run.unsent is not None:
            return
        beat = _beat((at + time.monotonic()) / 2, run, asked)
        self.beats.append(beat)
        for address, turns in beat.turns.items():
            if any(turns):
                self._is_there(address)
            if not turns[-1]:
                silent = _trailing_silence(turns)
                into = (time.monotonic() - at) * (1 - silent / len(turns))  # seconds, until it fell silent
                count, gap = self._misses.get(address, (0, Gap(at + into, since + timedelta(seconds=into))))
                self._misses[address] = count + silent, gap
        # One that refuses may only have come to its limit under the sweep's load.
        missed = [one for one in self._misses if not self.gone(one) and not self.only_refuses(one)]
        suspects = [one for one in missed if one in beat.turns and self._misses[one][0] >= _MISSES]
        if suspects:
            await self.verify(suspects)

    async def settle(self, addresses: Collection[Address], since: float) -> None:
        """Wait for the beat under way, where those after `since` tell too little."""
        if self.loss(addresses, since).asked < ENOUGH:
            async with self._beating:
                pass

    async def verify(self, addresses: Iterable[Address]) -> set[Address]:
        """Ask addresses patiently whether they still answer; those that do not are gone from now on, and are given."""
        wanted = set(addresses)
        known = [one for board in self.boards for one in answering(board) if one[0] in wanted]
        found: set[Address] = set()
        at, since = time.monotonic(), self.now()
        for family in Family:
            mine = [one for one in known if Family.of(one[0]) is family]
            while mine:
                asked = choose(mine, (), self.viewpoint.targets, _PROBES)
                argv = self._argv(asked, self._patient_rate, _PATIENT_RETRIES)
                run = await self.runner.beat(argv, self._opened(asked), _PATIENT_RETRIES + 1)
                there = {address for address, _ in answers(run)}
                reported = {record.address for record in run.records} if run.unsent is None else set()
                for address in {address for address, _ in asked}:
                    if address in there:
                        self._is_there(address)
                    elif address in reported:
                        found.add(address)
                mine = [one for one in mine if one[0] not in {address for address, _ in asked}]
        for address in sorted(found, key=by_address):
            if not self.gone(address):
                _, gap = self._misses.pop(address, (0, Gap(at, since)))
                self.gaps.setdefault(address, []).append(gap)
        if found:
            self.changed.set()
        return found

    @property
    def _patient_rate(self) -> float:
        return min(_PATIENT_RATE, float(self.viewpoint.rate))

    def gone(self, address: Address) -> bool:
        """Whether the address answered before and does not now."""
        return address in self.gaps and self.gaps[address][-1].end is None

    def lost_paths(self) -> list[Network]:
        """The targets entries from which nothing of all that was asked answers any more.

        One address alone that is gone loses no path to which others are known to answer.
        """
        asked = {address for beat in self.beats for address in beat.asked} | set(self.gaps)
        gone = {address for address in asked if self.gone(address)}
        if not gone:
            return []
        known = {address for board in self.boards for address, _ in answering(board)}
        return [
            entry
            for entry in self.viewpoint.targets
            if any_in(entry, gone)
            and not any_in(entry, asked - gone)
            and (sum(_in(entry, one) for one in gone) > 1 or not any_in(entry, known - gone))
        ]

    def behind_lost_path(self, addresses: Iterable[Address]) -> set[Address]:
        """Those of the addresses that are gone, or that only lost paths lead to."""
        lost = self.lost_paths()
        there = {one for board in self.boards for one, _ in answering(board) if not self.gone(one)} if lost else set()
        proved = [entry for entry in self.viewpoint.targets if entry not in lost and any_in(entry, there)]
        return {one for one in addresses if self.gone(one) or (contains(lost, one) and not contains(proved, one))}

    def away_since(self, address: Address, since: float) -> bool:
        """Whether, after `since`, the address was gone for a time."""
        return any(gap.end is None or gap.end >= since for gap in self.gaps.get(address, ()))

    def silent_since(self, address: Address, since: float) -> bool:
        """Whether, after `since`, a whole beat to the address went unanswered, or all of one to its paths did."""
        if self.away_since(address, since):
            return True
        mine = {address} if not self.only_refuses(address) else set()
        for beat in self.beats:
            if beat.at < since:
                continue
            asked = set(beat.asked)
            others = {one for one in asked if self._same_path(one, address)}
            if (mine & asked) <= beat.missed and (mine & asked or (others and others <= beat.missed)):
                return True
        return False

    def loss(self, addresses: Collection[Address], since: float, until: float = inf) -> Loss:
        """What was lost between two times on the paths to the addresses, those that are gone left aside.

        Refusals count only where nothing else is known to answer: systems limit them.
        """
        paths = [entry for entry in self.viewpoint.targets if any_in(entry, addresses)]
        asked, answered = Counter[Address](), Counter[Address]()
        for beat in self.beats:
            if since <= beat.at <= until:
                asked.update(beat.asked)
                answered.update(beat.answered)
        on_path = [one for one in asked if not self.gone(one) and (not paths or contains(paths, one))]
        counted = [one for one in on_path if not self.only_refuses(one)] or on_path
        return of_the_path([Loss(asked[one], asked[one] - answered[one]) for one in counted])

    def loss_of_open(self, address: Address, since: float, until: float) -> Loss:
        """What was lost between two times of what open ports on the paths to an address were asked; no refusals."""
        asked = lost = 0
        for beat in self.beats:
            if since <= beat.at <= until:
                for one in beat.asked:
                    if not self.only_refuses(one) and self._same_path(one, address) and not self.gone(one):
                        asked += beat.asked[one]
                        lost += beat.asked[one] - beat.answered[one]
        return Loss(asked, lost)

    def only_refuses(self, address: Address) -> bool:
        return not any(board.ports(address, Protocol.TCP, PortState.OPEN) for board in self.boards)

    def _opened(self, asked: Iterable[Endpoint]) -> int:
        """How many of the endpoints were open before; the others refused."""
        return sum(
            any(port in board.ports(address, Protocol.TCP, PortState.OPEN) for board in self.boards)
            for address, port in asked
        )

    def _same_path(self, one: Address, other: Address) -> bool:
        paths = [entry for entry in self.viewpoint.targets if _in(entry, other)]
        return contains(paths, one) or not paths

    def _is_there(self, address: Address) -> None:
        self._misses.pop(address, None)
        if self.gone(address):
            gap = self.gaps[address][-1]
            gap.end, gap.until = time.monotonic(), self.now()
            self.changed.set()

    def _argv(self, asked: frozenset[Endpoint], rate: float, retries: int, times: int = 1) -> tuple[str, ...]:
        """nmap asks an address as often as it is named, one time after the other."""
        targets = [probe_target(one, self.scope) for one in sorted({a for a, _ in asked}, key=by_address)]
        ports = PortSet.of(*(port for _, port in asked))
        return command.probe(self.technique, Protocol.TCP, ports, targets * times, rate=rate, retries=retries)


def of_the_path(losses: Iterable[Loss]) -> Loss:
    """What the addresses lost together, without those that lost far more than all others: that is not the path."""
    worst_last = sorted(losses, key=lambda loss: loss.share)
    while len(worst_last) > 1:
        rest, worst = _sum(worst_last[:-1]), worst_last[-1]
        if worst.share < _OUTLIER_LOST or rest.share > worst.share * _OUTLIER:
            break
        worst_last.pop()
    return _sum(worst_last)


def _sum(losses: Iterable[Loss]) -> Loss:
    asked = lost = 0
    for loss in losses:
        asked += loss.asked
        lost += loss.lost
    return Loss(asked, lost)


def answering(board: Board) -> Iterator[Endpoint]:
    """The TCP endpoints that are known to answer: every open one, else one closed one of an address.

    Systems limit how often they refuse, and a limit must not pass for a loss.
    """
    for address in board.addresses():
        opened = board.ports(address, Protocol.TCP, PortState.OPEN)
        ports = list(islice(opened, _ENDPOINTS))
        if not ports and (closed := board.ports(address, Protocol.TCP, PortState.CLOSED)):
            ports = [closed.first]
        yield from ((address, port) for port in ports)


def choose(
    known: Iterable[Endpoint], first: Collection[Address], paths: Collection[Network], budget: int
) -> frozenset[Endpoint]:
    """At most 64 endpoints, spread over the paths: one of each address first, the ports that most of them share.

    nmap sends every port to every address, so ports × addresses stays within `budget`.
    """
    by: dict[Address, list[int]] = {}
    for address, port in known:
        by.setdefault(address, []).append(port)
    popular: dict[int, int] = {}
    for ports in by.values():
        for port in ports:
            popular[port] = popular.get(port, 0) + 1
    queue = _spread(sorted(by, key=lambda address: (address not in first, by_address(address))), list(paths))
    chosen: set[Endpoint] = set()
    addresses: set[Address] = set()
    numbers: set[int] = set()
    for depth in range(_ENDPOINTS):
        for address in queue:
            ports = sorted(by[address], key=lambda port: (-popular[port], port))
            if depth >= len(ports) or len(chosen) >= _ENDPOINTS:
                continue
            with_address, with_port = addresses | {address}, numbers | {ports[depth]}
            if not chosen or len(with_address) * len(with_port) <= budget:
                chosen.add((address, ports[depth]))
                addresses, numbers = with_address, with_port
        if len(chosen) >= _ENDPOINTS or depth >= max(map(len, by.values()), default=0):
            break
    return frozenset(chosen)


def _spread(addresses: list[Address], paths: list[Network]) -> list[Address]:
    """The addresses in turns, one of each path."""
    turns: dict[int, int] = {}
    keyed = []
    for address in addresses:
        path = next((number for number, entry in enumerate(paths) if _in(entry, address)), -1)
        turns[path] = turns.get(path, 0) + 1
        keyed.append((turns[path], path, address))
    return [address for _, _, address in sorted(keyed, key=lambda one: one[:2])]


def _beat(at: float, run: Run, asked: frozenset[Endpoint]) -> Beat:
    ports: dict[Address, PortSet] = {}
    for address, port in asked:
        ports[address] = ports.get(address, PortSet()) | PortSet.of(port)
    beat = Beat(at, Counter(), Counter(), {})
    for record in run.records:
        mine = ports.get(record.address, PortSet())
        told = PortSet.union(seen.ports for seen in record.seen) & mine
        if told:
            there = told & PortSet.union(seen.ports for seen in record.seen if seen.sight.state in ANSWERS)
            beat.asked[record.address] += len(told)
            beat.answered[record.address] += len(there)
            beat.turns.setdefault(record.address, []).append(bool(there))
    return beat


def _longest_silence(turns: Iterable[bool]) -> int:
    return max((len(list(group)) for answered, group in groupby(turns) if not answered), default=0)


def _trailing_silence(turns: list[bool]) -> int:
    return next((count for count, answered in enumerate(reversed(turns)) if answered), len(turns))


def answers(run: Run) -> set[Endpoint]:
    """The endpoints that an answer came from."""
    return {
        (record.address, port)
        for record in run.records
        for seen in record.seen
        if seen.protocol is Protocol.TCP and seen.sight.state in ANSWERS
        for port in seen.ports
    }


def _in(network: Network, address: Address) -> bool:
    return network.version == address.version and address in network
