"""The practice estate, audited for real: what the demo promises."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from lab import practice
from lab.estate import Estate

from tests.live.audits import Audited, audit, result, start

pytestmark = pytest.mark.live
ROOT = Path(__file__).parents[2]
INVENTORY = ROOT / "inventories" / "practice"
KEYS = ("kind", "viewpoint", "host", "family", "service", "class", "severity", "family_gap")


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """The practice estate with its five mistakes; tests further down repair it, so their order matters."""
    with Estate() as built:
        practice.build(built)
        yield built


@pytest.fixture(scope="module")
def broken(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return audit(INVENTORY, tmp_path_factory.mktemp("broken"))


@pytest.fixture(scope="module")
def connect_scan(estate: Estate, broken: Audited, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """The same audit by someone who may not send raw packets. Needs `broken` only to come after it."""
    prefix = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    return audit(INVENTORY, tmp_path_factory.mktemp("connect"), "--profile", "quick", prefix=prefix)


@pytest.fixture(scope="module")
def repaired(estate: Estate, connect_scan: Audited) -> Estate:
    practice.repair(estate)
    return estate


def committed() -> list[tuple[object, ...]]:
    exposures = yaml.safe_load((ROOT / "script/lab/practice-findings.yaml").read_text(encoding="utf-8"))
    return sorted(
        (tuple(finding.get(key) for key in KEYS) for found in exposures.values() for finding in found), key=repr
    )


def test_the_five_exposures_are_found_and_nothing_else(broken: Audited) -> None:
    """Every finding is in the committed list, and every one of the list is found."""

    assert committed() == broken.findings(*KEYS)
    assert broken.code == 1, broken.stderr
    assert broken.report["verdict"]["result"] == "drift"


def test_everything_else_is_verified_or_silent(broken: Audited) -> None:
    """Beside its five mistakes the estate leaves nothing open to doubt."""

    assert broken.report.get("unverified", []) == []
    assert broken.report.get("errors", []) == []


def test_what_the_scope_denies_gets_no_packet(estate: Estate, broken: Audited) -> None:
    """The payment provider's machine is declared, within the targets and denied: the edge saw nothing towards it."""

    assert estate.packets("edge", "denied") == 0
    assert any("pay-1" in entry["what"] or "203.0.113.200" in entry["what"] for entry in broken.report["left_out"])


def test_without_raw_sockets_udp_is_unverified(connect_scan: Audited) -> None:
    """A connect scan finds the same five exposures; UDP and the technique are said to be what they are."""
    unverified = connect_scan.report["unverified"]

    assert committed() == connect_scan.findings(*KEYS)
    assert {"udp"} == {entry["protocol"] for entry in unverified}
    assert {"connect"} == {viewpoint["technique"] for viewpoint in connect_scan.report["audit"]["viewpoints"]}
    assert not connect_scan.report["verdict"]["complete"]


def test_the_repaired_estate_is_clean(repaired: Estate, tmp_path: Path) -> None:
    """Three viewpoints, TCP and UDP, behind dropping firewalls: exit 0."""
    clean = audit(INVENTORY, tmp_path)

    assert clean.report["findings"] == []
    assert clean.report.get("unverified", []) == []
    assert (clean.report["verdict"]["result"], clean.report["verdict"]["complete"], clean.code) == ("clean", True, 0)


def test_a_killed_nmap_leaves_a_clean_estate_unverified(repaired: Estate, tmp_path: Path) -> None:
    """One sweep dies midway: exit 3, the report says which endpoints nobody has looked at, and why."""
    pids = tmp_path / "pids"
    shim = tmp_path / "bin" / "nmap"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$$ $*" >>{pids}\nexec {shutil.which("nmap")} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    out = tmp_path / "reports"
    running = start(INVENTORY, out, "-V", "internal", env={"PATH": f"{shim.parent}:{os.environ['PATH']}"})
    os.kill(await_sweep(pids), signal.SIGKILL)
    killed = result(running, out)

    assert killed.code == 3, killed.stderr
    assert killed.report["findings"] == []
    assert killed.report["verdict"]["result"] == "incomplete"
    assert any("killed by signal 9" in entry["reason"] for entry in killed.report["unverified"])
    assert any("killed by signal 9" in error["message"] for error in killed.report["errors"])


def await_sweep(pids: Path) -> int:
    """The process id of the first sweep of all ports, two seconds into its work."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        lines = pids.read_text(encoding="utf-8").splitlines() if pids.exists() else []
        sweeps = [line for line in lines if "--min-rate" in line and "127.0.0.1" not in line]
        if sweeps:
            time.sleep(2)
            return int(sweeps[0].split()[0])
        time.sleep(0.05)
    raise AssertionError("no sweep was started in two minutes")
