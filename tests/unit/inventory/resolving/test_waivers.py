"""Waivers and the policy as they are read."""

from __future__ import annotations

import json
from datetime import date
from ipaddress import ip_network
from pathlib import Path

import pytest

from auditor.errors import InventoryError
from auditor.inventory.loading import load, load_with_places
from auditor.model.inventory import Forbid, Inventory, Location, Match, Policy
from auditor.model.ports import PortSet
from auditor.model.words import Family, Kind, Protocol, ServiceClass, Severity, Trust

ESTATE = """
version: 1
name: case
scope: {allow: [10.20.0.0/16]}
ranges: {office: [198.51.100.0/28]}
viewpoints: {public: {kind: public, addresses: [192.0.2.1]}}
roles: {linux: {tags: [linux], services: {ssh: {ports: 22/tcp, from: [office]}}}}
hosts:
  web.1:
    tags: [web]
    roles: [linux]
    interfaces: {lan: [10.20.0.1]}
    services: {https: {ports: 443/tcp, from: [office]}}
  web-2:
    {roles: [linux], interfaces: {dmz: [10.20.0.2]}, services: {ssh: null, 1.https: {ports: 80/tcp, from: [office]}}}
"""
REST = "reason: migration, owner: team, since: 2026-10-02, expires: 2026-12-31"


def loaded(folder: Path, *texts: str) -> Inventory:
    """The estate with the texts, each as a file of its own after the first."""
    for index, text in enumerate((ESTATE + texts[0], *(f"version: 1\n{text}" for text in texts[1:]))):
        (folder / f"{index}.yaml").write_text(text, encoding="utf-8")
    return load(folder)


def match(folder: Path, text: str) -> Match:
    """The only waiver's."""
    (waiver,) = loaded(folder, f"waivers: [{{match: {text}, {REST}}}]\n").waivers
    return waiver.match


def messages(folder: Path, *texts: str) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        loaded(folder, *texts)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_a_waiver(tmp_path: Path) -> None:
    """It has its match, what is accepted, why, by whom, for which days, and where it stands."""
    rest = REST.replace(", ", "\n    ")
    match = "  - match: {host: web.1, ports: 8080/tcp}\n    severity: control-bypass\n    ticket: NET-1\n"
    (waiver,) = loaded(tmp_path, f"waivers:\n{match}    {rest}\n").waivers

    assert Severity.CONTROL_BYPASS is waiver.severity
    assert ("migration", "team", "NET-1") == (waiver.reason, waiver.owner, waiver.ticket)
    assert (date(2026, 10, 2), date(2026, 12, 31)) == (waiver.since, waiver.expires)
    assert Location(f"{tmp_path}/0.yaml", 17, 5) == waiver.location


def test_a_waiver_may_leave_out_severity_and_ticket(tmp_path: Path) -> None:
    """Then any severity is accepted."""
    (waiver,) = loaded(tmp_path, f"waivers: [{{match: {{host: web.1, ports: 1/tcp}}, {REST}}}]\n").waivers

    assert (None, None) == (waiver.severity, waiver.ticket)


def test_every_key_of_a_match(tmp_path: Path) -> None:
    """Each takes values or one alone, and is typed."""
    found = match(
        tmp_path,
        "{host: [web.1, 'w*'], tag: linux, service: [ssh, https], address: [10.20.0.1, 10.20.1.0/24],"
        " interface: loopback, family: [ipv4], ports: [22/tcp, 53/udp, 80-90/tcp], protocol: tcp,"
        " viewpoint: public, kind: undeclared-port,"
        " class: [udp, data-store], fingerprint: 'v1:00112233445566778899aabbccddeeff'}",
    )

    assert (
        Match(
            written=found.written,
            hosts=("web.1", "w*"),
            tags=("linux",),
            services=("ssh", "https"),
            addresses=(ip_network("10.20.0.1"), ip_network("10.20.1.0/24")),
            interfaces=("loopback",),
            families=(Family.IPV4,),
            tcp=PortSet.of(22) | PortSet.span(80, 90),
            udp=PortSet.of(53),
            protocols=(Protocol.TCP,),
            viewpoints=("public",),
            kinds=(Kind.UNDECLARED_PORT,),
            classes=(ServiceClass.UDP, ServiceClass.DATA_STORE),
            fingerprints=("v1:00112233445566778899aabbccddeeff",),
        )
        == found
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{host: web.1, ports: 80/tcp}", "{ports: [80/tcp], host: [web.1]}"),
        ("{host: [web.1, web-2], service: ssh}", "{service: [ssh], host: [web-2, web.1]}"),
        ("{host: web.1, ports: [80/tcp, 81/tcp, 82-90/tcp]}", "{host: web.1, ports: 80-90/tcp}"),
        ("{host: web.1, ports: [9/udp, 80/tcp]}", "{host: web.1, ports: [80/tcp, 9/udp, 80/tcp]}"),
        ("{address: 10.20.0.1, ports: 80/tcp}", "{address: [10.20.0.1/32], ports: 80/tcp}"),
        ("{address: '2001:db8::1', ports: 80/tcp}", "{address: '2001:0DB8:0:0::1/128', ports: 80/tcp, x-note: mine}"),
    ],
)
def test_a_match_is_the_same_however_it_is_written(tmp_path: Path, one: str, other: str) -> None:
    """Order, lists of one, and other spellings of addresses and ports make no difference."""
    assert match(tmp_path, one).written == match(tmp_path, other).written


def test_a_match_as_it_is_written(tmp_path: Path) -> None:
    """Compact JSON with sorted keys and lists."""
    found = match(tmp_path, "{viewpoint: public, ports: [53/udp, 8080/tcp, 22/tcp], host: ['w*', web-2]}")

    assert '{"host":["w*","web-2"],"ports":["22/tcp","8080/tcp","53/udp"],"viewpoint":["public"]}' == found.written
    assert json.loads(found.written)


@pytest.mark.parametrize(
    "text",
    [
        "{host: 'web*', service: '*', tag: 'x*', interface: 'eth*', viewpoint: '*'}",
        "{host: 198.51.100.7, ports: 1/tcp}",
        "{host: '2001:db8::7', ports: 1/tcp}",
        "{host: web.1, tag: linux, service: 1.https, interface: dmz, viewpoint: public}",
        "{tag: web, service: ssh}",
        "{address: 0.0.0.0/0, kind: policy-breach}",
    ],
)
def test_names_that_a_match_may_give(tmp_path: Path, text: str) -> None:
    """Patterns, addresses of no declared host, names that come from roles, and the loopback."""
    assert match(tmp_path, text)


def test_a_service_that_every_host_drops_is_unknown(tmp_path: Path) -> None:
    """What nobody has cannot be waived; the names there are are told."""
    told = messages(
        tmp_path,
        f"roles: {{r: {{services: {{gone: {{ports: 1/tcp, from: [office]}}}}}}}}\n"
        f"waivers: [{{match: {{host: web.1, service: gone}}, {REST}}}]\n".replace("roles: {r:", "x-r: {r:"),
    )

    assert told == ["waivers[0].match.service: no service is named `gone`; known: 1.https, https, ssh"]


def test_waivers_of_several_files(tmp_path: Path) -> None:
    """They unite in the order of files and lines, and each knows where it stands."""
    waiver = "- {match: {host: web.1, ports: %d/tcp}, " + REST + "}\n"
    texts = ["waivers:\n" + waiver % 1 + waiver % 2, "waivers:\n" + waiver % 3, "waivers: []\n"]

    found = loaded(tmp_path, *texts).waivers

    assert [1, 2, 3] == [waiver.match.tcp.first for waiver in found]
    assert ["0.yaml:17", "0.yaml:18", "1.yaml:3"] == [Path(str(waiver.location)).name for waiver in found]


def test_places_of_waivers(tmp_path: Path) -> None:
    """The third waiver is the third of all files."""
    waiver = "- {match: {host: web.1, ports: 1/tcp}, " + REST + "}\n"
    loaded(tmp_path, "waivers:\n" + waiver * 2, "waivers:\n" + waiver)

    _, places = load_with_places(tmp_path)

    assert f"{tmp_path}/1.yaml:3" == str(places.at(("waivers", 2)))
    assert 37 == places.at(("waivers", 2, "reason")).column - places.at(("waivers", 2)).column


def test_one_day(tmp_path: Path) -> None:
    """A waiver may end on the day on which it begins."""
    day = "reason: r, owner: o, since: 2028-02-29, expires: 2028-02-29"
    (waiver,) = loaded(tmp_path, f"waivers: [{{match: {{host: web.1, ports: 1/tcp}}, {day}}}]\n").waivers

    assert waiver.since == waiver.expires


def test_a_policy(tmp_path: Path) -> None:
    """What is forbidden, what is required, and for how long waivers may run."""
    policy = loaded(
        tmp_path,
        "policy:\n  forbid:\n    - {class: data-store}\n    - {trust: untrusted, except: [web.1.https]}\n"
        "  require: [reason, owner]\n  max_waiver_days: 90\n",
    ).policy

    assert [
        Forbid(ServiceClass.DATA_STORE, None, (), policy.forbid[0].location),
        Forbid(None, Trust.UNTRUSTED, ("web.1.https",), policy.forbid[1].location),
    ] == list(policy.forbid)
    assert (("reason", "owner"), 90) == (policy.require, policy.max_waiver_days)
    assert ["0.yaml:18", "0.yaml:19"] == [Path(str(rule.location)).name for rule in policy.forbid]


def test_no_policy(tmp_path: Path) -> None:
    """Without one nothing is forbidden, and an empty one is one."""
    assert Policy() == loaded(tmp_path, "").policy
    assert (None, ()) == (loaded(tmp_path, "policy: {}\n").policy.max_waiver_days, loaded(tmp_path, "").policy.forbid)


def test_a_policy_in_two_files(tmp_path: Path) -> None:
    """It comes from one; what is wrong elsewhere is told too."""
    told = messages(tmp_path, "policy: {require: [owner]}\n", "policy: {require: [owner]}\nnope: 1\n")

    assert [
        f"policy: is in {tmp_path}/0.yaml:16 too; keep one",
        "nope: unknown key `nope`; did you mean `scope`?",
    ] == told


@pytest.mark.parametrize("text", ["web.1.ssh", "web-2.1.https"])
def test_exceptions_of_hosts_with_dots(tmp_path: Path, text: str) -> None:
    """Both names may hold dots; a service may come from a role."""
    assert loaded(tmp_path, f"policy: {{forbid: [{{class: udp, except: [{text}]}}]}}\n").policy.forbid[
        0
    ].exceptions == (text,)


@pytest.mark.parametrize("text", ["web-2.ssh", "web.1", "1.https", "web-2.https", "web.1.https."])
def test_exceptions_that_are_no_service(tmp_path: Path, text: str) -> None:
    """What a host drops by null it does not have."""
    (told,) = messages(tmp_path, f"policy: {{forbid: [{{class: udp, except: [{text}]}}]}}\n")

    assert told.startswith(f"policy.forbid[0].except[0]: no service is `{text}`, written as HOST.SERVICE; ")
