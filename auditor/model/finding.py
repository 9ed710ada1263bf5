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
