"""Audits by the workers of a real dask cluster, each in the namespace of its viewpoint; some do not live long.

dask-head ── management ──┬── dask-out (public, two workers) ── internet ──┐
scheduler, auditor        └── dask-in (internal, one worker) ── lan ───── dask-host
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab.estate import Estate, Process

from tests.commands import is_gone
from tests.live.audits import AUDITOR, Audited, result, start

pytestmark = pytest.mark.live
DASK = Path(sys.executable).with_name("dask")
SCHEDULER = "tcp://10.99.0.1:8786"
SECURE = "tls://10.99.0.1:8787"
FROM_HEAD = ("ip", "netns", "exec", "dask-head")
PATIENCE = 300.0
INVENTORY = """
version: 1
name: many-scanners
scope: {allow: [203.0.113.0/24, 10.20.1.0/24]}
ranges:
  internet: {cidrs: [0.0.0.0/0], trust: untrusted}
viewpoints:
  public:
    {kind: public, addresses: [203.0.113.2], targets: [203.0.113.0/24], limits: {rate: 30000}, via: {netns: dask-out}}
  internal:
    {kind: internal, addresses: [10.20.1.2], targets: [10.20.1.0/24], limits: {rate: 30000}, via: {netns: dask-in}}
  vpn: {kind: vpn, addresses: [10.8.0.10], targets: [10.20.1.0/24], via: {netns: dask-in}}
hosts:
  shop:
    interfaces: {public: [203.0.113.10], private: [10.20.1.10]}
    services:
      git: {ports: 2222/tcp, interfaces: [public], from: [internet], class: remote-admin, reason: pushing}
      ssh: {ports: 22/tcp, interfaces: [private], from: [10.20.1.0/24], class: remote-admin, reason: administration}
"""
FIREWALL = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        icmp type echo-request accept
        tcp dport { 22, 2222 } accept
    }
}
"""


@dataclass
class Cluster:
    """The lab, and by name the workers in it."""

    estate: Estate
    scratch: Path
    workers: dict[str, Process]

    def work(self, name: str, namespace: str, port: int, resources: str) -> None:
        """Start a worker that always has the same address, and wait until it has found the scheduler."""
        argv = dask("worker", SCHEDULER, "--no-nanny", "--nthreads", "4", "--worker-port", str(port))
        argv += ["--local-directory", str(self.scratch), "--resources", resources, "--death-timeout", "30"]
        self.workers[name] = self.estate.start(namespace, argv, [f"{port}/tcp"])

    def await_workers(self, number: int, port: int = 8786) -> None:
        """Wait until so many connections to the scheduler are there."""
        until = time.monotonic() + PATIENCE
        seen = ("ss", "-Htn", "state", "established", "sport", "=", f":{port}")
        while len(self.estate.run("dask-head", *seen).splitlines()) < number:
            assert time.monotonic() < until, "not all workers have found the scheduler"
            time.sleep(0.1)


def dask(*arguments: str) -> list[str]:
    """A command line of dask that says only what goes wrong."""
    return [
        "env",
        "DASK_LOGGING__DISTRIBUTED=critical",
        str(DASK),
        *arguments,
        "--no-dashboard",
        "--dashboard-address",
        ":0",
    ]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers at `public`, one at `internal`, none at `vpn`; the last test takes some of them away."""
    with Estate() as estate:
        for segment in ("dask-mgmt", "dask-net", "dask-lan"):
            estate.segment(segment)
        for name, last in (("dask-head", 1), ("dask-out", 2), ("dask-in", 3), ("dask-host", 0)):
            estate.namespace(name)
            if last:
                estate.attach(name, "mgmt", "dask-mgmt", [f"10.99.0.{last}/24"])
        for name, last in (("dask-out", 2), ("dask-host", 10)):
            estate.attach(name, "net", "dask-net", [f"203.0.113.{last}/24"])
        for name, last in (("dask-in", 2), ("dask-host", 10)):
            estate.attach(name, "lan", "dask-lan", [f"10.20.1.{last}/24"])
        estate.firewall("dask-host", FIREWALL)
        estate.respond("dask-host", "ssh,0.0.0.0,2222", "ssh,0.0.0.0,22")
        estate.start("dask-head", dask("scheduler", "--host", "10.99.0.1", "--port", "8786"), ["8786/tcp"])
        built = Cluster(estate, tmp_path_factory.mktemp("dask"), {})
        built.work("out-1", "dask-out", 4001, "viewpoint:public=4")
        built.work("out-2", "dask-out", 4002, "viewpoint:public=4")
        built.work("in", "dask-in", 4003, "viewpoint:internal=4")
        built.await_workers(3)
        yield built


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inventory") / "many.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    return path


def begin(inventory: Path, out: Path, *options: str, scheduler: str = SCHEDULER) -> subprocess.Popen[str]:
    return start(inventory, out, "--engine", "dask", "--scheduler", scheduler, *options, prefix=FROM_HEAD)


def scanners(parent: int) -> list[int]:
    """The sweeps that run as children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            status = (path / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            argv = (path / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(status[1]) == parent and b"--min-rate" in argv:
            found.append(int(path.name))
    return found


def await_sweep(*workers: Process) -> tuple[Process, int]:
    """The worker that has begun a sweep, and the process of it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for worker in workers:
            if pids := scanners(worker.popen.pid):
                return worker, pids[0]
        time.sleep(0.02)
    raise AssertionError("no sweep was started")


def comparable(audited: Audited) -> dict[str, Any]:
    """A report without times, ids, options, and the words for where and how nmap was started."""
    report = json.loads(re.sub("ip netns exec dask-(out|in) ", "", json.dumps(audited.report)))
    for key in ("id", "started_at", "finished_at", "options"):
        del report["audit"][key]
    for viewpoint in report["audit"]["viewpoints"]:
        del viewpoint["via"]
        viewpoint["commands"].sort()
    for finding in report["findings"]:
        finding["observed"].pop("at", None)
    for entry in report["coverage"]:
        entry.pop("seen", None)
    return report


def vias(audited: Audited) -> list[str]:
    return [viewpoint["via"] for viewpoint in audited.report["audit"]["viewpoints"]]


def test_the_report_is_that_of_one_machine(cluster: Cluster, inventory: Path, tmp_path: Path) -> None:
    """Who ran nmap is told, and is the only difference."""
    options = ("--profile", "quick", "-V", "public", "-V", "internal")
    by_cluster = begin(inventory, tmp_path / "cluster", *options, "--wait")  # they look from the same places
    alone = result(start(inventory, tmp_path / "alone", *options, "--wait"), tmp_path / "alone")
    together = result(by_cluster, tmp_path / "cluster")

    assert [f"dask {SCHEDULER}"] * 2 == vias(together)
    assert comparable(alone) == comparable(together)
    assert [("internal", "git"), ("public", "ssh")] == together.findings("viewpoint", "service")
    assert together.report.get("unverified", []) == []
    assert list((tmp_path / "cluster" / "latest" / "evidence").glob("public-sweep-*.xml.gz"))


def test_a_viewpoint_without_workers_is_unverified_at_once(cluster: Cluster, inventory: Path, tmp_path: Path) -> None:
    """The report says which command would start one, and nothing waits for it."""
    audited = result(begin(inventory, tmp_path, "-V", "vpn"), tmp_path)
    command = f'dask worker {SCHEDULER} --resources "viewpoint:vpn=4"'

    assert (3, "incomplete") == (audited.code, audited.report["verdict"]["result"])
    assert all(command in entry["reason"] for entry in audited.report["unverified"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_nmap_goes_on_for_an_auditor_that_has_gone(cluster: Cluster, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends the runs on all workers, and so does the auditor's sudden death; by itself the sweep would go on."""
    slow = tmp_path / "slow.yaml"
    slow.write_text(INVENTORY.replace("rate: 30000", "rate: 300"), encoding="utf-8")  # a sweep of seven minutes
    running = begin(slow, tmp_path, "-V", "internal", "--wait")  # a killed one is believed to live for 20 seconds
    _, sweep = await_sweep(cluster.workers["in"])
    running.send_signal(number)
    code = running.wait(timeout=PATIENCE)
    running.communicate()

    assert is_gone(sweep)
    assert code == (130 if number is signal.SIGINT else -number)


def secured(cluster: Cluster, folder: Path) -> list[str]:
    """A scheduler and a worker at `internal` with certificates of one authority; the auditor's options with another."""
    files = certificates(folder)
    options = [f"--tls-{name}={path}" for name, path in zip(("ca-file", "cert", "key"), files, strict=True)]
    argv = dask("scheduler", "--protocol", "tls", "--host", "10.99.0.1", "--port", "8787", *options)
    cluster.estate.start("dask-head", argv, ["8787/tcp"])
    argv = dask("worker", SECURE, "--no-nanny", "--worker-port", "4004", "--local-directory", str(cluster.scratch))
    cluster.estate.start("dask-in", [*argv, "--resources", "viewpoint:internal=1", *options], ["4004/tcp"])
    cluster.await_workers(1, port=8787)
    return [f"--tls-{name}={path}" for name, path in zip(("ca", "cert", "key"), files, strict=True)]


def certificates(folder: Path) -> Sequence[Path]:
    """An authority, and a certificate of it with its key."""
    folder.mkdir()
    ca, ca_key, cert, key, request = (folder / name for name in ("ca.pem", "ca.key", "me.pem", "me.key", "me.csr"))
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for argv in (
        [*new, "-x509", "-subj", "/CN=authority", "-keyout", ca_key, "-out", ca],
        [*new, "-subj", "/CN=scanner", "-keyout", key, "-out", request],
        ["openssl", "x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out", cert],
    ):
        subprocess.run(argv, check=True, capture_output=True)
    return ca, cert, key


def test_tls_asks_both_sides_who_they_are(cluster: Cluster, inventory: Path, tmp_path: Path) -> None:
    """With certificates of one authority it works; with those of another there is no verdict, and soon."""
    right = secured(cluster, tmp_path / "ours")
    wrong = [f"--tls-{n}={p}" for n, p in zip(("ca", "cert", "key"), certificates(tmp_path / "theirs"), strict=True)]
    bad = begin(inventory, tmp_path / "bad", "-V", "internal", *wrong, scheduler=SECURE)
    doctor = [AUDITOR, "doctor", inventory, "-V", "internal", "--engine", "dask", "--scheduler", SECURE, *right]
    good = subprocess.run([*FROM_HEAD, *doctor], capture_output=True, text=True, timeout=PATIENCE, check=False)
    _, refused = bad.communicate(timeout=PATIENCE)

    assert (0, "") == (good.returncode, good.stderr), good.stdout
    assert "ok      internal: source address as declared" in good.stdout
    assert 2 == bad.returncode
    assert f"--scheduler {SECURE}: it cannot be reached" in refused


def test_a_lost_worker_costs_its_own_runs_only(cluster: Cluster, inventory: Path, tmp_path: Path) -> None:
    """Where another one stands, it takes over and nothing is missing; where none does, that viewpoint is unverified."""
    running = begin(inventory, tmp_path, "-V", "public", "-V", "internal", "--fail-on", "none", "--wait")
    out = [cluster.workers["out-1"], cluster.workers["out-2"]]
    lost, _ = await_sweep(*out)
    os.kill(lost.popen.pid, signal.SIGKILL)
    alone, _ = await_sweep(cluster.workers["in"])
    os.kill(alone.popen.pid, signal.SIGKILL)
    audited = result(running, tmp_path)
    unverified = audited.report["unverified"]

    assert 3 == audited.code, audited.stderr
    assert {"internal"} == {entry["viewpoint"] for entry in unverified}
    assert any("the worker tcp://10.99.0.3:4003 was lost" in entry["reason"] for entry in unverified)
    assert "was lost; what it was running goes to another" in audited.stderr
    assert ("public", "ssh") in audited.findings("viewpoint", "service")
    assert 65534 <= audited.report["summary"]["endpoints"]["verified"]
