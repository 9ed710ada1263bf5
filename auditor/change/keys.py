"""One weakened key of the inventory."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.model.change import Change, Written
from auditor.model.inventory import Location, Path, Service
from auditor.model.words import ChangeKind

_SHOWN = 8


def weak(
    head: Written,
    path: Path,
    what: str,
    *,
    rule: str | None = None,
    host: str | None = None,
    service: Service | None = None,
    location: Location | None = None,
    base: Written | None = None,
) -> Change:
    """The key at the path is weakened; `what` says from what to what.

    What is gone is told where HEAD lacks it: `base` had it, and in the same file HEAD would have it.
    """
    if base:
        location = head.where.beside(path, base.where.file(path))
    return Change(
        kind=ChangeKind.WEAKENED,
        host=host,
        service=service,
        rule=rule or head.where.dotted(path),
        what=what,
        location=location or head.where.at(path),
    )


def listed(values: Iterable[object]) -> str:
    """The first few, and how many more."""
    every = [str(value) for value in values]
    row = ", ".join(every[:_SHOWN])
    return row if len(every) <= _SHOWN else f"{row} and {len(every) - _SHOWN} more"
