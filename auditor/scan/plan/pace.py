"""What limits let a run of nmap do, and when: one host no faster than it bears, nothing outside of time windows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from auditor.model.context import Context
from auditor.model.expectation import HostLimits
from auditor.model.inventory import Viewpoint
from auditor.model.limits import Limits, Window, named, next_opening, open_until
from auditor.model.ports import PortSet
from auditor.model.words import Address
from auditor.scan.nmap import command
from auditor.scan.together import Room

OVER = "the time that --max-duration gives was over"
_TAIL = timedelta(seconds=30)  # before a window closes: the last look, which has to be within it
_LAST_LOOK = timedelta(seconds=60)  # after --max-duration, at most
_PINGS = 8  # probes of one address at most: four kinds, twice
_AT_ONCE = 4  # probes of one silent port within a second, at most
PROCESSES = 32  # runs of one host each, side by side


@dataclass(frozen=True, slots=True)
class Turn:
    """Whether a run may start: `refused` says why not; else it ends after `seconds`, because of `reason`.

    `of_host` is whether that is about one host alone.
    """

    refused: str | None = None
    seconds: float | None = None
    reason: str = ""
    of_host: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    at: datetime
    reason: str
    of_host: bool = False


class Pace:
    """The limits of one viewpoint, and of the hosts that it looks at, while its scan runs.

    `until` is when the audit as a whole has had its time.
    """

    def __init__(
        self, viewpoint: Viewpoint, hosts: Mapping[Address, HostLimits], context: Context, until: datetime | None
    ) -> None:
        self._limits = viewpoint.limits
        self._hosts = hosts
        self._now = context.now
        self._until = until
        self._over = monotonic() + (until - context.now()).total_seconds() if until is not None else 0.0
        self._windows = viewpoint.limits.windows
        now = context.now()
        self._closes = open_until(self._windows, now) if self._windows else None
        self._tail = min(_TAIL, (self._closes - now) / 10) if self._closes else _TAIL
        self._locks: dict[str, asyncio.Lock] = {}
        self._room = Room(viewpoint.limits.hosts) if viewpoint.limits.hosts else None
        self._processes = asyncio.Semaphore(PROCESSES)
        self._began = False

    def parts(self, argv: Sequence[str]) -> list[tuple[str, ...]]:
        """The run as runs that keep to what each host bears; itself where it does.

        A host with a limit gets a run of its own, unless so little is asked that no second can hold too much of it.
        """
        if not self._hosts and not self._limits.host_rate and not self._room:
            return [tuple(argv)]
        options, addresses = command.split(argv)
        if not addresses:  # networks, or all neighbours: whoever makes that command keeps to the limits
            return [tuple(argv)]
        groups: dict[tuple[Address | None, int | None, tuple[Window, ...]], list[Address]] = {}
        for address in addresses:
            rate, windows = self._rate(address), self._of(address).windows
            alone = rate is not None and not _gentle(options, rate)
            groups.setdefault((address if alone else None, rate if alone else None, windows), []).append(address)
        found = []
        for (_, rate, _), members in groups.items():
            asked = command.slowed(options, rate) if rate is not None else options
            found += self._in_groups(asked, members)
        return found

    def _in_groups(self, options: tuple[str, ...], addresses: list[Address]) -> list[tuple[str, ...]]:
        """Pings of a run are of all its hosts at once, whatever its groups are."""
        most = self._limits.hosts
        if most is None:
            return [(*options, *map(str, addresses))]
        size = most if "-sn" in options else len(addresses)
        chunks = [addresses[start : start + size] for start in range(0, len(addresses), size)]
        return [(*command.grouped(options, most), *map(str, chunk)) for chunk in chunks]

    def limited(self, address: Address) -> bool:
        """Whether a second run about this address beside another would break a limit."""
        return bool(self._rate(address) is not None or self._of(address).windows or self._limits.hosts)

    @asynccontextmanager
    async def hosts(self, argv: Sequence[str]) -> AsyncIterator[None]:
        """Hosts with a limit to the run alone, and not too many at once.

        Every run takes them in the same order, so that no two wait for each other.
        """
        options, addresses = command.split(argv)
        async with AsyncExitStack() as stack:
            limited = {self._host(address) for address in addresses if self._rate(address) is not None}
            for host in sorted(limited):
                await stack.enter_async_context(self._locks.setdefault(host, asyncio.Lock()))
            if self._room is not None:
                places = _at_once(options, len(addresses)) if addresses else self._room.places
                await stack.enter_async_context(self._room.take(places))
            yield

    @asynccontextmanager
    async def process(self, _targets: int) -> AsyncIterator[None]:
        """A place among the runs of one host each."""
        async with self._processes:
            yield

    def turn(self, argv: Sequence[str], *, last: bool) -> Turn:
        """Whether the run may start now. `last` is the look at whether paths still stand, for which time is kept.

        Only where something was sent is there anything for it to prove.
        """
        now = self._now()
        first = command.split(argv)[1][:1]
        ends = [*self._ends(now, last=last), *(end for one in first for end in self._host_ends(now, self._of(one)))]
        if not ends:
            self._began = True
            return Turn()
        end = min(ends, key=lambda one: one.at)
        if end.at <= now:
            return Turn(refused=end.reason, of_host=end.of_host)
        self._began = True
        return Turn(seconds=(end.at - now).total_seconds(), reason=end.reason, of_host=end.of_host)

    def _ends(self, now: datetime, *, last: bool) -> Iterator[_End]:
        """When the viewpoint's time is over, or was, or `now` where it has not begun."""
        if self._windows and self._closes is None:
            yield _End(now, _opens(f"outside the {named(self._windows)}", self._windows, now))
        elif self._closes is not None:
            yield _End(self._closes if last else self._closes - self._tail, _closed(self._windows))
        if self._until is not None:
            left = timedelta(seconds=self._over - monotonic())  # a clock that is set back gives no more time
            yield _End(min(self._until, now + left) + (_LAST_LOOK if last and self._began else timedelta()), OVER)

    @staticmethod
    def _host_ends(now: datetime, host: HostLimits) -> Iterator[_End]:
        """The same of the host of a run's first address; all of a run have the same windows."""
        if host.windows:
            closes = open_until(host.windows, now)
            if closes is None:
                yield _End(now, _opens(f"outside its host's {named(host.windows)}", host.windows, now), of_host=True)
            else:
                yield _End(closes, f"its host's {named(host.windows)} closed", of_host=True)

    def _of(self, address: Address) -> HostLimits:
        return self._hosts.get(address) or HostLimits(str(address))

    def _host(self, address: Address) -> str:
        return self._of(address).host

    def _rate(self, address: Address) -> int | None:
        return rate_to(address, self._limits, self._hosts)


def rate_to(address: Address, viewpoint: Limits, hosts: Mapping[Address, HostLimits]) -> int | None:
    """How many packets a second may go to the host of an address; None for any."""
    host = hosts.get(address)
    rates = [rate for rate in (viewpoint.host_rate, host.rate if host else None) if rate is not None]
    return min(rates, default=None)


def _gentle(options: Sequence[str], rate: int) -> bool:
    if "-sV" in options:
        return False
    if "-sn" in options:
        return rate >= _PINGS
    ports = PortSet.parse(options[options.index("-p") + 1])
    return rate >= len(ports) * _AT_ONCE


def _at_once(options: Sequence[str], targets: int) -> int:
    group = int(options[options.index("--max-hostgroup") + 1]) if "--max-hostgroup" in options else targets
    return min(group, targets)


def _opens(outside: str, windows: Sequence[Window], now: datetime) -> str:
    return f"{outside}; it opens next at {next_opening(windows, now):%Y-%m-%dT%H:%MZ}"


def _closed(windows: Sequence[Window]) -> str:
    return f"the {named(windows)} closed"
