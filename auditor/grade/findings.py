"""The grade stage: drifts and breaches become findings, and what a waiver covers is set apart."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

from auditor.grade.declared import Grades, of_breaches, set_apart, waivers_of
from auditor.grade.diagnosis import playbook
from auditor.grade.fingerprint import fingerprint
from auditor.grade.legs import legs, living
from auditor.grade.severity import graded
from auditor.grade.waivers import Part, Waivers
from auditor.model.breach import Breach
from auditor.model.drift import Comparison, Drift
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Inventory
from auditor.model.words import Address, Confidence, Kind


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
    waivers = waivers_of(inventory, today)
    found = [*_of_drifts(comparisons, inventory.hosts, waivers), *of_breaches(breaches, waivers, chosen)]
    return set_apart(found, waivers, inventory, comparisons)


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
