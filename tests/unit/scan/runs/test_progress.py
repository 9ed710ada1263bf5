"""How far a scan has come and how long it still takes: planned seconds, and how much slower all has been so far."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest

from auditor.addresses import probe_target
from auditor.model.context import Context, Event
from auditor.model.expectation import Expectation, Expectations, HostLimits
from auditor.model.inventory import Scope, Service, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState, Profile, Protocol, Technique, ViewpointKind
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.plan import Job, Plan, Purpose, plan
from auditor.scan.plan.versions import VersionJob
from auditor.scan.runs.progress import CONFIRM, CONTROLS, LAST_LOOK, PINGS, TRYING, Progress, Share

NOW = datetime(2026, 11, 30, tzinfo=UTC)
SCOPE = Scope((ip_network("10.0.0.0/8"),))
SERVICE = Service("web", PortSet.of(80), PortSet(), ("net",), ())
HOSTS = ("10.0.0.1", "10.0.0.2")
LATE = (PINGS, CONTROLS, CONFIRM, LAST_LOOK)


def some(address: str, ports: str, protocol: Protocol = Protocol.TCP, *, declared: bool = False) -> Expectation:
    state, basis = ExpectedState.BLOCKED, Basis.UNDECLARED
    if declared:
        state, basis = ExpectedState.REACHABLE, Basis.DECLARED
    service = SERVICE if declared else None
    return Expectation("vp", "h", "net", ip_address(address), protocol, PortSet.parse(ports), state, basis, service)


def planned(*each: Expectation, rate: int = 1000, limits: dict[str, int] | None = None) -> Plan:
    here = Viewpoint("vp", ViewpointKind.PUBLIC, (ip_address("10.0.0.99"),), (), rate=rate)
    slow = {ip_address(address): HostLimits("h", rate=most) for address, most in (limits or {}).items()}
    return plan(Expectations(here, Profile.STANDARD, each, limits=slow), SCOPE, Abilities("7.93", raw=True))


def sweep(*, declared: bool = False) -> Plan:
    """Two hosts, a sweep of about a minute."""
    return planned(*(some(one, "1-30000") for one in HOSTS), *(some(one, "80", declared=declared) for one in HOSTS))


@dataclass
class Told:
    """A progress, what it has told, and the time by its clock."""

    plan: Plan
    now: float = 0.0
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = Progress(Context(lambda: NOW, random.Random(1), self.events.append), self.plan, self.clock)
        self.progress.begin(self.plan.first, self.plan.lanes)

    def clock(self) -> float:
        return self.now

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def planned_left(self) -> float:
        return (self.last.total or 0.0) - (self.last.done or 0.0)

    def jobs(self, purpose: Purpose) -> list[Job]:
        return [job for job in self.plan.jobs if job.purpose is purpose]

    def does(self, job: Job, seconds: float) -> None:
        """One run takes so long."""
        share = self.progress.share(job)
        share.begin()
        self.now += seconds
        share.finish()


def told(
    during: Callable[[Share], None], monkeypatch: pytest.MonkeyPatch, *, seconds: float, ticks: int
) -> list[float]:
    """The percentages that a run over 4 hosts, 2 at a time, brings until `ticks` of the clock have passed."""
    monkeypatch.setattr("auditor.scan.runs.progress._TICK", 0.01)
    it = Told(planned())
    targets = tuple(probe_target(ip_address(f"10.0.0.{n}"), SCOPE) for n in range(1, 5))
    job = Job(Purpose.SWEEP, Protocol.TCP, PortSet.of(1), targets, Technique.SYN, rate=8 / (seconds - 1), hosts=2)

    async def run() -> None:
        it.progress.clock = asyncio.get_running_loop().time
        share = it.progress.share(job)
        it.events.clear()
        async with share.going():
            during(share)
            await asyncio.sleep(0.01 * ticks)

    asyncio.run(run())
    return list(dict.fromkeys(round(100 * (event.done or 0.0) / (event.total or 1.0), 6) for event in it.events))


def begins(share: Share) -> None:
    share.tell(0.0, 0)


def test_the_clock_goes_on_where_nmap_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap 7.95 prints no `taskprogress`: a bar that stood still would look like a scan that does."""
    steps = told(begins, monkeypatch, seconds=60, ticks=20)

    assert len(steps) >= 3
    assert sorted(steps) == steps
    assert 0 < steps[-1] < 5


def test_the_clock_never_says_that_a_run_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than planned is nearly done until it has ended."""
    assert [99] == told(begins, monkeypatch, seconds=1.001, ticks=130)[-1:]


def test_a_run_that_waits_for_its_turn_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time begins with it."""
    assert [] == told(lambda _share: None, monkeypatch, seconds=1.001, ticks=5)


def test_finished_hosts_are_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap gives them group by group, whatever the time."""

    def two_are_finished(share: Share) -> None:
        begins(share)
        share.tell(0.0, 2)

    assert [0, 50] == told(two_are_finished, monkeypatch, seconds=1000, ticks=3)


def test_what_nmap_says_goes_before_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """7.93 says every second how far it is: a run that is late is not taken for one that is nearly done."""

    def half_of_two(share: Share) -> None:
        begins(share)
        share.tell(50.0, 0)

    assert [0, 25] == told(half_of_two, monkeypatch, seconds=1.001, ticks=10)


def test_the_longer_a_run_takes_the_longer_all_will(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is late brings no progress, and is no reason to say that the end is near."""
    monkeypatch.setattr("auditor.scan.runs.progress._TICK", 0.001)
    it = Told(sweep())
    job = it.jobs(Purpose.SWEEP)[0]
    lefts = []

    async def run() -> None:
        share = it.progress.share(job)
        async with share.going():
            share.begin()
            for _ in range(5):
                it.now += 2 * job.seconds
                await asyncio.sleep(0.05)
                lefts.append(it.last.left or 0.0)

    asyncio.run(run())

    assert sorted(set(lefts)) == lefts


def test_it_begins_with_what_is_planned() -> None:
    """Planned seconds and not probes, and no more than the plan says and what follows from it."""
    it = Told(sweep())

    assert (0, TRYING, "vp") == (it.last.done, it.last.message, it.last.viewpoint)
    assert it.last.left == it.last.total
    assert it.plan.seconds < (it.last.total or 0) < it.plan.seconds + 10


def test_what_goes_side_by_side_counts_once() -> None:
    """A short look over UDP beside a long sweep takes no time of its own."""
    alone = Told(sweep())
    both = Told(planned(*(some(one, "1-30000") for one in HOSTS), some(HOSTS[0], "53", Protocol.UDP)))
    udp = both.jobs(Purpose.UDP)

    assert both.plan.seconds + 10 > (both.last.total or 0.0) > (alone.last.total or 0.0)  # the sweep has less rate
    before = both.planned_left
    both.does(udp[0], 3.0)

    assert before == both.planned_left


def test_a_host_with_a_rate_of_its_own_has_one_run_at_a_time() -> None:
    """Its sweep and its UDP ports add up, whatever goes on beside them."""
    each = some(HOSTS[0], "1-1000"), some(HOSTS[0], "1-500", Protocol.UDP)
    it = Told(planned(*each, limits={HOSTS[0]: 50}))

    assert sum(job.seconds for job in it.plan.jobs) <= it.planned_left
    assert it.plan.seconds <= it.planned_left


def test_the_time_left_is_what_is_planned_times_the_slowdown_so_far() -> None:
    """Twice as slow as planned means twice as long as planned, nearly: a little calm is held for granted."""
    it = Told(sweep())
    job = it.jobs(Purpose.SWEEP)[0]
    it.does(job, 2 * job.seconds)

    slowdown = (it.last.left or 0.0) / it.planned_left
    assert 1.6 < slowdown < 2
    assert (it.last.left or 0.0) <= (it.last.total or 0.0) * slowdown


def test_the_first_seconds_tell_little() -> None:
    """A start that took ten times as long as it should does not make it an hour."""
    it = Told(sweep(declared=True))
    for job in it.jobs(Purpose.DECLARED):
        it.does(job, 10 * job.seconds)

    assert (it.last.left or 0.0) < 4 * it.planned_left


def test_what_an_earlier_attempt_has_done_is_done_but_no_work() -> None:
    """A resumed audit starts where it was, and does not believe that the rest goes as fast."""
    it = Told(sweep())
    job = it.jobs(Purpose.SWEEP)[0]
    it.progress.share(job).finish(earlier=True)

    assert pytest.approx(job.seconds) == it.last.done
    assert pytest.approx(it.planned_left) == it.last.left


def test_more_work_lets_the_total_grow_and_takes_back_nothing() -> None:
    """A sweep that is repeated, slower, is more to do than was planned."""
    it = Told(sweep())
    job = it.jobs(Purpose.SWEEP)[0]
    it.does(job, job.seconds)
    done, total = it.last.done, it.last.total or 0.0
    slower = replace(job, rate=job.rate / 4)
    it.progress.share(slower)

    assert done == it.last.done
    assert pytest.approx(total + slower.seconds) == it.last.total


def test_what_has_gone_is_not_done() -> None:
    """Hosts that stopped answering are asked no more: less is left, and nobody has worked for that."""
    it = Told(sweep())
    left = it.planned_left
    it.progress.swept()

    assert it.last.done == 0
    assert it.planned_left < left / 2


def test_a_run_that_is_ended_has_done_nothing_and_leaves_nothing() -> None:
    """A sweep of a host that stopped answering on the way is cancelled."""
    it = Told(sweep())
    job = it.jobs(Purpose.SWEEP)[0]
    before = it.planned_left

    async def ended() -> None:
        share = it.progress.share(job)
        async with share.going():
            share.begin()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(ended())

    assert pytest.approx(before - job.seconds) == it.planned_left
    assert it.last.done == 0


def test_conversations_count_where_the_rate_bears_few() -> None:
    """Beside a fast sweep they cost nothing; at 200 packets a second they take longer than anything else."""
    declared = [some(f"10.0.0.{n}", "80", declared=True) for n in range(1, 21)]
    fast, slow = (
        Told(planned(*declared, *(some(one, "1-5000") for one in HOSTS), rate=rate)) for rate in (20_000, 200)
    )

    assert fast.planned_left < 20
    assert slow.planned_left > slow.plan.seconds + 20


def test_conversations_that_nothing_was_found_for_are_not_waited_for() -> None:
    """Declared ports have told what is open: none of them."""
    it = Told(planned(*(some(f"10.0.0.{n}", "80", declared=True) for n in range(1, 21)), rate=200))
    before = it.planned_left
    it.progress.found(())

    assert it.planned_left < before - 20


def test_what_is_not_tried_is_not_waited_for() -> None:
    """An audit that goes on from its end tries no rate."""
    it = Told(sweep())
    before = it.planned_left
    it.progress.found(())

    assert (0, "sweep") == (it.last.done, it.last.message)
    assert it.planned_left < before


def test_phases_by_name() -> None:
    """Each as long as it goes on; at the end nothing is left."""
    it = Told(planned(some(HOSTS[0], "80", declared=True), some(HOSTS[0], "1-20000")))
    names = [it.last.message]
    for job in it.jobs(Purpose.DECLARED):
        it.does(job, 1.0)
    job = VersionJob(Protocol.TCP, PortSet.of(80), (probe_target(ip_address(HOSTS[0]), SCOPE),), Technique.SYN)

    async def trying() -> None:
        async with it.progress.during(TRYING):
            names.append(it.last.message)

    asyncio.run(trying())
    it.progress.found([job])
    for sweeping in it.jobs(Purpose.SWEEP):
        names.append(it.last.message)
        it.does(sweeping, sweeping.seconds)
    it.progress.swept()

    async def late() -> None:
        async with it.progress.during(PINGS):
            names.append(it.last.message)
        names.append(it.last.message)
        talk = it.progress.talk(job)
        talk.begin()
        talk.finish()
        for name in LATE[1:]:
            async with it.progress.during(name):
                names.append(it.last.message)

    asyncio.run(late())

    assert ["declared ports", TRYING, "sweep", "pings", "asking what answers", *LATE[1:]] == list(dict.fromkeys(names))
    assert (it.last.done, 0) == (it.last.total, it.last.left)
