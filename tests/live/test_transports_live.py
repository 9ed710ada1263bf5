"""Audits from another machine by a real sshd, behind another one: the same result, and nothing left where it breaks."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest
from lab.estate import Estate, run

from auditor.errors import TransportError
from auditor.model.inventory import SshVia
from auditor.transport import SystemTransport, capture
from auditor.transport.watch import Pulse
from tests.live.audits import AUDITOR, Audited, result, start

pytestmark = pytest.mark.live
Program = Callable[[str], str]
INVENTORY = """
version: 1
name: transports
scope: {allow: [10.76.3.0/24, "2001:db8:76::/64"]}
viewpoints:
  far: {kind: internal, addresses: [10.76.3.2, "2001:db8:76::2"], via: VIA, limits: {rate: RATE}}
hosts:
  web: {owner: o, interfaces: {lan: [10.76.3.3, "2001:db8:76::3"]}, services: {ssh: {ports: 22/tcp, from: [10.76.3.2], families: [ipv4], reason: r}}}
  db: {owner: o, interfaces: {lan: [10.76.3.4]}}
"""
DROPS = "table inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 6379 accept; }; }"
CUT = "table inet f { chain forward { type filter hook forward priority 0; policy drop; }; }"
SSHD = """
Port 22
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
UsePAM no
PidFile none
SetEnv PATH={folder}/bin:/usr/bin:/bin
ForceCommand echo "Welcome!"; exec sh -c "$SSH_ORIGINAL_COMMAND"
"""
SSH = """
Host gate probe
  User root
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
Host gate
  HostName 10.76.1.1
Host probe
  HostName 10.76.2.2
  ProxyJump gate
  ControlMaster auto
  ControlPath {folder}/mine
  ControlPersist yes
"""
HOME = ("ip", "netns", "exec", "tr-home")


@dataclass(frozen=True)
class Far:
    """What stands between `home`, where the auditor runs, and the machine `probe` on the hosts' own link."""

    estate: Estate
    folder: Path

    def commands(self) -> list[str]:
        """The command line of each process at `probe` but its sshd."""
        found = []
        for pid in run("ip", "netns", "pids", "tr-probe").split():
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except FileNotFoundError:
                continue
            if line and "sshd" not in line:
                found.append(line)
        return found

    def await_gone(self, seconds: float) -> list[str]:
        """The commands that are still there after so long."""
        deadline = monotonic() + seconds
        while (left := self.commands()) and monotonic() < deadline:
            sleep(0.1)
        return left


@pytest.fixture(scope="module")
def far(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    for key in ("host_key", "key"):
        run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    host_key = (folder / "host_key.pub").read_text(encoding="ascii")
    (folder / "known_hosts").write_text(f"10.76.1.1 {host_key}10.76.2.2 {host_key}", encoding="ascii")
    (folder / "bin").mkdir()
    (folder / "ssh_config").write_text(SSH.format(folder=folder), encoding="utf-8")
    (folder / "sshd_config").write_text(SSHD.format(folder=folder), encoding="utf-8")
    run("mount", "--bind", str(folder / "ssh_config"), "/etc/ssh/ssh_config")  # in the lab's own mount namespace
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with Estate() as built:
        for segment in ("tr-wan", "tr-mid", "tr-lan"):
            built.segment(segment)
        for name in ("tr-home", "tr-gate", "tr-probe", "tr-web", "tr-db"):
            built.namespace(name, forwarding=name == "tr-gate")
        built.attach("tr-home", "eth0", "tr-wan", ["10.76.1.2/24"])
        built.attach("tr-gate", "eth0", "tr-wan", ["10.76.1.1/24"])
        built.attach("tr-gate", "eth1", "tr-mid", ["10.76.2.1/24"])
        built.attach("tr-probe", "eth0", "tr-mid", ["10.76.2.2/24"])
        built.attach("tr-probe", "eth1", "tr-lan", ["10.76.3.2/24", "2001:db8:76::2/64"])
        built.attach("tr-web", "eth0", "tr-lan", ["10.76.3.3/24", "2001:db8:76::3/64"])
        built.attach("tr-db", "eth0", "tr-lan", ["10.76.3.4/24"])
        built.respond("tr-web", "ssh,::,22")
        built.respond("tr-db", "redis,0.0.0.0,6379")
        built.firewall("tr-db", DROPS)
        for name in ("tr-gate", "tr-probe"):
            built.start(name, [program("sshd"), "-D", "-e", "-f", str(folder / "sshd_config")], ["22/tcp"])
        yield Far(built, folder)
    run("umount", "/etc/ssh/ssh_config")


def inventory(folder: Path, via: str, rate: int = 5000) -> Path:
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY.replace("VIA", via).replace("RATE", str(rate)), encoding="utf-8")
    return path


def audited(folder: Path, via: str) -> Audited:
    folder.mkdir()
    out = folder / "reports"
    return result(start(inventory(folder, via), out, "--profile", "quick", prefix=HOME), out)


def judged(found: Audited) -> object:
    """What an audit found, without times and ways."""
    report = found.report
    findings = [
        (f["kind"], f["severity"], f["host"], f["endpoints"], f.get("observed", {}).get("service"))
        for f in report["findings"]
    ]
    for *_, endpoints, _ in findings:
        for endpoint in endpoints:
            endpoint.pop("at", None)
    return found.code, findings, report["summary"], report["unverified"], report["silent"], report["coverage"]


def test_an_audit_from_afar_is_the_same_audit(far: Far, tmp_path: Path) -> None:
    """Through a jump host, a login that says hello and with a configuration that would keep connections open."""
    near = audited(tmp_path / "near", "{netns: tr-probe}")
    there = audited(tmp_path / "there", "{ssh: {host: probe}}")

    assert judged(near) == judged(there)
    assert [("undeclared-port", "db"), ("wrong-family", "web")] == sorted(
        (f["kind"], f["host"]) for f in there.report["findings"]
    )
    assert "ssh probe" == there.report["audit"]["viewpoints"][0]["via"]
    assert [] == there.report["errors"]
    assert [] == far.await_gone(1)
    assert not (far.folder / "mine").exists()


def test_doctor_looks_there(far: Far, tmp_path: Path) -> None:
    """nmap, privileges, IPv6 and source address are asked of the other machine."""
    told = doctor(inventory(tmp_path, "{ssh: {host: probe}}"))

    assert told.startswith("0\n"), told
    assert "raw sockets" in told
    assert "source address as declared towards 3 addresses" in told


def doctor(path: Path) -> str:
    """The exit code and what it says."""
    import subprocess

    done = subprocess.run([*HOME, str(AUDITOR), "doctor", str(path)], capture_output=True, text=True, check=False)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"
