"""What the kernel of a viewpoint's machine counted while sweeps ran, beside what nmap told of them.

An nmap that is short of processor time loses replies and says nothing: they overflow the buffer that it reads too late.
The kernel counts them. `InSegs` of /proc/net/snmp rises by every TCP segment that arrived, over IPv4 and IPv6, and
`OutRsts` by every SYN-ACK, since the kernel resets what it has no socket for (RFC 9293, 3.5.2). `ActiveOpens` are
connections that a program of the machine has begun: each brings segments, and may end by a reset.

Other traffic adds to all of them. So what is left over makes a sweep doubtful, and that nothing is makes none sound.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from auditor.errors import TransportError
from auditor.model.inventory import Via, places
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.nmap import command
from auditor.scan.runs.run import Run
from auditor.transport.base import Transport, capture

_FILE = "/proc/net/snmp"
_PATIENCE = 60.0  # seconds; a machine without processor time takes long over everything
_SEGMENTS = 15  # that a connection brings, about
_RESETS = 2  # that a connection ends with, at most: its own, and one for what was still on the way
# nmap asks a host that has been silent for 1.25 s whether it still answers, and tells nobody: one that refuses on a
# closed port, whose reset the kernel lets pass, others on an open one (seen with 7.93: 16 in 40 s).
_PINGS = 0.8  # a second and host in work
_NOISE = 3  # times as much as there was while nothing was sent
_SLOW = 3  # times what is planned where nothing answers, which is what a sweep takes at most
_STARTING = 10.0  # seconds, for an nmap that starts on a busy machine
_BEAT = 5.0  # seconds; a beat takes half of one, and a sweep is not held up by one that hangs
_LONG_BEAT = 30.0  # and where a sweep waits to be judged
_LEAST_IDLE = 1.0  # seconds; in less, a packet or two would pass for a steady flow
FLOOD = 1000  # segments; nmap's buffer holds more than that, so it loses nothing of less


Doubt = Callable[[Collection[Address]], None]


def _nobody(_addresses: Collection[Address]) -> None:
    """Takes doubts that nobody keeps."""


@dataclass(frozen=True, slots=True)
class Counts:
    """TCP counters of a kernel, or of several together."""

    segments: int = 0
    resets: int = 0
    connections: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.segments + other.segments, self.resets + other.resets, self.connections + other.connections)


@dataclass(frozen=True, slots=True)
class Surplus:
    """What arrived while some addresses were swept, and nmap has not told: at least so much.

    `replies` are segments of any kind, `opened` those that the kernel took for SYN-ACKs; None where the counters cannot
    be read. `start` and `end` are in seconds, monotonic; `slow` is whether that was far longer than planned.
    """

    addresses: frozenset[Address]
    start: float
    end: float
    replies: int | None = None
    opened: int | None = None
    slow: bool = False

    @property
    def doubtful(self) -> bool:
        """Whether that alone lets the scanner's machine look short of processor time."""
        return bool(self.opened) or (self.slow and self.replies != 0)

    def explains(self, missing: int) -> bool:
        """Whether that many replies may have been lost by the scanner's own machine."""
        return missing > 0 and (self.replies is None or self.replies * 2 >= missing)


@dataclass(slots=True, eq=False)
class Epoch:
    """Sweeps beside each other. `unknown` is whether some of what they tell had arrived at another time."""

    start: float
    before: Counts | None
    running: int = 0
    addresses: set[Address] = field(default_factory=set)
    told: int = 0
    opened: int = 0
    late: int = 0  # answers that may have come after those who asked had given up
    refusing: set[Address] = field(default_factory=set)
    waits: list[tuple[frozenset[Address], float, int]] = field(default_factory=list)  # seconds, hosts in work
    slow: bool = False
    unknown: bool = False
    took: dict[Address, float] = field(default_factory=dict)  # seconds of nmap itself, that had waited for no other run
    doubts: list[tuple[Doubt, frozenset[Address]]] = field(default_factory=list)
    judged: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, run: Run) -> int:
        """Count what a run has told. Gives how many ports it has found open."""
        found = 0
        if "--min-rate" in run.argv:
            took = run.span[1] - run.span[0]
            self.took |= {one: max(took, self.took.get(one, 0.0)) for one in command.split(run.argv)[1]}
        for record in run.records if "-sS" in run.argv else ():
            for one in record.seen:
                if one.protocol is Protocol.TCP and one.sight.state in (PortState.OPEN, PortState.CLOSED):
                    self.told += len(one.ports)
                    if one.sight.state is PortState.OPEN:
                        found += len(one.ports)
                    else:
                        self.refusing.add(record.address)
        self.opened += found
        return found

    @property
    def pings(self) -> int:
        """So many SYN-ACKs at most were answers to nmap's own pings."""
        most = (seconds * min(at_once, len(mine - self.refusing)) for mine, seconds, at_once in self.waits)
        return int(sum(most) * _PINGS)


@dataclass(slots=True)
class Kernel:
    """The counters of the machine that sweeps leave from. Sweeps beside each other are judged together.

    `unreadable` is whether they could not be read once. `tell` has to be given every run of nmap that ends there,
    whichever viewpoint it is of. `shared` is whether several are.
    """

    transport: Transport
    via: Via
    shared: bool = False
    surpluses: list[Surplus] = field(default_factory=list)
    unreadable: bool = False
    _epoch: Epoch | None = None
    _unjudged: list[Epoch] = field(default_factory=list)
    _noise: tuple[float, float] = (0.0, 0.0)  # segments and resets a second, that are no doing of ours
    _beginning: asyncio.Lock = field(default_factory=asyncio.Lock)
    _begun: int = 0  # endpoints that beats have asked
    _ended: int = 0  # and those of beats that have ended
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)  # no answers arrive that are not told yet

    @asynccontextmanager
    async def watching(
        self, addresses: Iterable[Address], planned: float, at_once: int = 1, doubt: Doubt = _nobody
    ) -> AsyncIterator[Epoch]:
        """For a sweep of so many `planned` seconds, with so many hosts in work at once.

        With the end of the last of those beside each other, what is left over of all of them is in `surpluses`; where
        that alone lets replies look lost, `doubt` is told of the addresses at once.
        """
        mine = frozenset(addresses)
        async with self._beginning:  # none sends before the counters are read
            if self._epoch is None:
                async with self._still(_BEAT) as still:
                    ended = self._ended
                    before = await self._read()
                self._epoch = Epoch(time.monotonic(), before)
                # Of a beat that goes on, some answers may be counted, and it tells of all or none.
                self._epoch.late = 0 if still else self._begun - ended
                self._unjudged.append(self._epoch)
            epoch = self._epoch
            epoch.running += 1
            epoch.addresses |= mine
            epoch.doubts.append((doubt, mine))
        begun = time.monotonic()
        try:
            yield epoch
        except BaseException:
            epoch.unknown = True  # whoever ends a sweep waits for nothing
            raise
        finally:
            epoch.waits.append((mine, time.monotonic() - begun, at_once))
            longest = max((epoch.took.get(one, 0.0) for one in mine), default=0.0)
            epoch.slow = epoch.slow or longest > planned * _SLOW + _STARTING
            epoch.running -= 1
            if epoch.running == 0:
                self._epoch = None
                try:
                    await self._judge(epoch)
                finally:
                    self._unjudged.remove(epoch)
                    epoch.judged.set()

    async def judged(self, addresses: Iterable[Address]) -> None:
        """Wait until what was swept of these is judged: sweeps of other viewpoints beside it may still go on."""
        mine = set(addresses)
        for epoch in tuple(self._unjudged):
            if epoch.addresses & mine:
                await epoch.judged.wait()

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """For a time in which nothing is sent from there: what is counted then is other traffic, which may go on.

        Too short a time tells nothing; nor does any where another viewpoint may send meanwhile.
        """
        begun, before = time.monotonic(), None if self.shared else await self._read()
        yield
        seconds = time.monotonic() - begun
        after = None if before is None or seconds < _LEAST_IDLE else await self._read()
        if before is not None and after is not None:
            self._noise = (
                max(0, after.segments - before.segments) / seconds,
                max(0, after.resets - before.resets) / seconds,
            )

    @asynccontextmanager
    async def asking(self, endpoints: int, tries: int = 1) -> AsyncIterator[list[Run]]:
        """For questions to so many open endpoints, in so many tries, beside sweeps; what the runs tell is counted.

        No counters are read meanwhile, so that all answers fall into one time. One that comes too late for the run that
        asked is no open port missed.
        """
        async with self._counting:
            epoch, runs = self._epoch, list[Run]()
            self._begun += endpoints * tries
            try:
                yield runs
            finally:
                self._ended += endpoints * tries
                if epoch is not None:
                    seen = sum(epoch.tell(run) for run in runs)
                    epoch.late += max(0, endpoints - seen) * tries

    @asynccontextmanager
    async def _still(self, seconds: float) -> AsyncIterator[bool]:
        """A time in which no beat begins; whether none goes on, for which so long is waited."""
        try:
            async with asyncio.timeout(seconds):
                await self._counting.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            self._counting.release()

    def tell(self, run: Run) -> None:
        """Count what a run has told. One by ordinary connections counts as such in the kernel."""
        if self._epoch is not None:
            self._epoch.tell(run)

    def of(self, address: Address) -> Surplus | None:
        """That of the last time that the address was swept."""
        return next((one for one in reversed(self.surpluses) if address in one.addresses), None)

    async def _judge(self, epoch: Epoch) -> None:
        before, after = epoch.before, None
        if not epoch.unknown:
            async with self._still(_LONG_BEAT) as still:
                after = await self._read() if still else None
        span = frozenset(epoch.addresses), epoch.start, time.monotonic()
        surplus = Surplus(*span, slow=epoch.slow)
        if before is not None and after is not None and after.segments >= before.segments:
            connections = after.connections - before.connections
            segments = after.segments - before.segments
            noise = [int(each * _NOISE * (span[2] - span[1])) for each in self._noise]
            replies = segments - epoch.told - _SEGMENTS * connections - noise[0]
            allowed = _RESETS * connections + epoch.pings + epoch.late + noise[1]
            resets = after.resets - before.resets - epoch.opened - allowed
            if segments < FLOOD:
                resets = 0
            surplus = Surplus(*span, max(0, replies), max(0, resets), epoch.slow)
        self.surpluses.append(surplus)
        for doubt, addresses in epoch.doubts if surplus.doubtful else ():
            doubt(addresses)

    async def _read(self) -> Counts | None:
        """The counters now; None where they cannot be read."""
        each = [await self._counts(place) for place in places(self.via)]
        found = [one for one in each if one is not None]
        self.unreadable = self.unreadable or len(found) < len(each)
        return sum(found, Counts()) if found and len(found) == len(each) else None

    async def _counts(self, place: Via) -> Counts | None:
        try:
            said = await capture(self.transport, place, ["cat", _FILE], _PATIENCE)
        except TransportError:
            return None
        return counted(said.stdout) if said.returncode == 0 else None


def counted(text: str) -> Counts | None:
    """The TCP counters of /proc/net/snmp: a line with their names, and one with their values."""
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("Tcp:")]
    if len(lines) != 2:
        return None
    names, values = lines
    counters = dict(zip(names, values, strict=False))
    try:
        return Counts(int(counters["InSegs"]), int(counters["OutRsts"]), int(counters["ActiveOpens"]))
    except (KeyError, ValueError):
        return None
