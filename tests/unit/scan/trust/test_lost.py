"""Replies that were lost: by the scanner's own machine, by a path, or held back by a host that limits refusals."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from auditor.model.context import Context, Event
from auditor.model.inventory import LocalVia, NetnsVia
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Boundary, PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import plan
from auditor.scan.runs.kernel import Counts, Kernel, Surplus, counted
from auditor.scan.runs.run import Run
from auditor.scan.scan import scan
from auditor.scan.trust.bears import bears
from auditor.scan.trust.limited import Limited, Silence
from auditor.scan.trust.lost import ASKED_FIRST
from auditor.scan.trust.pulse import Beat, Pulse
from tests.unit.scan.test_scan import (
    NOW,
    ONE,
    SCOPE,
    TWO,
    FakeTransport,
    Said,
    document,
    expectations,
    failures,
    host,
    port,
)
from tests.unit.scan.trust import test_truth as truth

TCP = Protocol.TCP
State = Callable[[Sequence[str], str, int], str]


def snmp(segments: int, resets: int, connections: int = 0) -> str:
    """/proc/net/snmp as Linux 6.1 writes it, with what is of no interest left out."""
    return (
        "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
        "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens InSegs OutSegs OutRsts\n"
        f"Tcp: 1 200 120000 -1 {connections} 0 {segments} 0 {resets}\nUdp: InDatagrams\nUdp: 3\n"
    )


@dataclass
class Machine(FakeTransport):
    """One whose kernel counts what `arrives` says of each SYN scan: segments, and resets for SYN-ACKs."""

    arrives: Callable[[Sequence[str], str], tuple[int, int]] | None = None
    segments: int = 0
    resets: int = 0

    def __post_init__(self) -> None:
        answer = self.nmap

        def counting(argv: Sequence[str]) -> Said:
            said = answer(argv)
            if self.arrives is not None:
                segments, resets = self.arrives(argv, said.stdout)
                self.segments += segments
                self.resets += resets
            return said

        self.nmap = counting

    def other(self, argv: Sequence[str]) -> Said:
        return Said(snmp(self.segments, self.resets)) if argv[0] == "cat" and self.arrives else super().other(argv)


def told(_argv: Sequence[str], xml: str) -> tuple[int, int]:
    """Nothing is lost on the machine."""
    return xml.count('state="open"') + xml.count('state="closed"'), xml.count('state="open"')


def network(state: State) -> Callable[[Sequence[str]], Said]:
    """What nmap says of a network in which `state` tells what a port looks like to a run; nothing is recognised."""
    return truth.network(state).nmap


def sweep(argv: Sequence[str]) -> bool:
    return "--min-rate" in argv and "--max-retries 0" not in " ".join(argv)


def looked(transport: FakeTransport, *addresses: Address, ports: str = "1-400", **viewpoint: Any) -> Scan:
    events: list[Event] = []
    context = Context(lambda: NOW, random.Random(1), events.append)
    planned = plan(expectations(*addresses, ports=ports, **viewpoint), SCOPE, Abilities("7.93", raw=True))
    (found,) = asyncio.run(scan([planned], transport=transport, context=context))
    return found


def ports(found: Scan, address: Address, state: PortState) -> str:
    mine = (one.ports for one in found.observations if (one.address, one.state) == (address, state))
    return str(PortSet.union(mine))


class Losing:
    """A network behind a machine that tells of no port above 40 in its first sweeps; some are open, others refuse."""

    def __init__(self, sweeps: float, *, opened: Sequence[int] = (30, 300), deaf: Sequence[Address] = ()) -> None:
        self.left, self.opened, self.deaf = sweeps, opened, deaf
        self.loses = False

    def __call__(self, argv: Sequence[str]) -> Said:
        if sweep(argv):
            self.left -= 1
            self.loses = self.left >= 0
        return network(self.state)(argv)

    def state(self, argv: Sequence[str], address: str, number: int) -> str:
        if sweep(argv) and self.loses and number > 40:
            return "filtered"
        return "open" if number in self.opened else "filtered" if address in map(str, self.deaf) else "closed"


@pytest.mark.parametrize("boundary", Boundary)
def test_silence_is_asked_again_until_a_sample_agrees(boundary: Boundary) -> None:
    """Where refusals were lost, so was the answer of port 300: it is found, whatever the boundary."""
    transport = FakeTransport(Losing(1))
    found = looked(transport, ONE, boundary=boundary)
    swept = [float(argv[argv.index("--min-rate") + 1]) for argv in transport.ran if sweep(argv)]

    assert "30,300" == ports(found, ONE, PortState.OPEN)
    assert "" == ports(found, ONE, PortState.FILTERED)
    assert [] == failures(found)
    assert swept[1] < swept[0]
    assert any(note.startswith("replies of 10.0.0.1 were lost: 30 of 30 silent ports refused") for note in found.notes)


def test_counters_that_cannot_be_read_are_told() -> None:
    """Then samples alone decide, and whoever reads the report knows."""

    class Elsewhere(FakeTransport):
        def other(self, _argv: Sequence[str]) -> Said:
            return Said("", returncode=1, stderr="cat: /proc/net/snmp: No such file or directory")

    found = looked(Elsewhere(Losing(1)), ONE, TWO)
    calm = looked(FakeTransport(Losing(1)), ONE, TWO)

    assert "30,300" == ports(found, TWO, PortState.OPEN)
    assert any("(/proc/net/snmp) cannot be read" in note for note in found.notes)
    assert not any("(/proc/net/snmp) cannot be read" in note for note in calm.notes)


def test_pings_of_nmap_excuse_no_lost_syn_acks_of_a_host_that_refuses() -> None:
    """It is pinged on a port that it refuses; seven were open, four of them not told of."""
    machine = Machine(lambda _: Said(""), arrives=told)
    kernel = Kernel(machine, LocalVia())
    closed = Seen(TCP, PortSet.span(100, 2000), Sight(PortState.CLOSED, "reset"))
    opened = Seen(TCP, PortSet.span(1, 3), Sight(PortState.OPEN, "syn-ack"))

    async def one() -> None:
        async with kernel.watching((ONE,), 60.0):
            machine.segments, machine.resets = 1912, 11
            kernel.tell(Run(("nmap", "-sS"), (HostRecord(ONE, NOW, (closed, opened)),), (), (0.0, 0.0)))

    asyncio.run(one())

    assert [8] == [surplus.opened for surplus in kernel.surpluses]


def test_the_ports_that_services_use_are_asked_again_first() -> None:
    """If time runs out, it is not for want of those."""
    transport = FakeTransport(Losing(1))
    looked(transport, ONE, ports="1-6400")
    first, second = [PortSet.parse(argv[argv.index("-p") + 1]) for argv in transport.ran if sweep(argv)][1:3]

    assert {443, 3306, 5432, 6379} <= set(first)
    assert not {443, 3306, 5432, 6379} & set(second)


@pytest.mark.parametrize("boundary", Boundary)
def test_silence_with_which_no_sample_agrees_is_unverified(boundary: Boundary) -> None:
    """A host that goes on refusing when asked slowly, and is silent to every sweep, has no silence that counts."""
    found = looked(FakeTransport(Losing(99)), ONE, boundary=boundary)
    reasons = {reason for _, _, reason in failures(found)}

    assert "" == ports(found, ONE, PortState.FILTERED)
    assert {"its silence tells nothing"} == {reason.rpartition(": ")[2] for reason in reasons}


def test_what_was_swept_beside_lost_replies_is_asked_again() -> None:
    """The other host refuses nothing, so no sample tells of it: its port 300 was lost with the first one's refusals."""

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        lost = xml.count('state="filtered"') if sweep(argv) else 0
        return segments + lost, resets

    transport = Machine(Losing(1, deaf=(TWO,)), arrives=arrives)
    found = looked(transport, ONE, TWO)

    assert "30,300" == ports(found, TWO, PortState.OPEN)
    assert any("with nothing else beside it" in note for note in found.notes)


def test_nothing_is_asked_again_beside_a_host_whose_silence_is_one() -> None:
    """Dropped ports stay silent when asked slowly; other hosts' silence stands then, too."""

    def state(_argv: Sequence[str], address: str, number: int) -> str:
        return "open" if number == 30 else "filtered" if address == str(TWO) or number > 40 else "closed"

    transport = Machine(network(state), arrives=told)
    found = looked(transport, ONE, TWO)

    assert 1 == sum(map(sweep, transport.ran))
    assert ("41-400", "1-29,31-400") == (ports(found, ONE, PortState.FILTERED), ports(found, TWO, PortState.FILTERED))
    assert () == found.notes


def test_syn_acks_that_nmap_did_not_tell_of_are_asked_for_again() -> None:
    """The kernel has reset two more than were told open, in a sweep with replies enough to fill a buffer."""
    loses = Losing(1, opened=(30, 3000), deaf=(TWO,))
    loses_open = loses.state
    sweeps = Counter[str]()

    def answer(argv: Sequence[str]) -> Said:
        sweeps["all"] += sweep(argv)
        loses.loses = sweeps["all"] == 1
        return network(lambda argv, one, number: "closed" if one == str(ONE) else loses_open(argv, str(TWO), number))(
            argv
        )

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        missed = 300 * (sweep(argv) and sweeps["all"] == 1)  # however long it takes: a few would pass for nmap's pings
        return segments + missed, resets + missed

    transport = Machine(answer, arrives=arrives)
    found = looked(transport, ONE, TWO, ports="1-4000")

    assert "30,3000" == ports(found, TWO, PortState.OPEN)
    assert any("its kernel counted" in note and "SYN-ACKs more than nmap told of" in note for note in found.notes)


@pytest.mark.parametrize(("opened", "silent"), [((30,), True), ((443,), False)])
def test_other_traffic_is_not_taken_for_lost_replies_for_ever(opened: Sequence[int], silent: bool) -> None:
    """Where a slower sweep with nothing beside it finds no more, and met what answers in its middle, silence counts.

    nmap asks 443 before any buffer is full, so that it answers tells nothing.
    """

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        return segments + 2000, resets + 100 * sweep(argv)

    def state(_argv: Sequence[str], _address: str, number: int) -> str:
        return "open" if number in opened else "filtered"

    transport = Machine(network(state), arrives=arrives)
    found = looked(transport, ONE, ports="1-450")
    reasons = {reason for _, _, reason in failures(found)}

    assert silent == bool(ports(found, ONE, PortState.FILTERED))
    assert (not silent) == any("SYN-ACKs more than nmap told of: its silence tells nothing" in one for one in reasons)


def test_traffic_that_was_there_before_is_no_surplus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is counted while nothing is sent goes on meanwhile."""
    monkeypatch.setattr("auditor.scan.runs.kernel._LEAST_IDLE", 0.0)
    machine = Machine(lambda _: Said(""), arrives=told)
    kernel = Kernel(machine, LocalVia())

    async def both() -> None:
        async with kernel.idle():
            await asyncio.sleep(0.05)
            machine.segments, machine.resets = 5000, 50
        async with kernel.watching((ONE,), 60.0):
            await asyncio.sleep(0.05)
            machine.segments, machine.resets = 10000, 100

    asyncio.run(both())

    assert [(0, 0)] == [(one.replies, one.opened) for one in kernel.surpluses]


def test_a_sample_that_could_not_be_asked_agrees_with_nothing() -> None:
    """Time was over, or nmap broke: what was silent and refuses elsewhere is not known to be dropped."""

    def answer(argv: Sequence[str]) -> Said:
        if "--max-retries 1" in " ".join(argv):
            return Said("", returncode=1, stderr="killed")
        return network(lambda _argv, _one, number: "closed" if number < 40 else "filtered")(argv)

    found = looked(FakeTransport(answer), ONE)

    assert "" == ports(found, ONE, PortState.FILTERED)
    assert {"a sample of its silent ports could not be asked slowly"} == {reason for *_, reason in failures(found)}


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (snmp(5, 2, 1), Counts(5, 2, 1)),
        ("", None),
        ("Tcp: InSegs OutRsts\nTcp: 5 2\n", None),
        ("Tcp: InSegs OutRsts ActiveOpens\nTcp: 5 x 1\n", None),
        ("Tcp: InSegs OutRsts ActiveOpens\n", None),
    ],
)
def test_the_counters_of_a_kernel(text: str, counts: Counts | None) -> None:
    """Found by their names; what is not there cannot be read, and is not taken for zero."""
    assert counts == counted(text)


def test_sweeps_that_share_a_kernel_are_judged_together() -> None:
    """What one of two sweeps beside each other was told cannot be told from the other's."""
    machine = Machine(lambda _: Said(""), arrives=told)
    kernel = Kernel(machine, LocalVia())
    closed = Seen(TCP, PortSet.span(1, 1500), Sight(PortState.CLOSED, "reset"))

    async def one(address: Address, lost: int) -> None:
        async with kernel.watching((address,), 60.0):
            await asyncio.sleep(0)
            machine.segments += 1500 + lost
            kernel.tell(Run(("nmap", "-sS"), (HostRecord(address, NOW, (closed,)),), (), (0.0, 0.0)))

    async def both() -> None:
        await asyncio.gather(one(ONE, 0), one(TWO, 70))

    asyncio.run(both())
    (surplus,) = kernel.surpluses

    assert ({ONE, TWO}, 70, 0) == (set(surplus.addresses), surplus.replies, surplus.opened)


@dataclass
class Still:
    """A runner whose burst of questions is refused by `refused` of every ten ports."""

    refused: int = 1
    over: bool = False
    asked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    async def run(self, _name: str, argv: Sequence[str]) -> Run:
        self.asked.append(argv[argv.index("-p") + 1])
        asked = PortSet.parse(self.asked[-1])
        slowly = "--min-rate" not in argv
        closed = PortSet.of(*(one for one in asked if slowly or one % 10 < self.refused))
        seen = tuple(
            Seen(TCP, some, Sight(state, reason))
            for some, state, reason in (
                (closed, PortState.CLOSED, "reset"),
                (asked - closed, PortState.FILTERED, "no-response"),
            )
            if some
        )
        return Run(tuple(argv), (HostRecord(ONE, NOW, seen),), (), (0.0, 0.0))

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.mark.parametrize(
    ("surplus", "asked", "lost", "refused", "silence"),
    [
        (0, 64, 0, 1, Silence.LIMITED),
        (None, 64, 0, 1, Silence.LOST),  # the kernel's counters cannot be read
        (3000, 64, 0, 1, Silence.LOST),  # the scanner's machine got more replies than nmap told
        (0, 64, 32, 1, Silence.LOST),  # open ports on the path were lost too
        (0, 1, 0, 1, Silence.LOST),  # too few of them were asked
        (0, 64, 0, 10, Silence.LOST),  # so fast it refuses everything: no limit
    ],
)
def test_what_makes_a_limit_one(surplus: int | None, asked: int, lost: int, refused: int, silence: Silence) -> None:
    """Each of the three things that tell a limit of refusals from lost replies is needed."""
    board, runner = Board(), Still(refused)
    wanted = expectations(ONE, ports="1-4000")
    wanted = replace(wanted, viewpoint=replace(wanted.viewpoint, targets=SCOPE.allow))
    for address, seen, state in (
        (ONE, PortSet.span(1, 400), PortState.CLOSED),
        (ONE, PortSet.span(401, 4000), PortState.FILTERED),
        (TWO, PortSet.of(80), PortState.OPEN),
    ):
        reason = "no-response" if state is PortState.FILTERED else "reset"
        board.add(HostRecord(address, NOW, (Seen(TCP, seen, Sight(state, reason)),)))
    planned = plan(wanted, SCOPE, Abilities("7.93", raw=True))
    pulse = Pulse(wanted.viewpoint, SCOPE, planned.abilities.technique, cast(Any, runner), (board,), lambda: NOW)
    pulse.beats.append(Beat(5.0, Counter({TWO: asked}), Counter({TWO: asked - lost}), {TWO: [True]}))
    kernel = Kernel(Machine(lambda _: Said(""), arrives=told), LocalVia())
    kernel.surpluses.append(Surplus(frozenset({ONE}), 0.0, 10.0, surplus, surplus))
    limited = Limited(planned, cast(Any, runner), board, pulse, kernel, 2500.0)
    verdicts = asyncio.run(limited.check([ONE], lambda _: 5000.0))

    assert [silence] == [verdict.silence for verdict in verdicts.values()]


def test_a_scan_that_had_come_to_its_end_has_lost_nothing() -> None:
    """A loss is written down at once, and keeps a scan from having ended: what is gone through again asks nothing."""
    runner, again = Still(over=True), []
    planned = plan(expectations(ONE), SCOPE, Abilities("7.93", raw=True))
    for _ in range(2):
        board, kernel = Board(), Kernel(FakeTransport(lambda _: Said("")), LocalVia())
        for seen, state, reason in (
            (PortSet.of(9), PortState.CLOSED, "reset"),
            (PortSet.span(401, 4000), PortState.FILTERED, "no-response"),
        ):
            board.add(HostRecord(ONE, NOW, (Seen(TCP, seen, Sight(state, reason)),)))
        limited = Limited(planned, cast(Any, runner), board, cast(Any, None), kernel, 2500.0)
        again.append(asyncio.run(limited.check([ONE], lambda _: 5000.0))[ONE].silence)

    assert [Silence.LIMITED, Silence.LIMITED] == again
    assert 1 == len(set(runner.asked))


@pytest.mark.parametrize(("boundary", "left"), [(Boundary.ANY, 3600), (Boundary.FILTERED, 0)])
def test_a_limit_matters_where_blocked_means_filtered(boundary: Boundary, left: int) -> None:
    """Closed and filtered look the same there."""
    board, runner = Board(), Still()
    board.add(HostRecord(ONE, NOW, (Seen(TCP, PortSet.span(401, 4000), Sight(PortState.FILTERED, "no-response")),)))
    planned = plan(expectations(ONE, boundary=boundary), SCOPE, Abilities("7.93", raw=True))
    kernel = Kernel(FakeTransport(lambda _: Said("")), LocalVia())
    pulse = cast(Any, None)
    limited = Limited(planned, cast(Any, runner), board, pulse, kernel, 2500.0)
    limited.trust(ONE, "10.0.0.1 limits how often it refuses")

    assert left == len(board.silence(ONE, TCP))
    assert ["10.0.0.1 limits how often it refuses"] == runner.notes


def test_what_nmap_asks_first_is_no_canary() -> None:
    """Its 28 ports come first in any order, seen with 7.93 and --packet-trace."""
    assert 28 == len(ASKED_FIRST)
    assert {22, 80, 443, 8080} <= set(ASKED_FIRST)


class Loopback(FakeTransport):
    """A machine whose nmap reads at most so many replies a second, and forgets the rest."""

    def __init__(self, most: float, patch: pytest.MonkeyPatch, *, namespaces: bool = True) -> None:
        """Its runs take no time that counts, however busy the real machine is."""
        for seconds in ("_IMPRECISE", "_STILL"):
            patch.setattr(f"auditor.scan.trust.bears.{seconds}", 3600.0)
        super().__init__(lambda _: Said(""))
        self.most, self.namespaces, self.tried = most, namespaces, list[float]()

    def other(self, argv: Sequence[str]) -> Said:
        if argv[0] != "unshare":
            return super().other(argv)
        if not self.namespaces:
            return Said("", returncode=1, stderr="unshare: unshare failed: Operation not permitted")
        rate = float(argv[argv.index("--min-rate") + 1])
        asked = PortSet.parse(argv[argv.index("-p") + 1])
        self.tried.append(rate)
        there = len(asked) if rate <= self.most else len(asked) // 3
        each = [port(n, "closed", "reset") for n in range(1, there + 1)]
        return Said(document(argv[argv.index("nmap") :], host("127.0.0.1", *each)))


@pytest.mark.parametrize(("most", "found"), [(1e9, 4000.0), (1500.0, 1000.0), (1.0, 100.0)])
def test_the_rate_that_a_machine_bears(most: float, found: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried on the loopback interface of a namespace made for it: no packet leaves it."""
    machine = Loopback(most, monkeypatch)

    assert found == pytest.approx(asyncio.run(bears(machine, LocalVia(), 4000.0)) or 0, rel=0.01)
    assert {"unshare"} == {argv[0] for argv in machine.ran}
    assert {"127.0.0.1"} == {argv[-1] for argv in machine.ran}


def test_no_machine_bears_more_than_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewpoint whose rate is as low as the least that is worth finding out keeps it."""
    assert 50.0 == asyncio.run(bears(Loopback(1e9, monkeypatch), LocalVia(), 50.0))


def test_a_rate_that_cannot_be_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every container may make namespaces; then samples alone decide."""
    assert asyncio.run(bears(Loopback(1e9, monkeypatch, namespaces=False), LocalVia(), 4000.0)) is None


def test_a_loopback_scan_names_nobody() -> None:
    """The one command whose address is in no scope."""
    argv = command.loopback(PortSet.span(1, 5), rate=100.0)

    assert ("unshare", "--net") == argv[:2]
    assert "127.0.0.1" == argv[-1]


def test_viewpoints_beside_each_other_try_a_machine_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries at a time would take processor time from each other, and an idle machine would look busy."""
    machine = Loopback(1e9, monkeypatch)
    machine.nmap = network(lambda *_: "closed")
    here = [expectations(one, ports="1-65535", rate=4000) for one in (ONE, TWO)]
    there = [
        replace(one, viewpoint=replace(one.viewpoint, via=NetnsVia(name))) for one, name in zip(here, "ab", strict=True)
    ]
    plans = [plan(one, SCOPE, Abilities("7.93", raw=True)) for one in there]
    context = Context(lambda: NOW, random.Random(1), lambda _: None)
    found = asyncio.run(scan(plans, transport=machine, context=context))

    assert [4000, 4000] == [one.bears for one in found]
    assert 2 == len(machine.tried)  # one port, for how long nmap takes to start, and a second's worth
