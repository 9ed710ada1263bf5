"""What the kernel of a viewpoint's machine counted while sweeps ran, beside what nmap told of them.

An nmap that is short of processor time loses replies and says nothing: they overflow the buffer that it reads too late.
The kernel counts them. `InSegs` of /proc/net/snmp rises by every TCP segment that arrived, over IPv4 and IPv6, and
`OutRsts` by every SYN-ACK, since the kernel resets what it has no socket for (RFC 9293, 3.5.2). `ActiveOpens` are
connections that a program of the machine has begun: each brings segments, and may end by a reset.

Other traffic adds to all of them. So what is left over makes a sweep doubtful, and that nothing is makes none sound.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from auditor.errors import TransportError
from auditor.model.inventory import Via, places
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.run import Run
from auditor.transport import Transport, capture

_FILE = "/proc/net/snmp"
_PATIENCE = 60.0  # seconds; a machine without processor time takes long over everything
_SEGMENTS = 15  # that a connection brings, about
_RESETS = 2  # that a connection ends with, at most: its own, and one for what was still on the way
# nmap asks a host that has been silent for 1.25 s whether it still answers, on a port known to; it tells nobody.
_PINGS = 0.8  # a second and host in work
_NOISE = 3  # times as much as there was while nothing was sent
_SLOW = 3  # times what is planned where nothing answers, which is what a sweep takes at most
_STARTING = 10.0  # seconds, for an nmap that starts on a busy machine
_FLOOD = 1000  # segments; nmap's buffer holds more than that, so it loses nothing of less


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


@dataclass(slots=True)
class Kernel:
    """The counters of the machine that sweeps leave from. Sweeps beside each other are judged together.

    `tell` has to be given every run of nmap that ends there, whichever viewpoint it is of.
    """

    transport: Transport
    via: Via
    surpluses: list[Surplus] = field(default_factory=list)
    _running: int = 0
    _before: Counts | None = None
    _start: float = 0.0
    _told: int = 0
    _opened: int = 0
    _pings: float = 0.0
    _slow: bool = False
    _noise: tuple[float, float] = (0.0, 0.0)  # segments and resets a second, that are no doing of ours
    _addresses: set[Address] = field(default_factory=set)

    @asynccontextmanager
    async def watching(self, addresses: Iterable[Address], planned: float, at_once: int = 1) -> AsyncIterator[None]:
        """For a sweep of so many `planned` seconds, with so many hosts in work at once.

        With the end of the last of those beside each other, what is left over of all of them is in `surpluses`.
        """
        if self._running == 0:
            self._addresses, self._told, self._opened, self._pings, self._slow = set(), 0, 0, 0.0, False
            self._start = time.monotonic()
            self._running = 1
            self._before = await self._read()
        else:
            self._running += 1
        self._addresses |= set(addresses)
        begun = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - begun
            self._pings += seconds * at_once * _PINGS
            self._slow = self._slow or seconds > planned * _SLOW + _STARTING
            self._running -= 1
            if self._running == 0:
                await self._judge()

    @asynccontextmanager
    async def idle(self) -> AsyncIterator[None]:
        """For a time in which nothing is sent from there: what is counted then is other traffic, which may go on.

        With a sweep beside it, of another viewpoint, nothing is learnt.
        """
        begun, before = time.monotonic(), None if self._running else await self._read()
        yield
        after = None if self._running or before is None else await self._read()
        if before is not None and after is not None:
            seconds = time.monotonic() - begun
            self._noise = (
                max(0, after.segments - before.segments) / seconds,
                max(0, after.resets - before.resets) / seconds,
            )

    def tell(self, run: Run) -> None:
        """Count what a run has told. One by ordinary connections counts as such in the kernel."""
        for record in run.records if "-sS" in run.argv else ():
            for one in record.seen:
                if one.protocol is Protocol.TCP and one.sight.state in (PortState.OPEN, PortState.CLOSED):
                    self._told += len(one.ports)
                    self._opened += len(one.ports) if one.sight.state is PortState.OPEN else 0

    def of(self, address: Address) -> Surplus | None:
        """That of the last time that the address was swept."""
        return next((one for one in reversed(self.surpluses) if address in one.addresses), None)

    async def _judge(self) -> None:
        addresses, before, told, opened, pings = self._addresses, self._before, self._told, self._opened, self._pings
        start, slow = self._start, self._slow
        after = await self._read()
        span = frozenset(addresses), start, time.monotonic()
        if before is None or after is None or after.segments < before.segments:
            self.surpluses.append(Surplus(*span, slow=slow))
            return
        connections = after.connections - before.connections
        segments = after.segments - before.segments
        noise = [int(each * _NOISE * (span[2] - span[1])) for each in self._noise]
        replies = segments - told - _SEGMENTS * connections - noise[0]
        resets = after.resets - before.resets - opened - _RESETS * connections - int(pings) - noise[1]
        if segments < _FLOOD:
            resets = 0
        self.surpluses.append(Surplus(*span, max(0, replies), max(0, resets), slow))

    async def _read(self) -> Counts | None:
        """The counters now; None where they cannot be read."""
        found = Counts()
        for place in places(self.via):
            try:
                said = await capture(self.transport, place, ["cat", _FILE], _PATIENCE)
            except TransportError:
                return None
            counts = counted(said.stdout) if said.returncode == 0 else None
            if counts is None:
                return None
            found += counts
        return found


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
