"""One run, whole: what every report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from auditor.model.drift import Comparison
from auditor.model.finding import Finding
from auditor.model.inventory import Inventory
from auditor.model.words import Profile


@dataclass(frozen=True, slots=True)
class StageError:
    """A stage that failed in part; the audit goes on, plainly incomplete."""

    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`result` is `clean`, `drift` or `incomplete` and looks at all unwaived findings; `exit_code` heeds `fail_on` too.

    `complete` is true where nothing of the coverage is unverified and no stage failed.
    """

    result: str
    complete: bool
    fail_on: tuple[str, ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class Audit:
    """Times are UTC. `options` are those that the user gave, by name, for the record.
    `resumed` are the times at which it went on after an interruption.

    `findings` are those that no waiver covers, notices among them; `waived` are the others, each with its waiver.
    """

    id: str
    started_at: datetime
    finished_at: datetime
    auditor_version: str
    profile: Profile
    inventory: Inventory
    comparisons: tuple[Comparison, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    waived: tuple[Finding, ...] = ()
    errors: tuple[StageError, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    resumed: tuple[datetime, ...] = ()
