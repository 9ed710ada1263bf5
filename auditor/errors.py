"""Every error that the auditor raises on purpose.

AuditorError                  something the user can act on; the command line prints it without a traceback
├── InventoryError            the inventory cannot be used; carries every problem found
├── UsageError                an option or argument asks for something that cannot be
├── EvidenceError             saved evidence (nmap XML, a stored report) cannot be read
├── TransportError            a viewpoint cannot run commands
└── RunError                  a run folder cannot be written
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong in an inventory: where it stands, what it is and what would be right.

    `line` and `column` count from 1; 0 means the file as a whole. `path` is dotted, as in `hosts.web-1.services`. `id`
    is the kind of fault, which `auditor explain` knows.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    id: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        told = f"{self.path}: {self.message}" if self.path else self.message
        return f"{where}: {told} [{self.id}]"


class AuditorError(Exception):
    """The root: an error that the user can act on."""


class InventoryError(AuditorError):
    """The inventory cannot be used. `problems` holds all that is wrong with it, sorted by place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UsageError(AuditorError):
    """An option or argument asks for something that cannot be."""


class EvidenceError(AuditorError):
    """Saved evidence cannot be read."""


class TransportError(AuditorError):
    """A viewpoint cannot run commands."""


class RunError(AuditorError):
    """A run folder cannot be written."""
