"""What was asked for and what was seen → an audit's verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor import __version__
from auditor.drift.compare import compare
from auditor.grade.findings import grade
from auditor.grade.verdict import verdict
from auditor.inventory.expecting.coverage import choose
from auditor.inventory.resolving.policy import breaches
from auditor.model.audit import Audit, StageError
from auditor.model.context import Context
from auditor.model.drift import Comparison
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory
from auditor.model.observation import Scan
from auditor.model.rotation import Rotation
from auditor.model.words import Profile


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. `options` goes into the report for the record, and so do the times it was `resumed`.

    `rotations` tell by viewpoint when which slice of the undeclared ports was swept. `max_duration` counts from when
    the audit began, or was last resumed. `wait` is whether it waits for others that are at workers of a cluster.
    """

    id: str
    started_at: datetime
    profile: Profile
    hosts: Sequence[str] = ()
    tags: Sequence[str] = ()
    fail_on: Sequence[str] = ()
    allow_unverified: bool = False
    discover: bool = False
    max_duration: timedelta | None = None
    max_age: timedelta | None = None
    wait: bool = False
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    resumed: tuple[datetime, ...] = ()

    @property
    def until(self) -> datetime | None:
        """When the audit as a whole has had its time."""
        return None if self.max_duration is None else max((self.started_at, *self.resumed)) + self.max_duration


def judge(
    inventory: Inventory,
    expected: Iterable[Expectations],
    scans: Iterable[Scan],
    request: Request,
    context: Context,
) -> Audit:
    comparisons = tuple(map(compare, expected, scans))
    now = context.now()
    chosen = choose(inventory, request.hosts, request.tags)
    graded = grade(comparisons, inventory, now.date(), breaches=breaches(inventory), chosen=chosen)
    errors = (
        *(StageError("resolve", str(one)) for one in inventory.unresolved if one.host in chosen),
        *(StageError("scan", f"{c.viewpoint.name}: {error}") for c in comparisons for error in _errors(c)),
        *(StageError("clock", problem) for problem in _clock(request, now)),
    )
    return Audit(
        id=request.id,
        started_at=request.started_at,
        finished_at=now,
        auditor_version=__version__,
        profile=request.profile,
        inventory=inventory,
        comparisons=comparisons,
        findings=graded.findings,
        waived=graded.waived,
        verdict=verdict(
            graded.findings, comparisons, errors, fail_on=request.fail_on, allow_unverified=request.allow_unverified
        ),
        errors=errors,
        options=request.options,
        resumed=request.resumed,
    )


def _clock(request: Request, now: datetime) -> Iterator[str]:
    """A clock that went back makes every time in the report doubtful, and whether a waiver has expired."""
    began = max((request.started_at, *request.resumed))
    if now < began:
        yield (
            f"the clock was set back: by it the audit began, or went on, at {began:%Y-%m-%dT%H:%M:%SZ} and ended at "
            f"{now:%Y-%m-%dT%H:%M:%SZ}; times in this report, and which waivers hold, cannot be relied on"
        )


def _errors(comparison: Comparison) -> Iterator[str]:
    if not comparison.outcomes:
        yield "nothing is left to look at, so nothing is verified"
    if comparison.scan.failure:
        yield comparison.scan.failure
    yield from comparison.scan.errors
