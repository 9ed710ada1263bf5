"""Hosts by their DNS names, audited for real. The resolver reads a hosts file of the test's own, and asks nobody."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.commands import auditor
from tests.live.audits import Audited, audit

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: names
scope: {allow: [10.88.0.0/28, "2001:db8:88::/64"]}
viewpoints:
  near: {kind: internal, addresses: [10.88.0.2, "2001:db8:88::2"], via: {netns: names-near}}
hosts:
  client: {interfaces: {lan: [client.names.test]}}
  web:
    interfaces: {lan: [web.names.test]}
    services:
      ssh: {ports: 22/tcp, class: remote-admin, from: ["host:client"], reason: administration}
  stray: {interfaces: {lan: [stray.names.test]}}
  lost: {interfaces: {lan: [lost.names.test]}}
"""
HOSTS = """
127.0.0.1 localhost
10.88.0.2 client.names.test
2001:db8:88::2 client.names.test
10.88.0.4 web.names.test
2001:db8:88::4 web.names.test
10.88.0.20 stray.names.test
"""
SEEN = """
table inet filter {
    counter stray {}
    chain output { type filter hook output priority filter; ip daddr 10.88.0.20 counter name stray; }
}
"""
ONE_PACKET = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('10.88.0.20', 9))"
NO_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """A viewpoint, a machine with one service too many, and one that the scope leaves out."""
    with Estate() as built:
        built.segment("names-lan")
        for name, last in (("names-near", 2), ("names-web", 4), ("names-stray", 20)):
            built.namespace(name)
            built.attach(name, "eth0", "names-lan", [f"10.88.0.{last}/24", f"2001:db8:88::{last:x}/64"])
        built.settings("names-web", {"ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0})  # closed UDP says so at once
        built.firewall("names-near", SEEN)
        built.respond("names-web", "ssh,::,22", "redis,::,6379")
        yield built


@pytest.fixture(scope="module")
def _resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The lab has a mount namespace of its own, so that nobody else sees these files."""
    folder = tmp_path_factory.mktemp("etc")
    mounted = []
    for name, text in (("hosts", HOSTS), ("resolv.conf", NO_RESOLVER)):
        (folder / name).write_text(text, encoding="utf-8")
        subprocess.run(["mount", "--bind", folder / name, f"/etc/{name}"], check=True)
        mounted.append(f"/etc/{name}")
    yield
    for place in mounted:
        subprocess.run(["umount", place], check=True)


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inventory") / "names.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def audited(estate: Estate, _resolver: None, inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return audit(inventory, tmp_path_factory.mktemp("reports"), "--profile", "quick")


def test_drift_is_found_where_a_name_leads(audited: Audited) -> None:
    """Both families; the viewpoint is the host that ssh is for, which the inventory knows by its name too."""

    assert audited.findings("kind", "host", "family", "class") == [
        ("undeclared-port", "web", "ipv4", "data-store"),
        ("undeclared-port", "web", "ipv6", "data-store"),
    ]
    assert [(row["address"], row["outcome"]) for row in audited.report["matrix"] if row.get("service") == "ssh"] == [
        ("10.88.0.4", "verified"),
        ("2001:db8:88::4", "verified"),
    ]


def test_addresses_of_names_are_in_the_report(audited: Audited) -> None:
    """As they were on that day."""
    hosts = audited.report["hosts"]

    assert {name: host["names"] for name, host in hosts.items()} == {
        "client": {"client.names.test": ["10.88.0.2", "2001:db8:88::2"]},
        "lost": {"lost.names.test": []},
        "stray": {"stray.names.test": []},
        "web": {"web.names.test": ["10.88.0.4", "2001:db8:88::4"]},
    }
    assert hosts["web"]["interfaces"] == {"lan": ["10.88.0.4", "2001:db8:88::4"]}


def test_what_leaves_the_scope_gets_no_packet(estate: Estate, audited: Audited) -> None:
    """The name leads to a machine that is there and could be scanned; the report says why it was not."""
    resolve = [error["message"] for error in audited.report["errors"] if error["stage"] == "resolve"]

    assert estate.packets("names-near", "stray") == 0
    assert "stray: stray.names.test leads to 10.88.0.20, outside `scope.allow`: not probed" in resolve
    assert [message for message in resolve if message.startswith("lost: lost.names.test has no address: ")]
    assert len(resolve) == 2
    assert not audited.report["verdict"]["complete"]
    estate.run("names-near", "python3", "-c", ONE_PACKET)
    assert estate.packets("names-near", "stray") == 1  # a counter that counts, so that its zero said something


def test_doctor_and_plan_tell_of_such_names(audited: Audited, _resolver: None, inventory: Path) -> None:
    """Before an audit does."""
    doctor = auditor("doctor", inventory)
    plan = auditor("plan", inventory)
    expect = auditor("expect", inventory)

    assert doctor.returncode == 3
    assert "FAILED  names: stray: stray.names.test leads to 10.88.0.20" in doctor.stdout
    assert (expect.returncode, plan.returncode) == (0, 0)
    assert "not resolved: stray: stray.names.test leads to 10.88.0.20" in expect.stderr
    assert "reachable: ssh, from host:client, names.yaml:12" in expect.stdout
    assert "not resolved: stray: stray.names.test leads to 10.88.0.20" in plan.stdout
    assert "10.88.0.20" not in "".join(line for line in plan.stdout.splitlines() if "nmap" in line)
