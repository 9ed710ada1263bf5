"""What each check says, before it is known in which line that stands."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.inventory import Path

FEW = 3  # names in one message


@dataclass(frozen=True, slots=True)
class Note:
    rule: str
    path: Path
    message: str
