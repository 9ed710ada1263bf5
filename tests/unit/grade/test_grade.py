"""Drifts → findings: severity, class, why, fingerprint, confidence, legs and order."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from random import Random

import pytest

from auditor.grade.findings import grade
from auditor.model.drift import Comparison, Drift, Outcome
from auditor.model.expectation import Expectation
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Inventory, Scope, Service, SourceRange, Viewpoint
from auditor.model.observation import Identity, Observation, Reply, Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    OF_INVENTORY,
    Basis,
    Confidence,
    ExpectedState,
    Family,
    Kind,
    PortState,
    Profile,
    Protocol,
    Result,
    ServiceClass,
    Severity,
    Technique,
    Trust,
    ViewpointKind,
)

TCP, UDP = Protocol
DIRECT, BYPASS, EXPOSURE, RECON, LATERAL, OPERATIONAL = Severity
AT = datetime(2026, 11, 22, tzinfo=UTC)
PUBLIC = Viewpoint("public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"),), ())
VPN = Viewpoint("vpn", ViewpointKind.VPN, (ip_address("10.9.0.1"),), ())
BASTION = SourceRange("bastion", (ip_network("203.0.113.7/32"),), Trust.TRUSTED)
SCAN = Scan("public", Technique.SYN, "7.93")


def service(name: str = "app", **values: object) -> Service:
    plain = Service(name, PortSet(), PortSet(), ("public",), (BASTION,))
    return replace(plain, **values)  # type: ignore[arg-type] # the tests' own keywords, which replace() checks


def estate(*hosts: Host) -> Inventory:
    return Inventory("estate", Scope(()), {}, {}, {host.name: host for host in hosts})


def probed(name: str, product: str = "") -> Identity:
    return Identity(name, "probed", product)


def outcome(
    port: int | PortSet = 22,
    state: PortState = PortState.OPEN,
    identity: Identity | None = None,
    *,
    address: str = "203.0.113.10",
    protocol: Protocol = TCP,
    reason: str = "syn-ack",
    reply_from: str | None = None,
    attempts: int = 1,
    declared: Service | None = None,
) -> Outcome:
    ports = port if isinstance(port, PortSet) else PortSet.of(port)
    expectation = Expectation(
        "public", "web-1", "public", ip_address(address), protocol, ports, ExpectedState.BLOCKED, Basis.UNDECLARED,
        declared,
    )  # fmt: skip
    seen = Observation(
        ip_address(address), protocol, ports, state, reason, AT, identity=identity, attempts=attempts,
        reply_from=ip_address(reply_from) if reply_from else None,
    )  # fmt: skip
    return Outcome(expectation, ports, Result.DRIFTED, "as observed", observation=seen)


def drift(kind: Kind, *outcomes: Outcome, viewpoint: Viewpoint = PUBLIC, **values: object) -> Drift:
    family = Family.of(outcomes[0].expectation.address) if outcomes else Family.IPV4
    plain = Drift(kind, viewpoint, "web-1", "public", family, outcomes)
    return replace(plain, **values)  # type: ignore[arg-type] # the tests' own keywords, which replace() checks


def graded(one: Drift, *, scan: Scan = SCAN, host: Host | None = None) -> Finding:
    comparison = Comparison(one.viewpoint, Profile.STANDARD, scan, one.outcomes, (one,))
    (finding,) = grade([comparison], estate(*([host] if host else [])), AT.date()).findings
    return finding


SSH, REDIS, NGINX = probed("ssh", "OpenSSH"), probed("redis"), probed("http", "nginx")
JDWP, METRICS, MAIL = probed("jdwp"), probed("munin"), probed("smtp")


@pytest.mark.parametrize(
    ("identity", "viewpoint", "expected"),
    [
        (SSH, PUBLIC, (DIRECT, (), ServiceClass.REMOTE_ADMIN)),
        (SSH, VPN, (LATERAL, (), ServiceClass.REMOTE_ADMIN)),
        (REDIS, PUBLIC, (DIRECT, (EXPOSURE,), ServiceClass.DATA_STORE)),
        (REDIS, VPN, (EXPOSURE, (LATERAL,), ServiceClass.DATA_STORE)),
        (JDWP, PUBLIC, (DIRECT, (), ServiceClass.DEV_DEBUG)),
        (JDWP, VPN, (LATERAL, (), ServiceClass.DEV_DEBUG)),
        (NGINX, PUBLIC, (BYPASS, (), ServiceClass.PUBLIC_WEB)),
        (NGINX, VPN, (BYPASS, (), ServiceClass.PUBLIC_WEB)),
        (METRICS, PUBLIC, (RECON, (), ServiceClass.DIAGNOSTICS)),
        (METRICS, VPN, (RECON, (), ServiceClass.DIAGNOSTICS)),
        (MAIL, PUBLIC, (RECON, (OPERATIONAL,), ServiceClass.UNCLASSIFIED)),
        (MAIL, VPN, (OPERATIONAL, (), ServiceClass.UNCLASSIFIED)),
        (probed("docker", "Docker remote API"), PUBLIC, (DIRECT, (), ServiceClass.REMOTE_ADMIN)),
        (probed("docker", "Docker remote API"), VPN, (DIRECT, (), ServiceClass.REMOTE_ADMIN)),
    ],
)
@pytest.mark.parametrize("kind", [Kind.UNDECLARED_PORT, Kind.WRONG_INTERFACE, Kind.OUTSIDE_SOURCE_RANGE])
def test_severity_by_class_and_viewpoint(
    kind: Kind,
    identity: Identity,
    viewpoint: Viewpoint,
    expected: tuple[Severity, tuple[Severity, ...], ServiceClass],
) -> None:
    """What is unexpectedly reachable is as bad as its class, seen from there."""
    finding = graded(drift(kind, outcome(23456, identity=identity), viewpoint=viewpoint))

    assert expected == (finding.severity, finding.also, finding.service_class)


@pytest.mark.parametrize(
    ("port", "viewpoint", "severity", "also"),
    [
        (123, PUBLIC, RECON, ()),
        (123, VPN, RECON, ()),
        (161, PUBLIC, EXPOSURE, ()),
        (161, VPN, RECON, ()),
        (623, PUBLIC, DIRECT, ()),
        (623, VPN, LATERAL, ()),
        (11211, PUBLIC, DIRECT, (EXPOSURE,)),
        (11211, VPN, EXPOSURE, (LATERAL,)),
    ],
)
def test_severity_over_udp(port: int, viewpoint: Viewpoint, severity: Severity, also: tuple[Severity, ...]) -> None:
    """The class is udp; the entry's `as` class gives the severity, and SNMP's override holds."""
    seen = outcome(port, protocol=UDP, reason="udp-response")
    finding = graded(drift(Kind.UNDECLARED_PORT, seen, viewpoint=viewpoint))

    assert (severity, also, ServiceClass.UDP) == (finding.severity, finding.also, finding.service_class)


@pytest.mark.parametrize(
    ("identity", "viewpoint", "severity", "also"),
    [
        (NGINX, PUBLIC, BYPASS, ()),
        (METRICS, PUBLIC, BYPASS, (RECON,)),
        (SSH, VPN, BYPASS, (LATERAL,)),
        (REDIS, VPN, BYPASS, (EXPOSURE, LATERAL)),
        (REDIS, PUBLIC, DIRECT, (BYPASS, EXPOSURE)),
    ],
)
def test_behind_is_never_below_control_bypass(
    identity: Identity, viewpoint: Viewpoint, severity: Severity, also: tuple[Severity, ...]
) -> None:
    """A backend reached past its front is at least a bypass; what is worse by its class stays worse."""
    backend = service(behind="https")
    seen = outcome(8080, identity=identity)
    finding = graded(drift(Kind.OUTSIDE_SOURCE_RANGE, seen, viewpoint=viewpoint, service=backend))

    assert (severity, also) == (finding.severity, finding.also)


def test_wrong_service_is_graded_as_what_answers() -> None:
    """A shell where a web site is declared is a shell; `behind` says nothing of an endpoint that may be reached."""
    declared = service(declared_class=ServiceClass.PUBLIC_WEB, behind="https")
    finding = graded(drift(Kind.WRONG_SERVICE, outcome(443, identity=SSH), service=declared, viewpoint=VPN))

    assert (LATERAL, (), ServiceClass.REMOTE_ADMIN) == (finding.severity, finding.also, finding.service_class)


def test_wrong_service_says_what_is_wrong() -> None:
    """The sentence says what contradicts the declaration at the endpoint that decides; no other key does."""
    web = replace(outcome(80, identity=NGINX), reason="declared remote-admin, but nginx answers (public-web)")
    shell = replace(outcome(443, identity=SSH), reason="declared https, but ssh answers")
    finding = graded(drift(Kind.WRONG_SERVICE, web, shell, service=service("shop")))

    assert finding.why == (
        "OpenSSH on 443/tcp (remote-admin, by its product) answers in place of shop (declared https, but ssh answers) "
        "from public, an untrusted viewpoint: whoever reaches it can try to take it over."
    )


def test_declared_class_counts_where_a_carrier_answers() -> None:
    """Bare HTTP says nothing, so a service declared as data-store is one."""
    declared = service(declared_class=ServiceClass.DATA_STORE)
    finding = graded(drift(Kind.OUTSIDE_SOURCE_RANGE, outcome(8080, identity=probed("http")), service=declared))

    assert (DIRECT, ServiceClass.DATA_STORE) == (finding.severity, finding.service_class)


def test_the_worst_endpoint_gives_class_and_severity() -> None:
    """One finding of two ports is as bad as the worse, and names the rest in `also`."""
    both = drift(Kind.OUTSIDE_SOURCE_RANGE, outcome(80, identity=NGINX), outcome(2200, identity=SSH), service=service())
    finding = graded(both)

    assert (DIRECT, (BYPASS,), ServiceClass.REMOTE_ADMIN) == (finding.severity, finding.also, finding.service_class)
    assert "2200/tcp" in finding.why


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        (Kind.HOST_UNREACHABLE, OPERATIONAL),
        (Kind.SERVICE_REFUSED, OPERATIONAL),
        (Kind.SERVICE_FILTERED, OPERATIONAL),
        (Kind.ALL_PORTS_OPEN, OPERATIONAL),
        (Kind.UNKNOWN_HOST, OPERATIONAL),
        (Kind.BOUNDARY_LEAK, RECON),
    ],
)
def test_kinds_without_exposure(kind: Kind, severity: Severity) -> None:
    """What is down exposes nothing; a boundary that answers tells what is behind it."""
    seen = outcome(22, PortState.CLOSED, reason="reset")
    finding = graded(drift(kind, seen, address=seen.expectation.address, service=service("ssh")))

    assert (severity, ()) == (finding.severity, finding.also)
    assert finding.why.endswith(".")


def test_every_kind_can_be_graded() -> None:
    """No kind is forgotten, and `why` is one sentence."""
    for kind in set(Kind) - OF_INVENTORY:
        seen = outcome(22, identity=SSH)
        finding = graded(drift(kind, seen, address=seen.expectation.address, service=service("ssh")))

        assert finding.why.endswith("."), kind
        assert "\n" not in finding.why


def test_why_names_the_service_the_place_and_the_reason() -> None:
    """The sentence can be read alone."""
    exposed = graded(drift(Kind.UNDECLARED_PORT, outcome(22, identity=SSH)))
    backend = graded(drift(Kind.OUTSIDE_SOURCE_RANGE, outcome(8080), service=service(behind="https"), viewpoint=VPN))

    assert (
        "OpenSSH on 22/tcp (remote-admin, by its product) is reachable from public, an untrusted viewpoint: "
        "whoever reaches it can try to take it over." == exposed.why
    )
    assert (
        "app on 8080/tcp (public-web, by its port number alone) is reachable from vpn, a foothold: "
        "https, which should stand before it, is bypassed." == backend.why
    )


def digest(*parts: str) -> str:
    text = json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))
    return "v1:" + hashlib.sha256(text.encode()).hexdigest()[:32]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.WRONG_INTERFACE, ("wrong-interface", "public", "web-1", "public", "ipv4", "ssh", "", "", "", "")),
        (Kind.SERVICE_REFUSED, ("service-refused", "public", "web-1", "public", "ipv4", "ssh", "", "", "", "")),
        (Kind.BOUNDARY_LEAK, ("boundary-leak", "public", "web-1", "public", "ipv4", "", "", "", "", "")),
        (
            Kind.HOST_UNREACHABLE,
            ("host-unreachable", "public", "web-1", "public", "ipv4", "", "203.0.113.10", "", "", ""),
        ),
        (Kind.ALL_PORTS_OPEN, ("all-ports-open", "public", "web-1", "public", "ipv4", "", "203.0.113.10", "", "", "")),
    ],
)
def test_fingerprint(kind: Kind, expected: tuple[str, ...]) -> None:
    """The parts in their order; those that a kind does not have are empty."""
    seen = outcome(22)
    finding = graded(drift(kind, seen, address=seen.expectation.address, service=service("ssh")))

    assert digest(*expected) == finding.fingerprint


def test_fingerprint_of_an_undeclared_port() -> None:
    """Without a service, protocol and port stand for it."""
    finding = graded(drift(Kind.UNDECLARED_PORT, outcome(6379)))

    assert (
        digest("undeclared-port", "public", "web-1", "public", "ipv4", "", "", "tcp", "6379", "") == finding.fingerprint
    )
    assert "v1:" + 32 * "0" != finding.fingerprint


def test_fingerprint_of_an_unknown_host() -> None:
    """The address stands for the host that nobody declares."""
    address = ip_address("2001:db8::9")
    stranger = drift(Kind.UNKNOWN_HOST, host=str(address), interface=None, family=Family.IPV6, address=address)

    expected = digest("unknown-host", "public", "2001:db8::9", "", "ipv6", "", "2001:db8::9", "", "", "")
    assert expected == graded(stranger).fingerprint


@pytest.mark.parametrize(
    ("addresses", "slot"),
    [
        (("203.0.113.11",), "203.0.113.11"),
        (("2001:db8:1::a1",), "2001:db8:1::/64"),
        (("2001:db8:1::b2", "2001:db8:1::c3"), "2001:db8:1::/64"),
    ],
)
def test_fingerprint_of_an_undeclared_address(addresses: tuple[str, ...], slot: str) -> None:
    """Temporary addresses change by the day; the finding stays the same for their /64."""
    found = tuple(map(ip_address, addresses))
    family = Family.of(found[0])
    prefix = ip_network(slot) if family is Family.IPV6 else None
    further = drift(Kind.UNDECLARED_ADDRESS, family=family, address=found[0], addresses=found, prefix=prefix)

    expected = digest("undeclared-address", "public", "web-1", "public", family, "", slot, "", "", "")
    assert expected == graded(further).fingerprint


def test_fingerprint_outlives_what_may_change() -> None:
    """Class, severity, identity, reason and the address of a service may change; the finding stays the same."""
    before = drift(Kind.OUTSIDE_SOURCE_RANGE, outcome(22, identity=SSH), service=service("ssh"))
    after = drift(
        Kind.OUTSIDE_SOURCE_RANGE,
        outcome(2222, identity=REDIS, address="203.0.113.11"),
        service=service("ssh", declared_class=ServiceClass.DATA_STORE, reason="another"),
    )

    assert graded(before).fingerprint == graded(after).fingerprint


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [((2, 2), Confidence.CONFIRMED), ((2, 1), Confidence.OBSERVED), ((1, 1), Confidence.OBSERVED)],
)
def test_confidence(attempts: tuple[int, int], expected: Confidence) -> None:
    """Confirmed only where every endpoint was seen twice."""
    seen = [outcome(port, attempts=times) for port, times in zip((80, 81), attempts, strict=True)]

    assert expected is graded(drift(Kind.OUTSIDE_SOURCE_RANGE, *seen, service=service())).confidence


def test_confidence_without_observations() -> None:
    """A host that only answered a ping is observed, not confirmed."""
    finding = graded(drift(Kind.UNKNOWN_HOST, address=ip_address("203.0.113.99")))

    assert Confidence.OBSERVED is finding.confidence


def states(finding: Finding) -> tuple[str, str, str]:
    assert finding.legs is not None
    assert all(leg.evidence for leg in finding.legs.values())
    return (finding.legs["listening"].state, finding.legs["allowed"].state, finding.legs["routed"].state)


LIVING = replace(SCAN, replies=(Reply(ip_address("203.0.113.10"), "echo-reply"),))
MEMBERS = Host("web-1", {}, (), members=("web-2", "web-3"))


def test_legs_of_an_open_port() -> None:
    """Listening, allowed and routed: it answered."""
    assert ("yes", "yes", "yes") == states(graded(drift(Kind.UNDECLARED_PORT, outcome(22))))


def test_legs_of_a_refusal() -> None:
    """The packet arrived; whether a firewall or the host refused cannot be told from outside."""
    refused = drift(Kind.SERVICE_REFUSED, outcome(22, PortState.CLOSED, reason="reset"), service=service())
    finding = graded(refused)

    assert ("no", "unknown", "yes") == states(finding)
    assert finding.legs is not None
    assert "firewall" in finding.legs["listening"].evidence


def test_a_translated_port_is_never_said_not_to_listen() -> None:
    """Behind a translated address the listener may be well."""
    refused = drift(Kind.SERVICE_REFUSED, outcome(22, PortState.CLOSED, reason="reset"), service=service())

    assert ("unknown", "unknown", "yes") == states(graded(refused, host=MEMBERS))


@pytest.mark.parametrize(
    ("reason", "reply_from", "scan", "expected"),
    [
        ("no-response", None, LIVING, ("unknown", "no", "yes")),
        ("no-response", None, SCAN, ("unknown", "unknown", "unknown")),
        ("admin-prohibited", "192.0.2.1", SCAN, ("unknown", "no", "unknown")),
        ("admin-prohibited", "192.0.2.1", LIVING, ("unknown", "no", "yes")),
        ("admin-prohibited", "203.0.113.10", SCAN, ("unknown", "no", "yes")),
        ("host-unreach", "192.0.2.1", SCAN, ("unknown", "unknown", "no")),
        ("host-unreach", "192.0.2.1", LIVING, ("unknown", "no", "yes")),
        ("net-unreach", "192.0.2.1", SCAN, ("unknown", "unknown", "no")),
    ],
)
def test_legs_of_a_filtered_port(
    reason: str, reply_from: str | None, scan: Scan, expected: tuple[str, str, str]
) -> None:
    """Silence breaks `allowed` only where the address is known to live; a router may say that it knows no way."""
    seen = outcome(22, PortState.FILTERED, reason=reason, reply_from=reply_from)

    assert expected == states(graded(drift(Kind.SERVICE_FILTERED, seen, service=service()), scan=scan))


def test_legs_of_an_unreachable_host() -> None:
    """Nothing came back, so nothing is known."""
    seen = outcome(22, PortState.FILTERED, reason="no-response")
    finding = graded(drift(Kind.HOST_UNREACHABLE, seen, address=seen.expectation.address))

    assert ("unknown", "unknown", "unknown") == states(finding)


def test_legs_behind_a_middlebox() -> None:
    """A device that answers for every port proves nothing of the host."""
    finding = graded(drift(Kind.ALL_PORTS_OPEN, outcome(22), address=ip_address("203.0.113.10")))

    assert ("unknown", "unknown", "unknown") == states(finding)


def test_legs_of_an_unknown_host() -> None:
    """It replied, so it is routed."""
    finding = graded(drift(Kind.UNKNOWN_HOST, address=ip_address("203.0.113.99")))

    assert ("unknown", "unknown", "yes") == states(finding)


def test_findings_are_sorted_and_stable() -> None:
    """The most severe first, and the same order whatever order the drifts came in."""
    drifts = [
        drift(Kind.UNDECLARED_PORT, outcome(port, identity=identity), host=host)
        for port, identity in ((80, NGINX), (22, SSH), (4949, METRICS), (6379, REDIS))
        for host in ("web-2", "web-1")
    ]
    drifts.append(drift(Kind.HOST_UNREACHABLE, outcome(22, PortState.FILTERED), address=ip_address("203.0.113.10")))

    def order(shuffled: list[Drift]) -> tuple[Finding, ...]:
        comparison = Comparison(PUBLIC, Profile.STANDARD, SCAN, (), tuple(shuffled))
        return grade([comparison], estate(), AT.date()).findings

    expected = order(drifts)
    shuffled = drifts.copy()
    Random(7).shuffle(shuffled)

    assert expected == order(shuffled)
    assert sorted(finding.severity.rank for finding in expected) == [finding.severity.rank for finding in expected]
    assert len(drifts) == len({finding.fingerprint for finding in expected})
