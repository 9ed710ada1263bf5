"""The grade stage: drifts and breaches become findings, and what a waiver covers is set apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from auditor.grade.breaches import breach_finding, stale_finding
from auditor.grade.diagnosis import playbook
from auditor.grade.fingerprint import fingerprint
from auditor.grade.legs import legs, living
from auditor.grade.severity import graded
from auditor.grade.stale import stale, stale_waiver
from auditor.grade.waivers import Part, Waivers
from auditor.model.breach import Breach
from auditor.model.drift import Comparison, Drift
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Inventory
from auditor.model.words import Address, Confidence, Kind


@dataclass(frozen=True, slots=True)
class Grades:
    """`findings` are those that no waiver covers, with notices last; `waived` are the others. Sorted."""

    findings: tuple[Finding, ...]
    waived: tuple[Finding, ...]


def grade(
    comparisons: Sequence[Comparison],
    inventory: Inventory,
    today: date,
    *,
    breaches: Iterable[Breach] = (),
    chosen: Collection[str] | None = None,
) -> Grades:
    """The findings of an audit on a day (UTC), the most severe first.

    `breaches` are all of the inventory's policy; those of hosts other than the `chosen` ones, all by default, are not
    reported. Sorted by severity, then kind, viewpoint, host, interface, family, service, address and port, so that the
    same drifts always give the same bytes.
    """
    waivers = Waivers(inventory.waivers, inventory.hosts, today, inventory.policy.max_waiver_days)
    found = [*_of_drifts(comparisons, inventory.hosts, waivers), *_of_breaches(breaches, waivers, chosen)]
    notices = [
        stale_finding(stale_waiver(one), one.last.isoformat()) for one in stale(waivers.held, inventory, comparisons)
    ]
    return Grades(
        findings=_sorted([*(one for one in found if one.waiver is None or one.expired), *notices]),
        waived=_sorted([one for one in found if one.waiver is not None and not one.expired]),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.order))


def _of_drifts(comparisons: Iterable[Comparison], hosts: Mapping[str, Host], waivers: Waivers) -> Iterator[Finding]:
    for comparison in comparisons:
        alive = living(comparison.scan)
        for drift in comparison.drifts:
            one = fingerprint(drift)
            yield from (_finding(part, one, hosts.get(drift.host), alive) for part in waivers.split(drift, one))


def _finding(part: Part, identity: str, host: Host | None, alive: Collection[Address]) -> Finding:
    drift, result = part.drift, graded(part.drift)
    return Finding(
        fingerprint=identity,
        subject=drift,
        severity=result.severity,
        why=result.why,
        playbook=playbook(drift, host, alive),
        also=result.also,
        service_class=result.service_class,
        confidence=_confidence(drift),
        legs=legs(drift, host, alive),
        waiver=part.waiver,
        expired=part.expired,
    )


def _confidence(drift: Drift) -> Confidence:
    """Confirmed where every observation that makes the drift was made twice; that an address lives, any of them."""
    seen = [outcome.observation for outcome in drift.outcomes]
    again = [observation is not None and observation.attempts >= 2 for observation in seen]
    lives = drift.kind in (Kind.UNKNOWN_HOST, Kind.UNDECLARED_ADDRESS)
    twice = any(again) if lives else bool(again) and all(again)
    return Confidence.CONFIRMED if twice else Confidence.OBSERVED


def _of_breaches(breaches: Iterable[Breach], waivers: Waivers, chosen: Collection[str] | None) -> Iterator[Finding]:
    """Every breach is shown to the waivers: those of other hosts too are no reason to call a waiver stale."""
    told: set[str] = set()
    for breach in breaches:
        finding = waivers.over(breach, breach_finding(breach))
        reported = chosen is None or breach.host is None or breach.host in chosen
        if reported and finding.fingerprint not in told:
            told.add(finding.fingerprint)
            yield finding
