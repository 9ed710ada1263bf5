"""What controls, addresses that nobody has, answer alike: it proves nothing of those that somebody has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest

from auditor.drift.alike import in_most
from auditor.drift.compare import compare
from auditor.model.drift import Comparison
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Service, Viewpoint
from auditor.model.observation import Controls, Identity, Observation, Reply, Scan
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import (
    Basis,
    Boundary,
    ExpectedState,
    Kind,
    PortState,
    Profile,
    Protocol,
    Result,
    Technique,
    ViewpointKind,
)

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NETWORK = ip_network("203.0.113.0/24")
WEB, MAIL, STRANGER = (ip_address(f"203.0.113.{last}") for last in (10, 11, 200))
CONTROLS = [ip_address(f"203.0.113.{last}") for last in range(16, 24)]
HERE = Viewpoint("public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"),), (NETWORK,))
HTTPS = Service("https", PortSet.of(443), PortSet(), ("public",), ())
SMTP = Service("smtp", PortSet.of(25), PortSet(), ("public",), ())
POSTFIX, EXIM = (Identity("smtp", "probed", product) for product in ("Postfix smtpd", "Exim smtpd"))
NEAR, FAR = 64, 60  # TTLs of replies of a device on the way, and of hosts behind it


def seen(address, port, state=PortState.OPEN, ttl=FAR, **more) -> Observation:
    ports = port if isinstance(port, PortSet) else PortSet.of(port)
    reason = {PortState.OPEN: "syn-ack", PortState.CLOSED: "reset"}.get(state, "no-response")
    more = {"protocol": Protocol.TCP, "ttl": ttl if reason != "no-response" else 0, **more}
    return Observation(address, ports=ports, state=state, reason=reason, at=NOW, **more)


def due(address, service, host="web-1") -> Expectation:
    state, basis = ExpectedState.REACHABLE, Basis.DECLARED
    return Expectation("public", host, "public", address, Protocol.TCP, service.tcp, state, basis, service)


def blocked(address, ports, host="web-1", interface="public", protocol=Protocol.TCP) -> Expectation:
    ports = PortSet.parse(ports)
    return Expectation(
        "public", host, interface, address, protocol, ports, ExpectedState.BLOCKED, Basis.UNDECLARED, None
    )


def judged(expected, observed, controls=(), *, boundary=Boundary.ANY, **scan) -> Comparison:
    """A comparison in which the controls answered so; what they are not said to have answered, they did not."""
    undeclared = tuple({e.address: None for e in expected if e.interface is None})
    wanted = Expectations(replace(HERE, boundary=boundary), Profile.STANDARD, tuple(expected), undeclared=undeclared)
    asked = scan.pop("asked", Controls(tuple(controls), (), ()))
    return compare(wanted, Scan("public", Technique.SYN, "7.93", tuple(observed), controls=asked, **scan))


def answered(port, count, *, state=PortState.OPEN, ttl=NEAR, **more) -> list[Observation]:
    """So many of eight controls answer there, the others do not."""
    return [
        seen(one, port, state if number < count else PortState.FILTERED, ttl, **more)
        for number, one in enumerate(CONTROLS)
    ]


def kinds(comparison: Comparison) -> list[Kind]:
    return sorted(drift.kind for drift in comparison.drifts)


WEB_LIVES = [seen(WEB, 443), seen(WEB, 25, ttl=NEAR)]
WEB_EXPECTED = [due(WEB, HTTPS), blocked(WEB, "25")]


@pytest.mark.parametrize(
    ("answering", "kind"), [(8, Kind.ANSWERS_FOR_OTHERS), (7, Kind.ANSWERS_FOR_OTHERS), (6, Kind.UNDECLARED_PORT)]
)
def test_nearly_all_controls_have_to_answer(answering: int, kind: Kind) -> None:
    """One of eight may be somebody's after all; with two that stay silent the others may be hosts that nobody knows."""
    assert [kind] == kinds(judged(WEB_EXPECTED, WEB_LIVES, answered(25, answering)))


def test_few_controls_tell_nothing() -> None:
    """Four that answer alike may be four hosts."""
    assert [Kind.UNDECLARED_PORT] == kinds(judged(WEB_EXPECTED, WEB_LIVES, answered(25, 8)[:4]))


def test_what_answers_from_further_away_is_the_host() -> None:
    """The device takes the port for others; here the reply came as far as those of the host's other ports."""
    comparison = judged(WEB_EXPECTED, [seen(WEB, 443), seen(WEB, 25)], answered(25, 8))

    assert [Kind.UNDECLARED_PORT] == kinds(comparison)


def test_what_controls_do_not_answer_is_the_host() -> None:
    """Hosts with the same port open at the same distance are hosts, where dead addresses are dead."""
    expected = [blocked(WEB, "22"), blocked(MAIL, "22", "mail-1"), blocked(STRANGER, "22", str(STRANGER), None)]
    observed = [seen(one, 22) for one in (WEB, MAIL, STRANGER)]
    comparison = judged(expected, observed, answered(22, 0))

    assert [Kind.UNDECLARED_PORT, Kind.UNDECLARED_PORT, Kind.UNDECLARED_PORT, Kind.UNKNOWN_HOST] == kinds(comparison)


def test_a_host_says_what_it_is() -> None:
    """Behind a SYN proxy that completes every connection, what was recognised at the host alone is its own."""
    observed = [seen(WEB, 443), seen(WEB, 25, ttl=NEAR, identity=EXIM)]

    assert [Kind.UNDECLARED_PORT] == kinds(judged(WEB_EXPECTED, observed, answered(25, 8)))
    assert [Kind.UNDECLARED_PORT] == kinds(judged(WEB_EXPECTED, observed, answered(25, 8, identity=POSTFIX)))
    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(judged(WEB_EXPECTED, observed, answered(25, 8, identity=EXIM)))


def test_the_finding_is_one_for_the_network() -> None:
    """It has every endpoint that cannot be told, and each of those is unverified."""
    expected = [*WEB_EXPECTED, blocked(MAIL, "25", "mail-1"), due(MAIL, HTTPS, "mail-1")]
    observed = [*WEB_LIVES, seen(MAIL, 25, ttl=NEAR), seen(MAIL, 443)]
    comparison = judged(expected, observed, answered(25, 8))
    (drift,) = comparison.drifts

    assert (str(NETWORK), NETWORK, None) == (drift.host, drift.prefix, drift.address)
    assert [WEB, MAIL] == [outcome.expectation.address for outcome in drift.outcomes]
    assert all(outcome.result is Result.UNVERIFIED for outcome in drift.outcomes)
    assert (NETWORK[0], NETWORK[-1]) == drift.places


def test_a_dead_address_is_unreachable_whatever_answers_in_its_place() -> None:
    """A relay's answer on another port is no sign of its life."""
    expected = [*WEB_EXPECTED, due(MAIL, HTTPS, "mail-1"), blocked(MAIL, "25", "mail-1")]
    observed = [*WEB_LIVES, seen(MAIL, 25, ttl=NEAR), seen(MAIL, 443, PortState.FILTERED)]

    assert [Kind.ANSWERS_FOR_OTHERS, Kind.HOST_UNREACHABLE] == kinds(judged(expected, observed, answered(25, 8)))


def test_a_service_that_a_relay_stands_for_is_neither_verified_nor_unreachable() -> None:
    """Nothing but the relay's port should be reachable there, and nobody was ever asked."""
    expected = [*WEB_EXPECTED, due(MAIL, SMTP, "mail-1")]
    comparison = judged(expected, [*WEB_LIVES, seen(MAIL, 25, ttl=NEAR)], answered(25, 8))

    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(comparison)
    assert [Result.UNVERIFIED] == [o.result for o in comparison.outcomes if o.expectation.address == MAIL]


def test_it_proves_no_path() -> None:
    """Only the device has ever answered, so silence shows nothing."""
    expected = [blocked(WEB, "25"), blocked(WEB, "80")]
    comparison = judged(expected, [seen(WEB, 25, ttl=NEAR), seen(WEB, 80, PortState.FILTERED)], answered(25, 8))

    assert all(outcome.reason.startswith("path not proved") for outcome in comparison.outcomes)


def test_a_refusal_for_everybody_is_a_filter() -> None:
    """Nobody gets through, so what should be blocked is; what should answer is cut off; and it shows no life."""
    expected = [due(WEB, HTTPS), blocked(WEB, "113"), due(MAIL, HTTPS, "mail-1"), blocked(MAIL, "113", "mail-1")]
    refused = [seen(one, 113, PortState.CLOSED, NEAR) for one in (WEB, MAIL)]
    observed = [*refused, seen(WEB, 443), seen(MAIL, 443, PortState.FILTERED)]
    comparison = judged(expected, observed, answered(113, 8, state=PortState.CLOSED))
    results = {(str(o.expectation.address), o.ports.first): o.result for o in comparison.outcomes}

    assert [Kind.HOST_UNREACHABLE] == kinds(comparison)
    assert results[str(WEB), 113] is Result.VERIFIED
    assert "refuse 113/tcp alike" in comparison.scan.notes[0]


def test_a_refusal_for_everybody_hides_whether_the_boundary_drops() -> None:
    """One finding in place of a leak at every host."""
    expected = [due(WEB, HTTPS), blocked(WEB, "113")]
    observed = [seen(WEB, 443), seen(WEB, 113, PortState.CLOSED, NEAR)]
    controls = answered(113, 8, state=PortState.CLOSED)

    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(judged(expected, observed, controls, boundary=Boundary.FILTERED))
    assert [Kind.BOUNDARY_LEAK] == kinds(judged(expected, observed, [], boundary=Boundary.FILTERED))


def test_what_a_sample_is_refused_all_is() -> None:
    """Twenty ports tell of a firewall that resets whatever it does not let through."""
    sample = PortSet.span(1000, 1019)
    expected = [due(WEB, HTTPS), blocked(WEB, "1-442,444-65535")]
    closed = seen(WEB, ALL_PORTS - PortSet.of(443), PortState.CLOSED, None)
    controls = answered(sample, 8, state=PortState.CLOSED)
    comparison = judged(expected, [seen(WEB, 443), closed], controls, boundary=Boundary.FILTERED)
    (drift,) = comparison.drifts

    assert Kind.ANSWERS_FOR_OTHERS is drift.kind
    assert ALL_PORTS - PortSet.of(443) == PortSet.union(outcome.ports for outcome in drift.outcomes)


def test_all_ports_of_a_network_are_one_finding() -> None:
    """A proxy that completes every connection for every address is not reported for each of them."""
    sample = PortSet.span(1000, 1059)
    expected = [due(WEB, HTTPS), blocked(WEB, "1000-1059"), blocked(STRANGER, "1000-1059", str(STRANGER), None)]
    observed = [seen(WEB, 443), seen(WEB, sample, ttl=NEAR), seen(STRANGER, sample, ttl=NEAR)]

    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(judged(expected, observed, answered(sample, 8)))


def test_pings_that_are_answered_for_everybody_show_no_life() -> None:
    """A reset of a stray ACK is a remark; an echo could have been a host's, so it is a finding."""
    expected = [due(WEB, HTTPS), blocked(STRANGER, "80", str(STRANGER), None)]
    observed = [seen(WEB, 443), seen(STRANGER, 80, PortState.FILTERED)]

    def pinged(reason: str, ttl: int) -> Comparison:
        replies = tuple(Reply(one, reason, NEAR) for one in CONTROLS)
        asked = Controls((), replies, tuple(CONTROLS))
        return judged(expected, observed, asked=asked, found=(Reply(STRANGER, reason, ttl),))

    assert [] == kinds(pinged("reset", NEAR))
    assert "(reset)" in pinged("reset", NEAR).scan.notes[0]
    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(pinged("echo-reply", NEAR))
    assert [Kind.UNKNOWN_HOST] == kinds(pinged("echo-reply", FAR))


def test_a_resolver_on_the_way_is_told_over_udp_too() -> None:
    """Every address seems to serve names."""
    udp = {"protocol": Protocol.UDP}
    expected = [due(WEB, HTTPS), blocked(WEB, "53", protocol=Protocol.UDP)]
    comparison = judged(expected, [seen(WEB, 443), seen(WEB, 53, ttl=NEAR, **udp)], answered(53, 8, **udp))

    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(comparison)


def saved(strangers, ttl, *, web=FAR) -> Comparison:
    """Saved evidence, in which each of the undeclared addresses has 2000 open."""
    expected = [due(WEB, HTTPS), blocked(WEB, "2000"), *(blocked(one, "2000", str(one), None) for one in strangers)]
    observed = [seen(WEB, 443, ttl=web), *(seen(one, 2000, ttl=ttl) for one in (WEB, *strangers))]
    return judged(expected, observed, asked=None)


def test_undeclared_addresses_of_saved_evidence_are_controls() -> None:
    """Where a declared host answers from further away than they do, they are a device's."""
    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(saved(CONTROLS, NEAR))


def test_live_hosts_of_saved_evidence_are_no_controls() -> None:
    """They are in it because they live: a subnet scan leaves out who does not, however alike the others are."""
    assert 8 == kinds(saved(CONTROLS, FAR)).count(Kind.UNKNOWN_HOST)


def test_addresses_that_fill_their_network_are_a_devices() -> None:
    """From as near as everything else: but there is not one that does not answer."""
    everybody = [one for one in NETWORK.hosts() if one != WEB]

    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(saved(everybody, FAR))
    assert 200 == kinds(saved(everybody[:200], FAR)).count(Kind.UNKNOWN_HOST)


def test_a_network_full_of_hosts_is_no_device() -> None:
    """Whoever answers an echo from as far away as on the port lives: eight of them may be an office."""
    echoes = Controls(tuple(answered(25, 8, ttl=FAR)), tuple(Reply(one, "echo-reply", FAR) for one in CONTROLS), ())
    nearer = Controls(tuple(answered(25, 8)), tuple(Reply(one, "echo-reply", NEAR) for one in CONTROLS), ())

    assert [Kind.UNDECLARED_PORT] == kinds(judged(WEB_EXPECTED, [seen(WEB, 443), seen(WEB, 25)], asked=echoes))
    assert [Kind.ANSWERS_FOR_OTHERS] == kinds(judged(WEB_EXPECTED, WEB_LIVES, asked=nearer))


def test_a_banner_on_every_port_is_no_service() -> None:
    """Nor are those of a sample, where only that was asked; what is declared there still counts by what it says."""
    ports = PortSet.span(1000, 1059)
    expected = [due(WEB, HTTPS), blocked(WEB, "1000-1059")]
    https = seen(WEB, 443, identity=Identity("https", "probed", "nginx"))
    some = [seen(WEB, port, identity=Identity("ssh", "probed", f"{port}")) for port in [*ports][:20]]
    observed = [https, *some, seen(WEB, ports - PortSet.span(1000, 1019))]
    comparison = judged(expected, observed, talkative=(WEB,))

    assert [Kind.ALL_PORTS_OPEN] == kinds(comparison)
    assert Result.VERIFIED in {outcome.result for outcome in comparison.outcomes}
    assert 20 == kinds(judged(expected, observed)).count(Kind.UNDECLARED_PORT)


def test_ports_are_counted_all_at_once() -> None:
    """Those in at least so many of the sets."""
    sets = [PortSet.parse(text) for text in ("1,2,3,4", "1,2,3", "1,2", "1", "9")]

    assert ["1-4,9", "1-3", "1-2", "1", ""] == [str(in_most(sets, least)) for least in (1, 2, 3, 4, 5)]
