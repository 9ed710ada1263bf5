"""Networks that try to make the auditor give an all-clear it has not earned, or miss what is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import Audited, result, start

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: review
scope: {allow: [10.79.2.0/24]}
viewpoints:
  out: {kind: public, addresses: [10.79.1.2], targets: [10.79.2.0/24], via: {netns: rev-out}}
hosts:
  web: {owner: o, interfaces: {lan: [10.79.2.3]}, services: {ssh: {ports: 22/tcp, from: [10.79.1.2], reason: r}}}
  db: {owner: o, interfaces: {lan: [10.79.2.4]}}
"""
OPEN = "table inet filter {\n chain c {\n type filter hook %s priority 0; policy accept;\n %s\n }\n}"


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """A router between the viewpoint and two hosts; the second exposes a data store that nobody declared."""
    with Estate() as built:
        for segment in ("rev-wan", "rev-lan"):
            built.segment(segment)
        built.namespace("rev-router", forwarding=True)
        built.attach("rev-router", "eth0", "rev-wan", ["10.79.1.1/24"])
        built.attach("rev-router", "eth1", "rev-lan", ["10.79.2.1/24"])
        for name, segment, net, last in (
            ("rev-out", "rev-wan", 1, 2),
            ("rev-web", "rev-lan", 2, 3),
            ("rev-db", "rev-lan", 2, 4),
        ):
            built.namespace(name)
            built.attach(name, "eth0", segment, [f"10.79.{net}.{last}/24"], [f"10.79.{net}.1"])
            built.settings(name, {"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000})
        built.respond("rev-web", "ssh,0.0.0.0,22")
        built.respond("rev-db", "redis,0.0.0.0,6379")
        yield built


def audited(tmp_path: Path, env: dict[str, str] | None = None, inventory: str = INVENTORY) -> Audited:
    path = tmp_path / "inventory.yaml"
    path.write_text(inventory, encoding="utf-8")
    out = tmp_path / "reports"
    return result(start(path, out, "--profile", "quick", env=env), out)


def reasons(found: Audited, port: str) -> set[tuple[str, str]]:
    return {(one["host"], one["reason"]) for one in found.report["unverified"] if one["ports"] == port}


def test_probes_that_never_leave_the_viewpoint_verify_nothing(estate: Estate, tmp_path: Path) -> None:
    """Its own firewall drops one port; nmap reports silence and success all the same."""
    estate.firewall("rev-out", OPEN % ("output", "tcp dport 6379 drop"))
    found = audited(tmp_path)
    estate.run("rev-out", "nft", "flush", "ruleset")

    why = "the viewpoint's own machine did not send some of the probes: Operation not permitted"
    assert {("web", why), ("db", why)} == reasons(found, "6379")
    assert (found.code, found.report["findings"]) == (3, [])


def test_a_path_lost_midway_verifies_nothing(estate: Estate, tmp_path: Path) -> None:
    """The declared port has answered; then the router drops everything, and silence looks like a perfect firewall."""
    cut = tmp_path / "cut.nft"
    cut.write_text(OPEN % ("forward", "iifname eth0 drop"), encoding="utf-8")
    shim = tmp_path / "bin" / "nmap"
    shim.parent.mkdir()
    lose = f"ip netns exec rev-router nft -f {cut}"
    shim.write_text(
        f'#!/bin/sh\ncase "$*" in *--min-rate*) {lose};; esac\nexec {shutil.which("nmap")} "$@"\n', encoding="utf-8"
    )
    shim.chmod(0o755)
    found = audited(tmp_path, {"PATH": f"{shim.parent}:{os.environ['PATH']}"})
    estate.run("rev-router", "nft", "flush", "ruleset")

    assert (found.code, found.report["findings"]) == (3, [])
    assert {"web", "db"} == {one["host"] for one in found.report["unverified"] if one["protocol"] == "tcp"}
    assert [] == [row for row in found.report["matrix"] if (row["protocol"], row["observed"]) == ("tcp", "filtered")]


NEIGHBOURS = """
version: 1
name: neighbours
scope: {allow: [10.79.3.0/24]}
viewpoints:
  out: {kind: internal, addresses: [10.79.3.2], targets: [10.79.3.0/24], via: {netns: near-out}}
hosts:
  web: {owner: o, interfaces: {lan: [10.79.3.3]}, services: {ssh: {ports: 22/tcp, from: [10.79.3.2], reason: r}}}
  db: {owner: o, interfaces: {lan: [10.79.3.4]}}
  cache: {owner: o, interfaces: {lan: [10.79.3.5]}, services: {cache: {ports: 6379/tcp, from: [10.79.3.2], reason: r}}}
  gone: {owner: o, interfaces: {lan: [10.79.3.6]}, services: {ssh: {ports: 22/tcp, from: [10.79.3.2], reason: r}}}
"""


def test_neighbours_that_answer_no_arp(estate: Estate, tmp_path: Path) -> None:
    """Fixed entries, ARP off: what listens is found all the same, and what is dead is unreachable."""
    estate.segment("near-lan")
    names = {"near-out": 2, "near-web": 3, "near-db": 4, "near-cache": 5}
    for name, last in names.items():
        estate.namespace(name)
        estate.attach(name, "eth0", "near-lan", [f"10.79.3.{last}/24"])
    for name in ("near-db", "near-cache"):
        estate.run(name, "ip", "link", "set", "eth0", "arp", "off")
        for one, other in ((name, "near-out"), ("near-out", name)):
            (link,) = json.loads(estate.run(other, "ip", "-j", "link", "show", "eth0"))
            neighbour = (f"10.79.3.{names[other]}", "lladdr", link["address"], "dev", "eth0", "nud", "permanent")
            estate.run(one, "ip", "neigh", "replace", *neighbour)
    estate.respond("near-web", "ssh,0.0.0.0,22")
    for name in ("near-db", "near-cache"):
        estate.respond(name, "redis,0.0.0.0,6379")
    found = audited(tmp_path, inventory=NEIGHBOURS)

    assert found.findings("kind", "host") == [("host-unreachable", "gone"), ("undeclared-port", "db")]
