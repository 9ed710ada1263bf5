"""What `gate` goes through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from auditor import __version__
from auditor.change.changing import changes
from auditor.change.stricter import new_breaches, readings, united
from auditor.grade.gains import grade_changes
from auditor.grade.gate import gate_verdict
from auditor.inventory.reading.cycles import no_cycles
from auditor.inventory.resolving.policy import breaches
from auditor.model.change import Written
from auditor.model.gate import Gate, Side


def gate(
    base: tuple[str, Written],
    head: tuple[str, Written],
    fail_on: Sequence[str],
    today: date,
    *,
    asked: str | None = None,
) -> Gate:
    """Judge what the step from BASE to HEAD, each with its path, does to exposure. Looks at nothing else.

    `asked` is where BASE was looked for, if it was found elsewhere.
    """
    before, after = base[1].inventory, head[1].inventory
    policy = united(before.policy, after.policy)
    with no_cycles():
        known, judged = ([b for one in side for b in breaches(one, policy)] for side in readings(before, after, policy))
        broken = new_breaches(known, judged, before, after)
        graded = grade_changes(changes(base[1], head[1]), broken, before, after, today)
    return Gate(
        auditor_version=__version__,
        date=today,
        base=Side(base[0], before, asked),
        head=Side(head[0], after),
        findings=graded.findings,
        waived=graded.waived,
        verdict=gate_verdict(graded.findings, fail_on),
    )
