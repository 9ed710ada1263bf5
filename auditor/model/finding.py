"""Drift and changes graded: class, severity, diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from auditor.model.breach import Breach, StaleWaiver
from auditor.model.change import Change
from auditor.model.drift import Drift
from auditor.model.inventory import Service, Waiver
from auditor.model.words import NOTICES, ChangeKind, Confidence, Kind, ServiceClass, Severity

Subject = Drift | Change | Breach | StaleWaiver


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
    """One thing to act on. `severity` is the highest that applies, `also` the rest, `why` one sentence.

    `waiver` is the one that covers it, or with `expired` the one that did.
    """

    fingerprint: str
    subject: Subject
    severity: Severity
    why: str
    playbook: Playbook
    also: tuple[Severity, ...] = ()
    service_class: ServiceClass | None = None
    confidence: Confidence | None = None
    legs: Mapping[str, Leg] | None = None  # listening, allowed, routed
    waiver: Waiver | None = None
    expired: bool = False

    @property
    def kind(self) -> Kind | ChangeKind:
        return self.subject.kind

    @property
    def viewpoint(self) -> str | None:
        return self.subject.viewpoint.name if isinstance(self.subject, Drift) else None

    @property
    def host(self) -> str | None:
        return None if isinstance(self.subject, StaleWaiver) else self.subject.host

    @property
    def service(self) -> Service | None:
        return None if isinstance(self.subject, StaleWaiver) else self.subject.service

    @property
    def rule(self) -> str:
        """What is broken, weakened or matches nothing; "" for the kinds that have no rule."""
        match self.subject:
            case Drift():
                return ""
            case Change():
                return self.subject.rule
            case Breach():
                return self.subject.identity
            case StaleWaiver():
                return self.subject.waiver.match.written
            case _:
                assert_never(self.subject)

    @property
    def notice(self) -> bool:
        """Whether it is only listed: no part of the result, nor of the exit code unless it is asked for by name."""
        return self.kind in NOTICES

    @property
    def order(self) -> tuple[object, ...]:
        """What lists of findings are sorted by: the most severe first, then kind and place; notices last."""
        drift = self.subject if isinstance(self.subject, Drift) else None
        return (
            self.notice,
            self.severity.rank,
            self.kind,
            self.viewpoint or "",
            self.host or "",
            (drift.interface if drift else "") or "",
            drift.family if drift else "",
            self.service.name if self.service else "",
            str((drift.address if drift else "") or ""),
            min(((o.expectation.protocol, o.ports.first) for o in drift.outcomes), default=("", -1))
            if drift
            else ("", -1),
            self.rule,
            self.fingerprint,
        )
