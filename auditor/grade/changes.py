"""Changes of the inventory → findings: what a gain may open, by its class and by who gains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from auditor.addresses import difference
from auditor.catalogue.lookup import Classification, classify
from auditor.catalogue.ports import known_ports
from auditor.grade.fingerprint import identity
from auditor.grade.severity import CONSEQUENCE, DECIDED_BY, severities_of
from auditor.model.change import Change
from auditor.model.finding import Finding, Playbook
from auditor.model.ports import PortSet
from auditor.model.words import GAINS, ChangeKind, Family, Network, Protocol, ServiceClass, Severity, Source, Trust

_SHOWN = 4  # networks named in a sentence
_MEANT_FOR_ALL = frozenset({ServiceClass.PUBLIC_WEB, ServiceClass.UDP})


@dataclass(frozen=True, slots=True)
class Possible:
    """What some ports may be, and how bad it is that they open to these sources."""

    protocol: Protocol
    ports: PortSet
    found: Classification
    severities: tuple[Severity, ...]


def change_finding(change: Change) -> Finding:
    """The finding of one change. What is gained is as severe as what it may be and who gains it."""
    if change.kind is ChangeKind.WEAKENED:
        return _finding(change, (Severity.INTERNAL_RECON,), f"{change.rule}: {change.what}.")
    worst = min(possible(change), key=lambda one: [severity.rank for severity in one.severities])
    severities = worst.severities if change.kind in GAINS else (Severity.OPERATIONAL_DRIFT,)
    return _finding(change, severities, _why(change, worst), worst.found.service_class)


def _finding(
    change: Change, severities: tuple[Severity, ...], why: str, service_class: ServiceClass | None = None
) -> Finding:
    service = change.service.name if change.service else ""
    return Finding(
        fingerprint=identity(change.kind, host=change.host or "", service=service, rule=change.rule),
        subject=change,
        severity=severities[0],
        why=why,
        playbook=Playbook(change.kind.value, _values(change)),
        also=severities[1:],
        service_class=service_class,
    )


def possible(change: Change) -> Iterator[Possible]:
    """Of every port, whatever BASE, HEAD and the catalogue say that it is. The rest of the ports are all alike."""
    for protocol in Protocol:
        ports = PortSet.union(one.ports for one in change.endpoints if one.protocol is protocol)
        known = ports & known_ports(protocol)
        rest = ports - known
        for alike in (*map(PortSet.of, known), *([rest] if rest else [])):
            declared = [classify(protocol, alike.first, None, one) for one in change.classes]
            usual = classify(protocol, alike.first, None, None)
            # A port that nothing is known of says nothing against what is declared there.
            for found in declared if declared and usual.decided_by == "none" else (*declared, usual):
                yield Possible(protocol, alike, found, _severities(change, found))


def _severities(change: Change, found: Classification) -> tuple[Severity, ...]:
    """The highest first; that of strangers, and nothing where all who gain are trusted."""
    if change.kind in GAINS and change.trust is Trust.TRUSTED:
        return (Severity.OPERATIONAL_DRIFT,)
    override = found.entry.severity.get("untrusted") if found.entry else None
    if not override and not change.behind and found.graded_as in _MEANT_FOR_ALL:
        return (Severity.OPERATIONAL_DRIFT,)
    return severities_of(found.graded_as, untrusted=True, past_front=bool(change.behind), override=override)


def _why(change: Change, worst: Possible) -> str:
    found = worst.found
    graded_as = f"{found.service_class}, graded as {found.as_class}" if found.as_class else str(found.service_class)
    what = f"{_service(change)} on {_ports(change)} ({graded_as}, {DECIDED_BY[found.decided_by]})"
    if change.kind not in GAINS:
        ending = "its clients there are cut off, nothing is exposed"
        return f"{what} is no longer open to {named(change.lost)}: {ending}."
    verb = "is opened to" if change.kind is ChangeKind.ADDED else "is widened to"
    whose = "trusted sources" if change.trust is Trust.TRUSTED else "untrusted sources"
    return f"{what} {verb} {_gaining(change)}, {whose}: {_consequence(change, worst)}."


def _gaining(change: Change) -> str:
    """Who gains; and everybody where all are let in now, though some were before."""
    gaining = {one.version for one in change.gained if not isinstance(one, str)}
    everybody = [network for network in change.everybody if network.version in gaining]
    if not everybody or change.trust is not Trust.UNTRUSTED:
        return named(change.gained)
    versions = {network.version for network in everybody}
    rest = tuple(one for one in change.gained if isinstance(one, str) or one.version not in versions)
    routes = _row([str(network) for network in everybody])
    return f"everybody ({routes})" + (f" and {named(rest)}" if rest else "")


def _consequence(change: Change, worst: Possible) -> str:
    highest = worst.severities[0]
    if change.trust is Trust.TRUSTED:
        return "it should be wanted, and is no more than that"
    if highest is Severity.OPERATIONAL_DRIFT:
        return "that is what such a service is for, if it is wanted"
    if highest is Severity.CONTROL_BYPASS and change.behind:
        return f"{change.behind}, which should stand before it, is bypassed"
    return CONSEQUENCE[highest]


def _values(change: Change) -> dict[str, str]:
    """What fills the playbook: only what the inventory's grammar allows."""
    values = {
        "host": change.host or "the estate",
        "service": _service(change),
        "place": str(change.location or "the inventory"),
        "rule": change.rule,
        "what": change.what,
    }
    if not change.endpoints:
        return values
    first = change.endpoints[0]
    return values | {
        "address": str(first.address),
        "ports": str(first.ports),
        "protocol": first.protocol.value,
        "gained": _gaining(change),
        "lost": named(change.lost),
    }


def _service(change: Change) -> str:
    return change.service.name if change.service else "the inventory"


def _ports(change: Change) -> str:
    """`5432/tcp`, of all addresses."""
    every = {p: PortSet.union(one.ports for one in change.endpoints if one.protocol is p) for p in Protocol}
    return ", ".join(f"{_short(ports)}/{protocol}" for protocol, ports in every.items() if ports)


def _short(ports: PortSet) -> str:
    text = str(ports)
    return text if len(text) <= 40 else f"{text[:36].rpartition(',')[0]},…"


@lru_cache(maxsize=1024)
def named(sources: tuple[Source, ...]) -> str:
    """The sources in a sentence: the first few and how many more there are; `nobody` where there is none.

    What is whole but for a few is told as that: `0.0.0.0/0 without 10.20.1.0/24`.
    """
    if len(sources) <= _SHOWN:
        return _row([str(source) for source in sources]) or "nobody"
    networks = [source for source in sources if not isinstance(source, str)]
    parts = [_whole([one for one in networks if Family.of(one) is family]) for family in Family]
    if len(networks) == len(sources) and all(part is not None for part in parts):
        return _row([part for part in parts if part])
    return _row([*(str(source) for source in sources[:_SHOWN]), f"{len(sources) - _SHOWN} more"])


def _whole(networks: list[Network]) -> str | None:
    """One network, less a few; "" where there is none, and None where it cannot be told so shortly."""
    if not networks:
        return ""
    around = networks[0]
    while not (networks[0].network_address in around and networks[-1].broadcast_address in around):
        around = around.supernet()
    missing = difference([around], networks)
    if len(missing) > _SHOWN:
        return None
    return f"{around} without {_row([str(network) for network in missing])}" if missing else str(around)


def _row(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
