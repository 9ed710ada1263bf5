"""The grade stage: every drift becomes one finding."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from auditor.grade.diagnosis import playbook
from auditor.grade.fingerprint import fingerprint
from auditor.grade.legs import legs, living
from auditor.grade.severity import graded
from auditor.model.drift import Comparison, Drift
from auditor.model.finding import Finding
from auditor.model.inventory import Host
from auditor.model.words import Address, Confidence


def grade(comparisons: Sequence[Comparison], hosts: Mapping[str, Host]) -> tuple[Finding, ...]:
    """The findings of an audit, the most severe first.

    `hosts` are the inventory's, by name. Sorted by severity, then kind, viewpoint, host, interface, family, service,
    address and port, so that the same drifts always give the same bytes.
    """
    findings = []
    for comparison in comparisons:
        alive = living(comparison.scan)
        findings += [_finding(drift, hosts.get(drift.host), alive) for drift in comparison.drifts]
    return tuple(sorted(findings, key=lambda finding: finding.order))


def _finding(drift: Drift, host: Host | None, alive: Collection[Address]) -> Finding:
    result = graded(drift)
    return Finding(
        fingerprint=fingerprint(drift),
        subject=drift,
        severity=result.severity,
        why=result.why,
        playbook=playbook(drift, host, alive),
        also=result.also,
        service_class=result.service_class,
        confidence=_confidence(drift),
        legs=legs(drift, host, alive),
    )


def _confidence(drift: Drift) -> Confidence:
    """Confirmed where every observation that makes the drift was made twice."""
    seen = [outcome.observation for outcome in drift.outcomes]
    twice = bool(seen) and all(observation is not None and observation.attempts >= 2 for observation in seen)
    return Confidence.CONFIRMED if twice else Confidence.OBSERVED
