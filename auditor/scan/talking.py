"""What answers on open ports: each is asked, as soon as it is found, by runs of nmap that talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from auditor.addresses import by_address
from auditor.model.observation import Failure
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.plan.plan import Plan, Purpose
from auditor.scan.plan.versions import VersionJob, talkative, unsettled, version_jobs, wants
from auditor.scan.runs.progress import Progress
from auditor.scan.runs.run import Run, reconcile
from auditor.scan.runs.runner import Runner
from auditor.scan.together import Crowd, Room, together
from auditor.scan.trust.pulse import Pulse

_TOO_LATE = "the address, or its network, stopped answering before it was asked what answers there"


class Talking:
    """The conversations of one viewpoint's scan. `absent` are neighbours that its kernel does not find."""

    def __init__(
        self, plan: Plan, runner: Runner, board: Board, *, pulse: Pulse, crowd: Crowd, progress: Progress
    ) -> None:
        self.wanted = wants(plan.expectations)
        self.addresses = {address: None for address, _ in self.wanted.coverage}
        self.absent: frozenset[Address] = frozenset()
        self.failures: list[Failure] = []
        self.mute: list[Failure] = []
        self._plan = plan
        self._technique = plan.abilities.technique
        self._runner = runner
        self._board = board
        self._pulse = pulse
        self._crowd = crowd
        self._progress = progress
        self._room = Room(plan.talking)
        self._sampled: set[Address] = set()  # crowded addresses: a few of their ports have been asked what answers
        self._asked: dict[tuple[Address, Protocol], PortSet] = {}

    async def widen(self, places: int) -> None:
        """Room for more conversations at a time, now that no sweep needs the rate."""
        await self._room.widen(places)

    def talkative(self) -> tuple[Address, ...]:
        """The crowded addresses on most of whose ports something says what it is, sorted."""
        return tuple(sorted(filter(self._talks, self._sampled), key=by_address))

    async def talk(self, name: str, argv: tuple[str, ...]) -> Run:
        return await self._runner.run(name, self.slowly(argv), gate=self.place)

    def slowly(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A version probe as it is, or no faster than its share of a rate that bears no conversation."""
        return command.slowed(argv, command.rate(argv)) if self._plan.viewpoint.rate < command.CONVERSATION else argv

    async def ask(self) -> None:
        """Probe what answers on every open port not probed yet."""
        if not self._room.places:
            return  # the rate leaves none beside the lanes
        jobs = self._jobs()
        gone = self._pulse.behind_lost_path(self.addresses)
        nobody = gone | self.absent
        jobs = tuple(left for job in jobs if (left := job.without(nobody if job.own else gone)) is not None)
        self._progress.found(jobs)
        if not jobs:
            return
        self._runner.begin("asking what answers on open ports")
        for job in jobs:
            for target in job.targets:
                key = target.address, job.protocol
                self._asked[key] = self._asked.get(key, PortSet()) | job.ports
        await together(*(self._talk(job) for job in jobs))
        if crowds := {address for job in jobs if job.crowd for address in job.addresses} - self._sampled:
            self._sampled |= crowds
            await self.ask()

    def _jobs(self) -> tuple[VersionJob, ...]:
        return version_jobs(
            self._board,
            self.wanted,
            self._asked,
            scope=self._plan.scope,
            technique=self._technique,
            profile=self._plan.expectations.profile,
            sampled=self._sampled,
            side_by_side=max(1, self._room.places),
        )

    def give_up(self) -> None:
        """What answers on an open port is not known where nobody was there any more to be asked."""
        for job in self._jobs():
            self._too_late(job, job.addresses)

    def _too_late(self, job: VersionJob, addresses: Iterable[Address]) -> None:
        if not job.own:  # silent over UDP, so not open
            self.failures += (Failure(one, job.protocol, job.ports, _TOO_LATE) for one in addresses)

    async def _talk(self, job: VersionJob, *, again: bool = False) -> None:
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
        argv = self.slowly(job.argv(rate))
        async with share.going():
            run = await self._runner.run(f"{Purpose.VERSIONS}-{family}", argv, share.begin, gate=self.place)
        share.finish(earlier=run.earlier)
        once_more = () if again else unsettled(job, self.wanted, run.of)
        for target in job.targets:
            self._take(job, run, target.address, last=target not in once_more)
        if once_more:
            await self._talk(replace(job, targets=once_more), again=True)

    @asynccontextmanager
    async def place(self, hosts: int) -> AsyncIterator[None]:
        """A place to talk to so many hosts."""
        async with self._room.take(hosts), self._crowd.talk():
            yield

    def _take(self, job: VersionJob, run: Run, address: Address, *, last: bool) -> None:
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
            self.mute.append(Failure(address, job.protocol, job.ports, reason))
            return
        if not job.ports - known:
            return
        board_failures = Board()
        reconcile(board_failures, run, (address,), job.protocol, job.ports)
        self.failures += board_failures.failures()
        by = "a connection" if job.protocol is Protocol.TCP else "a version probe"
        for state in (PortState.CLOSED, PortState.FILTERED):
            if changed := board.ports(address, job.protocol, state) & job.ports & opened:
                reason = f"it was open before, and {state} to {by} that asks what answers there"
                self.failures.append(Failure(address, job.protocol, changed, reason))

    def _talks(self, address: Address) -> bool:
        place = address, Protocol.TCP
        return talkative(self._board, address, self._asked[place] - self.wanted.named.get(place, PortSet()))
