"""Reports of hostile estates are held against the truth, and starved scanners are starved: the lab itself."""

from __future__ import annotations

import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from lab import hostile_truth, random_hostile, starved, starving
from lab.random_hostile import VIEW, Hostile

from auditor import catalogue
from auditor.model.words import Protocol

USUAL = frozenset(catalogue.usual_ports(Protocol.TCP))
SEEDS = range(30)
SOME = range(10)  # a report names each of 65,535 ports
_BUSY = "import time\nwhile True: pass"


def right(drawn: Hostile) -> dict[str, Any]:
    """A report that finds all that is open, tells of devices once, and cannot tell what else is not clear."""
    answered = {(one.protocol, one.port) for one in drawn.devices if one.port}
    findings: list[dict[str, Any]] = []
    unverified = []

    def finding(kind: str, address: str, port: int, protocol: str = "tcp") -> None:
        endpoint = {"address": address, "protocol": protocol, "ports": str(port)}
        findings.append({"kind": kind, "viewpoint": VIEW, "endpoints": [endpoint]})

    for host in drawn.hosts:
        for protocol, port in sorted(answered):
            unverified.append({"address": host.address, "protocol": protocol, "ports": str(port)})
        if not host.alive:
            unverified.append({"address": host.address, "protocol": "tcp", "ports": "1-65535"})
        for port in host.ports:
            covered = drawn.profile == "standard" or port in USUAL
            if covered and ("tcp", port) not in {*answered, *host.declared}:
                finding("undeclared-port", host.address, port)
        if not host.alive and any(protocol == "tcp" for protocol, _ in host.declared):
            findings.append({"kind": "host-unreachable", "viewpoint": VIEW, "address": host.address})
    opens = [one for one in drawn.devices if one.opens]
    if opens:
        finding("answers-for-others", drawn.hosts[0].address, opens[0].port, opens[0].protocol)
    code = 1 if findings else 3 if unverified else 0
    verdict = {"complete": not unverified, "exit_code": code}
    return {"findings": findings, "unverified": unverified, "silent": [], "errors": [], "verdict": verdict}


def wrong(drawn: Hostile, report: dict[str, Any]) -> list[str]:
    return hostile_truth.wrong(drawn, report, report["verdict"]["exit_code"], USUAL)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_report_passes(seed: int) -> None:
    """Every drawn estate has a report with which nothing is wrong."""
    drawn = random_hostile.draw(seed)

    assert [] == wrong(drawn, right(drawn))


@pytest.mark.parametrize("seed", SOME)
def test_an_open_port_passed_over_is_told(seed: int) -> None:
    """The finding of an open port is left out, said of a port that is not open, or of another host."""
    drawn = random_hostile.draw(seed)
    missed, elsewhere, strange = (right(drawn) for _ in range(3))
    index = next(n for n, finding in enumerate(missed["findings"]) if finding["kind"] == "undeclared-port")
    del missed["findings"][index]
    elsewhere["findings"][index]["endpoints"][0]["ports"] = "65535"
    strange["findings"][index]["endpoints"][0]["address"] = "203.0.113.30"

    assert [True] == ["passed over" in text for text in wrong(drawn, missed)]
    assert wrong(drawn, elsewhere)
    assert any(text.startswith("false finding") for text in wrong(drawn, strange))


@pytest.mark.parametrize("seed", SOME)
def test_what_a_device_answers_verifies_nothing(seed: int) -> None:
    """An endpoint that a device answers as a finding of its host, or verified; two findings for one network."""
    drawn = random_hostile.draw(seed)
    for one in drawn.devices:
        if not one.opens:
            continue
        twice, verified, found = (deepcopy(right(drawn)) for _ in range(3))
        twice["findings"].append(twice["findings"][-1])
        host = next((host for host in drawn.hosts if host.alive), drawn.hosts[0])
        place = {"address": host.address, "protocol": one.protocol, "ports": str(one.port)}
        for report in (verified, found):
            report["unverified"].remove(place)
            report["findings"] = [f for f in report["findings"] if place not in f.get("endpoints", ())]
        found["findings"].append({"kind": "undeclared-port", "viewpoint": VIEW, "endpoints": [place]})
        covered = drawn.profile == "standard" or one.protocol == "udp" or one.port in USUAL

        assert wrong(drawn, twice)
        assert not covered or wrong(drawn, verified)
        assert wrong(drawn, found)


@pytest.mark.parametrize("seed", SOME)
def test_nothing_of_a_dead_host_is_verified(seed: int) -> None:
    """Where a service should answer and nobody is there, silence is no pass; and no such host is said to be up."""
    drawn = random_hostile.draw(seed)
    dead = [host for host in drawn.hosts if not host.alive and any(p == "tcp" for p, _ in host.declared)]
    for host in dead:
        report = right(drawn)
        report["unverified"] = [one for one in report["unverified"] if one["address"] != host.address]
        clean = {**report, "findings": [], "verdict": {"complete": True, "exit_code": 0}}

        assert any("is dead" in text for text in wrong(drawn, report))
        assert any("is dead" in text for text in wrong(drawn, clean))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_refusal_past_the_boundary_is_one_over_udp_too(seed: int) -> None:
    """Of a host that refuses, where the boundary filters; of no other, and nowhere else."""
    drawn = random_hostile.draw(seed)
    for host in drawn.hosts:
        for protocol, port in (("udp", 7), ("tcp", 65535)):
            report = right(drawn)
            leak = {"address": host.address, "protocol": protocol, "ports": str(port)}
            report["findings"].append({"kind": "boundary-leak", "viewpoint": VIEW, "endpoints": [leak]})
            report["verdict"]["exit_code"] = 1
            false = f"false finding: boundary-leak {host.address}:{port}/{protocol}" in wrong(drawn, report)

            assert false is not (host.kind == "refuses" and drawn.boundary == "filtered")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_silent_service_is_filtered_only_at_a_dead_host_behind_lost_replies(seed: int) -> None:
    """Elsewhere it answers, or the address as a whole is told of."""
    drawn = random_hostile.draw(seed)
    for host in drawn.hosts:
        for protocol, port in host.declared:
            report = right(drawn)
            silent = {"address": host.address, "protocol": protocol, "ports": str(port)}
            report["findings"].append({"kind": "service-filtered", "viewpoint": VIEW, "endpoints": [silent]})
            false = f"false finding: service-filtered {host.address}:{port}/{protocol}" in wrong(drawn, report)

            assert false is (host.alive or drawn.calm)


def test_a_verdict_that_does_not_follow_is_told() -> None:
    """Complete with something unverified, or exit 0 beside a finding."""
    drawn = random_hostile.draw(0)
    report = right(drawn)
    complete, passing = deepcopy(report), deepcopy(report)
    complete["verdict"]["complete"] = True
    passing["verdict"]["exit_code"] = 0

    assert any("the verdict is" in text for text in wrong(drawn, complete))
    assert any("the verdict is" in text for text in wrong(drawn, passing))


def test_the_estates_have_all_of_it() -> None:
    """Thirty seeds draw every way to be starved, to lose replies, and every device, at both rates and boundaries."""
    drawn = [random_hostile.draw(seed) for seed in SEEDS]

    assert {"policed", "lossy", "bursty"} <= {one.loss for one in drawn}
    assert {"relay", "helper", "resolver", "ident", "stray"} == {each.what for one in drawn for each in one.devices}
    assert all(one.devices or not one.calm for one in drawn)
    assert 4 <= sum(bool(one.share) for one in drawn)
    assert 2 <= sum(bool(one.spinning) for one in drawn)
    assert {5_000, 30_000} == {one.rate for one in drawn}
    assert {"any", "filtered"} == {one.boundary for one in drawn}
    assert drawn == [random_hostile.draw(seed) for seed in SEEDS]


@pytest.mark.parametrize("quota", [None, False])
def test_what_is_held_gets_its_share(tmp_path: Path, quota: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the kernel's quota where there is one, or stopped and continued: what only works gets its share, no more."""
    busy = tmp_path / "real" / "nmap"
    busy.parent.mkdir()
    busy.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S -c "{_BUSY}"\n')
    busy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{busy.parent}:/usr/bin:/bin")
    with starving.held(0.1, tmp_path / "shim", quota=quota) as env:
        used = processor_time(env["PATH"].split(":")[0] + "/nmap")

    assert used < 0.1 * 2 * 2  # a tick's worth more, and starting up


def processor_time(*argv: str) -> float:
    """Seconds of processor time that a command uses in two seconds."""
    running = subprocess.Popen(argv)
    time.sleep(2)
    fields = Path(f"/proc/{running.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    running.kill()
    running.wait()
    return (int(fields[11]) + int(fields[12])) / 100


def test_the_bench_tells_what_was_passed_over() -> None:
    """An open port is found, unverified, or passed over; what is not open and told is false."""
    endpoint = {"address": "10.41.0.10", "protocol": "tcp"}
    open_ports = {("10.41.0.10", port) for port in (22, 443, 7000, 7001)}
    report = {
        "findings": [
            {"kind": "undeclared-port", "endpoints": [{**endpoint, "ports": "443"}]},
            {"kind": "undeclared-port", "endpoints": [{**endpoint, "ports": "9"}]},
            {"kind": "host-unreachable", "address": "10.41.0.11"},
        ],
        "matrix": [{"address": "10.41.0.10", "port": port, "observed": "open"} for port in (22, 443, 9)],
        "unverified": [{**endpoint, "ports": "6999-7000"}],
        "audit": {"viewpoints": [{"notes": ["slowed down"]}, {}]},
        "verdict": {"complete": False},
    }
    judged = starved.judged(report, open_ports, {("10.41.0.10", 22)}, 1, 2.0)

    assert {("10.41.0.10", 22), ("10.41.0.10", 443)} == judged.found
    assert {("10.41.0.10", 7000)} == judged.unverified
    assert {("10.41.0.10", 7001)} == judged.passed_over
    assert ["undeclared-port 10.41.0.10:9/tcp", "host-unreachable 10.41.0.11:/"] == judged.false
    assert ["slowed down"] == judged.notes
