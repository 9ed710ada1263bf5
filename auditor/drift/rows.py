"""The table of outcomes: one endpoint's expectation and observation → what became of it.

The first row that fits, from the top, holds.
"""

from __future__ import annotations

from dataclasses import dataclass

from auditor import catalogue
from auditor.drift.alike import Alike
from auditor.drift.replies import Replies
from auditor.model.expectation import Expectation
from auditor.model.inventory import Service
from auditor.model.observation import Identity, Observation
from auditor.model.ports import PortSet
from auditor.model.words import (
    NOWHERE,
    UNTOLD,
    Address,
    Basis,
    Boundary,
    ExpectedState,
    Kind,
    PortState,
    Protocol,
    Result,
)

_EXPOSED = {
    Basis.OTHER_FAMILY: Kind.WRONG_FAMILY,
    Basis.OUTSIDE_SOURCES: Kind.OUTSIDE_SOURCE_RANGE,
    Basis.OTHER_INTERFACE: Kind.WRONG_INTERFACE,
    Basis.UNDECLARED: Kind.UNDECLARED_PORT,
    Basis.UNDECLARED_ADDRESS: Kind.UNDECLARED_PORT,
}
_CANNOT_TELL = {
    PortState.OPEN_FILTERED: "no answer: open and filtered look the same here",
    PortState.UNFILTERED: "reached, but this kind of scan cannot tell open from closed",
    PortState.CLOSED_FILTERED: "this kind of scan cannot tell closed from filtered",
}

_NOT_PROVED = "path not proved: no reply came from any address in the same targets entry"
_NO_ANSWER = (
    "no answer over UDP, where open and filtered look the same: the listeners on the host would tell; "
    "a service that answers only who it knows is declared with `answers: false`"
)


@dataclass(frozen=True, slots=True)
class Row:
    """A result with its reason in words, and the drift kind where the result is `drifted`."""

    result: Result
    reason: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a viewpoint beyond single endpoints.

    `all_open` are addresses at which something is open on every port; `talkative` those where it also says on each what
    it is.
    """

    replies: Replies
    alike: Alike
    boundary: Boundary
    unreachable: frozenset[Address]
    all_open: frozenset[tuple[Address, Protocol]]
    talkative: frozenset[tuple[Address, Protocol]]
    unidentified: dict[tuple[Address, Protocol, int], str]  # open, but it could not be found out who answers: why
    mute: dict[tuple[Address, Protocol, int], str]


def decide(
    expectation: Expectation, observation: Observation, ports: PortSet, facts: Facts, *, for_others: bool = False
) -> Row:
    """The row for `ports`, all of them expected alike and observed alike; `for_others`: a device answers for all."""
    if expectation.basis in UNTOLD:
        return Row(Result.UNVERIFIED, f"{observation.state}, and {_untold(expectation)}")
    if for_others:
        return _answered_for_others(expectation, observation, facts)
    unproved = _untrustworthy(observation, facts.replies)
    if unproved:
        return Row(Result.UNVERIFIED, unproved)
    if observation.state is PortState.OPEN:
        return _open(expectation, observation, ports, facts)
    if expectation.state is ExpectedState.PERMITTED and observation.state in (
        PortState.CLOSED,
        PortState.FILTERED,
        PortState.OPEN_FILTERED,
    ):
        return Row(Result.VERIFIED, f"optional, and {observation.state}")
    if expectation.address in facts.unreachable:
        return _at_unreachable_host(expectation, observation)
    if expectation.state is ExpectedState.REACHABLE:
        return _missing(expectation, observation)
    return _blocked(expectation, observation, facts.boundary)


def _untold(expectation: Expectation) -> str:
    sources = expectation.service.sources if expectation.service else ()
    if expectation.basis is Basis.VIEWPOINT_UNKNOWN:
        why = f"its address is not, and of where that may be only a part lies in {', '.join(s.name for s in sources)}"
    else:
        why = f"{', '.join(sorted({name for source in sources for name in source.names}))} could not be resolved"
    return f"whether it is meant for this viewpoint is not known: {why}"


def _untrustworthy(observation: Observation, replies: Replies) -> str | None:
    if replies.made_here(observation):
        return f"the scanner's own machine said {observation.reason}: nothing reached the address"
    if replies.path_proved(observation.address) or replies.answered(observation) or replies.prohibited(observation):
        return None
    return _NOT_PROVED


def _answered_for_others(expectation: Expectation, observation: Observation, facts: Facts) -> Row:
    """What a device on the way says in place of every address.

    Nothing can be known of a port that it takes. One that it refuses is filtered, by it: nobody gets through there.
    Only a boundary that should drop everything is not seen to do so behind it.
    """
    if not facts.replies.path_proved(expectation.address):
        return Row(Result.UNVERIFIED, f"{_NOT_PROVED}; a device on the way answers for addresses that nobody has")
    if expectation.address in facts.unreachable:
        return _at_unreachable_host(expectation, observation)
    told = f"{observation.state}, as at addresses that nobody has: a device on the way answers for all of them"
    if observation.state is PortState.OPEN:
        return Row(Result.UNVERIFIED, told)
    if expectation.state is ExpectedState.REACHABLE:
        return Row(Result.DRIFTED, told, Kind.SERVICE_FILTERED)
    if expectation.state is ExpectedState.BLOCKED and facts.boundary is Boundary.FILTERED:
        return Row(Result.UNVERIFIED, told)
    return Row(Result.VERIFIED, told)


def _open(expectation: Expectation, observation: Observation, ports: PortSet, facts: Facts) -> Row:
    identity = observation.identity
    probed = identity is not None and identity.probed
    place = expectation.address, expectation.protocol
    if place in facts.all_open and not (probed and (place not in facts.talkative or expectation.basis not in NOWHERE)):
        return Row(Result.UNVERIFIED, "all ports of the address look open: something answers in place of the host")
    if expectation.state is ExpectedState.BLOCKED:
        return Row(Result.DRIFTED, f"open, {expectation.basis.value}", _EXPOSED[expectation.basis])
    endpoint = expectation.address, expectation.protocol, ports.first
    if why := facts.unidentified.get(endpoint):
        return Row(Result.UNVERIFIED, f"open, but {why}")
    service = expectation.service
    contradiction = service and catalogue.contradiction(
        expectation.protocol, ports.first, identity, service.declared_class, service.protocol
    )
    if contradiction:
        return Row(Result.DRIFTED, contradiction, Kind.WRONG_SERVICE)
    if service is not None and service.protocol and (why := _not_known_to_speak(service, identity, endpoint, facts)):
        return Row(Result.UNVERIFIED, f"open, but not known to speak {service.protocol}: {why}")
    return Row(Result.VERIFIED, "open as declared")


def _not_known_to_speak(
    service: Service, identity: Identity | None, endpoint: tuple[Address, Protocol, int], facts: Facts
) -> str | None:
    """Why what answers was not seen to speak the declared protocol; None where it was: an identity has to say so.

    That it answers at all, its port number, and words that nobody recognises say nothing of it.
    """
    if identity is not None and identity.probed:
        return catalogue.unproven(identity, service.protocol or "")
    if identity is None and endpoint[1] is Protocol.TCP and endpoint[2] in catalogue.PRINTER_PORTS:
        return facts.mute.get(
            endpoint, "no version probe has recognised what answers, and audits send none that prints"
        )
    if identity is not None and identity.name == "tcpwrapped":
        return facts.mute.get(endpoint, "it closes every connection without a word")
    if identity is not None and identity.tunnel:
        return facts.mute.get(endpoint, "nothing that nmap recognises answers inside TLS")
    if identity is not None and identity.banner:
        return facts.mute.get(endpoint, "nmap does not recognise what it says")
    return facts.mute.get(endpoint, "no version probe has recognised what answers")


def _at_unreachable_host(expectation: Expectation, observation: Observation) -> Row:
    if (expectation.state, expectation.protocol) == (ExpectedState.REACHABLE, Protocol.TCP):
        return Row(Result.DRIFTED, "no reply of any kind from the address", Kind.HOST_UNREACHABLE)
    return Row(Result.UNVERIFIED, f"host unreachable: {observation.state} there tells nothing of this port")


def _missing(expectation: Expectation, observation: Observation) -> Row:
    match observation.state:
        case PortState.CLOSED:
            return Row(Result.DRIFTED, "closed: refused", Kind.SERVICE_REFUSED)
        case PortState.FILTERED:
            return Row(Result.DRIFTED, "filtered: no answer or refused on the way", Kind.SERVICE_FILTERED)
        case PortState.OPEN_FILTERED if expectation.service is not None and not expectation.service.answers:
            return Row(Result.SILENT, "declared not to answer")
        case PortState.OPEN_FILTERED if expectation.protocol is Protocol.UDP:
            return Row(Result.UNVERIFIED, _NO_ANSWER)
        case state:
            return Row(Result.UNVERIFIED, _CANNOT_TELL.get(state, state.value))


def _blocked(expectation: Expectation, observation: Observation, boundary: Boundary) -> Row:
    match observation.state:
        case PortState.CLOSED if boundary is Boundary.FILTERED:
            return Row(Result.DRIFTED, "closed where the boundary should filter", Kind.BOUNDARY_LEAK)
        case PortState.CLOSED | PortState.FILTERED:
            return Row(Result.VERIFIED, f"{observation.state}, as it should be")
        case PortState.OPEN_FILTERED if expectation.protocol is Protocol.UDP:
            return Row(Result.SILENT, "no answer over UDP: the listeners on the host could settle it")
        case state:
            return Row(Result.UNVERIFIED, _CANNOT_TELL.get(state, state.value))
