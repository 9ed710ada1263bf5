"""A device on the way that answers for everybody: it makes no dead host live, and no port of a host its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import Audited, audit

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: controls
scope: {allow: [10.83.2.0/27], deny: [10.83.2.1]}
viewpoints:
  outside:
    kind: public
    addresses: [10.83.1.2]
    targets: [10.83.2.0/27]
    boundary: filtered
    via: {netns: ctl-out}
ranges: {internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}}
hosts:
  one: {owner: o, interfaces: {lan: [10.83.2.10]}, services: {ssh: {ports: 22/tcp, from: [internet], reason: r}}}
  two: {owner: o, interfaces: {lan: [10.83.2.11]}, services: {ssh: {ports: 22/tcp, from: [internet], reason: r}}}
  off: {owner: o, interfaces: {lan: [10.83.2.12]}, services: {ssh: {ports: 22/tcp, from: [internet], reason: off}}}
"""
STRANGER = "10.83.2.20"
ROUTER = """
table inet filter {
 chain forward {
  type filter hook forward priority 0; policy drop;
  ct state established,related accept
  iifname eth1 accept
  SPECIAL
  tcp dport 22 ip daddr { 10.83.2.10, 10.83.2.11, 10.83.2.20 } accept
 }
 chain pre { type nat hook prerouting priority -100; REDIRECT; }
}
"""
RESETS = "iifname eth0 tcp flags & (fin | syn | rst | ack) == ack ct state new reject with tcp reset"
BANNERS = """
table ip nat {
 chain pre { type nat hook prerouting priority -100; tcp dport != 22 redirect to :22; }
}
"""
FOR_OTHERS = ("answers-for-others", "10.83.2.0/27")
OFF = ("host-unreachable", "off")
FOUND = ("unknown-host", STRANGER)


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """Two hosts and one that nobody declares behind a router, on which something listens too; a third is off."""
    with Estate() as built:
        for segment in ("ctl-wan", "ctl-lan"):
            built.segment(segment)
        built.namespace("ctl-router", forwarding=True)
        built.attach("ctl-router", "eth0", "ctl-wan", ["10.83.1.1/24"])
        built.attach("ctl-router", "eth1", "ctl-lan", ["10.83.2.1/27"])
        built.namespace("ctl-out")
        built.attach("ctl-out", "eth0", "ctl-wan", ["10.83.1.2/24"], ["10.83.1.1"])
        for name, address in {"ctl-one": "10.83.2.10", "ctl-two": "10.83.2.11", "ctl-odd": STRANGER}.items():
            built.namespace(name)
            built.attach(name, "eth0", "ctl-lan", [f"{address}/27"], ["10.83.2.1"])
            built.respond(name, "ssh,::,22")
        built.respond("ctl-router", "redis,::,2525", "dns,::,53")
        yield built


def seen(estate: Estate, folder: Path, *options: str, special: str = "", redirect: str = "accept") -> Audited:
    """One audit with these rules at the router."""
    estate.firewall("ctl-router", ROUTER.replace("SPECIAL", special).replace("REDIRECT", redirect))
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return audit(path, folder / "reports", "--profile", "quick", *options)


def test_without_such_a_device(estate: Estate, tmp_path: Path) -> None:
    """The same ports of the same services open on all hosts are theirs: an unknown host is one."""
    assert [OFF, ("undeclared-port", STRANGER), FOUND] == seen(estate, tmp_path, "--discover").findings("kind", "host")


def test_a_router_that_resets_stray_acks(estate: Estate, tmp_path: Path) -> None:
    """Whoever is dead stays dead, and the one that nobody declares is found all the same."""
    audited = seen(estate, tmp_path, "--discover", special=RESETS)

    assert [OFF, ("undeclared-port", STRANGER), FOUND] == audited.findings("kind", "host")
    assert any("a device on the way does that" in note for note in audited.report["audit"]["viewpoints"][0]["notes"])


def test_a_router_that_refuses_a_port(estate: Estate, tmp_path: Path) -> None:
    """One finding, and no leak at each host."""
    audited = seen(estate, tmp_path, special="iifname eth0 tcp dport 113 reject with tcp reset")

    assert [FOR_OTHERS, OFF] == audited.findings("kind", "host")


@pytest.mark.parametrize("rule", ["tcp dport 25 redirect to :2525", "udp dport 53 redirect to :53"])
def test_a_relay(estate: Estate, tmp_path: Path, rule: str) -> None:
    """It speaks for every address; that is told once."""
    audited = seen(estate, tmp_path, redirect=f"iifname eth0 {rule}")

    assert [FOR_OTHERS, OFF] == audited.findings("kind", "host")


def test_a_banner_on_every_port(estate: Estate, tmp_path: Path) -> None:
    """One finding for the address, of which no more than a sample of ports was asked what answers."""
    estate.firewall("ctl-two", BANNERS)
    audited = seen(estate, tmp_path, special="ip daddr 10.83.2.11 meta l4proto tcp accept")
    versions = [one for one in audited.report["audit"]["viewpoints"][0]["commands"] if "--version-intensity 2" in one]

    assert [("all-ports-open", "two"), OFF] == audited.findings("kind", "host")
    assert 1 == len(versions)
