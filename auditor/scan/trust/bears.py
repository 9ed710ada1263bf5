"""The rate that a viewpoint's machine bears: so many replies a second its nmap can read, now.

It is tried on the loopback interface of a namespace made for it, where every port refuses at once. That asks more of a
machine than most networks do, and nothing of any network.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from auditor.model.inventory import LocalVia, NetnsVia, Via, Viewpoint, places
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.runs.run import End, run_nmap
from auditor.scan.runs.runner import Runner
from auditor.scan.together import Crowd
from auditor.scan.trust.sweep import Sweeps
from auditor.transport.base import Transport

_SECONDS = 1.0  # that a try takes where nmap keeps up
_PATIENCE = 60.0  # and that one may take where it does not
_LEAST = 100.0  # packets a second; what bears no more than that is asked at that
_ALL = 0.999  # of the replies
_ENOUGH = 15_000.0  # replies a second; few networks send more, since most of what is asked is dropped
_LATE = 1.5  # times what it is to take: a buffer can hold what comes in a second, but not what comes in minutes
_IMPRECISE = 0.3  # seconds, of the time that nmap takes to start
_STEP = 2  # times slower, after replies were lost: what was told then tells little of what would not have been
_CLOSE = 1.25  # times slower than what took too long
_MOST = 65_535  # ports
_TOO_LONG = "it took too long"
_STILL = 5.0  # seconds; what a machine bore just now, it bears for another viewpoint


def tried(rate: float) -> float:
    """How fast it is tried, for sweeps at that rate: a machine that bears that is not short of processor time."""
    return min(rate, _ENOUGH)


async def bears(transport: Transport, via: Via, rate: float) -> float | None:
    """The rate, in packets a second, of those that `tried` gives; None where it cannot be tried there."""
    each = [await _at(transport, place, rate) for place in places(via)]
    found = [one for one in each if one is not None]
    return min(found) if found and len(found) == len(each) else None


async def _at(transport: Transport, via: Via, rate: float) -> float | None:
    starting = await _try(transport, via, rate, 1)
    if starting is None:
        return None
    now = tried(rate)
    while now > _LEAST:
        ports = min(_MOST, max(1, int(now * _SECONDS)))
        found = await _try(transport, via, now, ports)
        if found is None:
            return None
        seconds = max(found[1] - starting[1], ports / now)
        if found[0] < ports * _ALL:
            now /= _STEP
        elif seconds > ports / now * _LATE + _IMPRECISE:
            now = ports / seconds / _CLOSE
        else:
            return now
    return min(rate, _LEAST)


async def _try(transport: Transport, via: Via, rate: float, ports: int) -> tuple[int, float] | None:
    """How many of the ports nmap told of, and in how many seconds; None where it did not run."""
    argv = command.loopback(PortSet.span(1, ports), rate=rate)
    run = await run_nmap(transport, via, argv, end=End(_PATIENCE, _TOO_LONG))
    if run.problem is not None and run.problem != _TOO_LONG:
        return None
    seen = Board.of(run.records)
    refused = (len(seen.ports(one, Protocol.TCP, PortState.CLOSED)) for one in seen.addresses())
    return sum(refused), run.span[1] - run.span[0]


class Bearing:
    """What rate one viewpoint's machine bears, as last tried. `borne` is in packets a second; None where unknown."""

    def __init__(
        self, viewpoint: Viewpoint, transport: Transport, runner: Runner, crowd: Crowd, sweeps: Sweeps
    ) -> None:
        self.borne: float | None = None
        self._viewpoint = viewpoint
        self._transport = transport
        self._runner = runner
        self._crowd = crowd
        self._sweeps = sweeps
        self._told = False

    @property
    def short(self) -> bool:
        """Whether the machine was found to bear less than what was tried."""
        return self.borne is not None and self.borne < tried(self._viewpoint.rate)

    async def find_out(self) -> None:
        """Find out what the machine bears now."""
        rate = float(self._viewpoint.rate)
        via = self._viewpoint.via
        here = LocalVia() if isinstance(via, NetnsVia) else via
        async with self._crowd.trying:
            at, before, borne = self._crowd.borne.get(here, (-inf, 0.0, 0.0))
            if monotonic() - at < _STILL and before >= tried(rate):
                self.borne = min(borne, tried(rate))
            else:
                self.borne = await bears(self._transport, via, rate)
                if self.borne is not None:
                    self._crowd.borne[here] = monotonic(), tried(rate), self.borne
        self._sweeps.bears(self.borne / rate if self.borne is not None and self.short else 1.0)
        if self.short and not self._told:
            self._told = True
            self._runner.note(
                f"the machine of this viewpoint is busy: its nmap can read about {self.borne:,.0f} replies a second "
                f"now, not {tried(rate):,.0f}; sweeps are slowed down to what it can, tried again before each"
            )
