"""What each check says, before it is known in which line that stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.inventory.text import clean
from auditor.model.inventory import Path


@dataclass(frozen=True, slots=True)
class Note:
    rule: str
    path: Path
    message: str


def some(names: Iterable[str], most: int = 3) -> str:
    """Names in a row, at most so many, and how many more."""
    every = list(names)
    row = ", ".join(clean(name) for name in every[:most])
    return row if len(every) <= most else f"{row} and {len(every) - most} more"


def counted(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
