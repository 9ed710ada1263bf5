"""`--engine dask`: what the command line takes, what it needs, and what is asked of each worker."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor.cli.main import run
from auditor.model.inventory import ClusterVia, Via, Viewpoint, WorkerVia
from auditor.model.words import ViewpointKind
from auditor.scan.doctor import examine
from auditor.scan.nmap.abilities import probe_abilities
from auditor.scan.plan.source import check_sources
from auditor.transport.scheduler import Cluster
from tests.commands import CASES, FakeNmap, auditor
from tests.unit.scan.test_doctor import Said

INVENTORY = str(CASES / "clean.exit0" / "inventory.yaml")
DASK = ("--engine", "dask")
FILE = __file__
TARGET = ip_address("203.0.113.10")
BOTH = ClusterVia("public", "tcp://192.0.2.1:8786", ("tcp://192.0.2.2:1", "tcp://192.0.2.3:1"))
PUBLIC = Viewpoint(
    "public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"),), (ip_network("203.0.113.0/24"),), via=BOTH
)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (DASK, "--engine dask needs --scheduler ADDRESS, as in tls://"),
        (("--scheduler", "tls://a:1"), "--scheduler goes with --engine dask only"),
        (("--tls-ca", FILE), "--tls-ca goes with --engine dask only"),
        ((*DASK, "--scheduler", "a:8786"), "--scheduler a:8786: write tls://HOST:PORT, or tcp://HOST:PORT"),
        ((*DASK, "--scheduler", "inproc://a:1"), "write tls://HOST:PORT"),
        ((*DASK, "--scheduler", "tls://a:1", "--tls-cert", FILE), "tls://a:1 needs --tls-ca and --tls-key too"),
        ((*DASK, "--scheduler", "tcp://a:1", "--tls-key", FILE), "--tls-key goes with a scheduler at tls://… only"),
    ],
)
def test_options_that_mean_nothing_together_are_refused(
    options: Sequence[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says what would be right."""
    code = run(["audit", INVENTORY, *options])

    assert 2 == code
    assert told in capsys.readouterr().err


def test_doctor_asks_workers_about_viewpoints(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an inventory there are none to stand in."""
    assert 2 == run(["doctor", *DASK, "--scheduler", "tcp://127.0.0.1:1"])
    assert "--engine dask: name an inventory" in capsys.readouterr().err


def test_a_scheduler_that_is_not_there_gives_no_verdict(tmp_path: Path) -> None:
    """At once, in one line, and without a folder for the run."""
    options = (*DASK, "--scheduler", "tcp://127.0.0.1:1", "-o", tmp_path / "reports")
    ended = auditor("audit", INVENTORY, *options)

    assert 2 == ended.returncode
    assert 1 == len(ended.stderr.splitlines()), ended.stderr
    assert "auditor: --scheduler tcp://127.0.0.1:1: it cannot be reached: " in ended.stderr
    assert "Connect call failed" in ended.stderr or "refused" in ended.stderr
    assert not list((tmp_path / "reports").iterdir())


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    """Nobody has to know what dask is made of."""
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(\"No module named 'distributed'\")")
    path = ":".join([str(tmp_path), *filter(None, sys.path)])
    options = (*DASK, "--scheduler", "tcp://127.0.0.1:1", "-o", tmp_path / "reports")
    ended = auditor("audit", INVENTORY, *options, env={"PYTHONPATH": path})

    assert 2 == ended.returncode
    assert "No module named 'distributed'" in ended.stderr
    assert f"{sys.executable} -m pip install distributed\n" in ended.stderr


def test_dask_is_imported_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """It is slow to import, and most have no need of it."""
    script = (
        "import sys; from auditor.cli.main import run\n"
        f"code = run(['audit', {INVENTORY!r}, '-o', {str(tmp_path)!r}, '-q'])\n"
        "print(code, sorted({'dask', 'distributed', 'tornado'} & set(sys.modules)))"
    )
    fake = FakeNmap(tmp_path / "bin")
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**fake.env, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=True,
    )

    assert done.stdout.decode().splitlines()[-1].endswith(" []")


@pytest.mark.parametrize(
    ("scheduler", "exposed"),
    [
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("tcp://localhost:8786", False),
        ("tcp://192.0.2.1:8786", True),
        ("tcp://scanners.example:8786", True),
    ],
)
def test_a_cluster_that_others_can_reach_is_warned_of(scheduler: str, exposed: bool) -> None:
    """Without TLS it is for one machine, or a network that is trusted."""
    assert exposed is Cluster(scheduler).open_to_others


@dataclass
class Workers:
    """Two workers: the first as it should be, the second as it is told. Nothing may be asked of the cluster as such."""

    version: str = "7.94"
    raw: bool = True
    source: str = "198.51.100.20"
    ipv6: str = "2: eth0    inet6 2001:db8::1/64 scope global\n"

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[Said]:
        assert isinstance(via, WorkerVia)
        as_told = self if via.worker == BOTH.workers[1] else Workers()
        match argv[0]:
            case "nmap":
                yield Said(f"Nmap version {as_told.version} ( https://nmap.org )\n")
            case "cat":
                yield Said(f"CapEff:\t{0x2000 if as_told.raw else 0:016x}\n")
            case _ if "route" in argv:
                yield Said(f'[{{"dst":"{TARGET}","gateway":"192.0.2.9","prefsrc":"{as_told.source}"}}]')
            case _:
                yield Said(as_told.ipv6)


def test_a_viewpoint_is_able_to_do_what_all_its_workers_can() -> None:
    """A run may go to any of them."""
    weak = asyncio.run(probe_abilities(Workers("7.93", raw=False), BOTH))
    old = asyncio.run(probe_abilities(Workers("7.80"), BOTH))

    assert ("7.93", False, None) == (weak.nmap_version, weak.raw, weak.problem)
    assert "nmap 7.80 is too old (worker tcp://192.0.2.3:1); 7.92 or newer is needed" == old.problem


def test_each_worker_has_to_stand_where_the_viewpoint_is_declared() -> None:
    """One that stands elsewhere would mix what two places see; it is named."""
    elsewhere = asyncio.run(check_sources(Workers(source="192.0.2.77"), PUBLIC, [TARGET]))
    there = asyncio.run(check_sources(Workers(), PUBLIC, [TARGET]))

    assert elsewhere.failure is not None
    assert elsewhere.failure.startswith("worker tcp://192.0.2.3:1: the system sends IPv4 probes from 192.0.2.77")
    assert (None, ()) == (there.failure, there.lost)


def test_doctor_names_the_worker() -> None:
    """What is to be enabled is enabled over there."""
    two_families = Viewpoint(
        "public", ViewpointKind.PUBLIC, (*PUBLIC.addresses, ip_address("2001:db8::1")), PUBLIC.targets, via=BOTH
    )
    found = asyncio.run(examine(Workers(ipv6=""), BOTH, two_families, [TARGET]))

    assert ["enable it on worker tcp://192.0.2.3:1"] == [c.what.partition("; ")[2] for c in found if not c.passed]
