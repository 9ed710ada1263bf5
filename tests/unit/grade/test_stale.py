"""Stale waivers: told only where all was looked at that they could cover, and nothing of it is in doubt."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date
from ipaddress import ip_address
from pathlib import Path

import pytest

from auditor.grade.findings import grade
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.drift import Comparison, Outcome
from auditor.model.finding import Finding
from auditor.model.inventory import Inventory
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Kind, Profile, Protocol, Result, Technique

TODAY = date(2026, 11, 22)
INVENTORY = """
version: 1
name: shop
scope: {allow: [203.0.113.0/24, 10.20.0.0/24]}
ranges: {internet: [0.0.0.0/0], office: [192.0.2.0/28]}
viewpoints:
  public: {kind: public, addresses: [198.51.100.20]}
  vpn: {kind: vpn, addresses: [192.0.2.5], targets: [203.0.113.0/24, 10.20.0.0/24]}
hosts:
  web-1:
    tags: [web]
    interfaces: {public: [203.0.113.10, "2001:db8:1::10"], private: [10.20.0.10]}
    services:
      https: {ports: 443/tcp, interfaces: [public], from: [internet]}
      syslog: {ports: 10514/udp, interfaces: [private], from: [office]}
  web-2:
    interfaces: {public: [203.0.113.20]}
    services: {https: {ports: 443/tcp, from: [internet]}}
waivers:
  - match: MATCH
    reason: migration
    owner: team-web
    since: 2026-10-02
    expires: EXPIRES
"""


@pytest.fixture
def stale(tmp_path: Path) -> Callable[..., list[Finding]]:
    """The notices of an audit in which all that it looks at is as it should be, but for the outcomes in doubt."""

    def found(
        match: str,
        *,
        views: Collection[str] = ("public", "vpn"),
        profile: Profile = Profile.STANDARD,
        hosts: Collection[str] = (),
        doubt: tuple[str, str, int, Result] | None = None,
        expires: str = "2026-12-31",
    ) -> list[Finding]:
        path = tmp_path / "inventory.yaml"
        text = INVENTORY.replace("MATCH", match).replace("EXPIRES", expires)
        path.write_text(text.replace("203.0.113.0/24, 10.20", '203.0.113.0/24, "2001:db8:1::/64", 10.20', 1))
        inventory = load(path)
        comparisons = [verified(inventory, view, profile, hosts, doubt) for view in views]
        return [one for one in grade(comparisons, inventory, TODAY).findings if one.notice]

    return found


def verified(
    inventory: Inventory,
    view: str,
    profile: Profile,
    hosts: Collection[str],
    doubt: tuple[str, str, int, Result] | None,
) -> Comparison:
    expected = expect(inventory, inventory.viewpoints[view], profile, hosts=hosts)
    outcomes = []
    for one in expected.expectations:
        outcomes.append(Outcome(one, one.ports, Result.VERIFIED, "as it should be"))
        if doubt is None:
            continue
        address, protocol, port, result = doubt
        if (str(one.address), one.protocol) == (address, protocol) and port in one.ports:
            outcomes[-1] = replace(outcomes[-1], ports=one.ports - PortSet.of(port))
            outcomes.append(Outcome(one, PortSet.of(port), result, "cannot tell"))
    return Comparison(expected.viewpoint, profile, Scan(view, Technique.SYN, "7.93"), tuple(outcomes), ())


@pytest.mark.parametrize(
    "match",
    [
        "{host: web-1, ports: 8080/tcp}",
        "{host: 'web-*', ports: 8080/tcp, viewpoint: 'p*'}",
        "{host: web-1, kind: undeclared-port}",
        "{host: '*', kind: undeclared-port}",
        "{tag: web, protocol: tcp}",
        "{tag: web, protocol: udp}",
        "{host: web-1, ports: 10514/udp}",
        "{host: web-1, service: syslog}",
        "{host: web-1, service: https, kind: service-refused}",
        "{host: web-1, interface: private}",
        "{host: web-1, family: ipv6}",
        "{address: 203.0.113.10, kind: undeclared-port}",
        "{address: 203.0.113.0/24, kind: wrong-interface}",
        "{address: 203.0.113.0/24, interface: public}",
        "{host: web-1, kind: policy-breach}",
        "{host: web-1, class: data-store}",
        "{host: web-1, fingerprint: 'v1:00000000000000000000000000000000'}",
    ],
)
def test_stale_where_all_was_looked_at(stale: Callable[..., list[Finding]], match: str) -> None:
    """Whatever the match names: a standard audit from every viewpoint has looked at all of it."""
    (notice,) = stale(match)

    assert notice.rule == json.dumps(json.loads(notice.rule), separators=(",", ":"))
    assert "covers nothing" in notice.why


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("{host: web-1, ports: 8080/tcp}", {"views": ["public"]}),  # the office might see it
        ("{host: web-1, viewpoint: [public, vpn], ports: 8080/tcp}", {"views": ["vpn"]}),
        ("{host: web-1, viewpoint: '*', service: https}", {"views": ["public"]}),
        ("{host: web-1, kind: undeclared-port}", {"profile": Profile.QUICK}),
        ("{host: web-1, ports: 12345/tcp}", {"profile": Profile.QUICK}),
        ("{host: web-1, ports: 12345/udp}", {}),
        ("{host: 'web-*', ports: 8080/tcp}", {"hosts": ["web-1"]}),
        ("{address: 203.0.113.20, ports: 8080/tcp}", {"hosts": ["web-1"]}),
        ("{address: 203.0.113.99, kind: unknown-host}", {}),  # nobody looked there
        ("{address: 203.0.113.0/24, kind: undeclared-port}", {}),  # nor at most of these
        ("{host: 203.0.113.99, kind: unknown-host}", {}),
        ("{host: web-1, kind: undeclared-address}", {}),  # no search finds them all
        ("{host: web-1, ports: 8080/tcp}", {"doubt": ("203.0.113.10", "tcp", 8080, Result.UNVERIFIED)}),
        ("{host: web-1, kind: undeclared-port}", {"doubt": ("10.20.0.10", "tcp", 1, Result.UNVERIFIED)}),
        ("{host: web-1, ports: 161/udp}", {"doubt": ("203.0.113.10", "udp", 161, Result.SILENT)}),
        ("{host: web-1, kind: undeclared-port}", {"doubt": ("203.0.113.10", "udp", 161, Result.SILENT)}),
        ("{host: web-1, service: syslog}", {"doubt": ("10.20.0.10", "udp", 10514, Result.SILENT)}),
    ],
)
def test_not_stale_where_something_was_not_told(
    stale: Callable[..., list[Finding]], match: str, options: dict[str, object]
) -> None:
    """A viewpoint, host, address or port that was not looked at, or that is unverified or silent."""
    assert [] == stale(match, **options)


def test_an_unreachable_host_tells_of_no_port(tmp_path: Path) -> None:
    """What a port would be if its host were alive is not known, so that a waiver for it is not stale."""
    path = tmp_path / "inventory.yaml"
    text = INVENTORY.replace("MATCH", "{host: web-2, service: https, kind: service-filtered, viewpoint: public}")
    path.write_text(text.replace("EXPIRES", "2026-12-31").replace(', "2001:db8:1::10"', ""))
    inventory = load(path)
    view = inventory.viewpoints["public"]
    expected = expect(inventory, view, Profile.STANDARD)

    def notices(kind: Kind) -> int:
        outcomes = tuple(Outcome(one, one.ports, Result.DRIFTED, "", kind) for one in expected.expectations)
        comparison = Comparison(view, Profile.STANDARD, Scan("public", Technique.SYN, "7.93"), outcomes, ())
        return len(grade([comparison], inventory, TODAY).findings)

    assert (0, 1) == (notices(Kind.HOST_UNREACHABLE), notices(Kind.SERVICE_REFUSED))


@pytest.mark.parametrize(
    ("match", "options"),
    [
        ("{host: web-1, ports: 8080/tcp, viewpoint: public}", {"views": ["public"]}),
        ("{host: web-1, ports: 443/tcp}", {"profile": Profile.QUICK}),
        ("{host: web-1, service: https}", {"profile": Profile.QUICK}),
        ("{host: web-1, ports: 8080/tcp}", {"hosts": ["web-1"]}),
        ("{host: web-1, ports: 8080/tcp}", {"doubt": ("203.0.113.10", "tcp", 8081, Result.UNVERIFIED)}),
        ("{host: web-1, ports: 8080/tcp}", {"doubt": ("203.0.113.20", "tcp", 8080, Result.UNVERIFIED)}),
        ("{host: web-1, protocol: tcp}", {"doubt": ("203.0.113.10", "udp", 161, Result.SILENT)}),
        ("{host: web-1, interface: private}", {"doubt": ("203.0.113.10", "tcp", 22, Result.UNVERIFIED)}),
        ("{host: web-1, kind: policy-breach}", {"views": ["public"], "profile": Profile.QUICK, "hosts": ["web-2"]}),
    ],
)
def test_what_it_could_not_cover_does_not_matter(
    stale: Callable[..., list[Finding]], match: str, options: dict[str, object]
) -> None:
    """Doubt elsewhere, and what is left out beside the match, keep no waiver alive."""
    assert 1 == len(stale(match, **options))


def test_an_expired_one_says_so(stale: Callable[..., list[Finding]]) -> None:
    """It is stale too, and has its last day in the sentence."""
    (notice,) = stale("{host: web-1, ports: 8080/tcp}", expires="2026-11-21")

    assert notice.why.endswith(
        "covers nothing: all that it could cover was looked at; besides, it ended on 2026-11-21."
    )


def test_an_undeclared_address_that_was_looked_at(tmp_path: Path) -> None:
    """Where the evidence has asked for all of an address without a host, a waiver for it can be stale."""
    path = tmp_path / "inventory.yaml"
    text = INVENTORY.replace("MATCH", "{address: 203.0.113.98/31, kind: unknown-host, viewpoint: public}")
    path.write_text(text.replace("EXPIRES", "2026-12-31").replace(', "2001:db8:1::10"', ""))
    inventory = load(path)
    view = inventory.viewpoints["public"]

    def notices(*addresses: str) -> int:
        usual = PortSet.span(1, 65535)
        asked = {(ip_address(one), protocol): usual for one in addresses for protocol in Protocol}
        expected = expect(inventory, view, Profile.COMPARE, asked=asked)
        outcomes = tuple(Outcome(one, one.ports, Result.VERIFIED, "") for one in expected.expectations)
        comparison = Comparison(view, Profile.COMPARE, Scan("public", Technique.SYN, "7.93"), outcomes, ())
        return len(grade([comparison], inventory, TODAY).findings)

    assert (0, 1) == (notices("203.0.113.98"), notices("203.0.113.98", "203.0.113.99"))


def test_waivers_of_one_match_are_one(tmp_path: Path) -> None:
    """An old one and its renewal are told once, as the one that ends last."""
    path = tmp_path / "inventory.yaml"
    head, waivers = INVENTORY.replace("MATCH", "{host: web-2, ports: 8080/tcp}").split("waivers:")
    path.write_text(
        f"{head}waivers:{waivers.replace('EXPIRES', '2026-10-31')}{waivers.replace('EXPIRES', '2026-12-31')}".replace(
            ', "2001:db8:1::10"', ""
        )
    )
    inventory = load(path)
    comparisons = [verified(inventory, view, Profile.STANDARD, (), None) for view in inventory.viewpoints]
    found = grade(comparisons, inventory, TODAY).findings

    assert [("stale-waiver", "2026-12-31")] == [(one.kind, one.playbook.values["expires"]) for one in found]
