"""What is declared against the policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from ipaddress import ip_network
from time import perf_counter

import pytest

from auditor import addresses
from auditor.catalogue.declared import declared_classes
from auditor.inventory.resolving.policy import breaches
from auditor.model.breach import Breach
from auditor.model.inventory import (
    Forbid,
    Host,
    Inventory,
    Location,
    Match,
    Policy,
    Scope,
    Service,
    SourceRange,
    Waiver,
)
from auditor.model.ports import ALL_PORTS
from auditor.model.words import ServiceClass, Trust
from tests.builders import APP_SUBNET, BASTION, INTERNET, host, service

NO_DATA_STORE = Forbid(ServiceClass.DATA_STORE, Trust.UNTRUSTED)


def literal(cidr: str) -> SourceRange:
    network = (ip_network(cidr),)
    return SourceRange(cidr, network, addresses.trust_of(network), named=False)


def inventory(*hosts: Host, waivers: Sequence[Waiver] = (), policy: Policy | None = None) -> Inventory:
    return Inventory(
        name="example",
        scope=Scope((ip_network("203.0.113.0/24"),)),
        ranges={},
        viewpoints={},
        hosts={each.name: each for each in hosts},
        waivers=tuple(waivers),
        policy=policy or Policy(),
    )


def rules(policy: Policy, *services: Service, owner: str | None = "team") -> list[tuple[str, str]]:
    """The services and rules of the breaches, of one host `db-1`."""
    found = breaches(inventory(host("db-1", owner, ["203.0.113.10"], *services)), policy)
    return [(one.service.name if one.service else "", one.rule) for one in found]


def it(ports: str, source: SourceRange, **keys: object) -> Service:
    """A service `it` on `NUMBERS/PROTOCOL`."""
    numbers, _, protocol = ports.partition("/")
    return replace(service("it", numbers, source, protocol=protocol), **keys)  # type: ignore[arg-type]


def waiver(days: int) -> Waiver:
    since = date(2026, 1, 1)
    return Waiver(Match("{}"), "reason", "owner", since, since + timedelta(days), location=Location("i.yaml", 9))


def test_a_breach_says_all_of_itself() -> None:
    """The rule, what breaks it, the service with its classes and trust, and where it stands."""
    postgres = service("postgres", "5432", BASTION, INTERNET)
    policy = Policy(forbid=(NO_DATA_STORE,))

    found = breaches(inventory(host("db-1", "team", ["203.0.113.10"], postgres), policy=policy))

    expected = Breach(
        rule="forbid class data-store, trust untrusted",
        what="db-1.postgres (data-store) is declared to untrusted sources: bastion, internet",
        host="db-1",
        service=postgres,
        classes=(ServiceClass.DATA_STORE,),
        trust=Trust.UNTRUSTED,
        location=postgres.location,
    )
    assert found == (expected,)


FORBIDDEN = [
    # forbidden class and trust, what is declared, whether it is a breach
    ("data-store", "untrusted", it("5432/tcp", INTERNET), True),
    ("data-store", "untrusted", it("5432/tcp", BASTION), False),
    ("data-store", "untrusted", it("443/tcp", INTERNET), False),
    ("data-store", "untrusted", it("443,5432/tcp", INTERNET), True),
    ("data-store", "untrusted", it("1-65535/tcp", INTERNET), True),
    ("data-store", "untrusted", it("443/tcp", INTERNET, declared_class=ServiceClass.DATA_STORE), True),
    ("data-store", "untrusted", it("5432/tcp", INTERNET, declared_class=ServiceClass.PUBLIC_WEB), False),
    ("data-store", "untrusted", it("15432/tcp", INTERNET, protocol="postgresql"), True),
    ("data-store", "untrusted", it("15432/tcp", INTERNET, protocol="http"), False),
    ("data-store", "untrusted", it("11211/udp", INTERNET), True),
    ("udp", "untrusted", it("11211/udp", INTERNET), True),
    ("udp", "untrusted", it("11211/tcp", INTERNET), False),
    ("remote-admin", "untrusted", it("51820/udp", INTERNET), True),
    ("remote-admin", "untrusted", it("51820/udp", INTERNET, declared_class=ServiceClass.UDP), True),
    ("remote-admin", "untrusted", it("123/udp", INTERNET), False),
    ("unclassified", None, it("40999/tcp", BASTION), True),
    ("data-store", None, it("5432/tcp", BASTION), True),
    ("data-store", "trusted", it("5432/tcp", BASTION), True),
    ("data-store", "trusted", it("5432/tcp", INTERNET), False),
    (None, "untrusted", it("40999/tcp", INTERNET), True),
    (None, "untrusted", it("40999/tcp", BASTION), False),
]


@pytest.mark.parametrize(("service_class", "trust", "declared", "expected"), FORBIDDEN)
def test_forbid(service_class: str | None, trust: str | None, declared: Service, expected: bool) -> None:
    """A service breaks a rule if its class and the trust of its sources fit; what a rule leaves out is any."""
    rule = Forbid(ServiceClass(service_class) if service_class else None, Trust(trust) if trust else None)

    assert rules(Policy(forbid=(rule,)), declared) == ([("it", str(rule))] if expected else [])


def test_an_exception_is_one_service_of_one_host() -> None:
    """`except` names HOST.SERVICE; others of the host, and the same name on another host, are still breaches."""
    rule = Forbid(ServiceClass.DATA_STORE, Trust.UNTRUSTED, ("db-1.postgres",))
    pair = service("mysql", "3306", INTERNET), service("postgres", "5432", INTERNET)
    hosts = host("db-1", None, ["203.0.113.10"], *pair), host("db-2", None, ["203.0.113.11"], *pair)

    found = breaches(inventory(*hosts), Policy(forbid=(rule,)))

    assert [one.what.partition(" ")[0] for one in found] == ["db-1.mysql", "db-2.mysql", "db-2.postgres"]


def test_a_rule_written_twice_is_one() -> None:
    """A service breaks a rule once, however often it is written, with whatever exceptions."""
    twice = (NO_DATA_STORE, Forbid(ServiceClass.DATA_STORE, Trust.UNTRUSTED, ("db-9.other",)))

    assert [("it", str(NO_DATA_STORE))] == rules(Policy(forbid=twice), service("it", "5432", INTERNET))


def test_the_loopback_breaks_no_rule_of_trust() -> None:
    """Nobody is meant by a service on the loopback alone; a rule of the class alone holds there too."""
    local = service("redis", "6379", interfaces=("loopback",))
    of_class = Forbid(ServiceClass.DATA_STORE)
    every = (Forbid(None, Trust.TRUSTED), Forbid(None, Trust.UNTRUSTED), of_class)

    assert [("redis", str(of_class))] == rules(Policy(forbid=every), local)


SOURCES = [
    ([INTERNET], Trust.UNTRUSTED),
    ([BASTION, INTERNET], Trust.UNTRUSTED),
    ([BASTION, APP_SUBNET], Trust.TRUSTED),
    ([literal("198.51.100.0/24")], Trust.TRUSTED),
    ([literal("198.51.100.0/24"), literal("198.18.0.0/24")], Trust.UNTRUSTED),
    ([literal("198.51.100.0/24"), literal("198.51.100.0/25")], Trust.TRUSTED),
    ([literal("198.51.100.0/24"), literal("10.0.0.0/8")], Trust.TRUSTED),
    ([literal("198.51.100.0/24"), BASTION], Trust.TRUSTED),
    (
        [SourceRange("offices", (ip_network("198.18.0.0/15"),), Trust.TRUSTED), literal("198.51.100.0/24")],
        Trust.TRUSTED,
    ),
]


@pytest.mark.parametrize(("sources", "expected"), SOURCES)
def test_trust_of_a_source_set(sources: Sequence[SourceRange], expected: Trust) -> None:
    """Named ranges count by their own trust, literals all together; one untrusted part is enough."""
    assert expected == addresses.trust_of_sources(sources)


REQUIRED = [
    ("reason", {"reason": "why"}),
    ("owner", {"owner": "team"}),
    ("class", {"declared_class": ServiceClass.UDP}),
    ("protocol", {"protocol": "http"}),
    ("ticket", {"register": {"ticket": "NET-1"}}),
    ("approved_by", {"register": {"approved_by": "Ann"}}),
    ("patching", {"register": {"patching": "monthly"}}),
    ("review_by", {"register": {"review_by": "2027-01-01"}}),
]


@pytest.mark.parametrize(("field", "present"), REQUIRED)
def test_require(field: str, present: dict[str, object]) -> None:
    """A service that lacks the field breaks `require FIELD`; one that has it does not."""
    lacking, having = service("a", "443", INTERNET), replace(it("443/tcp", INTERNET, **present), name="b")

    assert [("a", f"require {field}")] == rules(Policy(require=(field,)), lacking, having, owner=None)


def test_an_owner_may_be_the_hosts() -> None:
    """A service without an owner has the host's; a blank one is none."""
    plain = service("a", "443", INTERNET)

    assert [] == rules(Policy(require=("owner",)), plain, owner="team")
    assert [("a", "require owner")] == rules(Policy(require=("owner",)), plain, owner=" ")


@pytest.mark.parametrize(("days", "expected"), [(90, []), (91, ["max_waiver_days"])])
def test_max_waiver_days(days: int, expected: list[str]) -> None:
    """A waiver may run for so many days from `since`, and no more."""
    found = breaches(inventory(waivers=[waiver(days)], policy=Policy(max_waiver_days=90)))

    assert expected == [one.rule for one in found]


def test_a_waiver_in_breach() -> None:
    """It says for how long the waiver runs, and where it stands."""
    found = breaches(inventory(waivers=[waiver(91)], policy=Policy(max_waiver_days=90)))

    assert [str(one.location) for one in found] == ["i.yaml:9"]
    assert [one.what for one in found] == [
        "the waiver runs for 91 days, from 2026-01-01 to 2026-04-02; the policy allows 90"
    ]


def test_another_policy() -> None:
    """The policy that is asked about counts, not the inventory's own; without any, nothing is a breach."""
    own = inventory(
        host("db-1", None, ["203.0.113.10"], service("it", "5432", INTERNET)), policy=Policy(require=("owner",))
    )

    assert ["require owner"] == [one.rule for one in breaches(own)]
    assert [str(NO_DATA_STORE)] == [one.rule for one in breaches(own, Policy(forbid=(NO_DATA_STORE,)))]
    assert () == breaches(own, Policy())


def test_worst_class_first() -> None:
    """A declaration of many ports has every class that the catalogue knows of them."""
    every = service("it", "", INTERNET, tcp=ALL_PORTS)

    assert declared_classes(every) == (
        ServiceClass.DATA_STORE,
        ServiceClass.REMOTE_ADMIN,
        ServiceClass.DEV_DEBUG,
        ServiceClass.PUBLIC_WEB,
        ServiceClass.DIAGNOSTICS,
        ServiceClass.UNCLASSIFIED,
    )


def test_sixty_thousand_services_in_no_time() -> None:
    """Work is shared between services of one source set and of the same ports."""
    sources = (INTERNET, BASTION)
    six = [service(f"s{port}", str(port), *sources) for port in (22, 80, 443, 5432, 6379, 9100)]
    many = inventory(*(host(f"h{number}", None, ["203.0.113.10"], *six) for number in range(10_000)))
    policy = Policy(forbid=(NO_DATA_STORE, Forbid(ServiceClass.REMOTE_ADMIN)), require=("owner",))

    start = perf_counter()
    found = breaches(many, policy)
    took = perf_counter() - start

    assert len(found) == 10_000 * (2 + 1 + 6)
    assert took < 5  # about half a second, on a machine that does nothing else
