"""What the inventory itself gives to report: breaches of its policy, and waivers that cover nothing."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.inventory import Location, Service, Waiver
from auditor.model.words import Kind, ServiceClass, Trust


@dataclass(frozen=True, slots=True)
class Breach:
    """Something declared against the policy.

    `rule` is the part of the policy that it breaks, such as `forbid class data-store, trust untrusted`, `require owner`
    or `max_waiver_days`. `what` says in words what breaks it. A breach is by a service of a host, or by a waiver.
    `classes` and `trust` are the service's, worst class first.
    """

    rule: str
    what: str
    host: str | None = None
    service: Service | None = None
    waiver: Waiver | None = None
    classes: tuple[ServiceClass, ...] = ()
    trust: Trust | None = None
    location: Location | None = None

    @property
    def kind(self) -> Kind:
        return Kind.POLICY_BREACH

    @property
    def identity(self) -> str:
        """The rule, and where a waiver breaks it that waiver's match: what tells breaches of one place apart."""
        return f"{self.rule} {self.waiver.match.written}" if self.waiver else self.rule


@dataclass(frozen=True, slots=True)
class StaleWaiver:
    """A waiver that covered nothing, though all that it could cover was looked at.

    `expired` where it has also run out.
    """

    waiver: Waiver
    expired: bool = False

    @property
    def kind(self) -> Kind:
        return Kind.STALE_WAIVER
