"""Audits from another machine by a real sshd, behind another one: the same result, and nothing left where it breaks."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import pytest
from lab.estate import Estate, run

from auditor.errors import TransportError
from auditor.model.inventory import SshVia
from auditor.scan.nmap.abilities import probe_abilities
from auditor.transport.base import capture
from auditor.transport.system import SystemTransport
from auditor.transport.watch import Lifeline
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
  web:
    owner: o
    interfaces: {lan: [10.76.3.3, "2001:db8:76::3"]}
    services: {ssh: {ports: 22/tcp, from: [10.76.3.2], families: [ipv4], reason: r}}
  db: {owner: o, interfaces: {lan: [10.76.3.4]}}
"""
DROPS = "table inet f { chain input { type filter hook input priority 0; policy drop; tcp dport 2222 accept; }; }"
DROP_ALL = "table inet f { chain input { type filter hook input priority 0; policy drop; }; }"
CLONE_NEWNET = 0x40000000  # linux/sched.h
SSH_VIA = "{ssh: {host: probe}}"
_PATIENCE = 300.0  # seconds, on a machine that is busy
LOST = "the ssh connection to probe was lost"
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
Host gate probe renewed shut astray-behind
  User root
  IdentityFile {folder}/key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
Host gate renewed
  HostName 10.76.1.1
Host renewed
  HostKeyAlias renewed
Host astray
  HostName 10.76.1.77
Host shut
  ProxyJump root@10.76.1.1:23
Host astray-behind
  HostName 10.76.2.2
  Port 23
  ProxyJump gate
Host unknown-to-gate
  ProxyJump nobody@gate
Host probe
  HostName 10.76.2.2
  ProxyJump gate
  ControlMaster auto
  ControlPath {folder}/mine
  ControlPersist yes
"""
# Root needs none, and another user would need one that is set up, so this is no real one.
SUDO = """#!/bin/sh
test "$1 $2" = "-n --" || exit 1
shift 2
BY_SUDO=yes exec "$@"
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
            line = b" ".join(arguments(pid)).decode()
            if line and "sshd" not in line:
                found.append(line)
        return found

    def await_gone(self, seconds: float, word: str = "") -> list[str]:
        """The commands, with that word in them, that are still there after so long."""
        deadline = monotonic() + seconds
        while (left := [line for line in self.commands() if word in line]) and monotonic() < deadline:
            sleep(0.1)
        return left


@pytest.fixture(scope="module")
def far(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    folder = tmp_path_factory.mktemp("far")
    for key in ("host_key", "key"):
        run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    host_key, other = ((folder / f"{key}.pub").read_text(encoding="ascii") for key in ("host_key", "key"))
    (folder / "known_hosts").write_text(f"10.76.1.1 {host_key}10.76.2.2 {host_key}renewed {other}", encoding="ascii")
    (folder / "bin").mkdir()
    (folder / "bin" / "sudo").write_text(SUDO, encoding="ascii")
    (folder / "bin" / "sudo").chmod(0o755)
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
        for name in ("tr-web", "tr-db"):
            built.settings(name, {"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000, "ipv6/icmp/ratelimit": 0})
        built.respond("tr-web", "ssh,::,22")
        built.respond("tr-db", "ssh,0.0.0.0,2222")
        built.firewall("tr-db", DROPS)
        for name in ("tr-gate", "tr-probe"):
            built.start(
                name,
                [program("sshd"), "-D", "-E", str(folder / "sshd.log"), "-f", str(folder / "sshd_config")],
                ["22/tcp"],
            )
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
    keys = ("kind", "severity", "host", "endpoints", "confidence", "why")
    coverage = [{key: value for key, value in entry.items() if key != "seen"} for entry in report["coverage"]]
    return found.code, found.findings(*keys), coverage, *(report[key] for key in ("summary", "unverified", "silent"))


def test_a_cut_connection_ends_nmap_there_and_the_next_audit_is_whole(far: Far, tmp_path: Path) -> None:
    """The cut shards are unverified, with the reason; afterwards the result is that of an audit without ssh."""
    folder = tmp_path / "cut"
    folder.mkdir()
    running = start(inventory(folder, SSH_VIA, rate=200), folder / "reports", "--profile", "quick", prefix=HOME)
    while not any("--min-rate" in line for line in far.commands()):
        assert running.poll() is None
        sleep(0.1)
    [connection] = [pid for pid in run("ip", "netns", "pids", "tr-home").split() if b"-M" in arguments(pid)]
    os.kill(own_id(connection), signal.SIGKILL)
    sweeps = far.await_gone(_PATIENCE, "--min-rate")
    cut = result(running, folder / "reports")
    near = audited(tmp_path / "near", "{netns: tr-probe}")
    again = audited(tmp_path / "again", SSH_VIA)

    assert [] == sweeps
    assert {"db", "web"} == {one["host"] for one in cut.report["unverified"] if LOST in one["reason"]}
    assert any(LOST in error["message"] for error in cut.report["errors"])
    assert not cut.report["verdict"]["complete"]
    assert judged(near) == judged(again)
    assert [("undeclared-port", "db"), ("wrong-family", "web")] == again.findings("kind", "host")
    assert "ssh probe" == again.report["audit"]["viewpoints"][0]["via"]
    assert [] == again.report["errors"]
    assert [] == far.await_gone(_PATIENCE)
    assert not (far.folder / "mine").exists()


def test_doctor_looks_there(far: Far, tmp_path: Path) -> None:
    """nmap, privileges, IPv6 and source address are asked of the other machine."""
    told = doctor(inventory(tmp_path, SSH_VIA))

    assert told.startswith("0\n"), told
    assert "raw sockets" in told
    assert "source address as declared towards 3 addresses" in told


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize(
    ("via", "problem"),
    [
        (SshVia("10.76.1.1"), "the host key of 10.76.1.1 is not known; log in once by `ssh 10.76.1.1`"),
        (SshVia("renewed"), "the host key of renewed is another than the known one"),
        (SshVia("gate", user="nobody"), "gate does not let nobody in"),
        (SshVia("gate", port=23), "nothing takes SSH connections at gate port 23"),
        (SshVia("no-such-name.invalid"), "the name no-such-name.invalid cannot be resolved"),
        (SshVia("astray"), "astray cannot be reached"),
        (SshVia("shut"), "the jump host root@[10.76.1.1]:23 on the way to shut: nothing takes SSH connections at "),
        (
            SshVia("unknown-to-gate"),
            "the jump host nobody@gate on the way to unknown-to-gate: nobody@gate does not ",
        ),
        (SshVia("astray-behind"), "the jump host gate does not reach astray-behind; correct `host` or `port`"),
    ],
    ids=str,
)
def test_why_there_is_no_way_in(via: SshVia, problem: str) -> None:
    """The first thing that is wrong, and what to do about it, as OpenSSH's client meets it."""

    async def told() -> str:
        async with SystemTransport() as transport:
            return (await probe_abilities(transport, via)).problem or "nothing is wrong"

    with in_namespace("tr-home"):
        said = asyncio.run(told())

    assert said.startswith(f"ssh: {problem}"), said


def test_dropped_packets_end_the_command_at_both_sides(far: Far) -> None:
    """Nobody is told that the connection is cut; each side notices that the other one is silent."""
    lifeline = Lifeline(every=1, patience=4)

    async def cut() -> None:
        async with (
            asyncio.timeout(_PATIENCE),
            SystemTransport(lifeline) as transport,
            transport.run(SshVia("probe"), ["sleep", "1000"]) as process,
        ):
            while not far.commands():
                await asyncio.sleep(0.1)
            far.estate.firewall("tr-probe", DROP_ALL)
            async for _ in process.chunks():
                pass
            await process.wait()

    try:
        with in_namespace("tr-home"), pytest.raises(TransportError, match=LOST):
            asyncio.run(cut())
        left = far.await_gone(_PATIENCE)
    finally:
        far.estate.run("tr-probe", "nft", "flush", "ruleset")

    assert [] == left


def test_sudo_and_more_commands_than_sessions(far: Far) -> None:
    """As root by sudo, here one that only checks how it is called; more at a time than sshd gives one connection."""
    via = SshVia("probe", sudo=True)

    async def many() -> list[str]:
        async with SystemTransport() as transport:
            argv = ["sh", "-c", 'sleep 0.3; printf %s "$1$BY_SUDO"', "x", "a 'b\" $HOME !*\\"]
            return [one.stdout for one in await asyncio.gather(*(capture(transport, via, argv, 60) for _ in range(12)))]

    with in_namespace("tr-home"):
        said = asyncio.run(many())

    assert ["a 'b\" $HOME !*\\yes"] * 12 == said
    assert [] == far.await_gone(_PATIENCE)


def doctor(path: Path) -> str:
    """The exit code of `auditor doctor` and what it says."""
    argv = [*HOME, str(AUDITOR), "doctor", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


def arguments(pid: str) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return []


def own_id(pid: str) -> int:
    """The id that a process has in the lab; `/proc` is the machine's and shows another (proc_pid_status(5), NSpid)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return int(line.split()[-1])


@contextmanager
def in_namespace(name: str) -> Iterator[None]:
    """Be in a network namespace for a while, this thread and what it starts (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before, Path(f"/run/netns/{name}").open() as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0
        try:
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0
