"""What the inventory alone gives: breaches of its policy, and waivers that cover nothing any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from auditor.grade.breaches import breach_finding, stale_finding
from auditor.grade.stale import stale, stale_waiver
from auditor.grade.waivers import Waivers
from auditor.model.breach import Breach
from auditor.model.drift import Comparison
from auditor.model.finding import Finding
from auditor.model.inventory import Inventory


@dataclass(frozen=True, slots=True)
class Grades:
    """`findings` are those that no waiver covers, with notices last; `waived` are the others. Sorted."""

    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]


def grade_declared(inventory: Inventory, today: date, breaches: Iterable[Breach]) -> Grades:
    """The findings of the inventory on a day (UTC), without a look at any host."""
    waivers = waivers_of(inventory, today)
    return set_apart(of_breaches(breaches, waivers), waivers, inventory)


def waivers_of(inventory: Inventory, today: date) -> Waivers:
    return Waivers(inventory.waivers, inventory.hosts, today, inventory.policy.max_waiver_days)


def set_apart(
    found: Iterable[Finding], waivers: Waivers, inventory: Inventory, comparisons: Sequence[Comparison] = ()
) -> Grades:
    """The findings, with a notice of each waiver that covered nothing; what a waiver covers is set apart."""
    every = list(found)
    notices = [
        stale_finding(stale_waiver(one), one.last.isoformat()) for one in stale(waivers.held, inventory, comparisons)
    ]
    return Grades(
        findings=_sorted([*(one for one in every if one.waiver is None or one.expired), *notices]),
        waived=_sorted([one for one in every if one.waiver is not None and not one.expired]),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.order))


def of_breaches(
    breaches: Iterable[Breach], waivers: Waivers, chosen: Collection[str] | None = None
) -> Iterator[Finding]:
    """Every breach is shown to the waivers: those of other hosts too are no reason to call a waiver stale."""
    told: set[str] = set()
    for breach in breaches:
        finding = waivers.over(breach, breach_finding(breach))
        reported = chosen is None or breach.host is None or breach.host in chosen
        if reported and finding.fingerprint not in told:
            told.add(finding.fingerprint)
            yield finding
