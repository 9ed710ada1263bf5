"""A finding → its entry in the report document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from auditor.model.breach import Breach, StaleWaiver
from auditor.model.change import Change
from auditor.model.drift import Drift
from auditor.model.finding import Finding, Subject
from auditor.model.inventory import Host, Waiver
from auditor.model.observation import UNDATED, Identity, Observation
from auditor.model.ports import PortSet
from auditor.model.words import ChangeKind, Kind
from auditor.report.plain import Document, place, present, timestamp
from auditor.report.waivers import Day, at, waiver_entry

_LEGS = ("routed", "allowed", "listening")  # the order in which traffic meets them
_NO_ENDPOINT_EXPECTED = frozenset(
    {Kind.UNKNOWN_HOST, Kind.ALL_PORTS_OPEN, Kind.ANSWERS_FOR_OTHERS, Kind.UNDECLARED_ADDRESS}
)


def entry(finding: Finding, hosts: Mapping[str, Host], day: Day | None = None) -> Document:
    """The finding as plain data. `owner` is the service's, else the host's, else that of the waiver it is about.

    `day` is the day of the report, which decides whether a waiver is about to expire.
    """
    host, service, subject = hosts.get(finding.host or ""), finding.service, finding.subject
    waiver = None if isinstance(subject, Drift | Change) else subject.waiver
    owner = (service.owner if service else None) or (host.owner if host else None) or (waiver.owner if waiver else None)
    return present(
        fingerprint=finding.fingerprint,
        kind=finding.kind.value,
        severity=finding.severity.value,
        rank=finding.severity.rank,
        also=[severity.value for severity in sorted(finding.also, key=lambda severity: severity.rank)],
        why=finding.why,
        confidence=finding.confidence.value if finding.confidence else None,
        **{"class": finding.service_class.value if finding.service_class else None},
        viewpoint=finding.viewpoint,
        host=finding.host,
        **_place(subject),
        service=service.name if service else None,
        owner=owner,
        tags=list(host.tags) if host and host.tags else None,
        rule=finding.rule or None,
        **_of_subject(subject, host),
        legs=_legs(finding),
        playbook={"id": finding.playbook.id, "values": dict(sorted(finding.playbook.values.items()))},
        **_waivers(finding, waiver, day),
    )


def _waivers(finding: Finding, about: Waiver | None, day: Day | None) -> Document:
    """The waiver that covers the finding, the one that did until it expired, and the one that the finding is about."""
    covering = waiver_entry(finding.waiver, day) if finding.waiver else None
    return {
        "waiver": None if finding.expired else covering,
        "expired_waiver": covering if finding.expired else None,
        "about_waiver": waiver_entry(about, day) if about else None,
    }


def _place(subject: Subject) -> Document:
    if not isinstance(subject, Drift):
        return {}
    return {
        "interface": subject.interface,
        "family": subject.family.value,
        "family_gap": subject.family_gap or None,
    }


def _of_subject(subject: Subject, host: Host | None) -> Document:
    match subject:
        case Drift():
            return _of_drift(subject, host)
        case Change():
            return _of_change(subject)
        case Breach():
            return {"declared_at": at(subject.location), "endpoints": []}
        case StaleWaiver():
            return {"declared_at": at(subject.waiver.location), "endpoints": []}
        case _:
            assert_never(subject)


def _of_drift(drift: Drift, host: Host | None) -> Document:
    observations = [outcome.observation for outcome in drift.outcomes if outcome.observation is not None]
    return {
        "address": str(drift.address) if drift.address else None,
        "addresses": [str(address) for address in drift.addresses] or None,
        "prefix": str(drift.prefix) if drift.prefix else None,
        "endpoints": _endpoints(drift),
        "expected": _expected(drift, host),
        "observed": _observed(observations),
        "attempts": min((observation.attempts for observation in observations), default=None),
    }


def _of_change(change: Change) -> Document:
    rows = [
        {
            "address": str(one.address),
            "protocol": one.protocol.value,
            "ports": str(one.ports),
            "gained": [str(network) for network in one.gained],
            "lost": [str(network) for network in one.lost],
        }
        for one in change.endpoints
    ]
    weakened = change.kind is ChangeKind.WEAKENED
    sources = {"gained": [str(network) for network in change.gained], "lost": [str(network) for network in change.lost]}
    return {
        "sources": None if weakened else sources,
        "declared_at": at(change.location),
        "endpoints": rows,
    }


def _endpoints(drift: Drift) -> list[Document]:
    """One row for each address, protocol, state and reason; where nothing was observed, the audit's own reason."""
    bits: dict[tuple[str, str, str | None, str], int] = {}
    for outcome in drift.outcomes:
        seen = outcome.observation
        state, reason = (seen.state.value, seen.reason) if seen else (None, outcome.reason)
        key = str(outcome.expectation.address), outcome.expectation.protocol.value, state, reason
        bits[key] = bits.get(key, 0) | outcome.ports.bits
    rows = [
        present(address=address, protocol=protocol, ports=str(PortSet(ports)), state=state, reason=reason)
        for (address, protocol, state, reason), ports in bits.items()
    ]
    return sorted(rows, key=lambda row: (place(row["address"]), row["protocol"], row.get("state", ""), row["reason"]))


def _expected(drift: Drift, host: Host | None) -> Document | None:
    """What the inventory wants there; an address as a whole, undeclared or all open, has no expectation of its own."""
    if drift.kind in _NO_ENDPOINT_EXPECTED or not drift.outcomes:
        return None
    first, service = drift.outcomes[0].expectation, drift.service
    location = service.location if service else (host.location if host and drift.address else None)
    return present(
        state=first.state.value,
        **{"from": [source.name for source in service.sources] if service else None},
        declared_at=at(location),
    )


def _observed(observations: list[Observation]) -> Document | None:
    """The observation that says most: one whose service was recognised, else any that names one, else the first."""
    if not observations:
        return None
    best = max(observations, key=_telling)
    identity = best.identity
    return present(
        service=_service(identity) if identity else None,
        banner=(identity.banner or None) if identity else None,
        at=timestamp(best.at) if best.at != UNDATED else None,
    )


def _telling(observation: Observation) -> int:
    identity = observation.identity
    return 0 if identity is None else 2 if identity.probed else 1


def _service(identity: Identity) -> Document:
    return present(
        name=identity.name,
        product=identity.product or None,
        version=identity.version or None,
        extra=identity.extra or None,
        tunnel=identity.tunnel or None,
        method=identity.method,
    )


def _legs(finding: Finding) -> Document | None:
    if not finding.legs:
        return None
    return {
        name: {"state": finding.legs[name].state, "evidence": finding.legs[name].evidence}
        for name in _LEGS
        if name in finding.legs
    }
