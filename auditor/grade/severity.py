"""Class and severity of a drift, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.catalogue.lookup import Classification, classify
from auditor.model.drift import Drift, Outcome
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import ABOUT_AN_ADDRESS, Kind, PortState, Protocol, ServiceClass, Severity

_TABLE: dict[ServiceClass, tuple[tuple[Severity, ...], tuple[Severity, ...]]] = {
    # class: (from an untrusted viewpoint, from a foothold), the highest first
    ServiceClass.REMOTE_ADMIN: ((Severity.DIRECT_COMPROMISE,), (Severity.LATERAL_MOVEMENT,)),
    ServiceClass.DATA_STORE: (
        (Severity.DIRECT_COMPROMISE, Severity.DATA_EXPOSURE),
        (Severity.DATA_EXPOSURE, Severity.LATERAL_MOVEMENT),
    ),
    ServiceClass.DEV_DEBUG: ((Severity.DIRECT_COMPROMISE,), (Severity.LATERAL_MOVEMENT,)),
    ServiceClass.PUBLIC_WEB: ((Severity.CONTROL_BYPASS,), (Severity.CONTROL_BYPASS,)),
    ServiceClass.DIAGNOSTICS: ((Severity.INTERNAL_RECON,), (Severity.INTERNAL_RECON,)),
    ServiceClass.UDP: ((Severity.INTERNAL_RECON,), (Severity.INTERNAL_RECON,)),
    ServiceClass.UNCLASSIFIED: (
        (Severity.INTERNAL_RECON, Severity.OPERATIONAL_DRIFT),
        (Severity.OPERATIONAL_DRIFT,),
    ),
}

CONSEQUENCE: dict[Severity, str] = {
    Severity.DIRECT_COMPROMISE: "whoever reaches it can try to take it over",
    Severity.CONTROL_BYPASS: "the controls that should stand before it are bypassed",
    Severity.DATA_EXPOSURE: "what it holds can be read",
    Severity.INTERNAL_RECON: "it tells strangers about the inside",
    Severity.LATERAL_MOVEMENT: "an intruder there can move on through it",
    Severity.OPERATIONAL_DRIFT: "it is not as declared",
}

DECIDED_BY: dict[str, str] = {
    "product": "by its product",
    "protocol": "by its protocol",
    "declared": "as declared",
    "port": "by its port number alone",
    "http": "since it speaks plain HTTP",
    "none": "nothing identifies it",
    "unknown": "recognised, and not known to the catalogue",
}

_NOT_EXPOSED: dict[Kind, str] = {
    Kind.SERVICE_REFUSED: "{service} should be reachable from {viewpoint} and is refused: "
    "its clients are cut off, nothing is exposed.",
    Kind.SERVICE_FILTERED: "{service} should be reachable from {viewpoint} and is filtered: "
    "its clients are cut off, nothing is exposed.",
    Kind.HOST_UNREACHABLE: "{host} gives no sign of life at {address} from {viewpoint}: "
    "its clients are cut off, nothing is exposed.",
    Kind.ALL_PORTS_OPEN: "Nearly every port of {address} answers from {viewpoint}: "
    "a device answers in its place, and what is open behind it cannot be told.",
    Kind.ANSWERS_FOR_OTHERS: "Something on the way from {viewpoint} answers for addresses of {host} that nobody has: "
    "what it answers for proves neither a host nor a service there.",
    Kind.UNKNOWN_HOST: "Something answers at {address} from {viewpoint} and no host declares it: "
    "nobody is known to look after it.",
    Kind.UNDECLARED_ADDRESS: "{host} answers at {addresses} from {viewpoint}, and nothing declares that it may: "
    "what is declared, and what is filtered, is about its other addresses.",
    Kind.BOUNDARY_LEAK: "Ports of {host} that the boundary should drop answer {viewpoint} as closed: "
    "they tell strangers what exists behind it.",
}

EXPOSED = frozenset(
    {Kind.WRONG_SERVICE, Kind.WRONG_FAMILY, Kind.OUTSIDE_SOURCE_RANGE, Kind.WRONG_INTERFACE, Kind.UNDECLARED_PORT}
)
_ADDRESS_OR_BOUNDARY = ABOUT_AN_ADDRESS | {Kind.BOUNDARY_LEAK}


@dataclass(frozen=True, slots=True)
class Graded:
    """The highest severity, the rest, why, and the class; None where the kind has no class."""

    severity: Severity
    also: tuple[Severity, ...]
    why: str
    service_class: ServiceClass | None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    protocol: Protocol
    port: int
    identity: Identity | None
    found: Classification
    severities: tuple[Severity, ...]


def by_port(drift: Drift, outcome: Outcome) -> Iterator[tuple[PortSet, Severity, tuple[ServiceClass, ...]]]:
    """Severity and classes of each endpoint of an outcome by itself; over UDP also the class that it is graded as."""
    if drift.kind in _ADDRESS_OR_BOUNDARY:
        yield outcome.ports, without_class(drift.kind), ()
        return
    identity = outcome.observation.identity if outcome.observation else None
    for port in outcome.ports:
        endpoint = _endpoint(drift, outcome.expectation.protocol, port, identity)
        severity = endpoint.severities[0] if drift.kind in EXPOSED else Severity.OPERATIONAL_DRIFT
        yield PortSet.of(port), severity, (endpoint.found.service_class, endpoint.found.graded_as)


def without_class(kind: Kind) -> Severity:
    """The severity of the kinds about a whole address or boundary."""
    return Severity.INTERNAL_RECON if kind is Kind.BOUNDARY_LEAK else Severity.OPERATIONAL_DRIFT


def graded(drift: Drift) -> Graded:
    """Class and severity of one drift; where its endpoints differ, the worst of them gives both."""
    if drift.kind in _ADDRESS_OR_BOUNDARY:
        return Graded(without_class(drift.kind), (), _not_exposed(drift), None)
    if drift.kind not in EXPOSED:
        declared = _endpoints(drift)[0].found.service_class
        return Graded(Severity.OPERATIONAL_DRIFT, (), _not_exposed(drift), declared)
    endpoints = _endpoints(drift)
    worst = min(endpoints, key=lambda endpoint: endpoint.severities[0].rank)
    every = {severity for endpoint in endpoints for severity in endpoint.severities}
    also = tuple(sorted(every - {worst.severities[0]}, key=lambda severity: severity.rank))
    return Graded(worst.severities[0], also, _why(drift, worst), worst.found.service_class)


def _endpoints(drift: Drift) -> list[_Endpoint]:
    """The endpoints that decide: the open ones where something is exposed, else all; by protocol and port."""
    exposed = drift.kind in EXPOSED
    deciding = [o for o in drift.outcomes if not exposed or _is_open(o)] or list(drift.outcomes)
    pairs = {
        (outcome.expectation.protocol, port, outcome.observation.identity if outcome.observation else None)
        for outcome in deciding
        for port in outcome.ports
    }
    ordered = sorted(pairs, key=lambda pair: (pair[0], pair[1], repr(pair[2])))
    return [_endpoint(drift, *pair) for pair in ordered]


def _is_open(outcome: Outcome) -> bool:
    return outcome.observation is not None and outcome.observation.state is PortState.OPEN


def _endpoint(drift: Drift, protocol: Protocol, port: int, identity: Identity | None) -> _Endpoint:
    # A wrong service is graded as what answers, so what was declared there says nothing about it.
    usable = drift.service is not None and drift.kind is not Kind.WRONG_SERVICE
    declared = drift.service.declared_class if drift.service is not None and usable else None
    found = classify(protocol, port, identity, declared)
    return _Endpoint(protocol, port, identity, found, _severities(drift, found))


def _severities(drift: Drift, found: Classification) -> tuple[Severity, ...]:
    untrusted = drift.viewpoint.untrusted
    override = found.entry.severity.get("untrusted" if untrusted else "foothold") if found.entry else None
    return severities_of(found.graded_as, untrusted=untrusted, past_front=_past_its_front(drift), override=override)


def exposed(found: Classification, *, untrusted: bool) -> tuple[Severity, ...]:
    """What a service that nobody declares amounts to where it is reachable, the highest severity first."""
    override = found.entry.severity.get("untrusted" if untrusted else "foothold") if found.entry else None
    return severities_of(found.graded_as, untrusted=untrusted, override=override)


def severities_of(
    service_class: ServiceClass, *, untrusted: bool, past_front: bool = False, override: Severity | None = None
) -> tuple[Severity, ...]:
    """What a class amounts to, the highest severity first; `override` is the catalogue's.

    `past_front` says that it is reached past the service that should stand before it.
    """
    severities = (override,) if override else _TABLE[service_class][0 if untrusted else 1]
    if past_front:
        severities = (*severities, Severity.CONTROL_BYPASS)
    return tuple(sorted(set(severities), key=lambda severity: severity.rank))


def _past_its_front(drift: Drift) -> bool:
    """Whether a service is reachable past the one that it is declared to stand behind."""
    return drift.service is not None and drift.service.behind is not None and drift.kind is not Kind.WRONG_SERVICE


def _why(drift: Drift, worst: _Endpoint) -> str:
    found, service = worst.found, drift.service
    label = _label(worst.identity) or (service.name if service else "A service")
    graded_as = f"{found.service_class}, graded as {found.as_class}" if found.as_class else str(found.service_class)
    what = f"{label} on {worst.port}/{worst.protocol} ({graded_as}, {DECIDED_BY[found.decided_by]})"
    if drift.kind is Kind.WRONG_SERVICE and service:
        what += f" answers in place of {service.name} ({_contradiction(drift, worst)})"
    else:
        what += " is reachable"
    place = "an untrusted viewpoint" if drift.viewpoint.untrusted else "a foothold"
    consequence = CONSEQUENCE[worst.severities[0]]
    if _past_its_front(drift) and service and worst.severities[0] is Severity.CONTROL_BYPASS:
        consequence = f"{service.behind}, which should stand before it, is bypassed"
    return f"{what} from {drift.viewpoint.name}, {place}: {consequence}."


def _contradiction(drift: Drift, worst: _Endpoint) -> str:
    """What does not fit the declaration at that endpoint: hostile text."""
    return next(o.reason for o in drift.outcomes if o.expectation.protocol is worst.protocol and worst.port in o.ports)


def _label(identity: Identity | None) -> str:
    """What answers, by its own words: hostile text."""
    if identity is None or not identity.probed:
        return ""
    return (identity.product or identity.name)[:80]


def _addresses(drift: Drift) -> str:
    """`2001:db8::5 and 2 more of 2001:db8::/64`."""
    more = f" and {len(drift.addresses) - 1} more" if len(drift.addresses) > 1 else ""
    return f"{drift.address}{more}" + (f" of {drift.prefix}" if drift.prefix else "")


def _not_exposed(drift: Drift) -> str:
    service = drift.service.name if drift.service else "A service"
    address = drift.address or (drift.outcomes[0].expectation.address if drift.outcomes else drift.host)
    return _NOT_EXPOSED[drift.kind].format(
        service=service, viewpoint=drift.viewpoint.name, host=drift.host, address=address, addresses=_addresses(drift)
    )
