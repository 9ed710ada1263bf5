"""Lint: what is valid in an inventory and probably not meant."""

from __future__ import annotations

import re
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from time import process_time

import pytest

from auditor.inventory.lint import RULES, lint, sight
from auditor.inventory.loading import load_with_places
from auditor.model.lint import Lint
from auditor.model.words import Family

TODAY = date(2026, 11, 22)
REFERENCE = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text(encoding="utf-8")

# Nothing is wrong with it; each case makes one change.
BASE = """version: 1
name: shop
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 10.20.0.0/16], deny: [203.0.113.192/26]}
ranges:
  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}
  office: [192.0.2.0/28, "2001:db8:f::/64"]
viewpoints:
  public: {kind: public, addresses: [198.51.100.20, "2001:db8:e::20"], boundary: filtered}
  office: {kind: vpn, addresses: [192.0.2.7, "2001:db8:f::7"]}
roles:
  server: {services: {ssh: {ports: 22/tcp, class: remote-admin, from: [office], reason: administration}}}
hosts:
  web-1:
    tags: [web]
    roles: [server]
    interfaces: {public: [203.0.113.10, "2001:db8:1::10"]}
    services:
      https: {ports: 443/tcp, class: public-web, from: [internet], reason: the shop, review_by: 2027-01-01}
      db: {ports: 5432/tcp, from: [office], reason: orders}
  web-2:
    roles: [server]
    interfaces: {public: [203.0.113.11, "2001:db8:1::11"]}
waivers:
  - match: {host: web-1, ports: 8080/tcp}
    severity: control-bypass
    reason: migration
    owner: team
    since: 2026-10-01
    expires: 2027-01-31
"""


def changed(*changes: tuple[str, str]) -> str:
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def found(folder: Path, text: str, today: date = TODAY) -> list[Lint]:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return list(lint(*load_with_places(path), today))


DB = "{ports: 5432/tcp, from: [office], reason: orders}"
HTTPS = "{ports: 443/tcp, class: public-web, from: [internet], reason: the shop, review_by: 2027-01-01}"
FORBID = "policy: {forbid: [{class: data-store, trust: untrusted, except: [web-1.db]}]}\nwaivers:"
WEB_2 = '  web-2:\n    roles: [server]\n    interfaces: {public: [203.0.113.11, "2001:db8:1::11"]}\n'

# What to change, and the rules that are told then, each with its line and path.
CASES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, int, str]]]] = {
    "nothing": ([], []),
    # exposed-*
    "data store by port": (
        [(DB, DB.replace("office", "internet"))],
        [("exposed-data-store", 19, "hosts.web-1.services.db.from")],
    ),
    "data store by class": (
        [(HTTPS, HTTPS.replace("public-web", "data-store"))],
        [("exposed-data-store", 18, "hosts.web-1.services.https.from")],
    ),
    "data store excepted": ([(DB, DB.replace("office", "internet")), ("waivers:", FORBID)], []),
    "data store excepted elsewhere": (
        [(DB, DB.replace("office", "internet")), ("waivers:", FORBID.replace("data-store", "remote-admin"))],
        [("exposed-data-store", 19, "hosts.web-1.services.db.from")],
    ),
    "role": (
        [("from: [office], reason: administration", "from: [internet], reason: administration")],
        [("exposed-remote-admin", 11, "roles.server.services.ssh.from")],
    ),
    "udp": (
        [(HTTPS, "{ports: 11211/udp, from: [internet], reason: cache}")],
        [("exposed-data-store", 18, "hosts.web-1.services.https.from")],
    ),
    "dev-debug": (
        [(HTTPS, "{ports: 9229/tcp, from: [internet], reason: debugger}")],
        [("exposed-dev-debug", 18, "hosts.web-1.services.https.from")],
    ),
    "dev-debug to the office": (
        [(DB, "{ports: 9229/tcp, from: [office], reason: debugger}")],
        [],
    ),
    "loopback": ([(DB, "{ports: 5432/tcp, interfaces: [loopback], reason: orders}")], []),
    "many literals": (
        [(DB, DB.replace("office", "198.51.100.0/24, 198.18.0.0/24"))],
        [
            ("exposed-data-store", 19, "hosts.web-1.services.db.from"),
        ],
    ),
    # no-client, ipv4-only, overdue-review
    "no client": (
        [
            (DB, DB.replace("office", "office-6")),
            ("  office: [", '  office-6: ["2001:db8:f::/64"]\n  office: ['),
            ('public: [203.0.113.10, "2001:db8:1::10"]', "public: [203.0.113.10]"),
        ],
        [("no-client", 20, "hosts.web-1.services.db.from")],
    ),
    "client of one family": (
        [(DB, DB.replace("office", "office-6")), ("  office: [", '  office-6: ["2001:db8:f::/64"]\n  office: [')],
        [],
    ),
    "ipv4 only": (
        [(DB, DB.replace("reason", "families: [ipv4], reason"))],
        [("ipv4-only", 19, "hosts.web-1.services.db.families")],
    ),
    "ipv4 only where there is no ipv6": (
        [
            (DB, DB.replace("reason", "families: [ipv4], reason")),
            ('public: [203.0.113.10, "2001:db8:1::10"]', "public: [203.0.113.10]"),
        ],
        [],
    ),
    "everybody of ipv4 only": (
        [('[0.0.0.0/0, "::/0"]', "[0.0.0.0/0]")],
        [("ipv4-only", 18, "hosts.web-1.services.https.from")],
    ),
    "office of ipv4 only": ([('192.0.2.0/28, "2001:db8:f::/64"', "192.0.2.0/28")], []),
    "ipv6 only": ([(DB, DB.replace("reason", "families: [ipv6], reason"))], []),
    "review yesterday": (
        [("2027-01-01", "2026-11-21")],
        [("overdue-review", 18, "hosts.web-1.services.https.review_by")],
    ),
    "review today": ([("2027-01-01", "2026-11-22")], []),
    # wildcard-range, literal-range, shadowed-range, unused-range, unused-role
    "wildcard": (
        [(HTTPS, HTTPS.replace("internet", '"::/0"')), (DB, "{ports: 80/tcp, from: [internet], reason: shop}")],
        [("wildcard-range", 18, "hosts.web-1.services.https.from[0]")],
    ),
    "wildcard without a name": (
        [
            (HTTPS, HTTPS.replace("internet", '0.0.0.0/0, "::/0"')),
            ('  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}\n', ""),
        ],
        [],
    ),
    "literal": (
        [(DB, DB.replace("office", "192.0.2.0/28"))],
        [("literal-range", 19, "hosts.web-1.services.db.from[0]")],
    ),
    "another literal": ([(DB, DB.replace("office", "192.0.2.0/29"))], []),
    "shadowed": (
        [(DB, DB.replace("office", "192.0.2.7, office"))],
        [("shadowed-range", 19, "hosts.web-1.services.db.from[0]")],
    ),
    "shadowed by a literal": (
        [(DB, DB.replace("office", "office, 192.0.2.0/24, 192.0.2.0/25"))],
        [("shadowed-range", 19, "hosts.web-1.services.db.from[2]")],
    ),
    "shadowed by everybody": (
        [(HTTPS, HTTPS.replace("internet", "office, internet"))],
        [("shadowed-range", 18, "hosts.web-1.services.https.from[0]")],
    ),
    "twice": (
        [(DB, DB.replace("office", "office, office"))],
        [("shadowed-range", 19, "hosts.web-1.services.db.from[1]")],
    ),
    "two names of one range": (
        [
            (DB, DB.replace("office", "office, vpn")),
            ("  office: [", '  vpn: [192.0.2.0/28, "2001:db8:f::/64"]\n  office: ['),
        ],
        [("shadowed-range", 20, "hosts.web-1.services.db.from[1]")],
    ),
    "overlapping in one family": ([(DB, DB.replace("office", "office, 192.0.2.0/27"))], []),
    "unused range": (
        [("  office: [", "  partner: [198.51.100.9]\n  office: [")],
        [("unused-range", 6, "ranges.partner")],
    ),
    "range used by a role": ([(DB, DB.replace("office", "internet").replace("5432", "80"))], []),
    "unused role": (
        [("roles:\n", "roles:\n  idle: {owner: team}\n")],
        [("unused-role", 11, "roles.idle")],
    ),
    # no-viewpoint, public-boundary, unseen-range, unwatched-family, unwatched-address
    "no viewpoint": (
        [(line + "\n", "") for line in BASE.splitlines()[6:9]],
        [("no-viewpoint", 1, "viewpoints")],
    ),
    "boundary": ([(", boundary: filtered", "")], [("public-boundary", 8, "viewpoints.public")]),
    "boundary of a private viewpoint": ([("kind: public, ", "kind: cloud, "), (", boundary: filtered", "")], []),
    "unseen range": (
        [(DB, DB.replace("office", "partner")), ("  office: [", "  partner: [198.51.100.9]\n  office: [")],
        [("unseen-range", 6, "ranges.partner")],
    ),
    "unseen literals": (
        [(DB, DB.replace("office", "198.51.100.9, 198.51.100.8"))],
        [
            ("unseen-range", 19, "hosts.web-1.services.db.from[0]"),
            ("unseen-range", 19, "hosts.web-1.services.db.from[1]"),
        ],
    ),
    "unseen beside a seen one": ([(DB, DB.replace("office", "198.51.100.9, office"))], []),
    "unseen host": (
        [(DB, DB.replace("office", '"host:web-2"'))],
        [("unseen-range", 19, "hosts.web-1.services.db.from[0]")],
    ),
    "family": (
        [(', "2001:db8:e::20"]', "]"), ("192.0.2.7, ", "192.0.2.7"), ('"2001:db8:f::7"', "")],
        [("unwatched-family", 7, "viewpoints")],
    ),
    "family of one viewpoint": ([(', "2001:db8:e::20"]', "]")], []),
    "address outside the targets": (
        [
            ("boundary: filtered}", 'boundary: filtered, targets: [203.0.113.0/28, "2001:db8:1::/64"]}'),
            ('"2001:db8:f::7"]}', '"2001:db8:f::7"], targets: [10.20.0.0/16]}'),
            ("203.0.113.11", "203.0.113.111"),
        ],
        [("unwatched-address", 22, "hosts.web-2.interfaces.public")],
    ),
    "address that the scope denies": ([("203.0.113.11", "203.0.113.200")], []),
    "private address that only the office looks at": ([("203.0.113.11", "10.20.1.11")], []),
    "viewpoint on the host itself": (
        [("198.51.100.20", "203.0.113.11"), ("192.0.2.7, ", ""), ("192.0.2.0/28, ", "203.0.113.11, ")],
        [("unwatched-address", 22, "hosts.web-2.interfaces.public")],
    ),
    # waivers
    "expired": ([("2027-01-31", "2026-11-21")], [("expired-waiver", 29, "waivers[0].expires")]),
    "last day": ([("2027-01-31", "2026-11-22")], [("expiring-waiver", 29, "waivers[0].expires")]),
    "14 days": ([("2027-01-31", "2026-12-06")], [("expiring-waiver", 29, "waivers[0].expires")]),
    "expired by the policy": (
        [("waivers:", "policy: {max_waiver_days: 51}\nwaivers:")],
        [("expired-waiver", 30, "waivers[0].expires")],
    ),
    "last day by the policy": (
        [("waivers:", "policy: {max_waiver_days: 52}\nwaivers:")],
        [("expiring-waiver", 30, "waivers[0].expires")],
    ),
    "15 days": ([("2027-01-31", "2026-12-07")], []),
    "ports of a whole address": (
        [("host: web-1, ports: 8080/tcp", "host: web-1, ports: 8080/tcp, kind: [host-unreachable, unknown-host]")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "ports of a whole address or an endpoint": (
        [("host: web-1, ports: 8080/tcp", "host: web-1, ports: 8080/tcp, kind: [host-unreachable, boundary-leak]")],
        [],
    ),
    "viewpoint of a breach": (
        [("host: web-1, ports: 8080/tcp", "host: web-1, viewpoint: public, kind: policy-breach")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "service of an undeclared port": (
        [("host: web-1, ports: 8080/tcp", "host: web-1, service: https, kind: undeclared-port")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "no severity": ([("    severity: control-bypass\n", "")], [("open-waiver", 24, "waivers[0]")]),
    "host pattern": ([("host: web-1", "host: 'db-*'")], [("idle-waiver", 24, "waivers[0].match")]),
    "host pattern that fits": ([("host: web-1", "host: 'w*-1'")], []),
    "service pattern": (
        [("ports: 8080/tcp", "service: 'smtp*'")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "service of another host": (
        [("host: web-1, ports: 8080/tcp", "host: web-2, service: https")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "service of a tagged host": ([("host: web-1, ports: 8080/tcp", "tag: 'w*b', service: 'htt*'")], []),
    "viewpoint pattern": (
        [("ports: 8080/tcp", "viewpoint: 'vpn-*'")],
        [("idle-waiver", 24, "waivers[0].match")],
    ),
    "interface pattern that fits": ([("ports: 8080/tcp", "interface: '*'")], []),
}


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str, tmp_path: Path) -> None:
    """One change of a flawless inventory gives just its lint, at its line and path; near misses give none."""
    changes, expected = CASES[case]

    actual = [(one.rule, one.location.line, one.path) for one in found(tmp_path, changed(*changes))]

    assert sorted(expected) == sorted(actual)


def test_every_rule_has_a_case_a_reason_and_a_line_in_the_reference() -> None:
    """The rules, the cases of this file and the table for users have the same ids."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", REFERENCE.partition("\n## Lint\n")[2], re.MULTILINE)

    assert set(RULES) == {rule for _, expected in CASES.values() for rule, _, _ in expected}
    assert rows == [(name, rule.why, rule.right) for name, rule in RULES.items()]


MESSAGES = {
    "data store by port": "a data-store service, by its port number, is declared to untrusted sources: internet; "
    "narrow them, give its `class` if it is another, or accept it by `except` in a `forbid` of the policy",
    "role": "a remote-admin service is declared to untrusted sources: internet; narrow them, "
    "or accept it by `except` in a `forbid` of the policy; so on web-1, web-2",
    "wildcard": "`::/0` is everybody, and the range `internet` says so by name; write it, "
    "or the networks that are meant",
    "shadowed": "`192.0.2.7` is within `office`, which is here too, so that it opens nothing; "
    "remove the one that is not meant",
    "unseen range": "no viewpoint stands in `partner`, so that nobody sees whether `web-1.db` can be reached "
    "as declared; add a viewpoint there",
    "family": "no viewpoint has an IPv6 address, so that nobody looks at 2001:db8:1::10, 2001:db8:1::11 of web-1, "
    "web-2; give one to a viewpoint",
    "last day": "today is its last day; mend what it is for, or agree on a new day",
    "last day by the policy": "today is its last day, by `max_waiver_days` of the policy; "
    "mend what it is for, or agree on a new day",
    "14 days": "expires in 14 days, on 2026-12-06; mend what it is for, or agree on a new day",
    "service of another host": "no host fits its `host` and `service` together; correct it, or remove the waiver",
    "ports of a whole address": "no finding of kind host-unreachable, unknown-host has its `ports`; "
    "correct it, or remove the waiver",
    "host pattern": "no host fits `db-*`; correct it, or remove the waiver",
}


@pytest.mark.parametrize("case", MESSAGES)
def test_messages(case: str, tmp_path: Path) -> None:
    """A message says what is wrong, and what would be right."""
    assert [MESSAGES[case]] == [one.message for one in found(tmp_path, changed(*CASES[case][0]))]


def test_sight(tmp_path: Path) -> None:
    """It counts the sources that services name and the addresses, and names what nobody sees."""
    text = changed(
        (DB, DB.replace("office", "198.51.100.9, office")),
        ("203.0.113.11", "203.0.113.200"),
        (', "2001:db8:e::20"]', "]"),
        ("192.0.2.7, ", "192.0.2.7"),
        ('"2001:db8:f::7"', ""),
    )
    path = tmp_path / "inventory.yaml"
    path.write_text(text, encoding="utf-8")

    actual = sight(load_with_places(path)[0])

    assert actual.ranges == ("198.51.100.9", "internet", "office")
    assert actual.unseen == ("198.51.100.9",)
    assert actual.addresses == {Family.IPV4: 2, Family.IPV6: 2}
    assert actual.watched == {Family.IPV4: 1, Family.IPV6: 0}
    assert actual.unwatched == (("web-1", ip_address("2001:db8:1::10")), ("web-2", ip_address("2001:db8:1::11")))
    assert actual.denied == (("web-2", ip_address("203.0.113.200")),)


def test_waivers_of_several_files_keep_their_places(tmp_path: Path) -> None:
    """A waiver is told in its own file, by its number there."""
    (tmp_path / "a.yaml").write_text(BASE, encoding="utf-8")
    waivers = BASE[BASE.index("waivers:") :].replace("2027-01-31", "2026-11-01")
    (tmp_path / "b.yaml").write_text(f"version: 1\n{waivers}", encoding="utf-8")

    actual = lint(*load_with_places(tmp_path), TODAY)

    assert [(Path(one.location.file).name, one.location.line, one.path) for one in actual] == [
        ("b.yaml", 8, "waivers[0].expires")
    ]


def test_what_nobody_sees_is_folded(tmp_path: Path) -> None:
    """One line for a range and one for a subnet, however many services and addresses there are."""
    many = "".join(
        f"  h-{n}: {{interfaces: {{a: [10.20.3.{n}]}}, services: {{x: {{ports: 80/tcp, from: [partner]}}}}}}\n"
        for n in range(200)
    )
    text = changed(
        (WEB_2, many),
        ("  office: [", "  partner: [198.51.100.9]\n  office: ["),
        ('"2001:db8:f::7"]}', '"2001:db8:f::7"], targets: ["2001:db8:1::/64"]}'),
    )

    assert [(one.rule, one.message) for one in found(tmp_path, text)] == [
        (
            "unseen-range",
            "no viewpoint stands in `partner`, so that nobody sees whether `h-0.x` and 199 others can be reached "
            "as declared; add a viewpoint there",
        ),
        (
            "unwatched-address",
            "no viewpoint looks at 10.20.3.0, 10.20.3.1, 10.20.3.10 and 197 more of h-0, h-1, h-10 and 197 more; "
            "add it to the `targets` of one, or add a viewpoint",
        ),
    ]


def test_a_long_from_is_no_trouble(tmp_path: Path) -> None:
    """Thousands of sources in one `from` are compared in a moment."""
    literals = ", ".join(f"192.0.{n >> 8}.{n & 255}" for n in range(1024, 6000))
    text = changed((DB, DB.replace("office", f"office, {literals}")))
    path = tmp_path / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_with_places(path)

    start = process_time()
    actual = lint(*loaded, TODAY)

    assert [one for one in actual if one.rule == "shadowed-range"] == []
    assert process_time() - start < 5
