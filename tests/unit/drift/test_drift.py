"""Every row of the outcome table, and the rules that stand before and after it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest

from auditor.drift.compare import compare
from auditor.drift.disputed import disputed
from auditor.model.drift import Comparison
from auditor.model.expectation import Carried, Expectation, Expectations
from auditor.model.inventory import Canary, Service, Viewpoint
from auditor.model.observation import Failure, Identity, Observation, Reply, Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    Basis,
    Boundary,
    ExpectedState,
    Family,
    Kind,
    PortState,
    Profile,
    Protocol,
    Result,
    ServiceClass,
    Technique,
    ViewpointKind,
)

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
V4, V6 = ip_address("203.0.113.10"), ip_address("2001:db8:1::10")
NEIGHBOUR, NEIGHBOUR6 = ip_address("203.0.113.7"), ip_address("2001:db8:1::7")
PUBLIC = Viewpoint(
    name="public",
    kind=ViewpointKind.PUBLIC,
    addresses=(ip_address("198.51.100.20"), ip_address("2001:db8:f::20")),
    targets=(ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64")),
)
SSH = Service("ssh", PortSet.of(22), PortSet(), ("public",), (), declared_class=ServiceClass.REMOTE_ADMIN)
PROOF = (Reply(NEIGHBOUR, "echo-reply"), Reply(NEIGHBOUR6, "echo-reply"))
REASONS = {
    PortState.OPEN: "syn-ack",
    PortState.CLOSED: "reset",
    PortState.FILTERED: "no-response",
    PortState.OPEN_FILTERED: "no-response",
    PortState.UNFILTERED: "reset",
    PortState.CLOSED_FILTERED: "ipid-unchanged",
}


def expected(
    state=ExpectedState.BLOCKED, basis=Basis.UNDECLARED, port=22, *, address=V4, protocol=Protocol.TCP, **more
):
    service = None if basis is Basis.UNDECLARED else SSH
    ports = port if isinstance(port, PortSet) else PortSet.of(port)
    fields = {"host": "web-1", "interface": "public", "service": service, **more}
    return Expectation("public", address=address, protocol=protocol, ports=ports, state=state, basis=basis, **fields)


def seen(state, port=22, *, address=V4, protocol=Protocol.TCP, reason=None, ttl=None, **more):
    ports = port if isinstance(port, PortSet) else PortSet.of(port)
    reason = reason or REASONS[state]
    ttl = ttl if ttl is not None else 0 if reason == "no-response" else 63
    return Observation(address, protocol, ports, state, reason, NOW, ttl, **more)


def run(expectations, observations=(), *, viewpoint=PUBLIC, replies=PROOF, **scan) -> Comparison:
    fields = {"technique": Technique.SYN, "nmap_version": "7.93", **scan}
    undeclared = tuple({e.address: None for e in expectations if e.interface is None})
    return compare(
        Expectations(viewpoint, Profile.STANDARD, tuple(expectations), undeclared=undeclared),
        Scan("public", observations=tuple(observations), replies=tuple(replies), **fields),
    )


def result(comparison):
    (outcome,) = comparison.outcomes
    return outcome.kind or outcome.result


REACHABLE = (ExpectedState.REACHABLE, Basis.DECLARED)
PERMITTED = (ExpectedState.PERMITTED, Basis.DECLARED)


def blocked(basis):
    return ExpectedState.BLOCKED, basis


@pytest.mark.parametrize(
    ("expectation", "state", "wanted"),
    [
        (REACHABLE, PortState.OPEN, Result.VERIFIED),
        (PERMITTED, PortState.OPEN, Result.VERIFIED),
        (PERMITTED, PortState.CLOSED, Result.VERIFIED),
        (PERMITTED, PortState.FILTERED, Result.VERIFIED),
        (PERMITTED, PortState.OPEN_FILTERED, Result.VERIFIED),
        (PERMITTED, PortState.UNFILTERED, Result.UNVERIFIED),
        (PERMITTED, PortState.CLOSED_FILTERED, Result.UNVERIFIED),
        (REACHABLE, PortState.CLOSED, Kind.SERVICE_REFUSED),
        (REACHABLE, PortState.UNFILTERED, Result.UNVERIFIED),
        (REACHABLE, PortState.OPEN_FILTERED, Result.UNVERIFIED),
        (REACHABLE, PortState.CLOSED_FILTERED, Result.UNVERIFIED),
        (blocked(Basis.OTHER_FAMILY), PortState.OPEN, Kind.WRONG_FAMILY),
        (blocked(Basis.OUTSIDE_SOURCES), PortState.OPEN, Kind.OUTSIDE_SOURCE_RANGE),
        (blocked(Basis.OTHER_INTERFACE), PortState.OPEN, Kind.WRONG_INTERFACE),
        (blocked(Basis.UNDECLARED), PortState.OPEN, Kind.UNDECLARED_PORT),
        (blocked(Basis.UNDECLARED), PortState.CLOSED, Result.VERIFIED),
        (blocked(Basis.UNDECLARED), PortState.FILTERED, Result.VERIFIED),
        (blocked(Basis.OUTSIDE_SOURCES), PortState.FILTERED, Result.VERIFIED),
        (blocked(Basis.UNDECLARED), PortState.OPEN_FILTERED, Result.UNVERIFIED),
        (blocked(Basis.UNDECLARED), PortState.UNFILTERED, Result.UNVERIFIED),
        (blocked(Basis.UNDECLARED), PortState.CLOSED_FILTERED, Result.UNVERIFIED),
    ],
)
def test_tcp_rows(expectation, state, wanted):
    """Over TCP, each pair of expected and observed has the outcome of its row."""
    life = (Reply(V4, "echo-reply"), *PROOF)

    assert result(run([expected(*expectation)], [seen(state)], replies=life)) == wanted


@pytest.mark.parametrize(
    ("expectation", "state", "wanted"),
    [
        (REACHABLE, PortState.OPEN, Result.VERIFIED),
        (REACHABLE, PortState.CLOSED, Kind.SERVICE_REFUSED),
        (REACHABLE, PortState.OPEN_FILTERED, Result.UNVERIFIED),
        (PERMITTED, PortState.OPEN_FILTERED, Result.VERIFIED),
        (blocked(Basis.UNDECLARED), PortState.OPEN_FILTERED, Result.SILENT),
        (blocked(Basis.OUTSIDE_SOURCES), PortState.OPEN_FILTERED, Result.SILENT),
        (blocked(Basis.UNDECLARED), PortState.OPEN, Kind.UNDECLARED_PORT),
        (blocked(Basis.UNDECLARED), PortState.CLOSED, Result.VERIFIED),
    ],
)
def test_udp_rows(expectation, state, wanted):
    """Over UDP, silence where nothing should be is `silent`, and where something should be `unverified`."""
    comparison = run([expected(*expectation, protocol=Protocol.UDP)], [seen(state, protocol=Protocol.UDP)])

    assert result(comparison) == wanted


def test_a_service_that_never_answers_is_silent():
    """`answers: false` takes silence for what it is."""
    quiet = replace(SSH, answers=False)
    expectation = expected(*REACHABLE, protocol=Protocol.UDP, service=quiet)

    assert result(run([expectation], [seen(PortState.OPEN_FILTERED, protocol=Protocol.UDP)])) == Result.SILENT


def test_filtered_on_a_live_address_is_service_filtered():
    """An echo reply shows that the address lives, so the service alone is missing."""
    replies = (*PROOF, Reply(V4, "echo-reply"))

    assert result(run([expected(*REACHABLE)], [seen(PortState.FILTERED)], replies=replies)) == Kind.SERVICE_FILTERED


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({}, Kind.HOST_UNREACHABLE),
        ({"replies": (*PROOF, Reply(V4, "arp-response"))}, Kind.SERVICE_FILTERED),
        ({"replies": ()}, Result.UNVERIFIED),
    ],
)
def test_host_unreachable_needs_a_proved_path_and_no_sign_of_life(more, wanted):
    """A dead address is one finding; any life in it makes it a filtered service, no proof makes it unverified."""
    assert result(run([expected(*REACHABLE)], [seen(PortState.FILTERED)], **more)) == wanted


def test_a_prohibited_address_is_not_unreachable():
    """Somebody on the way says that it is forbidden: a firewall, not a dead host."""
    observation = seen(PortState.FILTERED, reason="admin-prohibited", ttl=63, reply_from=NEIGHBOUR)

    assert result(run([expected(*REACHABLE)], [observation])) == Kind.SERVICE_FILTERED


def test_the_rest_of_an_unreachable_host_is_unverified():
    """Its silence does not show that its firewall works."""
    expectations = [expected(*REACHABLE), expected(port=PortSet.span(23, 100))]
    comparison = run(expectations, [seen(PortState.FILTERED, PortSet.span(22, 100))])

    assert [o.result for o in comparison.outcomes] == [Result.DRIFTED, Result.UNVERIFIED]
    assert [d.kind for d in comparison.drifts] == [Kind.HOST_UNREACHABLE]
    assert comparison.drifts[0].address == V4


def test_an_address_not_asked_to_the_end_is_not_unreachable():
    """A truncated scan may have missed the sign of life."""
    expectations = [expected(*REACHABLE), expected(port=PortSet.span(23, 100))]
    failure = Failure(V4, Protocol.TCP, PortSet.span(23, 100), "nmap was killed by signal 9")
    comparison = run(expectations, [seen(PortState.FILTERED)], failures=(failure,))

    assert [(o.kind, o.reason) for o in comparison.outcomes] == [
        (Kind.SERVICE_FILTERED, "filtered: no answer or refused on the way"),
        (None, "nmap was killed by signal 9"),
    ]


def test_silence_without_proof_is_never_a_pass():
    """A scanner whose packets all vanish sees a perfect firewall."""
    assert result(run([expected()], [seen(PortState.FILTERED)], replies=())) == Result.UNVERIFIED


def test_proof_holds_for_its_own_targets_entry_only():
    """A reply over IPv4 does not show that IPv6 works."""
    expectations = [expected(), expected(address=V6)]
    observations = [seen(PortState.FILTERED), seen(PortState.FILTERED, address=V6)]
    comparison = run(expectations, observations, replies=PROOF[:1])

    assert [o.result for o in comparison.outcomes] == [Result.VERIFIED, Result.UNVERIFIED]


def test_an_arp_answer_proves_no_path():
    """The link works; whether IP packets leave is another question."""
    assert result(run([expected()], [seen(PortState.FILTERED)], replies=[Reply(NEIGHBOUR, "arp-response")])) == (
        Result.UNVERIFIED
    )


def test_a_canary_endpoint_proves_its_path():
    """A canary that answers counts as a reply, wherever else it stands."""
    canary = seen(PortState.CLOSED, address=NEIGHBOUR)

    assert result(run([expected()], [seen(PortState.FILTERED)], replies=(), canaries=(canary,))) == Result.VERIFIED


def test_answered_and_prohibited_endpoints_need_no_proof_from_others():
    """A reset came from the address; a prohibition came from a firewall: neither is silence."""
    expectations = [expected(port=22), expected(port=23)]
    prohibited = seen(PortState.FILTERED, 23, reason="admin-prohibited", ttl=62, reply_from=ip_address("192.0.2.1"))
    comparison = run(expectations, [seen(PortState.CLOSED, 22), prohibited], replies=())

    assert [o.result for o in comparison.outcomes] == [Result.VERIFIED, Result.VERIFIED]


@pytest.mark.parametrize(
    "observation",
    [
        seen(PortState.FILTERED, reason="host-unreach", ttl=64, reply_from=PUBLIC.addresses[0]),
        seen(PortState.FILTERED, reason="admin-prohibited", ttl=64, reply_from=PUBLIC.addresses[0]),
    ],
)
def test_a_state_made_by_the_scanner_itself_is_unverified(observation):
    """No route, or a reject rule on the scanner: no packet reached the address, even on a path proved by others."""
    assert result(run([expected()], [observation])) == Result.UNVERIFIED
    assert result(run([expected(*REACHABLE)], [observation])) == Result.UNVERIFIED


def test_boundary_leak():
    """Where the boundary should filter, a reset shows that the packet came through; one finding for the interface."""
    strict = replace(PUBLIC, boundary=Boundary.FILTERED)
    expectations = [expected(port=PortSet.span(1, 99)), expected(port=PortSet.of(53), protocol=Protocol.UDP)]
    observations = [
        seen(PortState.CLOSED, PortSet.span(1, 99)),
        seen(PortState.CLOSED, 53, protocol=Protocol.UDP, reason="port-unreach"),
    ]
    comparison = run(expectations, observations, viewpoint=strict)

    (drift,) = comparison.drifts
    assert (drift.kind, drift.service, [str(o.ports) for o in drift.outcomes]) == (
        Kind.BOUNDARY_LEAK,
        None,
        ["1-99", "53"],
    )


def test_all_ports_open_absorbs_what_has_no_identity():
    """Behind a middlebox an open port says nothing, unless something was recognised there."""
    ports = PortSet.span(1000, 1099)
    expectations = [expected(*REACHABLE), expected(port=ports)]
    redis = Identity("redis", "probed", "Redis key-value store")
    observations = [
        seen(PortState.OPEN),
        seen(PortState.OPEN, ports - PortSet.of(1000)),
        seen(PortState.OPEN, 1000, identity=redis),
    ]
    comparison = run(expectations, observations)

    affected = {d.kind: sum(len(o.ports) for o in d.outcomes) for d in comparison.drifts}
    assert affected == {Kind.ALL_PORTS_OPEN: 101, Kind.UNDECLARED_PORT: 1}
    assert sum(len(o.ports) for o in comparison.outcomes if o.result is Result.UNVERIFIED) == 100


def test_a_device_that_pretends_to_be_a_service_on_every_port_is_told():
    """portspoof and honeypots: each port has an identity, and still no host has that many."""
    ports = PortSet.span(1000, 1099)
    redis = Identity("redis", "probed", "Redis key-value store")
    (told,) = (d for d in run([expected(port=ports)], [seen(PortState.OPEN, ports, identity=redis)]).drifts
               if d.kind is Kind.ALL_PORTS_OPEN)  # fmt: skip

    assert (told.address, sum(len(o.ports) for o in told.outcomes)) == (V4, 100)


@pytest.mark.parametrize(("asked", "opened", "wanted"), [(50, 46, True), (50, 45, False), (49, 49, False)])
def test_all_ports_open_threshold(asked, opened, wanted):
    """Over 90 % of at least 50 undeclared ports."""
    expectations = [expected(port=PortSet.span(1, asked))]
    observations = [seen(PortState.OPEN, PortSet.span(1, opened))]
    if opened < asked:
        observations.append(seen(PortState.CLOSED, PortSet.span(opened + 1, asked)))
    kinds = {d.kind for d in run(expectations, observations).drifts}

    assert (Kind.ALL_PORTS_OPEN in kinds) == wanted


def test_wrong_service():
    """Something recognised answers, and it is not what was declared."""
    redis = Identity("redis", "probed", "Redis key-value store")
    comparison = run([expected(*REACHABLE)], [seen(PortState.OPEN, identity=redis)])

    assert [(d.kind, d.service) for d in comparison.drifts] == [(Kind.WRONG_SERVICE, SSH)]


def test_a_broken_version_probe_leaves_the_service_unverified():
    """Open, but whether the right service answers could not be told."""
    failure = Failure(V4, Protocol.TCP, PortSet.of(22), "nmap was killed by signal 9")
    comparison = run([expected(*REACHABLE)], [seen(PortState.OPEN)], probe_failures=(failure,))

    assert result(comparison) == Result.UNVERIFIED


def test_family_gap():
    """Blocked over IPv4 as it should be, open over IPv6: the other family's rule is missing."""
    outside = blocked(Basis.OUTSIDE_SOURCES)
    expectations = [expected(*outside), expected(*outside, address=V6)]
    observations = [seen(PortState.FILTERED), seen(PortState.OPEN, address=V6)]
    (drift,) = run(expectations, observations).drifts

    assert (drift.kind, drift.family, drift.family_gap) == (Kind.OUTSIDE_SOURCE_RANGE, Family.IPV6, True)


def test_no_family_gap_where_both_families_drift():
    """Open over both: one finding a family, and no gap between them."""
    outside = blocked(Basis.OUTSIDE_SOURCES)
    expectations = [expected(*outside), expected(*outside, address=V6)]
    drifts = run(expectations, [seen(PortState.OPEN), seen(PortState.OPEN, address=V6)]).drifts

    assert [(d.family, d.family_gap) for d in drifts] == [(Family.IPV4, False), (Family.IPV6, False)]


def test_a_service_is_one_finding_and_undeclared_ports_are_one_each():
    """Two ports of one service are one drift; two undeclared ports are two."""
    outside = blocked(Basis.OUTSIDE_SOURCES)
    expectations = [expected(*outside, PortSet.of(80, 443)), expected(port=PortSet.of(8000, 8001))]
    observations = [seen(PortState.OPEN, port) for port in (80, 443, 8000, 8001)]
    drifts = run(expectations, observations).drifts

    assert [(d.kind, len(d.outcomes)) for d in drifts] == [
        (Kind.OUTSIDE_SOURCE_RANGE, 2),
        (Kind.UNDECLARED_PORT, 1),
        (Kind.UNDECLARED_PORT, 1),
    ]


def test_unknown_host():
    """A live address that no host declares is a finding, and so is each port open there; a canary is none."""
    stranger = expected(port=PortSet.of(22, 23), host=str(V4), interface=None)
    observations = [seen(PortState.OPEN), seen(PortState.CLOSED, 23)]
    watched = replace(PUBLIC, canaries=(Canary(V4),))

    assert [d.kind for d in run([stranger], observations).drifts] == [Kind.UNDECLARED_PORT, Kind.UNKNOWN_HOST]
    assert [d.kind for d in run([stranger], observations, viewpoint=watched).drifts] == [Kind.UNDECLARED_PORT]


def test_an_undeclared_address_that_is_silent_is_no_host():
    """Nobody answered, so nobody is there to report."""
    stranger = expected(host=str(V4), interface=None)

    assert run([stranger], [seen(PortState.FILTERED)]).drifts == ()


def test_undeclared_addresses_of_a_host():
    """One finding for each IPv4 address and each /64; not for those in a declared prefix, nor for a canary."""
    addresses = [ip_address(f"203.0.113.{last}") for last in (10, 11)]
    addresses += [ip_address(f"2001:db8:{net}::{last}") for net, last in ((1, 5), (1, 6), (2, 5))]
    carried = tuple(Carried("web-1", "public", one, declared=one == addresses[1]) for one in addresses)
    found = tuple(Reply(one, "echo-reply") for one in addresses)

    def drifts(viewpoint):
        everything = Expectations(viewpoint, Profile.STANDARD, (), carried=carried)
        comparison = compare(everything, Scan("public", Technique.SYN, "7.93", found=found))
        return [(d.kind, d.host, d.interface, str(d.prefix or d.address), len(d.addresses)) for d in comparison.drifts]

    kind = Kind.UNDECLARED_ADDRESS, "web-1", "public"
    six = [(*kind, "2001:db8:1::/64", 2), (*kind, "2001:db8:2::/64", 1)]
    assert drifts(PUBLIC) == [(*kind, "203.0.113.10", 1), *six]
    assert drifts(replace(PUBLIC, canaries=(Canary(addresses[0]),))) == six


def test_one_answer_is_asked_again_of_what_lives():
    """Each of 65,535 refusals shows that a stranger lives; it is enough to ask for one once more."""
    every = PortSet.span(1, 65535)
    stranger = expected(port=every, host=str(V4), interface=None)
    wanted = Expectations(PUBLIC, Profile.STANDARD, (stranger,), undeclared=(V4,))
    scan = Scan("public", Technique.SYN, "7.93", observations=(seen(PortState.CLOSED, every),), replies=PROOF)

    assert [drift.kind for drift in compare(wanted, scan).drifts] == [Kind.UNKNOWN_HOST]
    assert disputed(wanted, scan) == {(V4, Protocol.TCP): PortSet.of(1)}


def test_what_was_found_before_the_scan_proves_no_path():
    """Whoever searched may have been shut out since: what lived is told, and silence stays unverified."""
    stranger = expected(host=str(V4), interface=None)
    comparison = run([stranger], [seen(PortState.FILTERED)], replies=(), found=(Reply(V4, "echo-reply"),))

    assert [drift.kind for drift in comparison.drifts] == [Kind.UNKNOWN_HOST]
    assert result(comparison) == Result.UNVERIFIED


def test_a_broken_viewpoint_verifies_nothing():
    """Its observations, whatever they are, count for nothing."""
    comparison = run([expected(*REACHABLE)], [seen(PortState.OPEN)], failure="source address is 192.0.2.9")

    assert result(comparison) == Result.UNVERIFIED
    assert comparison.outcomes[0].reason == "source address is 192.0.2.9"


def test_what_nobody_answered_for_is_unverified():
    """Asked, and missing from the output."""
    comparison = run([expected(port=PortSet.of(22, 23))], [seen(PortState.CLOSED)])

    assert [(str(o.ports), o.result) for o in comparison.outcomes] == [
        ("22", Result.VERIFIED),
        ("23", Result.UNVERIFIED),
    ]


def test_an_address_that_refuses_udp_lives():
    """nmap collapses many refusals and then names no sender; but only the address itself can refuse a UDP port."""
    ports = PortSet.span(1000, 1040)
    refused = Observation(V4, Protocol.UDP, ports, PortState.CLOSED, "port-unreach", NOW)
    silent = seen(PortState.FILTERED)
    comparison = run([expected(*REACHABLE), expected(port=ports, protocol=Protocol.UDP)], [silent, refused])

    assert [Kind.SERVICE_FILTERED, Result.VERIFIED] == [o.kind or o.result for o in comparison.outcomes]


def test_an_address_that_speaks_of_another_lives():
    """A router that reports on its neighbours is no unreachable host, however silent its own ports are."""
    other = ip_address("203.0.113.66")
    about = seen(PortState.FILTERED, address=other, reason="host-unreach", reply_from=V4)
    comparison = run([expected(*REACHABLE), expected(address=other)], [seen(PortState.FILTERED), about], replies=())

    assert [Kind.SERVICE_FILTERED, Result.VERIFIED] == [o.kind or o.result for o in comparison.outcomes]


def test_the_viewpoint_itself_proves_no_path():
    """A probe to its own address never leaves the machine."""
    own = ip_address("203.0.113.20")
    viewpoint = replace(PUBLIC, addresses=(own,), canaries=(Canary(own),))
    replies = [Reply(own, "echo-reply")]
    canaries = (seen(PortState.OPEN, address=own),)
    comparison = run([expected()], [seen(PortState.FILTERED)], viewpoint=viewpoint, replies=replies, canaries=canaries)

    assert Result.UNVERIFIED == result(comparison)


def test_a_connection_closed_at_once_is_no_identity():
    """nmap calls it tcpwrapped and probed; a middlebox that accepts everything looks just so."""
    wrapped = Identity("tcpwrapped", "probed")
    ports = PortSet.span(1, 60)
    each = [seen(PortState.OPEN, port, identity=wrapped) for port in ports]
    comparison = run([expected(port=ports)], each)

    assert [Kind.ALL_PORTS_OPEN] == [drift.kind for drift in comparison.drifts]
    assert {Result.UNVERIFIED} == {outcome.result for outcome in comparison.outcomes}


def test_an_address_whose_pings_failed_is_not_called_unreachable():
    """Whether it lives was never asked to the end."""
    comparison = run([expected(*REACHABLE)], [seen(PortState.FILTERED)], not_pinged=(V4,))

    assert Kind.SERVICE_FILTERED == result(comparison)


def test_an_error_of_the_viewpoint_itself_is_no_silence_of_the_host():
    """Its own firewall refused the probe, so the address may live."""
    own = seen(PortState.FILTERED, reason="admin-prohibited", reply_from=PUBLIC.addresses[0])
    comparison = run([expected(*REACHABLE), expected(port=23)], [own, seen(PortState.FILTERED, 23)])

    assert {d.kind for d in comparison.drifts} == set()
    assert {o.result for o in comparison.outcomes if 22 in o.ports} == {Result.UNVERIFIED}


def test_an_error_at_ttl_zero_proves_no_path():
    """The scanner's own machine said it; nothing came from the address."""
    nothing = seen(PortState.FILTERED, reason="time-exceeded", ttl=0)
    comparison = run([expected(*REACHABLE), expected(port=23)], [nothing, seen(PortState.FILTERED, 23)], replies=())

    assert {o.result for o in comparison.outcomes} == {Result.UNVERIFIED}


def test_family_gap_needs_every_address_of_the_other_family():
    """One IPv4 address where the port is as declared and one where it is not: no family stands out."""
    second = ip_address("203.0.113.11")
    expectations = [expected(), expected(address=second), expected(address=V6)]
    states = [seen(PortState.FILTERED), seen(PortState.OPEN, address=second), seen(PortState.OPEN, address=V6)]
    (six,) = (d for d in run(expectations, states).drifts if d.family is Family.IPV6)

    assert not six.family_gap


@pytest.mark.parametrize(
    ("declared", "wanted"),
    [
        (SSH, Result.VERIFIED),
        (replace(SSH, protocol="ssh"), Result.UNVERIFIED),
        (replace(SSH, protocol="ssh", answers=False), Result.UNVERIFIED),
    ],
)
def test_a_declared_protocol_is_verified_by_what_it_says_alone(declared, wanted):
    """Whatever listens there, it was not seen to speak it: it says nothing, hangs up, or says what nobody knows."""
    mute = (Failure(V4, Protocol.TCP, PortSet.of(22), "it said nothing"),)
    wrapped = seen(PortState.OPEN, identity=Identity("tcpwrapped", "probed"))
    stranger = seen(PortState.OPEN, identity=Identity("ssh", "table", banner="SF-Port22-TCP:HELLO"))
    inside = seen(PortState.OPEN, identity=Identity("ssh", "table", tunnel="ssl"))
    said = seen(PortState.OPEN, identity=Identity("ssh", "probed", "OpenSSH"))
    here = [expected(*REACHABLE, service=declared)]

    assert result(run(here, [seen(PortState.OPEN)], mute=mute)) is wanted
    assert {wanted} == {result(run(here, [one])) for one in (seen(PortState.OPEN), wrapped, stranger, inside)}
    assert result(run(here, [said], mute=mute)) is Result.VERIFIED


@pytest.mark.parametrize(
    ("declared", "name", "tunnel", "wanted"),
    [
        ("smtp", "ssl", "", "nothing that nmap recognises answers inside TLS"),
        ("https", "ssl", "", "nothing that nmap recognises answers inside TLS"),
        ("imaps", "unknown", "ssl", "nothing that nmap recognises answers inside TLS"),
        ("smtp", "unknown", "", "nmap does not recognise what it says"),
        ("zeromq", "zmtp", "", "zmtp says nothing of what it carries"),
        ("smtp", "smtp", "", None),
        ("smtps", "smtp", "ssl", None),
        ("https", "http", "ssl", None),
        ("https", "https", "", None),
        ("http", "http-proxy", "", None),
        ("tls", "ssl", "", None),
        ("tls", "imap", "ssl", None),
        ("ssl", "unknown", "ssl", None),
        ("zmtp", "zmtp", "", None),
        ("etcd", "http", "", None),
        ("prometheus", "http", "", None),
        ("postgres", "postgresql", "", None),
    ],
)
def test_a_carrier_says_nothing_of_what_it_carries(declared, name, tunnel, wanted):
    """Names, aliases and what HTTP carries count as seen to be spoken; TLS alone shows no more than TLS."""
    service = replace(SSH, protocol=declared, declared_class=None)
    answer = seen(PortState.OPEN, identity=Identity(name, "probed", tunnel=tunnel))
    (outcome,) = run([expected(*REACHABLE, service=service)], [answer]).outcomes
    reason = f"open, but not known to speak {declared}: {wanted}" if wanted else "open as declared"

    assert reason == outcome.reason


AUTO = replace(PUBLIC, addresses=(), within=(ip_network("203.0.113.0/28"), ip_network("2001:db8:f::/64")))
NEAR = ip_address("203.0.113.8")


@pytest.mark.parametrize(
    ("who", "outcome"),
    [
        ([NEIGHBOUR], Result.UNVERIFIED),
        ([NEIGHBOUR, NEAR], Result.VERIFIED),
        ([ip_address("203.0.113.200")], Result.VERIFIED),
    ],
)
def test_one_that_may_be_the_viewpoint_proves_no_path(who, outcome):
    """Where its own address is not known, a lone reply from within its range may be its own; of two, one is not."""
    replies = [Reply(one, "echo-reply") for one in who]
    comparison = run([expected()], [seen(PortState.FILTERED)], viewpoint=AUTO, replies=replies)

    assert outcome == result(comparison)


def test_an_error_from_where_the_viewpoint_may_be_is_its_own():
    """Its own firewall may have refused the probe."""
    said = seen(PortState.FILTERED, reason="admin-prohibited", reply_from=NEIGHBOUR)

    assert Result.UNVERIFIED == result(run([expected()], [said], viewpoint=AUTO))
    assert Result.VERIFIED == result(run([expected()], [said]))


def test_a_viewpoint_that_may_be_in_or_out():
    """Open or not, nobody knows whether that is as meant: never a finding, never verified."""
    for state in (PortState.OPEN, PortState.FILTERED, PortState.CLOSED):
        comparison = run([expected(*blocked(Basis.VIEWPOINT_UNKNOWN))], [seen(state)], viewpoint=AUTO)

        assert Result.UNVERIFIED == result(comparison)
        assert "its address is not" in comparison.outcomes[0].reason
