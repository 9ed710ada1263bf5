"""Waivers over what drifted: what a match fits, on which days, and how a drift is split between them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from time import process_time
from typing import Any

import pytest

from auditor.grade.findings import grade
from auditor.grade.fingerprint import fingerprint
from auditor.grade.matching import Names
from auditor.model.breach import Breach
from auditor.model.drift import Comparison, Drift, Outcome
from auditor.model.expectation import Expectation
from auditor.model.finding import Finding
from auditor.model.inventory import (
    Host,
    Inventory,
    Location,
    Match,
    Policy,
    Scope,
    Service,
    SourceRange,
    Viewpoint,
    Waiver,
)
from auditor.model.observation import Identity, Observation, Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    Basis,
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
TODAY = date(2026, 11, 22)
ANY = Policy()
AT = datetime(2026, 11, 22, tzinfo=UTC)
PUBLIC = Viewpoint("public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"),), (ip_network("203.0.113.0/24"),))
BASTION = SourceRange("bastion", (ip_network("203.0.113.7/32"),), Trust.TRUSTED)
APP = Service("app", PortSet.parse("8000-8003"), PortSet(), ("public",), (BASTION,))
HOST = Host("web-1", {}, (APP,), tags=("web", "production"))
REDIS, NGINX = Identity("redis", "probed"), Identity("http", "probed", "nginx")


def waiver(
    since: str = "2026-10-02", expires: str = "2026-12-31", severity: Severity | None = None, **match: Any
) -> Waiver:
    written = json.dumps({key: [str(one) for one in list(values)] for key, values in sorted(match.items())})
    days = date.fromisoformat(since), date.fromisoformat(expires)
    return Waiver(Match(written=written, **match), "migration", "team-web", *days, severity, location=Location("w", 1))


def outcome(
    ports: int | str = 8000,
    *,
    address: str = "203.0.113.10",
    protocol: Protocol = TCP,
    state: PortState = PortState.OPEN,
    identity: Identity | None = None,
) -> Outcome:
    which = PortSet.parse(str(ports))
    at = ip_address(address)
    expected = Expectation(
        "public", "web-1", "public", at, protocol, which, ExpectedState.BLOCKED, Basis.UNDECLARED, None
    )
    seen = Observation(at, protocol, which, state, "syn-ack", AT, identity=identity)
    return Outcome(expected, which, Result.DRIFTED, "as observed", Kind.UNDECLARED_PORT, seen)


def drift(*outcomes: Outcome, kind: Kind = Kind.OUTSIDE_SOURCE_RANGE, **values: Any) -> Drift:
    plain = Drift(kind, PUBLIC, "web-1", "public", Family.IPV4, outcomes or (outcome(),), service=APP)
    return replace(plain, **values)


def estate(*waivers: Waiver, policy: Policy = ANY) -> Inventory:
    return Inventory("estate", Scope(()), {}, {"public": PUBLIC}, {"web-1": HOST}, waivers=waivers, policy=policy)


def graded(
    one: Drift, *waivers: Waiver, today: date = TODAY, policy: Policy = ANY
) -> tuple[list[Finding], list[Finding]]:
    """The findings other than notices, and those waived."""
    scan = Scan("public", Technique.SYN, "7.93")
    comparison = Comparison(PUBLIC, Profile.STANDARD, scan, one.outcomes, (one,))
    found = grade([comparison], estate(*waivers, policy=policy), today)
    return [each for each in found.findings if not each.notice], list(found.waived)


def covers(one: Drift, **match: Any) -> bool:
    findings, waived = graded(one, waiver(**match))

    assert 1 == len(findings) + len(waived)
    return bool(waived)


def ports(findings: list[Finding]) -> list[str]:
    """The ports of each finding, those of all its outcomes together."""
    assert all(isinstance(each.subject, Drift) for each in findings)
    return [str(PortSet.union(o.ports for o in each.subject.outcomes)) for each in findings]  # type: ignore[union-attr]


SOME = drift(outcome(identity=NGINX))
UDP_ONE = drift(outcome(623, protocol=UDP), kind=Kind.UNDECLARED_PORT, service=None)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"hosts": ("web-1",)}, True),
        ({"hosts": ("web-2", "web-1")}, True),
        ({"hosts": ("web-2",)}, False),
        ({"hosts": ("web-*",)}, True),
        ({"hosts": ("WEB-1",)}, False),
        ({"tags": ("web",)}, True),
        ({"tags": ("prod*",)}, True),
        ({"tags": ("database",)}, False),
        ({"services": ("app",)}, True),
        ({"services": ("https", "a*")}, True),
        ({"services": ("https",)}, False),
        ({"addresses": (ip_network("203.0.113.10/32"),)}, True),
        ({"addresses": (ip_network("2001:db8::/32"), ip_network("203.0.113.0/28"))}, True),
        ({"addresses": (ip_network("203.0.113.16/28"),)}, False),
        ({"interfaces": ("public",)}, True),
        ({"interfaces": ("private", "loop*")}, False),
        ({"families": (Family.IPV4,)}, True),
        ({"families": (Family.IPV6,)}, False),
        ({"tcp": PortSet.parse("443,8000")}, True),
        ({"tcp": PortSet.of(8001)}, False),
        ({"udp": PortSet.of(8000)}, False),
        ({"protocols": (TCP,)}, True),
        ({"protocols": (UDP,)}, False),
        ({"viewpoints": ("public",)}, True),
        ({"viewpoints": ("*b*c",)}, True),
        ({"viewpoints": ("vpn",)}, False),
        ({"kinds": (Kind.WRONG_INTERFACE, Kind.OUTSIDE_SOURCE_RANGE)}, True),
        ({"kinds": (Kind.WRONG_INTERFACE,)}, False),
        ({"classes": (ServiceClass.DATA_STORE, ServiceClass.REMOTE_ADMIN)}, False),
        ({"classes": (ServiceClass.DATA_STORE, ServiceClass.PUBLIC_WEB)}, True),
        ({"fingerprints": (fingerprint(SOME),)}, True),
        ({"fingerprints": ("v1:00000000000000000000000000000000",)}, False),
        ({"hosts": ("web-1",), "services": ("app",), "tcp": PortSet.of(8000), "viewpoints": ("public",)}, True),
        ({"hosts": ("web-1",), "services": ("app",), "tcp": PortSet.of(8000), "viewpoints": ("vpn",)}, False),
    ],
    ids=str,
)
def test_each_key_must_fit(match: dict[str, Any], fits: bool) -> None:
    """Of each key any of the values, and every key that is given."""
    assert fits == covers(SOME, **match)


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*", "", True),
        ("web-*", "web-", True),
        ("*-1", "web-1", True),
        ("w*b*1", "web-1", True),
        ("web-*", "db-1", False),
        ("web-?", "web-1", False),
        ("web-?", "web-?", True),
        ("web-[12]", "web-1", False),
        ("*[12]", "web-[12]", True),
        ("*[12]", "web-1", False),
        ("*?", "web-1", False),
        ("*.b", "a.b", True),
        ("*.b", "a-b", False),
    ],
)
def test_only_the_asterisk_is_a_wildcard(pattern: str, name: str, fits: bool) -> None:
    """Brackets and question marks are text, and so is a dot."""
    assert fits == Names((pattern,)).fit(name)


def test_no_pattern_is_slow() -> None:
    """However many asterisks stand in it."""
    before = process_time()

    assert not Names(("*a" * 30 + "*b",)).fit("a" * 60)
    assert process_time() - before < 1


@pytest.mark.parametrize("found", [ServiceClass.UDP, ServiceClass.REMOTE_ADMIN])
def test_a_class_over_udp_goes_by_both_its_names(found: ServiceClass) -> None:
    """IPMI is udp, and graded as remote-admin."""
    assert covers(UDP_ONE, classes=(found,))
    assert not covers(UDP_ONE, classes=(ServiceClass.DATA_STORE,))


def test_what_is_absent_fits_no_pattern() -> None:
    """An undeclared port has no service, and an unknown host neither interface nor tags."""
    stranger = drift(
        kind=Kind.UNKNOWN_HOST,
        service=None,
        interface=None,
        host="203.0.113.99",
        address=ip_address("203.0.113.99"),
        outcomes=(),
    )

    assert not covers(UDP_ONE, services=("*",))
    assert not covers(stranger, interfaces=("*",))
    assert not covers(stranger, tags=("*",))
    assert covers(stranger, hosts=("203.0.113.99",))
    assert covers(stranger, addresses=(ip_network("203.0.113.96/28"),))


def test_an_address_stands_for_a_host_however_it_is_written() -> None:
    """Findings write addresses one way; people need not."""
    at = ip_address("2001:db8::1")
    stranger = drift(
        kind=Kind.UNKNOWN_HOST, service=None, interface=None, host=str(at), family=Family.IPV6, address=at, outcomes=()
    )

    assert covers(stranger, hosts=("2001:DB8:0::1",))


@pytest.mark.parametrize(
    "kind", [Kind.HOST_UNREACHABLE, Kind.ALL_PORTS_OPEN, Kind.UNKNOWN_HOST, Kind.UNDECLARED_ADDRESS]
)
def test_kinds_of_a_whole_address_have_no_ports(kind: Kind) -> None:
    """A match that names ports, a protocol, a service or a class does not cover them; they are never split."""
    whole = drift(outcome(443), outcome(8000), kind=kind, service=None, address=ip_address("203.0.113.10"))

    assert covers(whole, kinds=(kind,))
    assert covers(whole, addresses=(ip_network("203.0.113.10/32"),))
    assert not covers(whole, addresses=(ip_network("203.0.113.11/32"),))
    assert not covers(whole, tcp=PortSet.parse("1-65535"))
    assert not covers(whole, protocols=(TCP,))
    assert not covers(whole, services=("*",))
    assert not covers(whole, classes=(ServiceClass.DEV_DEBUG,))


def test_several_addresses_are_covered_together() -> None:
    """A waiver by address covers an undeclared prefix only where it covers all that was found in it."""
    found = (ip_address("2001:db8:1::a1"), ip_address("2001:db8:1::b1"))
    further = drift(
        kind=Kind.UNDECLARED_ADDRESS, service=None, family=Family.IPV6, address=found[0], addresses=found, outcomes=()
    )

    assert covers(further, addresses=(ip_network("2001:db8:1::/64"),))
    assert covers(further, addresses=tuple(map(ip_network, found)))
    assert not covers(further, addresses=(ip_network(found[0]),))


def test_a_boundary_leak_has_ports_and_no_class() -> None:
    """A range that was observed alike is split by the ports of the waiver."""
    leak = drift(outcome("8000-8100", state=PortState.CLOSED), kind=Kind.BOUNDARY_LEAK, service=None)
    findings, waived = graded(leak, waiver(tcp=PortSet.parse("8010-8019,9000")))

    assert (["8000-8009,8020-8100"], ["8010-8019"]) == (ports(findings), ports(waived))
    assert not covers(leak, classes=(ServiceClass.DEV_DEBUG,))
    assert not covers(leak, services=("*",))


def test_a_drift_is_split_by_address_port_and_waiver() -> None:
    """Each part has its own waiver, and all have the fingerprint of the drift."""
    many = drift(*(outcome(port, address=f"203.0.113.{last}") for last in (10, 11) for port in (8000, 8001)))
    one = waiver(addresses=(ip_network("203.0.113.10/32"),), tcp=PortSet.of(8000))
    other = waiver(tcp=PortSet.of(8001), expires="2027-01-31")
    findings, waived = graded(many, one, other)

    assert ["8000"] == ports(findings)
    assert [("8000", one), ("8001", other)] == [
        (text, each.waiver) for text, each in zip(ports(waived), waived, strict=True)
    ]
    assert {fingerprint(many)} == {each.fingerprint for each in (*findings, *waived)}
    assert [False, False, False] == [each.expired for each in (*findings, *waived)]


def test_a_service_goes_by_each_of_its_names() -> None:
    """Two names on one endpoint are one declaration, whose drift goes by the first; a waiver may use the other."""
    first = outcome(8000)
    both = replace(first, expectation=replace(first.expectation, other_services=("web",)))
    two = drift(both, outcome(8001))

    assert (["8001"], ["8000"]) == tuple(map(ports, graded(two, waiver(services=("web",)))))
    assert ([], ["8000-8001"]) == tuple(map(ports, graded(two, waiver(services=("app",)))))
    assert not covers(two, services=("other",))


def test_severity_is_of_each_endpoint() -> None:
    """What is accepted at one endpoint is not at another that is worse; the rest is graded as it is."""
    mixed = drift(outcome(8000, identity=NGINX), outcome(8001, identity=REDIS))
    findings, waived = graded(mixed, waiver(severity=Severity.CONTROL_BYPASS, hosts=("web-1",)))

    assert (["8001"], ["8000"]) == (ports(findings), ports(waived))
    assert (Severity.DIRECT_COMPROMISE, Severity.CONTROL_BYPASS) == (findings[0].severity, waived[0].severity)


@pytest.mark.parametrize("accepted", Severity)
def test_nothing_worse_than_accepted_is_covered(accepted: Severity) -> None:
    """The severity itself and all below it are."""
    findings, waived = graded(drift(outcome(identity=NGINX)), waiver(severity=accepted))
    covered = accepted in (Severity.DIRECT_COMPROMISE, Severity.CONTROL_BYPASS)

    assert (not covered, covered) == (bool(findings), bool(waived))


@pytest.mark.parametrize(
    ("today", "covered"),
    [("2026-10-01", False), ("2026-10-02", True), ("2026-12-31", True), ("2027-01-01", False)],
)
def test_first_and_last_day_are_valid(today: str, covered: bool) -> None:
    """Both days are included; before, it covers nothing and is not called expired."""
    findings, waived = graded(SOME, waiver(), today=date.fromisoformat(today))

    assert covered == bool(waived)
    assert (today > "2026-12-31") == any(each.expired for each in findings)


@pytest.mark.parametrize(
    ("today", "covered"), [("2026-10-31", True), ("2026-11-01", True), ("2026-11-02", False), ("2026-12-31", False)]
)
def test_the_policy_ends_a_waiver_that_runs_too_long(today: str, covered: bool) -> None:
    """It covers as many days after its first one as the policy allows, and is expired then."""
    findings, waived = graded(SOME, waiver(), today=date.fromisoformat(today), policy=Policy(max_waiver_days=30))

    assert (covered, not covered) == (bool(waived), any(each.expired for each in findings))


def test_a_date_at_the_end_of_time() -> None:
    """The last day that there is can be written, and nothing is added to it."""
    endless = waiver(since="9999-12-30", expires="9999-12-31")
    findings, _ = graded(SOME, endless, policy=Policy(max_waiver_days=90))

    assert [None] == [each.waiver for each in findings]


def test_an_expired_waiver_comes_back_with_its_finding() -> None:
    """The one that ended last, where several did; not one that would not have accepted it."""
    older, later = waiver(expires="2026-10-31"), waiver(expires="2026-11-21")
    mild = waiver(expires="2026-11-21", severity=Severity.OPERATIONAL_DRIFT, hosts=("web-1",))
    findings, waived = graded(SOME, mild, older, later)

    assert ([(later, True)], []) == ([(each.waiver, each.expired) for each in findings], waived)


def test_a_valid_waiver_wins_over_an_expired_one() -> None:
    """What is covered today was never given back."""
    over, valid = waiver(expires="2026-11-21"), waiver(hosts=("web-1",))
    findings, waived = graded(SOME, over, valid)

    assert ([], [(valid, False)]) == (findings, [(each.waiver, each.expired) for each in waived])


def test_the_waiver_that_lasts_longest_covers() -> None:
    """So nobody is warned of one that ends while another goes on."""
    short, long = waiver(expires="2026-11-23"), waiver(expires="2027-06-30")
    _, waived = graded(SOME, short, long)

    assert [long] == [each.waiver for each in waived]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"hosts": ("web-1",), "kinds": (Kind.POLICY_BREACH,)}, True),
        ({"tags": ("web",), "services": ("app",)}, True),
        ({"hosts": ("web-1",), "classes": (ServiceClass.REMOTE_ADMIN,)}, True),
        ({"hosts": ("web-1",), "classes": (ServiceClass.PUBLIC_WEB,)}, False),
        ({"hosts": ("web-2",), "kinds": (Kind.POLICY_BREACH,)}, False),
        ({"hosts": ("web-1",), "kinds": (Kind.UNDECLARED_PORT,)}, False),
        ({"hosts": ("web-1",), "viewpoints": ("*",)}, False),
        ({"hosts": ("web-1",), "interfaces": ("*",)}, False),
        ({"hosts": ("web-1",), "families": (Family.IPV4,)}, False),
        ({"hosts": ("web-1",), "tcp": PortSet.of(8000)}, False),
        ({"hosts": ("web-1",), "protocols": (TCP,)}, False),
        ({"addresses": (ip_network("203.0.113.0/24"),), "kinds": (Kind.POLICY_BREACH,)}, False),
    ],
    ids=str,
)
def test_a_breach_is_seen_from_nowhere(match: dict[str, Any], fits: bool) -> None:
    """A waiver fits it by host, tag, service, kind, class and fingerprint, and by nothing of an endpoint."""
    breach = Breach(
        "forbid trust untrusted", "it is", "web-1", APP, classes=(ServiceClass.REMOTE_ADMIN,), trust=Trust.UNTRUSTED
    )
    found = grade([], estate(waiver(**match)), TODAY, breaches=[breach])

    assert fits == bool(found.waived)


def test_a_long_waiver_is_never_waived() -> None:
    """Or one waiver for breaches would let all others run for good. Other hosts' breaches are not told."""
    one = waiver(hosts=("*",))
    long = Breach("max_waiver_days", "the waiver runs long", waiver=one)
    elsewhere = Breach("require owner", "it has none", "web-2", APP)
    found = grade([], estate(one), TODAY, breaches=[long, long, elsewhere], chosen=["web-1"])

    assert (["policy-breach"], ()) == ([each.kind for each in found.findings if not each.notice], found.waived)
    assert f"max_waiver_days {one.match.written}" == found.findings[0].rule


@pytest.mark.parametrize(
    ("rule", "classes", "trust", "behind", "expected"),
    [
        ("forbid trust untrusted", [ServiceClass.REMOTE_ADMIN], Trust.UNTRUSTED, None, Severity.DIRECT_COMPROMISE),
        ("forbid class remote-admin", [ServiceClass.REMOTE_ADMIN], Trust.TRUSTED, None, Severity.LATERAL_MOVEMENT),
        ("forbid class data-store", [ServiceClass.PUBLIC_WEB, ServiceClass.DATA_STORE], Trust.UNTRUSTED, None,
         Severity.DIRECT_COMPROMISE),
        ("forbid class diagnostics", [ServiceClass.DIAGNOSTICS], Trust.UNTRUSTED, None, Severity.INTERNAL_RECON),
        ("forbid class diagnostics", [ServiceClass.DIAGNOSTICS], Trust.UNTRUSTED, "https", Severity.CONTROL_BYPASS),
        ("forbid class diagnostics", [ServiceClass.DIAGNOSTICS], Trust.TRUSTED, "https", Severity.INTERNAL_RECON),
        ("forbid class remote-admin", [ServiceClass.REMOTE_ADMIN], None, None, Severity.OPERATIONAL_DRIFT),
        ("require owner", [ServiceClass.REMOTE_ADMIN], Trust.UNTRUSTED, None, Severity.OPERATIONAL_DRIFT),
    ],
)  # fmt: skip
def test_a_breach_is_as_severe_as_what_its_sources_could_reach(
    rule: str, classes: list[ServiceClass], trust: Trust | None, behind: str | None, expected: Severity
) -> None:
    """By the worst class and the trust of the declared sources; what only lacks a field is operational."""
    breach = Breach(rule, "web-1.app is", "web-1", replace(APP, behind=behind), classes=tuple(classes), trust=trust)
    (finding,) = grade([], estate(), TODAY, breaches=[breach]).findings

    assert expected == finding.severity
    assert finding.why.endswith(".")


def test_many_waivers_and_findings() -> None:
    """Thousands of findings and waivers, each for a host of its own, take little longer than without waivers."""
    drifts = [
        drift(outcome(6379, identity=REDIS), kind=Kind.UNDECLARED_PORT, service=None, host=f"host-{number}")
        for number in range(2000)
    ]
    waivers = [waiver(hosts=(f"host-{number}",), tcp=PortSet.of(6379)) for number in range(0, 2000, 2)]
    comparison = Comparison(PUBLIC, Profile.STANDARD, Scan("public", Technique.SYN, "7.93"), (), tuple(drifts))
    before = process_time()
    plain = grade([comparison], estate(), TODAY)
    without = process_time() - before
    found = grade([comparison], estate(*waivers), TODAY)

    assert (2000, 1000, 1000) == (len(plain.findings), len(found.findings), len(found.waived))
    assert process_time() - before - without < 3 * without
