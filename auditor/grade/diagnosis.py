"""Which playbook a finding has, and the values that fill it.

Every value is built from ports, addresses and names that the inventory's grammar allows; what came from the network
never becomes one, since the values stand inside commands that people paste.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from auditor.grade.commands import Subject, commands
from auditor.grade.filters import filter_commands, reaches
from auditor.grade.legs import NO_WAY, deciding, sender
from auditor.model.drift import Drift
from auditor.model.finding import Playbook
from auditor.model.inventory import Host
from auditor.model.observation import Observation
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Kind

_BY_KIND: dict[Kind, str] = {
    Kind.HOST_UNREACHABLE: "host-unreachable",
    Kind.SERVICE_REFUSED: "nothing-listens",
    Kind.SERVICE_FILTERED: "dropped",
    Kind.WRONG_SERVICE: "wrong-service",
    Kind.ALL_PORTS_OPEN: "all-ports-open",
    Kind.ANSWERS_FOR_OTHERS: "answers-for-others",
    Kind.WRONG_FAMILY: "wrong-family",
    Kind.OUTSIDE_SOURCE_RANGE: "too-open",
    Kind.WRONG_INTERFACE: "wide-bind",
    Kind.UNDECLARED_PORT: "undeclared-port",
    Kind.BOUNDARY_LEAK: "boundary-leak",
    Kind.UNKNOWN_HOST: "unknown-host",
    Kind.UNDECLARED_ADDRESS: "undeclared-address",
}
_FOUND = frozenset({Kind.UNKNOWN_HOST, Kind.UNDECLARED_ADDRESS})  # an address, whatever its ports
_TOO_OPEN = frozenset({Kind.WRONG_FAMILY, Kind.OUTSIDE_SOURCE_RANGE, Kind.WRONG_INTERFACE, Kind.UNDECLARED_PORT})


def playbook(drift: Drift, host: Host | None, living: Collection[Address] = ()) -> Playbook:
    """The playbook that fits the drift and its evidence, with the values for every placeholder it has.

    `living` are the addresses that replied themselves.
    """
    outcome = deciding(drift)
    seen = outcome.observation if outcome else None
    return Playbook(_choose(drift, host, seen, living), _values(drift, host, seen))


def usual_playbook(kind: Kind) -> str:
    """The playbook of a kind of which no more is known."""
    return _BY_KIND.get(kind, kind.value)


def _choose(drift: Drift, host: Host | None, seen: Observation | None, living: Collection[Address]) -> str:
    translated = host is not None and bool(host.members)
    if drift.kind is Kind.SERVICE_REFUSED and (translated or drift.family_gap):
        return "published-port-refused" if translated else "nothing-listens-on-family"
    if drift.kind is Kind.SERVICE_FILTERED:
        return _filtered(drift, seen, living)
    if drift.kind in _TOO_OPEN:
        return _too_open(drift, host, translated)
    return _BY_KIND[drift.kind]


def _filtered(drift: Drift, seen: Observation | None, living: Collection[Address]) -> str:
    """An address that answers elsewhere has a route, so a router that denies it rejects."""
    if seen is not None and seen.reason in NO_WAY and seen.address not in living:
        return "no-route"
    if seen is not None and seen.reason != "no-response":
        return "rejected"
    return "dropped-on-family" if drift.family_gap else "dropped"


def _too_open(drift: Drift, host: Host | None, translated: bool) -> str:
    if translated:
        return "translated-port-open"
    if drift.family_gap and drift.kind is not Kind.WRONG_FAMILY:
        return "family-hole"
    if drift.service is not None and drift.service.behind is not None:
        return "backend-exposed"
    if host is not None and "ufw" in host.firewall and drift.kind is not Kind.WRONG_FAMILY:
        return "published-container-port"
    return _BY_KIND[drift.kind]


def _values(drift: Drift, host: Host | None, seen: Observation | None) -> Mapping[str, str]:
    service = drift.service
    other = Family.IPV4 if drift.family is Family.IPV6 else Family.IPV6
    names = {
        "host": drift.host,
        "viewpoint": drift.viewpoint.name,
        "interface": drift.interface or "no declared interface",
        "family": drift.family.value,
        "other_family": other.value,
        "service": service.name if service else "",
        "what": service.name if service else "the listener",
        "behind": (service.behind if service else None) or "",
        "sources": ", ".join(source.name for source in service.sources) if service and service.sources else "nobody",
        "members": ", ".join(host.members) if host else "",
        "replier": str((sender(seen) if seen else None) or "a device on the way"),
    }
    subject = _subject(drift)
    if subject is None:
        return names
    return names | commands(drift, subject) | filter_commands(drift, host, ports=bool(subject.ports))


def _subject(drift: Drift) -> Subject | None:
    """What the commands are about; an address alone for the kinds that have no port."""
    outcome = deciding(drift)
    if outcome is None or drift.kind in _FOUND:
        return Subject(drift.address or drift.places[0]) if drift.places else None
    one = outcome.expectation
    address = drift.address or one.address
    if drift.kind in (Kind.ALL_PORTS_OPEN, Kind.ANSWERS_FOR_OTHERS):  # one port tells as much as 65,535
        return Subject(address, one.protocol, PortSet.of(outcome.ports.first), (address,))
    reach = next(r for r in reaches(drift) if r.protocol is one.protocol and one.address in r.addresses)
    return Subject(address, one.protocol, reach.ports, reach.addresses)
