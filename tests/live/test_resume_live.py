"""Audits that are interrupted in every way, in a lab that counts what reaches each port: nothing is probed twice."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import AUDITOR, Audited, result, start

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: resume
scope: {allow: [10.81.2.0/24, "2001:db8:81:2::/64"]}
viewpoints:
  out:
    kind: public
    addresses: [10.81.1.2, "2001:db8:81:1::2"]
    via: {netns: res-out}
    targets: [10.81.2.0/24, "2001:db8:81:2::/64"]
hosts:
  web:
    owner: o
    interfaces: {lan: [10.81.2.3, "2001:db8:81:2::3"]}
    services: {ssh: {ports: 22/tcp, from: [10.81.1.2, "2001:db8:81:1::2"], reason: r}}
  db: {owner: o, interfaces: {lan: [10.81.2.4, "2001:db8:81:2::4"]}}
"""
# Counts what asks for a connection, by port; the second host drops what it does not serve.
COUNTING = """
table inet count {
    set four { type inet_service; flags dynamic; size 65535; counter; }
    set six { type inet_service; flags dynamic; size 65535; counter; }
    chain input {
        type filter hook input priority -10;
        meta nfproto ipv4 tcp flags & (syn | ack) == syn update @four { tcp dport }
        meta nfproto ipv6 tcp flags & (syn | ack) == syn update @six { tcp dport }
    }
}
"""
DROPPING = "table inet f {\n chain i {\n type filter hook input priority 0; tcp dport != 22 drop\n }\n}\n"
HOSTS = ("res-web", "res-db")


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """A router between the viewpoint and two hosts; the second is managed over SSH, which nobody declared."""
    with Estate() as built:
        for segment in ("res-wan", "res-lan"):
            built.segment(segment)
        built.namespace("res-router", forwarding=True)
        for interface, segment, net in (("eth0", "res-wan", 1), ("eth1", "res-lan", 2)):
            built.attach("res-router", interface, segment, [f"10.81.{net}.1/24", f"2001:db8:81:{net}::1/64"])
        for name, segment, net, last in (
            ("res-out", "res-wan", 1, 2),
            ("res-web", "res-lan", 2, 3),
            ("res-db", "res-lan", 2, 4),
        ):
            built.namespace(name)
            addresses = [f"10.81.{net}.{last}/24", f"2001:db8:81:{net}::{last}/64"]
            built.attach(name, "eth0", segment, addresses, [f"10.81.{net}.1", f"2001:db8:81:{net}::1"])
            limits = {"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000, "ipv6/icmp/ratelimit": 0}
            built.settings(name, limits)
        built.respond("res-web", "ssh,0.0.0.0,22", "ssh,2001:db8:81:2::3,22")
        built.respond("res-db", "ssh,0.0.0.0,22", "ssh,2001:db8:81:2::4,22")
        for name in HOSTS:
            built.firewall(name, COUNTING + (DROPPING if name == "res-db" else ""))
        yield built


def counted(estate: Estate, family: str) -> dict[str, set[int]]:
    """The ports of each host that were asked for a connection since the last time, and forget them."""
    found = {}
    for name in HOSTS:
        listed = json.loads(estate.run(name, "nft", "--json", "list", "set", "inet", "count", family))
        (elements,) = (entry["set"].get("elem", []) for entry in listed["nftables"] if "set" in entry)
        found[name] = {one["elem"]["val"] for one in elements}
        estate.run(name, "nft", "flush", "set", "inet", "count", family)
    return found


def prepared(tmp_path: Path, then: str) -> tuple[Path, Path, dict[str, str]]:
    """An inventory, a reports folder, and an nmap that does something once the sweep over IPv4 has ended.

    It is the one that sweeps IPv6, and does it once.
    """
    inventory, shim = tmp_path / "inventory.yaml", tmp_path / "bin" / "nmap"
    inventory.write_text(INVENTORY, encoding="utf-8")
    shim.parent.mkdir()
    once = f"if [ ! -e {tmp_path}/once ]; then touch {tmp_path}/once; sleep 3; {then}; fi"
    real = shutil.which("nmap")
    shim.write_text(f'#!/bin/sh\ncase "$*" in *" -6 "*--min-rate*) {once};; esac\nexec {real} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    # Nothing but what the shim needs: a folder with the real nmap in it would hide that ours has vanished.
    for program in ("ip", "sh", "sleep", "touch", "rm", "dd", "cat"):
        (shim.parent / program).symlink_to(shutil.which(program) or "/nowhere")
    return inventory, tmp_path / "reports", {"PATH": str(shim.parent)}


def resumed(out: Path, env: dict[str, str]) -> Audited:
    (run,) = (path for path in out.iterdir() if path.is_dir() and not path.is_symlink())
    argv = [str(AUDITOR), "audit", "--resume", str(run)]
    running = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env}
    )
    return result(running, out)


@pytest.fixture(scope="module")
def uninterrupted(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    inventory, out, env = prepared(tmp_path_factory.mktemp("whole"), "true")
    return result(start(inventory, out, "--profile", "quick", env=env), out)


@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("kill -9 $PPID", -9),
        pytest.param("kill $PPID; sleep 60", 143, marks=pytest.mark.long),
        ("dd if=/dev/zero of={out}/filler bs=4k 2>/dev/null", 2),
        ("rm $0", 1),
        pytest.param("kill -9 $$", 1, marks=pytest.mark.long),
    ],
    ids=["kill -9", "SIGTERM", "full disk", "vanished nmap", "killed nmap"],
)
def test_nothing_is_probed_twice(estate: Estate, uninterrupted: Audited, tmp_path: Path, then: str, code: int) -> None:
    """What had ended is not asked again, but for the last looks; and the report is what it would have been."""
    out = tmp_path / "reports"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "lab", out], check=True)
    inventory, _, env = prepared(tmp_path, then.format(out=out))
    first = start(inventory, out, "--profile", "quick", env=env)
    _, said = first.communicate(timeout=100)
    (out / "filler").unlink(missing_ok=True)
    before = counted(estate, "four"), counted(estate, "six")
    shim = tmp_path / "bin" / "nmap"
    if not shim.exists():
        shim.symlink_to(shutil.which("nmap") or "/nowhere")
    second = resumed(out, env)
    after = counted(estate, "four"), counted(estate, "six")
    keys = ("kind", "host", "severity", "endpoints", "observed")
    subprocess.run(["umount", out], check=True)

    assert (first.returncode, second.code) == (code, uninterrupted.code), said
    assert ("--resume" in said) == (code in (2, 143))
    assert all(len(before[0][name]) > 100 for name in HOSTS)
    assert max(len(after[0][name]) for name in HOSTS) <= 2, after[0]  # last looks
    assert [then == "rm $0"] * 2 == [len(after[1][name]) <= 2 for name in HOSTS]
    assert timeless(uninterrupted.findings(*keys)) == timeless(second.findings(*keys))
    assert uninterrupted.report["summary"] == second.report["summary"]
    assert uninterrupted.report["unverified"] == second.report["unverified"]


def timeless(findings: list[tuple[object, ...]]) -> str:
    return json.dumps([[{**one, "at": ""} if isinstance(one, dict) else one for one in each] for each in findings])
