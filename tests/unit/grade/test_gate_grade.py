"""What a gain is as bad as: by its class, by who gains, and by what stands before it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from auditor.grade.changes import change_finding, named
from auditor.grade.gate import gate_verdict
from auditor.model.change import Change, ChangedEndpoint
from auditor.model.failing import MAY_FAIL_A_GATE
from auditor.model.inventory import Location, Service
from auditor.model.ports import PortSet
from auditor.model.words import ChangeKind, Protocol, ServiceClass, Severity, Trust

EVERYBODY = (ip_network("0.0.0.0/0"), ip_network("::/0"))
OFFICE = (ip_network("198.18.0.0/16"),)
HIGH = 23456  # no port of the catalogue's

DIRECT, BYPASS, DATA = Severity.DIRECT_COMPROMISE, Severity.CONTROL_BYPASS, Severity.DATA_EXPOSURE
RECON, DRIFT = Severity.INTERNAL_RECON, Severity.OPERATIONAL_DRIFT


def change(port: int = HIGH, protocol: Protocol = Protocol.TCP, **changes: object) -> Change:
    """A service that opens to everybody on one port of one address."""
    ports = PortSet.of(port)
    plain = Change(
        kind=ChangeKind.ADDED,
        host="web-1",
        service=Service("app", ports, ports, ("public",), ()),
        endpoints=(ChangedEndpoint(ip_address("203.0.113.10"), protocol, ports, EVERYBODY),),
        gained=EVERYBODY,
        trust=Trust.UNTRUSTED,
        location=Location("inventories/shop/web.yaml", 12),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ChangeKind.ADDED, ChangeKind.WIDENED])
@pytest.mark.parametrize(
    ("service_class", "expected"),
    [
        (ServiceClass.REMOTE_ADMIN, (DIRECT,)),
        (ServiceClass.DATA_STORE, (DIRECT, DATA)),
        (ServiceClass.DEV_DEBUG, (DIRECT,)),
        (ServiceClass.PUBLIC_WEB, (DRIFT,)),
        (ServiceClass.DIAGNOSTICS, (RECON,)),
        (ServiceClass.UNCLASSIFIED, (RECON, DRIFT)),
    ],
)
def test_untrusted_gain(kind: ChangeKind, service_class: ServiceClass, expected: tuple[Severity, ...]) -> None:
    """The untrusted column of the table, except that a web site is meant for everybody."""
    finding = change_finding(change(kind=kind, classes=(service_class,)))

    assert (expected, service_class) == ((finding.severity, *finding.also), finding.service_class)


@pytest.mark.parametrize("service_class", ServiceClass)
@pytest.mark.parametrize("behind", [None, "https"])
def test_trusted_gain(service_class: ServiceClass, behind: str | None) -> None:
    """Whatever it is, a gain of trusted sources is operational."""
    finding = change_finding(change(classes=(service_class,), trust=Trust.TRUSTED, gained=OFFICE, behind=behind))

    assert (DRIFT, ()) == (finding.severity, finding.also)


@pytest.mark.parametrize(
    ("port", "protocol", "expected"),
    [
        (53, Protocol.UDP, DRIFT),  # plain UDP
        (HIGH, Protocol.UDP, DRIFT),
        (161, Protocol.UDP, DATA),  # SNMP, by the catalogue's override
        (623, Protocol.UDP, DIRECT),  # IPMI, graded as remote-admin
        (11211, Protocol.UDP, DIRECT),  # memcached, graded as data-store
        (2375, Protocol.TCP, DIRECT),  # Docker
        (443, Protocol.TCP, DRIFT),
        (HIGH, Protocol.TCP, RECON),  # nobody can say what it is
    ],
)
def test_undeclared_class(port: int, protocol: Protocol, expected: Severity) -> None:
    """The catalogue says what usually listens there, as it does in an audit."""
    assert expected == change_finding(change(port, protocol)).severity


@pytest.mark.parametrize(
    ("port", "classes", "expected"),
    [
        (5432, (ServiceClass.PUBLIC_WEB,), ServiceClass.DATA_STORE),
        (22, (ServiceClass.DIAGNOSTICS,), ServiceClass.REMOTE_ADMIN),
        (HIGH, (ServiceClass.PUBLIC_WEB, ServiceClass.DATA_STORE), ServiceClass.DATA_STORE),
        (443, (ServiceClass.REMOTE_ADMIN,), ServiceClass.REMOTE_ADMIN),
        (HIGH, (ServiceClass.PUBLIC_WEB,), ServiceClass.PUBLIC_WEB),
    ],
)
def test_the_worst_class_counts(port: int, classes: tuple[ServiceClass, ...], expected: ServiceClass) -> None:
    """Of HEAD's, BASE's and the catalogue's, so that a new label makes nothing harmless."""
    assert expected == change_finding(change(port, classes=classes)).service_class


@pytest.mark.parametrize(
    ("service_class", "expected"),
    [
        (ServiceClass.PUBLIC_WEB, (BYPASS,)),
        (ServiceClass.DIAGNOSTICS, (BYPASS, RECON)),
        (ServiceClass.REMOTE_ADMIN, (DIRECT, BYPASS)),
    ],
)
def test_behind(service_class: ServiceClass, expected: tuple[Severity, ...]) -> None:
    """What should be behind another service is never below control-bypass where strangers gain."""
    finding = change_finding(change(classes=(service_class,), behind="https"))

    assert expected == (finding.severity, *finding.also)


def test_thousands_of_ports_are_graded_by_the_worst() -> None:
    """A span of ports is as bad as the worst that the catalogue knows in it."""
    ports = PortSet.span(1, 65535)
    endpoint = ChangedEndpoint(ip_address("203.0.113.10"), Protocol.TCP, ports, EVERYBODY)
    finding = change_finding(change(endpoints=(endpoint,), classes=(ServiceClass.PUBLIC_WEB,)))

    assert DIRECT == finding.severity


@pytest.mark.parametrize("kind", [ChangeKind.REMOVED, ChangeKind.NARROWED])
def test_closing_is_operational_and_never_fails(kind: ChangeKind) -> None:
    """Even where all kinds and severities fail."""
    finding = change_finding(change(22, kind=kind, gained=(), lost=EVERYBODY, trust=None))

    assert DRIFT == finding.severity
    assert ("pass", 0) == _judged(finding, Severity.OPERATIONAL_DRIFT)


def _judged(finding, *fail_on: str) -> tuple[str, int]:
    verdict = gate_verdict([finding], fail_on)
    return verdict.result, verdict.exit_code


@pytest.mark.parametrize(
    ("fail_on", "expected"),
    [
        (("internal-recon",), 1),
        (("data-exposure",), 0),
        (("none",), 0),
        (("weakened",), 1),
        (("added", "widened"), 0),
    ],
)
def test_fail_on(fail_on: tuple[str, ...], expected: int) -> None:
    """A severity fails with all above it, a kind by its name."""
    weak = change_finding(Change(ChangeKind.WEAKENED, rule="scope.allow", what="no longer has 10.0.0.0/8"))

    assert Severity.INTERNAL_RECON == weak.severity
    assert ("fail" if expected else "pass", expected) == _judged(weak, *fail_on)


def test_every_kind_that_may_fail() -> None:
    """All that opens or weakens, and nothing that closes."""
    assert {"added", "widened", "weakened", "policy-breach"} == set(MAY_FAIL_A_GATE)


def test_fingerprint_is_of_kind_host_service_and_rule() -> None:
    """CIDRs, ports, lines, classes and reasons may change; what it is about may not."""
    plain = change_finding(change())
    same = change_finding(
        change(22, gained=OFFICE, trust=Trust.TRUSTED, location=None, classes=(ServiceClass.DATA_STORE,))
    )
    others = [change(kind=ChangeKind.WIDENED), change(host="web-2"), change(rule="x")]

    assert plain.fingerprint == same.fingerprint
    assert 4 == len({plain.fingerprint, *(change_finding(other).fingerprint for other in others)})


def test_why_names_service_ports_sources_and_reason() -> None:
    """One sentence that a reviewer can act on."""
    finding = change_finding(change(5432, classes=(ServiceClass.DATA_STORE,)))

    assert (
        "app on 5432/tcp (data-store, as declared) is opened to 0.0.0.0/0 and ::/0, untrusted sources: "
        "whoever reaches it can try to take it over."
    ) == finding.why


@pytest.mark.parametrize(
    ("cidrs", "expected"),
    [
        ((), "nobody"),
        (("10.0.0.0/8",), "10.0.0.0/8"),
        (("10.0.0.0/8", "::/0"), "10.0.0.0/8 and ::/0"),
        (("10.0.0.0/9", "10.128.0.0/10", "10.192.0.0/11", "10.224.0.0/12", "10.240.0.0/13"),
         "10.0.0.0/8 without 10.248.0.0/13"),
        (("1.0.0.0/32", "3.0.0.0/32", "5.0.0.0/32", "7.0.0.0/32", "9.0.0.0/32", "11.0.0.0/32"),
         "1.0.0.0/32, 3.0.0.0/32, 5.0.0.0/32, 7.0.0.0/32 and 2 more"),
    ],
)  # fmt: skip
def test_named(cidrs: tuple[str, ...], expected: str) -> None:
    """Few networks are listed; nearly all of one is told as that."""
    assert expected == named(tuple(map(ip_network, cidrs)))


def test_named_with_names() -> None:
    """DNS names come after the networks."""
    assert "10.0.0.0/8 and db.example.com" == named((ip_network("10.0.0.0/8"), "db.example.com"))
