"""Plans → scans: everything asked, set against everything that came back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from auditor.addresses import by_address
from auditor.model.context import Context
from auditor.model.expectation import Expectations
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Protocol, Technique
from auditor.scan.alive import Alive
from auditor.scan.board import Board, reply_order
from auditor.scan.plan.later import LATE_SHARE, tries_rate
from auditor.scan.plan.plan import Job, Lane, Plan, Purpose
from auditor.scan.plan.source import check_sources
from auditor.scan.runs.kernel import Kernel
from auditor.scan.runs.progress import CONFIRM, CONTROLS, LAST_LOOK, PINGS, TRYING, Progress
from auditor.scan.runs.run import EvidenceStore, Run, reconcile, silent_if_absent
from auditor.scan.runs.runner import Runner
from auditor.scan.talking import Talking
from auditor.scan.together import Crowd, beside, crew, together
from auditor.scan.trust.bears import Bearing
from auditor.scan.trust.confirm import Confirmation
from auditor.scan.trust.controls import Controlling
from auditor.scan.trust.limited import Limited
from auditor.scan.trust.lost import Lost
from auditor.scan.trust.pulse import Pulse
from auditor.scan.trust.refusals import refusals, second_looks
from auditor.scan.trust.sweep import Sweeps
from auditor.transport.base import Transport

_UDP_AGAIN_SIDE_BY_SIDE = 8
_UDP_LOOKS = 3  # after the first, as long as each brings refusals


Disputes = Callable[[Expectations, Scan], Mapping[tuple[Address, Protocol], PortSet]]


def _nothing(_expectations: Expectations, _scan: Scan) -> dict[tuple[Address, Protocol], PortSet]:
    """Disputes nothing: what was seen once holds."""
    return {}


async def scan(
    plans: Sequence[Plan],
    *,
    transport: Transport,
    context: Context,
    evidence: EvidenceStore | None = None,
    until: datetime | None = None,
    disputed: Disputes = _nothing,
) -> tuple[Scan, ...]:
    """Carry out the plans, viewpoints side by side; one scan for each, in order. `until` is when their time is over.

    `disputed` gives the endpoints of a scan that are to be asked once more before anybody relies on them. Whatever
    fails on the way is in the scans; only errors of the evidence store (RunError) are raised.
    """
    crowd = Crowd()
    viewpoints = Counter(plan.viewpoint.via for plan in plans)
    kernels = {via: Kernel(transport, via, shared=count > 1) for via, count in viewpoints.items()}
    scans = (
        _Viewpoint(
            plan,
            transport,
            context,
            evidence,
            crowd,
            kernel=kernels[plan.viewpoint.via],
            until=until,
            disputed=disputed,
        ).scan()
        for plan in plans
    )
    return tuple(await together(*scans))


class _Viewpoint:
    """One viewpoint's scan while it runs."""

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        context: Context,
        evidence: EvidenceStore | None,
        crowd: Crowd,
        *,
        kernel: Kernel,
        until: datetime | None,
        disputed: Disputes,
    ) -> None:
        self._plan = plan
        self._transport = transport
        self._context = context
        self._runner = Runner(
            plan.viewpoint,
            transport,
            context,
            evidence,
            limits=plan.expectations.limits,
            until=until,
            kernel=kernel,
        )
        self._disputed = disputed
        self._crowd = crowd
        self._kernel = kernel
        self._udp_gate = asyncio.Semaphore(_UDP_AGAIN_SIDE_BY_SIDE)
        self._technique: Technique = plan.abilities.technique
        self._hosts = {one.address: one.host for one in plan.expectations.expectations}
        self._board = Board()
        self._canaries = Board()
        boards = self._board, self._canaries
        self._pulse = Pulse(
            plan.viewpoint, plan.scope, self._technique, self._runner, boards, context.now, self._runner.limited
        )
        self._sweeps = Sweeps(self._runner, self._board, self._pulse, self._job, kernel)
        self._bearing = Bearing(plan.viewpoint, transport, self._runner, crowd, self._sweeps)
        self._progress = Progress(context, plan)
        self._talking = Talking(
            plan, self._runner, self._board, pulse=self._pulse, crowd=crowd, progress=self._progress
        )
        self._addresses = self._talking.addresses
        self._alive = Alive(plan, transport, self._runner, self._talking, board=self._board, canaries=self._canaries)
        self._controls = Controlling(plan, transport, self._runner, self._board, self._talking.talk)
        self._absent: frozenset[Address] = frozenset()  # neighbours that the viewpoint's kernel does not find

    async def scan(self) -> Scan:
        if self._plan.problem is not None:
            return self._result(self._plan.problem)
        count = len(self._asked())
        self._runner.tell(f"checking the source address towards {count:,} {'address' if count == 1 else 'addresses'}")
        sources = await check_sources(self._transport, self._plan.viewpoint, self._asked())
        if sources.failure is not None:
            return self._result(sources.failure)
        for failure in self._plan.refused:
            self._board.fail(failure.address, failure.protocol, failure.ports, failure.reason)
        lost = dict(sources.lost)
        lanes = [self._reachable(lane, lost) for lane in (self._plan.first, *self._plan.lanes)]
        # Over IPv6 nmap sends frames itself, and nothing is held back.
        neighbours = [address for address in sources.neighbours if address.version == 4]
        await self._probe(lanes[0], lanes[1:], frozenset(lost), neighbours)
        self._runner.end()
        return self._result(None)

    async def _probe(
        self, first: Lane, lanes: Sequence[Lane], lost: frozenset[Address], neighbours: Sequence[Address]
    ) -> None:
        """Declared ports, then the sweep; what answers on an open port is asked beside them, as soon as it is found."""
        self._progress.begin(first, lanes)
        self._runner.tell("probing declared ports")
        await self._lane(first)
        silent = [address for address in neighbours if not self._board.answered(address)]
        self._absent = self._talking.absent = await self._alive.absent(silent)
        await self._slow_down()
        self._runner.tell("probing the rest of the coverage")
        async with crew() as asking:
            await self._rest(lanes, lost, lambda: asking.create_task(self._talking.ask()))
            async with self._progress.during(CONTROLS):
                await self._controls.ask(self._late_rate)
        async with self._progress.during(CONTROLS):
            await self._controls.ask(self._late_rate)  # what only version probes have found
        async with self._progress.during(CONFIRM):
            await self._confirm()
        async with self._progress.during(LAST_LOOK):
            await self._alive.once_more()
        self._talking.give_up()

    async def _slow_down(self) -> None:
        """Sweep no faster than this machine's nmap can read replies now; short sweeps are not worth finding out."""
        if not tries_rate(self._plan) or self._runner.over or not self._runner.may_send:
            return
        async with self._progress.during(TRYING), self._kernel.idle():
            await self._bearing.find_out()
        if self._bearing.borne is None:
            self._runner.tell("what rate the machine of this viewpoint bears cannot be tried there", "debug")

    async def _rest(self, lanes: Sequence[Lane], lost: frozenset[Address], found: Callable[[], object]) -> None:
        """`found` is called whenever there may be more to ask what it is."""
        found()
        async with beside(self._pulse.run()):
            await together(*(self._lane(lane, found) for lane in lanes))
            await self._sweeps.finish()
            await self._asking_again().settle(self._addresses.keys() - self._absent)
        self._progress.swept()
        await self._talking.widen(self._plan.talking_of(1 - LATE_SHARE))
        found()
        async with self._progress.during(PINGS):
            await self._alive.ping(lost)

    def _asking_again(self) -> Lost:
        """What asks again where replies were lost."""
        limited = Limited(self._plan, self._runner, self._board, self._pulse, self._kernel, self._late_rate)
        sweeps = [job for job in self._plan.jobs if job.purpose is Purpose.SWEEP]
        return Lost(self._runner, self._board, self._sweeps, limited, self._kernel, sweeps, self._crowd.alone)

    @property
    def _late_rate(self) -> float:
        return self._plan.viewpoint.rate * self._sweeps.speed * LATE_SHARE

    async def _confirm(self) -> None:
        """Ask again what would become a finding; what is found open only now is asked what it is."""
        confirmation = Confirmation(self._plan, self._runner, self._board, self._late_rate, self._sweeps.stopped)
        disputed = self._disputed(self._plan.expectations, self._result(None))
        gone = self._pulse.behind_lost_path({address for address, _ in disputed})
        await confirmation.ask({place: ports for place, ports in disputed.items() if place[0] not in gone})
        await self._talking.ask()

    def _asked(self) -> list[Address]:
        """Every address that some job is about."""
        return list(dict.fromkeys(address for job in self._plan.jobs for address in job.addresses))

    def _reachable(self, lane: Lane, lost: dict[Address, str]) -> Lane:
        """The lane less the addresses that there is no route to; those are failures now."""
        for job in lane.jobs:
            for address in job.addresses:
                if address in lost and job.purpose is not Purpose.CANARY:
                    self._board.fail(address, job.protocol, job.ports, lost[address])
        jobs = (job.without(frozenset(lost)) for job in lane.jobs)
        return replace(lane, jobs=tuple(job for job in jobs if job is not None))

    async def _lane(self, lane: Lane, found: Callable[[], object] = lambda: None) -> None:
        gate = asyncio.Semaphore(lane.side_by_side)

        async def one(job: Job) -> None:
            async with gate:
                for part in (job.without(self._absent), job.absent_only(self._absent)):
                    if part is None:
                        continue
                    if part.purpose is Purpose.SWEEP:
                        if self._bearing.short:
                            await self._bearing.find_out()  # it may have been busy for a moment only
                        async with self._crowd.sweep():
                            await self._sweeps.sweep(part)
                    else:
                        await self._job(part)
            if job.purpose is Purpose.UDP:
                await self._udp_again(job)
            found()

        await together(*(one(job) for job in lane.jobs))

    async def _udp_again(self, job: Job) -> None:
        """A look that brings refusals may not have brought all: what else the host refuses counts against its limit."""
        left: Job | None = job
        for _ in range(_UDP_LOOKS):
            if left is None:
                return
            before = refusals(left, self._board, self._hosts)
            for look in second_looks(left, self._board, self._hosts):
                second = replace(look, rate=job.rate / _UDP_AGAIN_SIDE_BY_SIDE)
                async with self._udp_gate:
                    await self._job(second)
            more = refusals(left, self._board, self._hosts) - before
            left = left.without(frozenset(one for one in left.addresses if not more[self._hosts.get(one)]))

    async def _job(self, job: Job) -> Run:
        share = self._progress.share(job)
        async with share.going():
            run = await self._runner.run(f"{job.purpose}-{job.family}", job.argv, share.tell)
        share.finish(earlier=run.earlier)
        board = self._canaries if job.purpose is Purpose.CANARY else self._board
        run = silent_if_absent(run, job)
        board.take(run.records)
        if job.ports:
            reconcile(board, run, job.addresses, job.protocol, job.ports)
        return run

    def _result(self, failure: str | None) -> Scan:
        if failure is not None:
            self._runner.tell(failure, "warning")
        now = self._context.now()
        replies = {*self._board.replies(), *self._canaries.replies()}
        return Scan(
            viewpoint=self._plan.viewpoint.name,
            technique=self._technique,
            nmap_version=self._plan.abilities.nmap_version,
            observations=self._board.observations(now),
            replies=tuple(sorted(replies, key=reply_order)),
            canaries=self._canaries.observations(now),
            failures=self._board.failures(),
            probe_failures=tuple(self._talking.failures),
            mute=tuple(self._talking.mute),
            not_pinged=tuple(sorted(self._alive.not_pinged, key=by_address)),
            failure=failure,
            commands=self._runner.commands,
            errors=self._runner.errors,
            notes=self._runner.notes,
            controls=self._controls.result(now),
            talkative=self._talking.talkative(),
            bears=None if self._bearing.borne is None else round(self._bearing.borne),
        )
