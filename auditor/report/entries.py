"""A finding → its entry in the report document."""

from __future__ import annotations

from collections.abc import Mapping

from auditor.model.drift import Drift
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Location
from auditor.model.observation import Identity, Observation
from auditor.model.ports import PortSet
from auditor.model.words import Kind
from auditor.report.plain import Document, place, present, timestamp

_LEGS = ("routed", "allowed", "listening")  # the order in which traffic meets them
_NO_ENDPOINT_EXPECTED = frozenset({Kind.UNKNOWN_HOST, Kind.ALL_PORTS_OPEN})


def entry(finding: Finding, hosts: Mapping[str, Host]) -> Document:
    """The finding as plain data. `owner` is the service's, else the host's."""
    drift, host = finding.drift, hosts.get(finding.drift.host)
    owner = (drift.service.owner if drift.service else None) or (host.owner if host else None)
    observations = [outcome.observation for outcome in drift.outcomes if outcome.observation is not None]
    return present(
        fingerprint=finding.fingerprint,
        kind=drift.kind.value,
        severity=finding.severity.value,
        rank=finding.severity.rank,
        also=[severity.value for severity in sorted(finding.also, key=lambda severity: severity.rank)],
        why=finding.why,
        confidence=finding.confidence.value if finding.confidence else None,
        **{"class": finding.service_class.value if finding.service_class else None},
        viewpoint=drift.viewpoint.name,
        host=drift.host,
        interface=drift.interface,
        family=drift.family.value,
        family_gap=drift.family_gap or None,
        service=drift.service.name if drift.service else None,
        owner=owner,
        tags=list(host.tags) if host and host.tags else None,
        address=str(drift.address) if drift.address else None,
        endpoints=_endpoints(drift),
        expected=_expected(drift, host),
        observed=_observed(observations),
        attempts=min((observation.attempts for observation in observations), default=None),
        legs=_legs(finding),
        playbook={"id": finding.playbook.id, "values": dict(sorted(finding.playbook.values.items()))},
    )


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
        declared_at=_declared_at(location),
    )


def _declared_at(location: Location | None) -> Document | None:
    return {"file": location.file, "line": location.line} if location else None


def _observed(observations: list[Observation]) -> Document | None:
    """The observation that says most: one whose service was recognised, else any that names one, else the first."""
    if not observations:
        return None
    best = max(observations, key=_telling)
    identity = best.identity
    return present(
        service=_service(identity) if identity else None,
        banner=(identity.banner or None) if identity else None,
        at=timestamp(best.at),
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
