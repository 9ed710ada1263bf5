"""How long ago something was, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_SKEW = timedelta(minutes=1)  # that clocks may differ by
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def spelled(duration: timedelta) -> str:
    """`3 days`, `1 hour`, `0 seconds`: whole units of the largest that fits."""
    seconds = max(0, int(duration.total_seconds()))
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), _UNITS[-1])
    count = seconds // size
    return f"{count} {unit}{'' if count == 1 else 's'}"


def ago(now: datetime, then: datetime) -> str:
    """`3 days ago (2026-11-21T02:00Z)`."""
    return f"{spelled(now - then)} ago ({then:%Y-%m-%dT%H:%MZ})"


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old evidence may be, seen from `now`; `most` is None where any age will do.

    What was seen later than now, beyond what clocks differ by, tells that one of the clocks is wrong, and so nothing of
    its age, whatever may be.
    """

    now: datetime
    most: timedelta | None

    def future(self, at: datetime | None) -> str | None:
        """Why what is said to have been seen at that time counts for nothing; None where it does not lie ahead."""
        if at is None or at - self.now <= _SKEW:
            return None
        return f"from the future: a clock is wrong: seen {at:%Y-%m-%dT%H:%MZ}, {spelled(at - self.now)} from now"

    def stale(self, at: datetime | None) -> str | None:
        """Why what was seen at that time counts no more; None where it does."""
        if self.most is None:
            return None
        if at is None:
            return "of unknown age: the evidence does not say when it was seen, and --max-age asks for it"
        if self.now - at > self.most:
            return f"too old: seen {ago(self.now, at)}, and --max-age is {spelled(self.most)}"
        return None
