"""One look at a change of the inventory, whole: what the gate's document is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from auditor.model.finding import Finding
from auditor.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Side:
    """BASE or HEAD. `path` is as the user gave it, a path or `git:REV:PATH`, unless the change moved the inventory.

    Then it is where that was, and `asked` is as the user gave it.
    """

    path: str
    inventory: Inventory
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """`result` is `fail` where the exit code is 1, else `pass`."""

    result: str
    fail_on: tuple[str, ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Gate:
    """`date` is the day, UTC, by which waivers were judged. `findings` are those that no waiver covers."""

    auditor_version: str
    date: date
    base: Side
    head: Side
    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]
    verdict: GateVerdict
