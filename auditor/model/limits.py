"""How hard and when to probe: packets a second to one host, hosts at once, time windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EVERY_DAY = frozenset(range(7))
_AHEAD = 9  # days to look ahead: a week, and a day more on either side for time zones


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day in which probes may be sent, by the wall clock of its zone.

    It closes on the next day where `closes` is not after `opens`; `closes` None is the end of the day. `days` are those
    on which it opens, Monday being 0. `written` is the window as the inventory has it.
    """

    written: str
    opens: time
    closes: time | None
    zone: ZoneInfo
    days: frozenset[int] = _EVERY_DAY

    def spans(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """From when to when it is open, in UTC, from the day before `now` on: times of the clock, so as DST has it."""
        today = now.astimezone(self.zone).date()
        for ahead in range(-1, _AHEAD):
            day = today + timedelta(days=ahead)
            if day.weekday() in self.days:
                last = day if self.closes and self.closes > self.opens else day + timedelta(days=1)
                begin = datetime.combine(day, self.opens, self.zone)
                end = datetime.combine(last, self.closes or time(), self.zone)
                yield begin.astimezone(UTC), end.astimezone(UTC)


def open_until(windows: Sequence[Window], now: datetime) -> datetime | None:
    """When the last of the windows that are open now, or adjoin those, closes; None where none is open."""
    spans = sorted(span for window in windows for span in window.spans(now))
    until = None
    for begin, end in spans:
        if begin <= (until or now) < end:
            until = end
    return until


def next_opening(windows: Sequence[Window], now: datetime) -> datetime:
    """When the first of the windows opens that is not open yet. There must be one."""
    return min(begin for window in windows for begin, _ in window.spans(now) if begin > now)


def named(windows: Sequence[Window]) -> str:
    """`time window 22:00-06:00 Europe/Berlin`."""
    return f"time window{'s' if len(windows) > 1 else ''} {', '.join(one.written for one in windows)}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a viewpoint, beside its rate, or of a host. None, and no windows, is no limit.

    `host_rate` is packets a second to one host from one viewpoint; `hosts` is how many are probed at once.
    """

    host_rate: int | None = None
    hosts: int | None = None
    windows: tuple[Window, ...] = ()


NO_LIMITS = Limits()
