"""Live addresses that nobody declared: found on the own link and behind a router, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab.estate import Estate

from tests.live.audits import Audited, audit

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: discover
scope:
  allow: [10.81.1.0/26, 10.81.2.0/26, "2001:db8:81:1::/64"]
  deny: [10.81.1.40]
viewpoints:
  inside:
    kind: internal
    addresses: [10.81.1.2, "2001:db8:81:1::2"]
    canaries: [10.81.1.1]
    via: {netns: dis-in}
ranges: {inside: [10.81.1.2, "2001:db8:81:1::2"]}
hosts:
  web:
    owner: o
    interfaces: {lan: [10.81.1.10, "2001:db8:81:1::10"]}
    services: {ssh: {ports: 22/tcp, from: [inside], reason: r}}
  laptop:
    owner: o
    interfaces: {lan: {addresses: [10.81.1.20], dynamic: ["2001:db8:81:1::/64"]}}
    services: {ssh: {ports: 22/tcp, from: [inside], reason: r}}
"""
COUNTED = """
table inet filter {
 counter denied {}
 chain in { type filter hook input priority 0; policy accept; ip daddr 10.81.1.40 counter name denied; }
}
table arp filter {
 counter asked {}
 chain in { type filter hook input priority 0; policy accept; arp daddr ip 10.81.1.40 counter name asked; }
}
"""
SIX = "2001:db8:81:1::"
QUICK = {"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000, "ipv6/icmp/ratelimit": 0}


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """A viewpoint on a link with two declared hosts, a stranger and a denied one; behind a router, another stranger."""
    with Estate() as built:
        for segment in ("dis-lan", "dis-far"):
            built.segment(segment)
        built.namespace("dis-router", forwarding=True)
        built.attach("dis-router", "eth0", "dis-lan", ["10.81.1.1/26"])
        built.attach("dis-router", "eth1", "dis-far", ["10.81.2.1/26"])
        for name, addresses in {
            "dis-in": ["10.81.1.2/26", f"{SIX}2/64"],
            "dis-web": ["10.81.1.10/26", f"{SIX}10/64", "10.81.1.11/26", f"{SIX}a:1/64", f"{SIX}a:2/64"],
            "dis-laptop": ["10.81.1.20/26", f"{SIX}b:1/64"],
            "dis-odd": ["10.81.1.30/26", f"{SIX}30/64"],
            "dis-no": ["10.81.1.40/26"],
        }.items():
            built.namespace(name)
            built.attach(name, "eth0", "dis-lan", addresses, ["10.81.1.1"])
            built.settings(name, QUICK)
        built.namespace("dis-far")
        built.attach("dis-far", "eth0", "dis-far", ["10.81.2.30/26"], ["10.81.2.1"])
        built.settings("dis-far", QUICK)
        built.settings("dis-router", QUICK)
        for name in ("dis-web", "dis-laptop"):
            built.respond(name, "ssh,::,22")
        built.respond("dis-odd", "redis,::,6379")
        built.respond("dis-far", "redis,0.0.0.0,6379")
        built.firewall("dis-no", COUNTED)
        yield built


@pytest.fixture(scope="module")
def found(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """One audit with the search."""
    folder = tmp_path_factory.mktemp("discover")
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return audit(path, folder / "reports", "--profile", "quick", "--discover")


def test_strangers(found: Audited) -> None:
    """A live address of no host is an unknown host, near or behind a router, and its ports are undeclared."""
    hosts = [(host, kind) for kind, host in found.findings("kind", "host") if host != "web"]

    assert sorted(hosts) == [
        ("10.81.1.30", "undeclared-port"),
        ("10.81.1.30", "unknown-host"),
        ("10.81.2.1", "unknown-host"),
        ("10.81.2.30", "undeclared-port"),
        ("10.81.2.30", "unknown-host"),
        ("2001:db8:81:1::30", "undeclared-port"),
        ("2001:db8:81:1::30", "unknown-host"),
    ]
    assert found.code == 1


def test_further_addresses_of_a_declared_host(found: Audited) -> None:
    """The hardware address tells whose they are; what is open there is undeclared, though declared elsewhere on it."""
    of_web = [one for one in found.report["findings"] if one["host"] == "web"]

    assert sorted((one["kind"], one["interface"], one["family"], one.get("prefix")) for one in of_web) == [
        ("undeclared-address", "lan", "ipv4", None),
        ("undeclared-address", "lan", "ipv6", f"{SIX}/64"),
        ("undeclared-port", "lan", "ipv4", None),
        ("undeclared-port", "lan", "ipv6", None),
    ]
    four, six = (one["addresses"] for one in of_web if one["kind"] == "undeclared-address")
    assert four == ["10.81.1.11"]
    assert set(six) <= {f"{SIX}a:1", f"{SIX}a:2"}  # a host answers from the one that it prefers


def test_a_declared_prefix(found: Audited) -> None:
    """An address in the prefix is the host's own: its services are verified there as on its other addresses."""
    laptop = [row for row in found.report["matrix"] if row["host"] == "laptop"]

    assert sorted((row["address"], row["expected"], row["outcome"]) for row in laptop if row["port"] == 22) == [
        ("10.81.1.20", "reachable", "verified"),
        (f"{SIX}b:1", "reachable", "verified"),
    ]


def test_what_was_searched(found: Audited) -> None:
    """The report tells where it was looked, how many were asked and lived; the rest is left out."""
    rows = [(row["networks"], row.get("asked"), row["lived"]) for row in found.report["discovery"]]
    left = {row["what"] for row in found.report["left_out"] if "IPv6" in row["what"]}

    assert rows == [(["10.81.1.0/26"], 59, 2), (["10.81.2.0/26"], 64, 2), ([f"{SIX}/64"], None, 3)]
    assert left == {f"IPv6 addresses in {SIX}/64 that no host declares, other than those of neighbours"}


def test_what_is_denied(estate: Estate, found: Audited) -> None:
    """A denied neighbour gets no packet, not even a request for its hardware address."""
    named = [command for command in found.report["audit"]["viewpoints"][0]["commands"] if "10.81.1.40" in command]

    assert (estate.packets("dis-no", "denied"), estate.packets("dis-no", "asked", "arp filter")) == (0, 0)
    assert named == []
    estate.run("dis-in", "nmap", "-n", "-sn", "10.81.1.40")  # the counters do count
    assert estate.packets("dis-no", "asked", "arp filter") > 0
