"""Plans → scans: everything asked, set against everything that came back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from math import inf
from time import monotonic

from auditor.addresses import by_address, probe_target
from auditor.catalogue.ports import RETICENT_PORTS, usual_ports
from auditor.model.context import Context
from auditor.model.expectation import Expectations
from auditor.model.inventory import LocalVia, NetnsVia
from auditor.model.observation import Failure, Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol, Technique
from auditor.scan.board import Board, reply_order
from auditor.scan.nmap import command
from auditor.scan.plan.later import LATE_SHARE, tries_rate
from auditor.scan.plan.plan import Job, Lane, Plan, Purpose
from auditor.scan.plan.source import check_sources, unresolved
from auditor.scan.plan.versions import VersionJob, talkative, unsettled, version_jobs, wants
from auditor.scan.runs.kernel import Kernel
from auditor.scan.runs.progress import CONFIRM, CONTROLS, LAST_LOOK, PINGS, TRYING, Progress
from auditor.scan.runs.run import EvidenceStore, Run, reconcile, silent_if_absent
from auditor.scan.runs.runner import Runner
from auditor.scan.together import Crowd, Room, beside, crew, together
from auditor.scan.trust import again
from auditor.scan.trust.bears import bears, tried
from auditor.scan.trust.confirm import Confirmation
from auditor.scan.trust.controls import Controlling
from auditor.scan.trust.limited import Limited
from auditor.scan.trust.lost import Lost
from auditor.scan.trust.pulse import Pulse
from auditor.scan.trust.refusals import refusals, second_looks
from auditor.scan.trust.sweep import Sweeps
from auditor.transport.base import Transport

_AGAIN_SIDE_BY_SIDE = 4
_UDP_AGAIN_SIDE_BY_SIDE = 8
_UDP_LOOKS = 3  # after the first, as long as each brings refusals
_ANY_PORT = PortSet.of(80)  # for a packet that has the kernel look for a neighbour; what it says is not used
_STILL = 5.0  # seconds; what a machine bore just now, it bears for another viewpoint
_PINGED = 4096  # addresses in one ping run
_FRUITLESS = 2  # rounds of looking for neighbours without finding one; a link may limit how many answer at a time
_TOO_LATE = "the address, or its network, stopped answering before it was asked what answers there"


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
        self._version_room = Room(plan.talking)
        self._udp_gate = asyncio.Semaphore(_UDP_AGAIN_SIDE_BY_SIDE)
        self._technique: Technique = plan.abilities.technique
        self._wanted = wants(plan.expectations)
        self._addresses = {address: None for address, _ in self._wanted.coverage}
        self._hosts = {one.address: one.host for one in plan.expectations.expectations}
        self._board = Board()
        self._canaries = Board()
        boards = self._board, self._canaries
        self._pulse = Pulse(
            plan.viewpoint, plan.scope, self._technique, self._runner, boards, context.now, self._runner.limited
        )
        self._sweeps = Sweeps(self._runner, self._board, self._pulse, self._job, kernel)
        self._controls = Controlling(plan, transport, self._runner, self._board, self._talk)
        self._probe_failures: list[Failure] = []
        self._mute: list[Failure] = []
        self._not_pinged: set[Address] = set()
        self._pinged: set[Address] = set()  # that have answered pings after the sweep, and nothing before
        self._absent: frozenset[Address] = frozenset()  # neighbours that the viewpoint's kernel does not find
        self._sampled: set[Address] = set()  # crowded addresses: a few of their ports have been asked what answers
        self._bears: float | None = None  # packets a second
        self._was_busy = False
        self._versioned: dict[tuple[Address, Protocol], PortSet] = {}
        self._progress = Progress(context, plan)

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
        await self._find([address for address in neighbours if not self._board.answered(address)])
        await self._slow_down()
        self._runner.tell("probing the rest of the coverage")
        async with crew() as asking:
            await self._rest(lanes, lost, lambda: asking.create_task(self._versions()))
            async with self._progress.during(CONTROLS):
                await self._controls.ask(self._late_rate)
        async with self._progress.during(CONTROLS):
            await self._controls.ask(self._late_rate)  # what only version probes have found
        async with self._progress.during(CONFIRM):
            await self._confirm()
        async with self._progress.during(LAST_LOOK):
            await self._once_more()
        self._not_versioned()

    async def _slow_down(self) -> None:
        """Sweep no faster than this machine's nmap can read replies now; short sweeps are not worth finding out."""
        if not tries_rate(self._plan) or self._runner.over or not self._runner.may_send:
            return
        async with self._progress.during(TRYING), self._kernel.idle():
            await self._try_rate()
        if self._bears is None:
            self._runner.tell("what rate the machine of this viewpoint bears cannot be tried there", "debug")

    async def _try_rate(self) -> None:
        """Find out what the machine bears now."""
        rate = float(self._plan.viewpoint.rate)
        via = self._plan.viewpoint.via
        here = LocalVia() if isinstance(via, NetnsVia) else via
        async with self._crowd.trying:
            at, before, borne = self._crowd.borne.get(here, (-inf, 0.0, 0.0))
            if monotonic() - at < _STILL and before >= tried(rate):
                self._bears = min(borne, tried(rate))
            else:
                self._bears = await bears(self._transport, via, rate)
                if self._bears is not None:
                    self._crowd.borne[here] = monotonic(), tried(rate), self._bears
        busy = self._bears is not None and self._bears < tried(rate)
        self._sweeps.bears(self._bears / rate if busy and self._bears is not None else 1.0)
        if busy and not self._was_busy:
            self._was_busy = True
            self._runner.note(
                f"the machine of this viewpoint is busy: its nmap can read about {self._bears:,.0f} replies a second "
                f"now, not {tried(rate):,.0f}; sweeps are slowed down to what it can, tried again before each"
            )

    async def _rest(self, lanes: Sequence[Lane], lost: frozenset[Address], found: Callable[[], object]) -> None:
        """`found` is called whenever there may be more to ask what it is."""
        found()
        async with beside(self._pulse.run()):
            await together(*(self._lane(lane, found) for lane in lanes))
            await self._sweeps.finish()
            await self._asking_again().settle(self._addresses.keys() - self._absent)
        self._progress.swept()
        await self._version_room.widen(self._plan.talking_of(1 - LATE_SHARE))
        found()
        async with self._progress.during(PINGS):
            self._pinged = await self._pings(lost)

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
        await self._versions()

    async def _find(self, neighbours: Sequence[Address]) -> None:
        """Have the kernel look for silent neighbours until it finds no more; note those that it does not find."""
        absent, fruitless = list(neighbours), 0
        while absent and fruitless < _FRUITLESS:
            for chunk in command.chunks(absent, _PINGED):
                targets = [probe_target(address, self._plan.scope) for address in chunk]
                rate = self._plan.viewpoint.rate
                argv = command.probe(self._technique, Protocol.TCP, _ANY_PORT, targets, rate=rate, retries=0)
                await self._runner.run(f"{Purpose.NEIGHBOURS}-{Family.IPV4}", argv)
            left = await unresolved(self._transport, self._plan.viewpoint, absent)
            fruitless = fruitless + 1 if len(left) == len(absent) else 0
            absent = left
        self._absent = frozenset(absent)

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
                        if self._bears is not None and self._bears < tried(self._plan.viewpoint.rate):
                            await self._try_rate()  # it may have been busy for a moment only
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

    async def _pings(self, lost: frozenset[Address]) -> set[Address]:
        """Look for any other sign of life where no port gave one; then, past the own link, for proof of the path.

        Gives the addresses that have answered over a path only now.
        """
        silent = [address for address in self._addresses if address not in lost and not self._board.answered(address)]
        for family in Family:
            asked = [address for address in silent if Family.of(address) is family]
            await self._ping([address for address in asked if not self._board.near(address)], link=True)
            await self._ping([address for address in asked if self._board.near(address)], link=False)
        return {address for address in silent if self._board.answered(address)}

    async def _once_more(self) -> None:
        """Ask what answered whether it still does, and trust no silence where it does not."""
        gate = asyncio.Semaphore(_AGAIN_SIDE_BY_SIDE)
        there, gone, reported = self._pinged, set[Address](), set[Address]()  # reported: asked to the end
        unheard, unasked = set[Address](), dict[Address, str]()  # unheard: no firewall refuses there any more

        async def ask(one: again.Question) -> None:
            argv = self._again(one)
            room = self._talking if command.talks(argv) else None
            async with gate:
                run = await self._runner.run(
                    f"{Purpose.AGAIN}-{Family.of(one.addresses[0])}", argv, gate=room, last=True
                )
            unasked.update(run.unasked)
            board = Board.of(run.records)
            for address in one.addresses:
                if one.answered(board, address):
                    there.add(address)
                elif address not in run.unasked:
                    (unheard if one.on_the_way else gone).add(address)
            reported.update(record.address for record in run.records)

        viewpoint, boards, pinged = self._plan.viewpoint, (self._board, self._canaries), frozenset(self._pinged)
        await together(*(ask(one) for one in again.to_ask(boards, self._addresses, viewpoint, pinged)))
        self._runner.doubt(again.lost(viewpoint, self._addresses, gone & reported, there, unheard & reported))
        for address in again.lost(viewpoint, self._addresses, gone, there, unheard):
            self._board.distrust_silence(address, again.GONE)
        for address in again.lost(viewpoint, self._addresses, unasked, there):
            reason = unasked.get(address) or next(iter(unasked.values()))
            self._board.distrust_silence(address, f"{reason}, before the last look at whether its path still stands")

    def _again(self, one: again.Question) -> tuple[str, ...]:
        targets = [probe_target(address, self._plan.scope) for address in one.addresses]
        rate = self._plan.viewpoint.rate * LATE_SHARE / _AGAIN_SIDE_BY_SIDE
        if not one.ports:
            return command.ping(self._technique, targets, link=False, rate=rate)
        if one.protocol is Protocol.UDP and one.ports - (usual_ports(Protocol.UDP) - RETICENT_PORTS):
            # nmap's port scan has nothing to say to it: what answered was a version probe.
            return self._talking_slowly(command.versions(self._technique, one.protocol, one.ports, targets, rate=rate))
        return command.probe(self._technique, one.protocol, one.ports, targets, rate=rate)

    async def _talk(self, name: str, argv: tuple[str, ...]) -> Run:
        return await self._runner.run(name, self._talking_slowly(argv), gate=self._talking)

    def _talking_slowly(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A version probe as it is, or no faster than its share of a rate that bears no conversation."""
        return command.slowed(argv, command.rate(argv)) if self._plan.viewpoint.rate < command.CONVERSATION else argv

    async def _ping(self, addresses: Sequence[Address], *, link: bool) -> None:
        for chunk in command.chunks(addresses, _PINGED):
            targets = [probe_target(address, self._plan.scope) for address in chunk]
            rate = self._plan.viewpoint.rate * LATE_SHARE
            argv = command.ping(self._technique, targets, link=link, rate=rate)
            run = await self._runner.run(f"{Purpose.LIVENESS}-{Family.of(targets[0].address)}", argv)
            self._board.take(run.records)
            told = set() if run.unsent else {record.address for record in run.records}
            self._not_pinged |= {target.address for target in targets} - told

    async def _versions(self) -> None:
        """Probe what answers on every open port not probed yet."""
        if not self._version_room.places:
            return  # the rate leaves none beside the lanes
        jobs = self._version_jobs()
        gone = self._pulse.behind_lost_path(self._addresses)
        nobody = gone | self._absent
        jobs = tuple(left for job in jobs if (left := job.without(nobody if job.own else gone)) is not None)
        self._progress.found(jobs)
        if not jobs:
            return
        self._runner.begin("asking what answers on open ports")
        for job in jobs:
            for target in job.targets:
                key = target.address, job.protocol
                self._versioned[key] = self._versioned.get(key, PortSet()) | job.ports
        await together(*(self._version(job) for job in jobs))
        if crowds := {address for job in jobs if job.crowd for address in job.addresses} - self._sampled:
            self._sampled |= crowds
            await self._versions()

    def _version_jobs(self) -> tuple[VersionJob, ...]:
        return version_jobs(
            self._board,
            self._wanted,
            self._versioned,
            scope=self._plan.scope,
            technique=self._technique,
            profile=self._plan.expectations.profile,
            sampled=self._sampled,
            side_by_side=max(1, self._version_room.places),
        )

    def _not_versioned(self) -> None:
        """What answers on an open port is not known where nobody was there any more to be asked."""
        for job in self._version_jobs():
            self._too_late(job, job.addresses)

    def _too_late(self, job: VersionJob, addresses: Iterable[Address]) -> None:
        if not job.own:  # silent over UDP, so not open
            self._probe_failures += (Failure(one, job.protocol, job.ports, _TOO_LATE) for one in addresses)

    async def _version(self, job: VersionJob, *, again: bool = False) -> None:
        """What was not settled is asked once more, such as a port that nmap found silent: it asks that only twice.

        Whoever has stopped answering in the meantime is not asked.
        """
        gone = self._pulse.behind_lost_path(job.addresses)
        self._too_late(job, sorted(gone, key=by_address))
        left = job.without(gone)
        share = self._progress.talk(job, again=again)
        if left is None:
            share.finish()
            return
        job = left
        rate = self._plan.viewpoint.rate / self._crowd.talking
        family = Family.of(job.targets[0].address)
        argv = self._talking_slowly(job.argv(rate))
        async with share.going():
            run = await self._runner.run(f"{Purpose.VERSIONS}-{family}", argv, share.begin, gate=self._talking)
        share.finish(earlier=run.earlier)
        once_more = () if again else unsettled(job, self._wanted, run.of)
        for target in job.targets:
            self._take_version(job, run, target.address, last=target not in once_more)
        if once_more:
            await self._version(replace(job, targets=once_more), again=True)

    @asynccontextmanager
    async def _talking(self, hosts: int) -> AsyncIterator[None]:
        """A place to talk to so many hosts."""
        async with self._version_room.take(hosts), self._crowd.talk():
            yield

    def _take_version(self, job: VersionJob, run: Run, address: Address, *, last: bool) -> None:
        """A probe that timed out has met a service that says nothing; one that broke off has failed.

        Where it is not the `last` of its port, only what was seen counts.
        """
        records = run.of(address)
        opened = self._board.ports(address, job.protocol, PortState.OPEN)
        board = Board.of(records)
        self._board.take(records)
        if not last:
            return
        known = board.ports(address, job.protocol, PortState.OPEN, PortState.OPEN_FILTERED)
        if any(record.why_not for record in records):
            reason = (
                f"it said nothing that the version probe recognised within {command.version_seconds(job.protocol)} s"
            )
            self._mute.append(Failure(address, job.protocol, job.ports, reason))
            return
        if not job.ports - known:
            return
        board_failures = Board()
        reconcile(board_failures, run, (address,), job.protocol, job.ports)
        self._probe_failures += board_failures.failures()
        by = "a connection" if job.protocol is Protocol.TCP else "a version probe"
        for state in (PortState.CLOSED, PortState.FILTERED):
            if changed := board.ports(address, job.protocol, state) & job.ports & opened:
                reason = f"it was open before, and {state} to {by} that asks what answers there"
                self._probe_failures.append(Failure(address, job.protocol, changed, reason))

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
            probe_failures=tuple(self._probe_failures),
            mute=tuple(self._mute),
            not_pinged=tuple(sorted(self._not_pinged, key=by_address)),
            failure=failure,
            commands=self._runner.commands,
            errors=self._runner.errors,
            notes=self._runner.notes,
            controls=self._controls.result(now),
            talkative=tuple(sorted(filter(self._talks, self._sampled), key=by_address)),
            bears=None if self._bears is None else round(self._bears),
        )

    def _talks(self, address: Address) -> bool:
        place = address, Protocol.TCP
        return talkative(self._board, address, self._versioned[place] - self._wanted.named.get(place, PortSet()))
