"""What `validate` goes through."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from auditor.grade.declared import grade_declared
from auditor.inventory.lint import lint, sight
from auditor.inventory.loading import load_with_places
from auditor.inventory.resolving.policy import breaches
from auditor.model.breach import Breach
from auditor.model.finding import Finding
from auditor.model.lint import JudgedBreach, Validation


def validate(path: Path, today: date) -> Validation:
    """What is to be said about an inventory beside that it is valid. Raises InventoryError where it is not."""
    inventory, places = load_with_places(path)
    graded = grade_declared(inventory, today, breaches(inventory))

    def judged(findings: Iterable[Finding]) -> tuple[JudgedBreach, ...]:
        found = [(one.subject, one) for one in findings]
        return tuple(JudgedBreach(b, places.dotted(places.of_breach(b)), f) for b, f in found if isinstance(b, Breach))

    return Validation(
        inventory=inventory,
        breaches=judged(graded.findings),
        waived=judged(graded.waived),
        lint=lint(inventory, places, today),
        sight=sight(inventory),
    )
