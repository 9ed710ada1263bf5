"""Drift graded: class, severity, diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.model.drift import Drift
from auditor.model.words import Confidence, ServiceClass, Severity


@dataclass(frozen=True, slots=True)
class Leg:
    """One of listening, allowed, routed: `yes`, `no` or `unknown`, and on what evidence."""

    state: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Playbook:
    """Which playbook of the catalogue, and what fills its placeholders. The values may be hostile text."""

    id: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to act on. `severity` is the highest that applies, `also` the rest, `why` one sentence."""

    fingerprint: str
    drift: Drift
    severity: Severity
    why: str
    playbook: Playbook
    also: tuple[Severity, ...] = ()
    service_class: ServiceClass | None = None
    confidence: Confidence | None = None
    legs: Mapping[str, Leg] | None = None  # listening, allowed, routed

    @property
    def order(self) -> tuple[object, ...]:
        """What lists of findings are sorted by: the most severe first, then kind and place."""
        drift = self.drift
        return (
            self.severity.rank,
            drift.kind,
            drift.viewpoint.name,
            drift.host,
            drift.interface or "",
            drift.family,
            drift.service.name if drift.service else "",
            str(drift.address or ""),
            min(((o.expectation.protocol, o.ports.first) for o in drift.outcomes), default=("", -1)),
            self.fingerprint,
        )
