"""A waiver → its entry in the report document."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from auditor.model.inventory import SOON, Location, Waiver
from auditor.report.plain import Document, present


@dataclass(frozen=True, slots=True)
class Day:
    """The day of the report (UTC), and for how many days the policy lets a waiver run."""

    today: date
    most_days: int | None = None


def waiver_entry(waiver: Waiver, day: Day | None = None) -> Document:
    """The waiver as plain data. Without a day nothing is told that depends on it."""
    last = waiver.last_day(day.most_days if day else None)
    left = (last - day.today).days if day else -1
    return present(
        match=json.loads(waiver.match.written),
        severity=waiver.severity.value if waiver.severity else None,
        reason=waiver.reason,
        owner=waiver.owner,
        ticket=waiver.ticket,
        since=waiver.since.isoformat(),
        expires=waiver.expires.isoformat(),
        covered_until=last.isoformat() if last != waiver.expires else None,
        expires_in_days=left if 0 <= left <= SOON else None,
        declared_at=at(waiver.location),
    )


def at(location: Location | None) -> Document | None:
    return {"file": location.file, "line": location.line} if location else None
