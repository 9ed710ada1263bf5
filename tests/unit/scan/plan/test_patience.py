"""A run of nmap that does not end is ended, by a clock of our own: what it left is unverified, and says why."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from auditor.addresses import ProbeNetwork, probe_target
from auditor.model.context import Context
from auditor.model.inventory import ClusterVia, LocalVia, Via
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import Protocol, Technique
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan import patience
from auditor.scan.plan.plan import Job, Purpose, plan
from auditor.scan.runs.run import End, run_nmap
from auditor.scan.scan import scan
from auditor.transport.system import SystemTransport
from tests.commands import is_gone
from tests.unit.scan.runs.test_resume import begun, resumed
from tests.unit.scan.test_scan import (
    ONE,
    SCOPE,
    THREE,
    TWO,
    FakeProcess,
    FakeTransport,
    Said,
    all_closed,
    closed,
    document,
    expectations,
    host,
)

HERE = LocalVia()
NOW = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
END = "<runstats><finished exit='success'/></runstats></nmaprun>"
DONE = f"<nmaprun version='7.93'>{host(ONE, closed(('-p', '1-10')))}{END}"
ENDLESS = {
    "goes on asking": 'while :; do echo \'<taskprogress task="SYN" percent="1"/>\'; sleep 0.05; done',
    "prints without a pause": 'yes \'<taskprogress task="SYN" percent="1"/>\'',
    "says nothing": "sleep 60",
    "stands still": "kill -STOP $$; sleep 60",
    "has closed its output": "exec >&- 2>&-; sleep 60",
    "has closed its output and hears nothing": "trap '' TERM; exec >&- 2>&-; while :; do sleep 60; done",
    "left its output to others": "sleep 9 & exit 0",
    "left its errors to others": "sleep 9 >&- & exit 0",
}


@pytest.mark.parametrize("script", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_run_without_an_end_is_ended(script: str, tmp_path: Path) -> None:
    """Within seconds of its time; what it told before is kept."""
    (tmp_path / "done").write_text(DONE)
    argv = ("sh", "-c", f"echo $$ > {tmp_path}/pid; cat {tmp_path}/done; {script}")
    began = time.monotonic()
    run = asyncio.run(run_nmap(SystemTransport(), HERE, argv, end=End(0.5, "it did not end")))
    took = time.monotonic() - began
    pid = int((tmp_path / "pid").read_text())

    assert ("it did not end", [ONE]) == (run.problem, [record.address for record in run.records])
    assert 0.5 <= took < 8
    assert is_gone(pid)


def test_a_run_that_ends_in_time_is_as_it_was(tmp_path: Path) -> None:
    """Its exit status counts, not its time."""
    (tmp_path / "done").write_text(DONE)
    argv = ("sh", "-c", f"cat {tmp_path}/done; exit 3")
    run = asyncio.run(run_nmap(SystemTransport(), HERE, argv, end=End(60, "it did not end")))

    assert "nmap ended with exit status 3" == run.problem


@dataclass
class Endless(FakeTransport):
    """Its sweeps tell of the first host, and never end."""

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[FakeProcess]:
        async with super().run(via, argv, nice=nice) as process:
            yield Hanging(Said(document(argv, host(ONE, closed(argv)), end=""))) if "--min-rate" in argv else process


class Hanging(FakeProcess):
    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in super().chunks():
            yield chunk
        await asyncio.sleep(60)


def test_its_part_is_unverified_and_asked_again_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had told is kept; the rest of the scan goes on; whoever resumes asks what was left."""
    monkeypatch.setattr(patience, "longest", lambda *_: 0.3)
    wanted = plan(expectations(ONE, TWO, THREE), SCOPE, Abilities("7.93"))
    context = Context(lambda: NOW, random.Random(1), lambda _: None)
    run = begun(tmp_path)
    (found,) = asyncio.run(scan([wanted], transport=Endless(all_closed), context=context, evidence=run))
    run.close()
    again = FakeTransport(all_closed)
    (whole,) = asyncio.run(scan([wanted], transport=again, context=context, evidence=resumed(run.path)))
    why = "nmap had not ended after 0 s, which is far more than it needs, and was ended"

    assert {(TWO, why), (THREE, why)} == {(one.address, one.reason) for one in found.failures}
    assert any(why in error for error in found.errors)
    assert ((), ()) == (whole.failures, whole.errors)
    assert not any(str(ONE) in argv and "--min-rate" in argv for argv in again.ran)


@pytest.mark.parametrize("purpose", [Purpose.DECLARED, Purpose.SWEEP, Purpose.UDP, Purpose.CANARY])
def test_no_bound_ends_what_is_only_slow(purpose: Purpose) -> None:
    """It is a multiple of what a calm run takes, for any size and rate, and finite."""
    protocol = Protocol.UDP if purpose is Purpose.UDP else Protocol.TCP
    targets = tuple(probe_target(address, SCOPE) for address in (ONE, TWO, THREE))
    for ports, rate, most, hosts in product((PortSet.of(22), ALL_PORTS), (1.0, 5000.0), (None, 10), (None, 1)):
        job = Job(purpose, protocol, ports, targets, Technique.SYN, min(rate, most or rate), most, hosts)
        bound = patience.longest(job.argv, HERE)

        assert max(300, 3 * job.seconds) <= bound < 300 + 100 * job.seconds + 300 * len(ports)
        assert bound < patience.longest(job.argv, ClusterVia("vp", "tcp://127.0.0.1:1"))


def test_every_kind_of_run_has_a_bound() -> None:
    """Searches, version probes and those without a single address, too."""
    targets = [probe_target(address, SCOPE) for address in (ONE, TWO)]
    networks = [ProbeNetwork(network) for network in SCOPE.allow]
    for argv, least in (
        (command.ping(Technique.SYN, targets, link=True, rate=1000), 300),
        (command.sweep(Technique.SYN, networks, rate=5000, pings=("-PE",)), 300 + 2**24 * 2 / 5000),
        (command.versions(Technique.SYN, Protocol.TCP, PortSet.of(22), targets, rate=50), 300 + 2 * 45 / 4),
        (command.versions(Technique.SYN, Protocol.TCP, PortSet.of(1, 2, 3), targets, rate=50), 300 + 6 * 60 / 4),
        (("nmap", "-6", "-n", "-oX", "-", "-e", "eth0", "--max-rate", "50", "-PE", "ff02::1"), 300),
        (("nmap", "-6", "-n", "-oX", "-", "--script", "targets-ipv6-multicast-mld", "--max-rate", "50", "-sn"), 300),
    ):
        assert least <= patience.longest(argv, HERE) < 10**6, argv
