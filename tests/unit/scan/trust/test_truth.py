"""What a scan does where the network lies to it: sweeps that miss, hosts that stop answering, looks that differ."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from math import inf
from typing import Any, cast

import pytest

from auditor.model.context import Context, Event
from auditor.model.expectation import Expectations
from auditor.model.inventory import LocalVia, Via
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, ExpectedState, PortState, Protocol, Technique
from auditor.scan.board import Board
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import Job, plan
from auditor.scan.runs.kernel import Kernel
from auditor.scan.runs.run import Run
from auditor.scan.scan import scan
from auditor.scan.trust import again
from auditor.scan.trust.pulse import Beat, Gap, Loss, Pulse, choose, of_the_path
from auditor.scan.trust.sweep import Sweeps
from tests.unit.scan.test_scan import (
    NOW,
    ONE,
    SCOPE,
    TWO,
    WEB,
    FakeProcess,
    FakeTransport,
    Said,
    document,
    expectations,
    failures,
    host,
    port,
    targets,
)

TCP = Protocol.TCP


def asked(argv: Sequence[str]) -> PortSet:
    return PortSet.parse(argv[argv.index("-p") + 1])


def kernel() -> Kernel:
    """One that counts nothing."""
    return Kernel(FakeTransport(lambda _: Said("")), LocalVia())


def sweep(argv: Sequence[str]) -> bool:
    return "--min-rate" in argv


def network(state: Callable[[Sequence[str], str, int], str]) -> FakeTransport:
    """A network in which `state` says what each port of each address looks like to a run; nothing is recognised."""
    reasons = {"open": "syn-ack", "closed": "reset", "filtered": "no-response"}

    def answer(argv: Sequence[str]) -> Said:
        if "-p" not in argv or "-sV" in argv:
            return Said(document(argv))
        seen = ((one, number, state(argv, one, number)) for one in targets(argv) for number in asked(argv))
        ports: dict[str, list[str]] = {one: [] for one in targets(argv)}
        for one, number, found in seen:
            ports[one].append(port(number, found, reasons[found]))
        return Said(document(argv, *(host(one, *ports[one]) for one in targets(argv))))

    return FakeTransport(answer)


def declared(*addresses: Address, ports: str = "1-9", **viewpoint: object) -> Expectations:
    """Port 80 of each address is declared; `ports` are not."""
    wanted = expectations(*addresses, ports=ports, **viewpoint)
    wanted = replace(wanted, viewpoint=replace(wanted.viewpoint, targets=(ip_network("10.0.0.0/24"),)))
    services = tuple(
        replace(e, ports=PortSet.of(80), state=ExpectedState.REACHABLE, basis=Basis.DECLARED, service=WEB)
        for e in wanted.expectations
    )
    return replace(wanted, expectations=(*wanted.expectations, *services))


def looked(
    transport: FakeTransport,
    wanted: Expectations,
    disputed: Mapping[tuple[Address, Protocol], PortSet] | None = None,
    *,
    raw: bool = True,
) -> Scan:
    events: list[Event] = []
    context = Context(lambda: NOW, random.Random(1), events.append)
    planned = plan(wanted, SCOPE, Abilities("7.93", raw=raw))
    scanning = scan([planned], transport=transport, context=context, disputed=lambda *_: disputed or {})
    (found,) = asyncio.run(scanning)
    return found


def states(found: Scan) -> dict[str, tuple[str, int]]:
    return {str(one.ports): (str(one.state), one.attempts) for one in found.observations}


def test_a_sweep_that_misses_a_canary_is_repeated() -> None:
    """Port 80 was open before the sweep and silent in it; the repeat sees it, and port 7 that was missed too."""
    sweeps = Counter[str]()

    def state(argv: Sequence[str], _address: str, number: int) -> str:
        first = sweep(argv) and sweeps["all"] == 1
        return "open" if number in (7, 80) and not first else "filtered"

    transport = network(state)
    answer = transport.nmap

    def counting(argv: Sequence[str]) -> Said:
        sweeps["all"] += sweep(argv)
        return answer(argv)

    transport.nmap = counting
    found = looked(transport, declared(ONE))

    assert 2 == sweeps["all"]
    assert {"7", "80"} <= set(states(found))
    assert [] == failures(found)
    assert any("missed 1 of 1 endpoints known to answer: 10.0.0.1:80/tcp; " in note for note in found.notes) or any(
        note.startswith("the path to 10.0.0.0/24 lost") for note in found.notes
    )


def test_an_address_that_stops_answering_is_not_asked_on() -> None:
    """Asked patiently it is silent too: the scanner may be banned, so its silence is none, and the others' stays."""

    def banned(argv: Sequence[str]) -> bool:
        return any(map(sweep, transport.ran)) and str(ONE) in argv

    def state(argv: Sequence[str], address: str, number: int) -> str:
        return "open" if number == 80 and not (banned(argv) and address == str(ONE)) else "filtered"

    transport = network(state)
    found = looked(transport, declared(ONE, TWO))

    assert {("10.0.0.1", "1-9")} == {one[:2] for one in failures(found)}
    assert "10.0.0.1 stopped answering at 00:00:00 UTC" in failures(found)[0][2]
    assert 1 == sum(sweep(argv) and str(ONE) in argv for argv in transport.ran)
    assert ["1-9"] == [str(one.ports) for one in found.observations if one.address == TWO and one.state == "filtered"]
    assert any("the scanner looks banned there" in note for note in found.notes)


class Slow(FakeTransport):
    """Version probes find every port silent, and only once somebody was asked patiently whether it still answers."""

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[FakeProcess]:
        while nice and not any("--max-retries 5" in " ".join(one) for one in self.ran):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1 * nice)
        silent = (
            host(one, *(port(n, "filtered", "no-response") for n in asked(argv))) for one in targets(argv) if nice
        )
        async with super().run(via, argv, nice=nice) as process:
            yield FakeProcess(Said(document(argv, *silent))) if nice else process


@pytest.mark.parametrize(("kind", "viewpoint"), [(FakeTransport, {"rate": 500}), (Slow, {})])
def test_what_could_not_be_asked_what_it_is_has_not_been_recognised(
    kind: type[FakeTransport], viewpoint: dict[str, object]
) -> None:
    """Whoever is gone by then has an open port and no known service.

    A slow viewpoint asks after the sweep; elsewhere a probe that found the port silent is to be made once more.
    """

    def state(argv: Sequence[str], address: str, number: int) -> str:
        banned = any(map(sweep, transport.ran)) and address == str(ONE)
        return "open" if number == 80 and not banned else "closed" if number < 5 else "filtered"

    transport = kind(network(state).nmap)
    found = looked(transport, declared(ONE, TWO, **viewpoint))
    reasons = {one.address: one.reason for one in found.probe_failures}

    assert "stopped answering before it was asked what answers there" in reasons[ONE]
    assert {ONE, TWO} == set(reasons)


@pytest.mark.parametrize("number", [5000, 5060])
def test_what_answered_a_version_probe_alone_is_asked_by_one_at_the_end(number: int) -> None:
    """An empty datagram to a UDP service on a port of its own says nothing to it, and its silence nothing to us."""
    wanted = declared(ONE)
    udp = replace(wanted.expectations[-1], ports=PortSet.of(number), protocol=Protocol.UDP)
    wanted = replace(wanted, expectations=(*wanted.expectations, udp))
    nothing = network(lambda *_: "filtered")

    def answer(argv: Sequence[str]) -> Said:
        if "-sU" not in argv:
            return nothing.nmap(argv)
        state = ("open", "udp-response") if "-sV" in argv else ("open|filtered", "no-response")
        return Said(document(argv, *(host(one, port(number, *state, protocol="udp")) for one in targets(argv))))

    transport = FakeTransport(answer)
    found = looked(transport, wanted)
    last = [argv for argv in transport.ran if "-sU" in argv][-1]

    assert "open" in [one.state for one in found.observations if one.protocol is Protocol.UDP]
    assert [] == failures(found)
    assert "-sV" in last
    assert 2 == sum("-sV" in argv for argv in transport.ran)


@pytest.mark.parametrize(
    ("by_syn", "by_connect", "seen", "reason"),
    [
        (["open"], ["open"], ("open", 2), None),
        (["closed"], ["closed"], ("closed", 2), None),
        (["filtered"], ["filtered"], ("filtered", 2), None),
        (["filtered", "open"], ["open", "open"], ("open", 2), None),
        (["open", "open"], ["filtered", "open"], ("open", 3), None),
        (
            ["open", "open"],
            ["filtered", "filtered"],
            None,
            "unstable: open by SYN, then filtered by connect, then open by SYN, then filtered by connect: replies come "
            "back another way (an asymmetric route), or a device answers in place of the host",
        ),
        (
            ["filtered", "filtered"],
            ["open", "open"],
            None,
            "unstable: filtered by SYN, then open by connect, then filtered by SYN, then open by connect: something on "
            "the way treats the scanner's SYN packets unlike a client's",
        ),
        (
            ["closed", "closed"],
            ["open", "closed"],
            None,
            "unstable: closed by SYN, then open by connect, then closed by SYN, then closed by connect",
        ),
    ],
)
def test_what_is_disputed_is_asked_again(
    by_syn: list[str], by_connect: list[str], seen: tuple[str, int] | None, reason: str | None
) -> None:
    """By the other technique; where both agree it is confirmed, where they never do nothing is known."""
    looks = {"-sS": by_syn, "-sT": by_connect}
    turn = Counter[str]()

    def state(argv: Sequence[str], _address: str, number: int) -> str:
        if number != 5:
            return "filtered"
        technique = "-sT" if "-sT" in argv else "-sS"
        turn[technique] += 1
        return looks[technique][min(turn[technique], len(looks[technique])) - 1]

    transport = network(state)
    found = looked(transport, expectations(ONE), {(ONE, TCP): PortSet.of(5)})

    assert seen == next((value for ports, value in states(found).items() if 5 in PortSet.parse(ports)), None)
    assert ([] if reason is None else [("10.0.0.1", "5", reason)]) == failures(found)
    assert {"5"} == {str(asked(argv)) for argv in transport.ran if "-sT" in argv}


def test_of_many_alike_a_sample_stands_for_all() -> None:
    """A device that answers on every port is not asked 65,535 times again."""
    transport = network(lambda *_: "open")
    found = looked(transport, expectations(ONE, ports="1-1000"), {(ONE, TCP): PortSet.span(1, 1000)})

    assert {"1-1000": ("open", 2)} == states(found)
    assert [50] == [len(asked(argv)) for argv in transport.ran if "-sT" in argv and "-sV" not in argv]


@pytest.mark.parametrize(("last", "left"), [(1000, "1-1000"), (2000, None)])
def test_a_sample_that_no_client_reaches_leaves_nothing_known_of_all(last: int, left: str | None) -> None:
    """Where a device answers SYN probes for many ports, and not all, each would become a finding of its own."""

    def state(argv: Sequence[str], _address: str, number: int) -> str:
        return "open" if number <= 1000 and "-sT" not in argv else "filtered"

    found = looked(network(state), expectations(ONE, ports=f"1-{last}"), {(ONE, TCP): PortSet.span(1, 1000)})
    taken = PortSet.union(PortSet.parse(ports) for _, ports, _ in failures(found))

    assert left == next((ports for ports, (seen, _) in states(found).items() if seen == "open"), None)
    assert ("" if left else "1-1000") == str(taken)
    assert bool(left) == any("a device answers in place of the host" in note for note in found.notes)


def test_a_refusal_on_the_way_agrees_with_filtered() -> None:
    """A connect scan cannot tell it from an error of its own machine; the SYN scan has been there and can."""

    def answer(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv))
        ttl = "" if "-sT" in argv else 'reason_ttl="60"'
        refused = f'<port protocol="tcp" portid="5"><state state="filtered" reason="admin-prohibited" {ttl}/></port>'
        said = document(argv, host(ONE, refused))
        return Said(said.replace('type="syn"', 'type="connect"') if "-sT" in argv else said)

    found = looked(FakeTransport(answer), expectations(ONE, ports="5"), {(ONE, TCP): PortSet.of(5)})

    assert ({"5": ("filtered", 2)}, []) == (states(found), failures(found))


def test_an_error_of_a_connect_scan_confirms_nothing_where_no_other_was_made() -> None:
    """It may be the scanner's own machine that refuses by then; what was silent before was seen so once."""

    def answer(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv))
        reason = "host-unreach" if "--max-retries 2" in " ".join(argv) else "no-response"
        silent = f'<port protocol="tcp" portid="5"><state state="filtered" reason="{reason}"/></port>'
        return Said(document(argv, host(ONE, silent)).replace('type="syn"', 'type="connect"'))

    found = looked(FakeTransport(answer), expectations(ONE, ports="5"), {(ONE, TCP): PortSet.of(5)}, raw=False)

    assert ({"5": ("filtered", 1)}, []) == (states(found), failures(found))


def test_the_pulse_asks_what_most_share_and_stays_within_its_budget() -> None:
    """nmap sends every port to every address."""
    known = [(ONE, 22), (ONE, 80), (TWO, 80), (TWO, 443)]

    assert frozenset({(ONE, 80), (TWO, 80)}) == choose(known, (), (), 2)
    assert frozenset(known) == choose(known, (), (), 100)
    assert frozenset({(TWO, 80)}) == choose(known, {TWO}, (), 1)


@pytest.mark.parametrize(
    ("losses", "path"),
    [
        ([(16, 2), (16, 1), (16, 2)], (48, 5)),
        ([(16, 12), (16, 0), (16, 0)], (32, 0)),
        ([(16, 12), (16, 9), (16, 10)], (48, 31)),
        ([(16, 12)], (16, 12)),
    ],
)
def test_what_one_address_lost_is_not_the_paths_loss(losses: list[tuple[int, int]], path: tuple[int, int]) -> None:
    """A host that shuts the scanner out must not slow down everybody's sweep; a bottleneck drops everybody's probes."""
    assert Loss(*path) == of_the_path(Loss(*each) for each in losses)


@pytest.mark.parametrize(("ports", "most"), [("1-65535", 50), ("1-50", 50), ("7", 10)])
def test_a_sample_is_spread_from_the_first_to_the_last(ports: str, most: int) -> None:
    """Whatever rules a firewall has for ranges, it has some of each."""
    every = PortSet.parse(ports)
    sample = list(every.spread(most))

    assert min(most, len(every)) == len(sample)
    assert (every.first, max(every)) == (sample[0], sample[-1])


OPENED = PortSet.of(80)


class Deaf:
    """A runner whose beats all fail, and which remembers what was doubted."""

    def __init__(self) -> None:
        self.doubted: set[Address] = set()

    async def beat(self, argv: Sequence[str]) -> Run:
        return Run(tuple(argv), (), (), (0.0, 0.0), problem="no")

    def doubt(self, addresses: Collection[Address]) -> None:
        """Nobody is gone."""

    def repeat(self, addresses: Collection[Address]) -> None:
        self.doubted |= set(addresses)

    def note(self, message: str) -> None:
        """Nobody listens."""


@pytest.mark.parametrize("away", [False, True])
def test_silence_that_no_repeat_could_settle_is_not_trusted(away: bool) -> None:
    """An address that was shut out for a time in every repeat may have had its ports asked just then, each time.

    Nor is what the sweeps saw taken over by whoever goes on with the audit: that would be without the repeats.
    """
    runner, board, swept = Deaf(), Board(), list[Job]()
    viewpoint = replace(expectations(ONE).viewpoint, targets=SCOPE.allow)
    pulse = Pulse(viewpoint, SCOPE, Technique.SYN, cast(Any, runner), (board,), lambda: NOW)
    if away:
        pulse.gaps[ONE] = [Gap(0.0, NOW, inf, NOW)]

    async def ask(job: Job) -> Run:
        swept.append(job)
        silent = Seen(TCP, job.ports, Sight(PortState.FILTERED, "no-response"))
        record = HostRecord(ONE, NOW, (silent,))
        board.add(record)
        return Run(job.argv, (record,), (), (0.0, 0.0))

    (job,) = plan(expectations(ONE), SCOPE, Abilities("7.93", raw=True)).lanes[0].jobs
    asyncio.run(Sweeps(cast(Any, runner), board, pulse, ask, kernel()).sweep(job))

    reason = "it did not answer for a time in every repeat of the sweep: its silence tells nothing"
    assert ([reason] if away else []) == [one.reason for one in board.failures()]
    assert (7 if away else 1) == len(swept)
    assert ({ONE} if away else set()) == runner.doubted


@pytest.mark.parametrize("lost", [0, 1])
def test_losses_are_written_down_before_the_sweeps_are_judged(lost: int) -> None:
    """A short sweep is judged once all are done; cut short before then, what it saw must not be taken for whole."""
    runner, board = Deaf(), Board()
    viewpoint = replace(expectations(ONE, TWO).viewpoint, targets=SCOPE.allow)
    pulse = Pulse(viewpoint, SCOPE, Technique.SYN, cast(Any, runner), (board,), lambda: NOW)

    async def ask(job: Job) -> Run:
        if job.addresses == (TWO,):
            asked, answered = Counter({TWO: 8}), Counter({TWO: 8 - lost})
            pulse.beats.append(Beat(time.monotonic(), asked, answered, {TWO: [True] * 8}))
        return Run(job.argv, (), (), (0.0, 0.0))

    async def both() -> None:
        sweeps = Sweeps(cast(Any, runner), board, pulse, ask, kernel())
        for address in (ONE, TWO):
            (job,) = plan(expectations(address), SCOPE, Abilities("7.93", raw=True)).lanes[0].jobs
            await sweeps.sweep(job)

    board.add(HostRecord(TWO, NOW, (Seen(TCP, PortSet.of(80), Sight(PortState.OPEN, "syn-ack")),)))
    asyncio.run(both())

    assert ({ONE, TWO} if lost else set()) == runner.doubted


class Path:
    """A path that loses most of the probes where it does not bear a rate, given as a share of what was planned."""

    def __init__(self, *addresses: Address, bears: Callable[[int, float], bool]) -> None:
        """`bears` is asked for each sweep, with its number and rate."""
        board = Board()
        viewpoint = replace(expectations(ONE).viewpoint, targets=SCOPE.allow)
        pulse = Pulse(viewpoint, SCOPE, Technique.SYN, cast(Any, Deaf()), (board,), lambda: NOW)
        self.jobs = [plan(expectations(one), SCOPE, Abilities("7.93", raw=True)).lanes[0].jobs[0] for one in addresses]
        self.rates = list[float]()

        async def ask(job: Job) -> Run:
            await asyncio.sleep(0)
            rate = job.rate / self.jobs[0].rate
            self.rates.append(rate)
            there = 100 if bears(len(self.rates), rate) else 40
            for one in job.addresses:
                beat = Beat(time.monotonic(), Counter({one: 100}), Counter({one: there}), {one: [True] * 8})
                pulse.beats.append(beat)
                board.add(
                    HostRecord(one, NOW, (Seen(TCP, job.ports - OPENED, Sight(PortState.FILTERED, "no-response")),))
                )
            return Run(job.argv, (), (), (0.0, 0.0))

        for one in addresses:
            board.add(HostRecord(one, NOW, (Seen(TCP, OPENED, Sight(PortState.OPEN, "syn-ack")),)))
        self.sweeps = Sweeps(cast(Any, Deaf()), board, pulse, ask, kernel())

    async def one_after_the_other(self, times: int) -> list[float]:
        for _ in range(times):
            await self.sweeps.sweep(self.jobs[0])
        return self.rates

    async def side_by_side(self) -> float:
        await asyncio.gather(*map(self.sweeps.sweep, self.jobs))
        return self.sweeps.speed


@pytest.mark.parametrize(
    ("bears", "rates"),
    [(1.0, [1, 1, 1, 1]), (0.6, [1, 0.25, 0.25, 0.5, 0.5]), (0.3, [1, 0.25, 0.25, 0.5, 0.125, 0.125])],
)
def test_a_sweep_that_was_too_fast_slows_the_next_ones_for_a_time(bears: float, rates: list[float]) -> None:
    """A moment's trouble does not make a whole night slow, and what was too fast once is not tried again."""
    path = Path(ONE, bears=lambda _, rate: rate <= bears)

    assert rates == asyncio.run(path.one_after_the_other(4))


def test_slowing_down_in_vain_does_not_last() -> None:
    """Where losses did not depend on the rate for a time, they may later on."""
    path = Path(ONE, bears=lambda number, rate: number > 3 and rate <= 0.3)
    rates = asyncio.run(path.one_after_the_other(6))

    assert 0.5 in rates
    assert all(rate <= 0.3 for rate in rates[-2:])


def test_sweeps_side_by_side_slow_down_once_for_one_moment() -> None:
    """All of them were sent at the same rate; that each has lost probes does not make the path narrower."""
    path = Path(*(ONE + number for number in range(4)), bears=lambda _, rate: rate < 1)

    assert 0.25 == asyncio.run(path.side_by_side())


def test_an_entry_that_nobody_answers_in_proves_no_path() -> None:
    """Where targets overlap, the lost path to one of them is not made good by another that nothing came from."""
    wide, narrow = ip_network("10.0.0.0/24"), ip_network("10.0.0.2/32")
    viewpoint = replace(expectations(ONE).viewpoint, targets=(wide, narrow))
    pulse = Pulse(viewpoint, SCOPE, Technique.SYN, cast(Any, Deaf()), (), lambda: NOW)
    pulse.gaps[ONE] = [Gap(0.0, NOW)]

    assert {ONE, TWO} == again.lost(viewpoint, (ONE, TWO), (ONE,), ())
    assert {ONE} == again.lost(viewpoint, (ONE, TWO), (ONE,), (TWO,))
    assert {ONE, TWO} == pulse.behind_lost_path((ONE, TWO))


def test_a_repeat_of_some_ports_leaves_the_silence_of_others() -> None:
    """What is asked again piece by piece is taken back piece by piece: the rest was seen, and stays so."""
    runner, board = Deaf(), Board()
    viewpoint = replace(expectations(ONE).viewpoint, targets=SCOPE.allow)
    pulse = Pulse(viewpoint, SCOPE, Technique.SYN, cast(Any, runner), (board,), lambda: NOW)
    pulse.gaps[ONE] = [Gap(0.0, NOW, inf, NOW)]
    board.add(HostRecord(ONE, NOW, (Seen(TCP, PortSet.span(1, 20), Sight(PortState.FILTERED, "no-response")),)))

    async def ask(job: Job) -> Run:
        return Run(job.argv, (), (), (0.0, 0.0))

    (job,) = plan(expectations(ONE), SCOPE, Abilities("7.93", raw=True)).lanes[0].jobs
    asyncio.run(Sweeps(cast(Any, runner), board, pulse, ask, kernel()).again(job))

    known = board.silence(ONE, TCP) | PortSet.union(one.ports for one in board.failures())
    assert PortSet.span(11, 20) == PortSet.span(11, 20) & known
