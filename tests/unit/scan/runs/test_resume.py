"""An audit that was interrupted goes on: what had finished is taken from its folder, and nothing is probed twice."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from time import process_time

import pytest

from auditor.errors import RunError
from auditor.model.context import Context, Event
from auditor.model.expectation import Expectations
from auditor.model.inventory import Canary, Via
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState, Protocol
from auditor.rundir.folder import RunDir
from auditor.rundir.journal import Shard
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.command import split
from auditor.scan.plan.plan import plan
from auditor.scan.runs.earlier import Earlier
from auditor.scan.runs.run import Run
from auditor.scan.runs.runner import Runner
from auditor.scan.scan import scan
from tests.unit.scan.test_scan import (
    ONE,
    SCOPE,
    THREE,
    TWO,
    WEB,
    FakeProcess,
    FakeTransport,
    Said,
    closed,
    document,
    expectations,
    host,
    port,
    targets,
)

STARTED = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)
FOUR, FIVE = ip_address("10.0.0.4"), ip_address("10.0.0.5")
REFUSING, DEAD, CANARY = str(THREE), str(FOUR), str(FIVE)
LASTING = ("canary", "declared", "sweep", "udp", "versions")
REDIS = '<service name="redis" product="Redis" method="probed"/>'


def silent(argv: Sequence[str], state: str = "filtered") -> str:
    return closed(argv).replace("closed", state).replace("reset", "no-response")


def answer(argv: Sequence[str]) -> Said:
    """Port 7 and 80 of two hosts are open; a third refuses all but some UDP; a fourth is silent, pings included."""
    if "-sn" in argv:
        return Said(document(argv, *(ping(address) for address in targets(argv))))
    if "-sU" in argv:
        return Said(document(argv, *(udp(argv, address) for address in targets(argv))))
    if "-sV" in argv:
        mute = [host(address, extra='timedout="true"') for address in targets(argv) if address == str(TWO)]
        told = [address for address in targets(argv) if address != str(TWO)]
        number = int(argv[argv.index("-p") + 1])
        return Said(document(argv, *mute, *(host(a, port(number, "open", "syn-ack", REDIS)) for a in told)))
    return Said(document(argv, *(tcp(argv, address) for address in targets(argv))))


def ping(address: str) -> str:
    up = address == CANARY
    return host(address, status=f'state="{"up" if up else "down"}" reason="{"echo-reply" if up else "no-response"}"')


def tcp(argv: Sequence[str], address: str) -> str:
    if address == DEAD:
        return host(address, silent(argv))
    if address == REFUSING:
        return host(address, closed(argv))
    asked = PortSet.parse(argv[argv.index("-p") + 1])
    opened = asked & PortSet.of(7, 80)
    rest = silent(argv).replace(f'ports="{asked}"', f'ports="{asked - opened}"') if asked - opened else ""
    return host(address, *(port(number, "open", "syn-ack") for number in opened), rest)


def udp(argv: Sequence[str], address: str) -> str:
    quiet = {REFUSING: (2, 3)}.get(address, (1, 2, 3))
    again = "--scan-delay" in argv and address != DEAD
    asked = PortSet.parse(argv[argv.index("-p") + 1])
    answers = [
        (n, ("open|filtered", "no-response") if n in quiet and not again else ("closed", "port-unreach")) for n in asked
    ]
    return host(address, *(port(number, *said, protocol="udp") for number, said in answers))


def wanted() -> Expectations:
    found = expectations(ONE, TWO, THREE, FOUR, ports="1-79", canaries=(Canary(FIVE),))
    found = replace(found, viewpoint=replace(found.viewpoint, targets=SCOPE.allow))
    declared = tuple(
        replace(one, ports=PortSet.of(80), state=ExpectedState.REACHABLE, basis=Basis.DECLARED, service=WEB)
        for one in found.expectations
    )
    datagrams = tuple(replace(one, protocol=Protocol.UDP, ports=PortSet.of(1, 2, 3)) for one in found.expectations[1:])
    return replace(found, expectations=(*found.expectations, *declared, *datagrams))


def beats(argv: Sequence[str]) -> bool:
    """Whether it only asks if what has answered still does; that leaves no evidence."""
    return "--max-retries 0" in " ".join(argv)


@dataclass
class Interrupted(FakeTransport):
    """As long as it lasts: the disk is full at the start, or in the middle, of one run of nmap."""

    at: int = 0
    midway: bool = False
    number: int = field(default=0)

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[FakeProcess]:
        counts = argv[0] == "nmap" and not beats(argv)
        self.number += counts
        stop = counts and self.number == self.at
        if stop and not self.midway:
            raise RunError("no space left")
        async with super().run(via, argv) as process:
            yield Breaking(process) if stop else process


class Breaking:
    def __init__(self, process: FakeProcess) -> None:
        self._process = process
        self.stderr = process.stderr

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._process.chunks():
            yield chunk
            raise RunError("no space left")

    async def wait(self) -> int:
        return 0


def carried_out(transport: FakeTransport, run: RunDir, events: list[Event] | None = None) -> Scan:
    """The scan, with the evidence in that folder; the folder is free again afterwards."""
    context = Context(lambda: STARTED, random.Random(1), (events if events is not None else []).append)
    planned = plan(wanted(), SCOPE, Abilities("7.93"))
    try:
        (found,) = asyncio.run(scan([planned], transport=transport, context=context, evidence=run))
    finally:
        run.close()
    return found


def begun(folder: Path) -> RunDir:
    run = RunDir(folder, "estate", "0123456789abcdef", STARTED)
    run.begin({"asked": "for"})
    return run


def resumed(path: Path) -> RunDir:
    run = RunDir.reopen(path)
    run.resume(STARTED)
    return run


def kept(path: Path) -> tuple[Shard, ...]:
    """The shards that the folder has."""
    run = RunDir.reopen(path)
    run.close()
    return run.shards


def looks(path: Path, *purposes: str) -> Counter[tuple[str, tuple[str, ...], str]]:
    """How often what was asked of which address, in runs that have ended."""
    return Counter(
        (shard.purpose, split(shard.argv)[0], str(address))
        for shard in kept(path)
        if shard.purpose.partition("-")[0] in purposes
        for address in split(shard.argv)[1]
    )


def same(one: Scan, other: Scan) -> bool:
    """Whether two scans tell the same. Commands may group addresses in other ways."""
    plain = [
        replace(each, commands=(), mute=sort(each.mute), probe_failures=sort(each.probe_failures))
        for each in (one, other)
    ]
    return plain[0] == plain[1]


def sort(failures: Sequence[object]) -> tuple[object, ...]:
    return tuple(sorted(failures, key=repr))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scan, Path, int]:
    """The scan without an interruption, its folder, and how many runs of nmap it took."""
    run = begun(tmp_path_factory.mktemp("whole"))
    transport = FakeTransport(answer)
    return carried_out(transport, run), run.path, sum(argv[0] == "nmap" and not beats(argv) for argv in transport.ran)


def test_the_scan_has_every_kind_of_run(whole: tuple[Scan, Path, int]) -> None:
    """Else what follows would prove little."""
    scan_, path, count = whole
    purposes = {key[0].partition("-")[0] for key in looks(path, *LASTING, "liveness", "again", "neighbours")}

    assert {*LASTING, "liveness", "again"} == purposes
    assert (count, 3) == (len(kept(path)), len(scan_.mute) + 1)


@pytest.mark.parametrize("midway", [False, True], ids=["at the start", "in the middle"])
def test_interrupted_anywhere_it_comes_to_the_same(whole: tuple[Scan, Path, int], tmp_path: Path, midway: bool) -> None:
    """Whichever run the disk fills up in: resumed, the scan tells the same, and no look is taken twice."""
    uninterrupted, path, count = whole
    for at in range(1, count + 1):
        run = begun(tmp_path / str(at))
        with pytest.raises(RunError):
            carried_out(Interrupted(answer, at=at, midway=midway), run)
        again = FakeTransport(answer)
        found = carried_out(again, resumed(run.path))

        assert same(uninterrupted, found), at
        assert looks(path, *LASTING) == looks(run.path, *LASTING), at
        assert set(split_all(uninterrupted.commands)) == set(split_all(found.commands)), at


def split_all(commands: Sequence[str]) -> Iterator[tuple[tuple[str, ...], str]]:
    for line in commands:
        options, addresses = split(line.split())
        yield from ((options, str(address)) for address in addresses)


def test_interrupted_again_and_again(whole: tuple[Scan, Path, int], tmp_path: Path) -> None:
    """One more run of nmap for each attempt: it gets to its end, and each look is still taken once."""
    uninterrupted, path, count = whole
    run = begun(tmp_path)
    found: Scan | None = None
    for attempt in range(3 * count):
        try:
            found = carried_out(Interrupted(answer, at=5), run if attempt == 0 else resumed(run.path))
        except RunError:
            continue
        break

    assert found is not None
    assert same(uninterrupted, found)
    assert looks(path, *LASTING) == looks(run.path, *LASTING)


def test_proof_after_is_always_new(whole: tuple[Scan, Path, int], tmp_path: Path) -> None:
    """What answered is asked again at the end of the attempt that comes to the end, whoever asked before."""
    _, path, count = whole
    run = begun(tmp_path)
    with pytest.raises(RunError):
        carried_out(Interrupted(answer, at=count), run)
    again = FakeTransport(answer)
    carried_out(again, resumed(run.path))
    expected = {key[1] for key in looks(path, "again", "liveness")}

    assert expected == {split(argv)[0] for argv in again.ran if argv[0] == "nmap" and not beats(argv)}


def test_a_scan_at_its_end_needs_no_packet(whole: tuple[Scan, Path, int], tmp_path: Path) -> None:
    """Where only the report could not be written, nothing at all is asked again."""
    uninterrupted, _, _ = whole
    run = begun(tmp_path)
    carried_out(FakeTransport(answer), run)
    again = FakeTransport(answer)
    found = carried_out(again, resumed(run.path))

    assert [] == [argv for argv in again.ran if argv[0] == "nmap"]
    assert same(uninterrupted, found)


def test_hosts_that_a_killed_nmap_had_finished_are_not_asked_again(tmp_path: Path) -> None:
    """Only what it had not finished is, and the run is no failure any more."""

    def killed(argv: Sequence[str]) -> Said:
        said = answer(argv)
        if "--min-rate" not in argv or str(THREE) not in argv:
            return said
        return Said(said.stdout[: said.stdout.index(f'addr="{THREE}"')], -9)

    run = begun(tmp_path)
    first = carried_out(FakeTransport(killed), run)
    again = FakeTransport(answer)
    second = carried_out(again, resumed(run.path))

    assert ["nmap was killed by signal 9 before it had finished"] * 2 == [one.reason for one in first.failures]
    assert ((), ()) == (second.failures, second.errors)
    assert [[str(THREE), str(FOUR)]] == [targets(argv) for argv in again.ran if "--min-rate" in argv]


def test_a_run_says_what_an_earlier_attempt_had_asked_of_it(tmp_path: Path) -> None:
    """What the scanner's kernel counts meanwhile is about the rest of it alone."""
    run = begun(tmp_path)
    with pytest.raises(RunError):
        carried_out(Interrupted(answer, at=10), run)
    argv = next(shard.argv for shard in kept(run.path) if "--min-rate" in shard.argv)
    again = resumed(run.path)
    viewpoint, context = wanted().viewpoint, Context(lambda: STARTED, random.Random(1), lambda _: None)
    runner = Runner(viewpoint, FakeTransport(answer), context, again, limits={}, until=None)

    async def both() -> tuple[Run, Run]:
        return await runner.run("sweep-ipv4", argv), await runner.run("sweep-ipv4", argv)

    first, second = asyncio.run(both())
    again.close()

    assert (True, False) == (first.earlier, second.earlier)


def test_what_was_asked_before_a_path_was_lost_is_asked_again(tmp_path: Path) -> None:
    """Its silence was taken back in the first attempt, whoever answers again in the second."""
    run = begun(tmp_path)
    with pytest.raises(RunError):
        carried_out(Interrupted(answer, at=10), run)
    before = looks(run.path, "sweep")
    lost = RunDir.reopen(run.path)
    lost.doubt("vp", [ONE])
    lost.close()
    again = FakeTransport(answer)
    carried_out(again, resumed(run.path))

    assert {str(ONE), DEAD} < {key[2] for key in before}
    assert [[str(ONE)]] == [targets(argv) for argv in again.ran if "--min-rate" in argv]


def test_what_was_asked_again_for_losses_is_no_settled_scan(tmp_path: Path) -> None:
    """The beats that told of the losses are in no shard, so a replay would leave the repeats out."""
    run = begun(tmp_path)
    run.close()
    carried_out(FakeTransport(answer), resumed(run.path))
    lossy = RunDir.reopen(run.path)
    lossy.doubt("vp", [ONE])
    lossy.close()
    again = FakeTransport(answer)
    carried_out(again, resumed(run.path))

    assert [[str(ONE)]] == [targets(argv) for argv in again.ran if "--min-rate" in argv]
    assert any(beats(argv) for argv in again.ran)


def test_a_last_look_that_broke_is_no_lost_path(tmp_path: Path) -> None:
    """nmap vanished before it: no silence counts in that report, but what was swept stays asked."""
    swept: list[bool] = []

    def vanishing(argv: Sequence[str]) -> Said:
        swept.append("-sn" in argv and DEAD in argv)
        return Said("", 127) if any(swept) else answer(argv)

    run = begun(tmp_path)
    first = carried_out(FakeTransport(vanishing), run)
    again = FakeTransport(answer)
    second = carried_out(again, resumed(run.path))

    assert str(ONE) in {str(one.address) for one in first.failures}
    assert [] == [argv for argv in again.ran if "--min-rate" in argv]
    assert () == second.failures


@pytest.mark.parametrize("harm", ["changed", "cut", "gone", "linked"])
def test_damaged_evidence_is_asked_again(tmp_path: Path, harm: str) -> None:
    """Nothing is read out of a file that is not as it was written, and somebody is told."""
    run = begun(tmp_path)
    with pytest.raises(RunError):
        carried_out(Interrupted(answer, at=5), run)
    path = min(run.path.glob("evidence/*.xml.gz"))
    packed = path.read_bytes()
    path.unlink()
    match harm:
        case "changed":
            path.write_bytes(gzip.compress(gzip.decompress(packed).replace(b"closed", b"open")))
        case "cut":
            path.write_bytes(packed[:-9])
        case "linked":
            path.symlink_to(tmp_path)
    lost = next(shard for shard in kept(run.path) if path.name == f"{shard.name}.xml.gz")
    again, events = FakeTransport(answer), list[Event]()
    carried_out(again, resumed(run.path), events)

    assert lost.argv in again.ran
    assert [f"{path} is not as it was written: what it had finished is asked again"] == [
        event.message for event in events if event.level == "warning"
    ]


@pytest.mark.parametrize(("options", "known"), [("--max-rate 5 --min-rate 5 -sS", True), ("--max-rate 9 -sU", False)])
def test_how_fast_something_was_asked_does_not_matter(options: str, known: bool) -> None:
    """Sweeps that a path did not bear are slower from then on; a resumed run need not find that out in the same way."""
    asked = ("nmap", "--max-rate", "9", "--min-rate", "9", "-sS", "-p", "1-10", "10.0.0.1")
    wanted = ("nmap", *options.split(), "-p", "1-10", "10.0.0.1")
    shard = Shard("vp", "sweep-ipv4", 1, asked, "", 0.1)
    xml = document(asked, host(asked[-1], closed(asked))).encode()
    earlier = Earlier([shard], lambda _: iter([xml]), pytest.fail, done=False)

    assert known is (earlier.take("sweep-ipv4", wanted)[2] is None)


def test_replaying_many_shards_is_quick(tmp_path: Path) -> None:
    """Ten times the runs take about ten times the time: nothing is looked through again for each."""

    def replay(count: int) -> float:
        run = begun(tmp_path / str(count))
        shards = []
        for number in range(1, count + 1):
            argv = ("nmap", "--max-rate", "5", "-p", "1-10", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
            shards.append(Shard("vp", "sweep-ipv4", number, argv, "", 0.1))
        xml = [(shard, document(shard.argv, host(shard.argv[-1], closed(shard.argv))).encode()) for shard in shards]
        texts = dict(xml)
        started = process_time()
        earlier = Earlier(shards, lambda shard: iter([texts[shard]]), pytest.fail, done=False)
        assert all(earlier.take("sweep-ipv4", shard.argv)[2] is None for shard in shards)
        run.close()
        return process_time() - started

    replay(100)
    assert replay(10_000) < 40 * replay(1_000)


def test_a_torn_line_is_cut_off_and_the_journal_goes_on(tmp_path: Path) -> None:
    """A process that was killed while it wrote leaves half a line; what is written next stands on one of its own."""
    run = begun(tmp_path)
    with pytest.raises(RunError):
        carried_out(Interrupted(answer, at=5), run)
    journal = run.path / "journal.jsonl"
    before = journal.read_bytes()
    journal.write_bytes(before + b'{"shard":{"viewpoint":"vp","purp')
    again = resumed(run.path)
    again.close()

    assert journal.read_bytes() == before + b'{"resumed":"2026-01-01T02:00:00+00:00"}\n'
    assert (0, (STARTED,)) == (again.damaged, again.resumed)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "7",
        '{"resumed": 7}',
        '{"shard": {}}',
        '{"shard": {"viewpoint": "../../etc/x", "purpose": "sweep", "number": 1, "argv": [], "started_at": "", '
        '"seconds": 1}}',
        '{"shard": {"viewpoint": "vp", "purpose": "sweep", "number": "1", "argv": [], "started_at": "", "seconds": 1}}',
        "[" * 100_000,
    ],
)
def test_a_journal_that_somebody_wrote_in(tmp_path: Path, line: str) -> None:
    """A line that was never written so is no shard, and is counted."""
    run = begun(tmp_path)
    run.resume(STARTED)
    run.close()
    journal = run.path / "journal.jsonl"
    journal.write_text(line + "\n" + journal.read_text())
    again = RunDir.reopen(run.path)

    assert ((), (STARTED,), 1) == (again.shards, again.resumed, again.damaged)


def test_a_folder_has_one_holder(tmp_path: Path) -> None:
    """The second one, of this machine or another, is told who holds it."""
    run = begun(tmp_path)
    with pytest.raises(RunError, match=r"is in use by process \d+ on .+; it has to end first"):
        RunDir.reopen(run.path)
    run.close()

    RunDir.reopen(run.path).close()


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    """Part files have no end and nobody who would write it."""
    run = begun(tmp_path)
    run.close()
    (run.path / "evidence").mkdir()
    for part in (run.path / ".report.json.0.part", run.path / "evidence" / ".vp-sweep-ipv4-001.xml.gz.0.part"):
        part.write_bytes(b"half")
    RunDir.reopen(run.path).close()

    assert [] == list(run.path.rglob("*.part"))


def test_a_folder_that_is_no_audit_s(tmp_path: Path) -> None:
    """Saved evidence was compared there, or something else altogether."""
    with pytest.raises(RunError, match=r"is no folder of an audit: there is no run\.json in it"):
        RunDir.reopen(tmp_path)


def test_the_request_is_private_and_there_from_the_start(tmp_path: Path) -> None:
    """Whatever ends the run, what was asked for is known."""
    run = begun(tmp_path)

    assert {"asked": "for"} == json.loads((run.path / "run.json").read_text())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in run.path.iterdir()}
