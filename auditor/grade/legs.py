"""Which leg is broken: what a scan alone can tell of listening, allowed and routed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from auditor.model.drift import Drift, Outcome
from auditor.model.finding import Leg
from auditor.model.inventory import Host
from auditor.model.observation import Observation, Scan
from auditor.model.words import Address, Kind, PortState, Protocol

# nmap's reasons where a router, or the scanner, says that the address cannot be reached.
NO_WAY = frozenset({"host-unreach", "net-unreach", "net-unknown", "host-unknown", "addr-unreach", "no-route"})
_ORDER = {PortState.OPEN: 0, PortState.CLOSED: 1, PortState.FILTERED: 2}


def legs(drift: Drift, host: Host | None, living: Collection[Address]) -> Mapping[str, Leg]:
    """Each leg is `yes`, `no` or `unknown`, with its evidence; `living` are the addresses that replied themselves."""
    outcome = deciding(drift)
    seen = outcome.observation if outcome else None
    if drift.kind in (Kind.ALL_PORTS_OPEN, Kind.ANSWERS_FOR_OTHERS):
        return _answered_by_another(drift)
    if drift.kind in (Kind.UNKNOWN_HOST, Kind.UNDECLARED_ADDRESS) and seen is None:
        return _alive(drift)
    if seen is None or drift.kind is Kind.HOST_UNREACHABLE:
        return _silent(drift, seen)
    match seen.state:
        case PortState.OPEN:
            return _open(seen, host)
        case PortState.CLOSED:
            return _closed(seen, host)
        case _:
            return _filtered(seen, seen.address in living)


def deciding(drift: Drift) -> Outcome | None:
    """The outcome that says most: an open one before a closed one before a filtered one; the first of those."""
    return min(drift.outcomes, key=_telling, default=None)


def _telling(outcome: Outcome) -> int:
    return 4 if outcome.observation is None else _ORDER.get(outcome.observation.state, 3)


def living(scan: Scan) -> frozenset[Address]:
    """The addresses that sent a reply of their own in this scan."""
    ports = (
        seen.address
        for seen in scan.observations
        if seen.state in (PortState.OPEN, PortState.CLOSED) and seen.reply_from in (None, seen.address)
    )
    return frozenset((*ports, *(reply.address for reply in (*scan.replies, *scan.found))))


def _legs(listening: Leg, allowed: Leg, routed: Leg) -> Mapping[str, Leg]:
    return {"listening": listening, "allowed": allowed, "routed": routed}


def _where(seen: Observation) -> str:
    return f"{seen.ports.first}/{seen.protocol} of {seen.address}"


def _open(seen: Observation, host: Host | None) -> Mapping[str, Leg]:
    answered = f"{_where(seen)} answered ({seen.reason})"
    listening = Leg("yes", answered)
    if host and host.members:
        listening = Leg("yes", f"{answered}; the address stands for {', '.join(host.members)}")
    return _legs(listening, Leg("yes", answered), Leg("yes", f"{seen.address} answered"))


def _closed(seen: Observation, host: Host | None) -> Mapping[str, Leg]:
    word = "a reset" if seen.protocol is Protocol.TCP else "port unreachable"
    refused = f"{_where(seen)} refused ({seen.reason})"
    listening = Leg("no", f"{refused}: nothing listens, or a firewall rejects with {word}; outside they look the same")
    if host and host.members:
        listening = Leg("unknown", f"{refused}, but the address stands for {', '.join(host.members)}")
    allowed = Leg("unknown", f"the packet was answered, but a firewall that rejects with {word} would answer so too")
    return _legs(listening, allowed, Leg("yes", f"a refusal came back from {seen.reply_from or seen.address}"))


def _filtered(seen: Observation, lives: bool) -> Mapping[str, Leg]:
    unknown = Leg("unknown", "no packet is known to have reached the port")
    by = sender(seen)
    alive = Leg("yes", f"{seen.address} answered elsewhere in this scan")
    if seen.reason in NO_WAY and not lives:
        return _legs(
            unknown,
            Leg("unknown", "the packet did not get as far as the host"),
            Leg("no", f"{by or 'a router'} knows no way to {seen.address} ({seen.reason})"),
        )
    if seen.reason != "no-response":
        refuser = by or "an address that nmap does not name"
        routed = alive if lives or by == seen.address else Leg("unknown", f"the refusal came from {refuser}")
        return _legs(unknown, Leg("no", f"{refuser} refused {_where(seen)} ({seen.reason})"), routed)
    if lives:
        return _legs(unknown, Leg("no", f"{_where(seen)} gave no answer, while the address answers elsewhere"), alive)
    return _legs(
        unknown,
        Leg("unknown", f"{_where(seen)} gave no answer: dropped, or never arrived"),
        Leg("unknown", f"{seen.address} gave no answer at all"),
    )


def sender(seen: Observation) -> Address | None:
    """Who sent the deciding ICMP error; None where nmap collapsed the port and so kept no sender."""
    return seen.reply_from or (None if seen.ttl is None else seen.address)


def _silent(drift: Drift, seen: Observation | None) -> Mapping[str, Leg]:
    address = drift.address or drift.host
    nothing = Leg("unknown", f"no reply came from {address}")
    routed = Leg("unknown", f"no reply came from {address}, while the path to its network works")
    if seen and seen.reason in NO_WAY:
        routed = Leg("no", f"{seen.reply_from or 'a router'} knows no way to {address} ({seen.reason})")
    return _legs(nothing, nothing, routed)


def _alive(drift: Drift) -> Mapping[str, Leg]:
    address = drift.address or drift.host
    unknown = Leg("unknown", "no port of it was seen open")
    return _legs(unknown, unknown, Leg("yes", f"{address} replied"))


def _answered_by_another(drift: Drift) -> Mapping[str, Leg]:
    every = "port" if drift.kind is Kind.ALL_PORTS_OPEN else "address"
    unknown = Leg("unknown", f"a device on the way answers for every {every}")
    return _legs(unknown, unknown, unknown)
