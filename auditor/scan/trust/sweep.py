"""A sweep that checks itself: where it misses what is known to answer, or its path loses packets, it is repeated."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from math import inf

from auditor.addresses import any_in, by_address, contains
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.board import ANSWERS, Board
from auditor.scan.plan.plan import Job
from auditor.scan.runs.kernel import Kernel
from auditor.scan.runs.run import Run
from auditor.scan.runs.runner import Runner
from auditor.scan.trust.pulse import ENOUGH, Gap, Pulse

_TRIES = 2  # probes that one sweep sends to a port that stays silent
_MAY_MISS = 1e-4  # of the endpoints that answer; while a sweep may have missed more, it is repeated
_TOO_MANY = 1e-2  # and with more than this after the last repeat, no silence is trusted
_TOO_FAST = 0.2  # of the probes lost; from here on the rate is to blame, as a rule
_SURE = 3  # lost probes, before the rate is blamed
_USE = 0.7  # of the loss; where more is left after slowing down, that was not the reason
_ROUNDS = 6  # repeats; a path is found too narrow by the first, and what it bears by some more
_SLOWEST = 50.0  # packets a second
_STEP = 8  # a repeat is no slower than one in so many: an nmap without processor time drops nearly all that comes back
_STARVED = 4  # times slower, where the scanner's own machine has lost replies, or came far too late with a sweep
_CANARIES = 64  # endpoints of one address that a repeat asks once more
_NAMED = 3
_FLAPS = "it did not answer for a time in every repeat of the sweep: its silence tells nothing"
_PENDING = "a sweep may have missed it, and was not repeated to its end"


@dataclass(frozen=True, slots=True)
class _Check:
    """How far one sweep, or a repeat of it, can be trusted: which canaries it missed of how many, and what was lost."""

    missed: dict[Address, PortSet]
    canaries: int
    share: float  # of single probes lost
    lost: int
    doubted: frozenset[Address]
    away: frozenset[Address] = frozenset()  # that did not answer for a time beside it, asked patiently


@dataclass(slots=True)
class Sweeps:
    """The sweeps of one viewpoint. `ask` carries out one job and puts what it saw on the board."""

    runner: Runner
    board: Board
    pulse: Pulse
    ask: Callable[[Job], Awaitable[Run]]
    kernel: Kernel
    speed: float = 1.0  # that the path bears, of the planned rate
    _too_fast: float = inf  # the least that it did not bear
    _machine: float = 1.0  # that the scanner's machine bears, of the planned rate
    _in_vain: bool = False
    _planned: dict[Address, float] = field(default_factory=dict)  # rates, of the sweeps that these are in
    _sent: list[tuple[float, float, float]] = field(default_factory=list)  # rate, from, until
    _thin: list[tuple[Job, float, float]] = field(default_factory=list)  # sweeps of which the pulse tells too little
    _lossy: set[tuple[int, float]] = field(default_factory=set)  # sweeps during which probes were lost
    _swept: set[Address] = field(default_factory=set)
    _told: set[tuple[Address, float]] = field(default_factory=set)

    async def sweep(self, job: Job) -> None:
        """Carry out a sweep, and repeat it where its silence cannot be trusted; where that does not help, say so."""
        self._planned |= dict.fromkeys(job.addresses, job.rate)
        await self._until_trusted(self._slowed(job))

    def bears(self, share: float) -> None:
        """The scanner's machine bears that share of the planned rate now."""
        self._machine = share

    async def again(self, job: Job) -> None:
        """Carry out a sweep of what an earlier one left in doubt, at the rate that the job has."""
        await self._until_trusted(job, first=False)

    def rate(self, address: Address) -> float:
        """The rate at which the address is swept now, in packets a second."""
        planned = self._planned.get(address, float(self.pulse.viewpoint.rate))
        return max(min(planned, _SLOWEST), planned * min(self.speed, self._machine))

    async def finish(self) -> None:
        """Judge the sweeps that were too short for the pulse to tell of them alone: by what it tells of all of them."""
        for address in sorted(self.pulse.behind_lost_path(self._swept), key=by_address):
            self.runner.doubt((address,))
            self.board.distrust_silence(address, self._why_gone(address), (Protocol.TCP,))
        thin, self._thin = self._thin, []
        if not thin:
            return
        since, until = min(start for _, start, _ in thin), max(end for _, _, end in thin)
        addresses = {address for job, _, _ in thin for address in job.addresses}
        await self.pulse.settle(addresses, since)
        for job, start, _ in thin:
            loss = self.pulse.loss(job.addresses, since, until)
            lossy = loss.lost and loss.share**_TRIES > _MAY_MISS
            doubted = {one for one in job.addresses if lossy or self.pulse.silent_since(one, start)}
            await self.pulse.verify(one for one in doubted if self._known(one) and not lossy)
            gone = self.pulse.behind_lost_path(job.addresses)
            self._end(gone, job)
            if doubted - gone:
                check = _Check({}, 0, loss.share, loss.lost, frozenset(doubted - gone))
                await self._until_trusted(job, check)

    async def _until_trusted(self, job: Job, check: _Check | None = None, *, first: bool = True) -> None:
        """Carry out a job, unless there is a check of it, and repeat what it leaves in doubt.

        `first` is whether these ports are swept for the first time.
        """
        left: Job | None = job
        since, tries, slowed_for = time.monotonic(), 0 if check is None else _TRIES, 0.0
        for number in range(_ROUNDS + 1):
            left = self._without_gone(left) if left else None
            if left is None:
                return
            if check is None:
                check, tries = await self._round(left, since, tries, first=first and number == 0)
            starved = self._starved(left)
            if starved:  # the next sweeps are not to meet the same
                self.speed = min(self.speed, left.rate / self._planned[left.addresses[0]] / _STARVED)
            if not check.doubted:
                return
            self.runner.repeat(check.doubted)
            if number == _ROUNDS:
                self._give_up(check, tries)
                return
            self._in_vain = self._in_vain or (slowed_for > 0 and check.share > slowed_for * _USE)
            rate = max(min(left.rate, _SLOWEST), left.rate / _STARVED) if starved else self._slower(left.rate, check)
            self._tell(left, check, rate)
            if rate < left.rate:
                slowed_for = check.share
                planned = self._planned[left.addresses[0]]
                self._too_fast = min(self._too_fast, left.rate / planned)
                self.speed = min(self.speed, rate / planned)
                since, tries = time.monotonic(), 0
            left, check = self._repeat(replace(left, rate=rate), check.doubted), None

    async def stopped(self, address: Address) -> bool:
        """Ask an address that has answered whether it still does; where not, its silence is not trusted."""
        gone = self.pulse.gone(address) or address in await self.pulse.verify((address,))
        if gone:
            self.runner.doubt((address,))
            self.board.distrust_silence(address, self._why_gone(address), (Protocol.TCP,))
        return gone

    def _slowed(self, job: Job) -> Job:
        return replace(job, rate=max(min(job.rate, _SLOWEST), job.rate * min(self.speed, self._machine)))

    async def _round(self, job: Job, since: float, tries: int, *, first: bool) -> tuple[_Check, int]:
        self._swept |= set(job.addresses)
        known = {one: self._known(one) & job.ports for one in job.addresses}
        start = time.monotonic()
        self.pulse.sweeping |= set(job.addresses)
        self._sent.append((job.rate, start, inf))
        at_once = min(job.group, len(job.targets))
        async with self.kernel.watching(job.addresses, job.seconds, at_once, self.runner.repeat) as epoch:
            run = await self._watched(job)
            # What a run that was cut short has not told tells nothing; nor does what came at another time.
            epoch.unknown = epoch.unknown or run is None or run.earlier or run.problem is not None
        self.pulse.sweeping -= set(job.addresses)
        end = time.monotonic()
        self._sent[self._sent.index((job.rate, start, inf))] = job.rate, start, end
        self._note_losses(job, start)
        self.board.forget(job.addresses, Protocol.TCP, _PENDING)
        if run is None:
            self._end(self.pulse.behind_lost_path(job.addresses), job)
            return _Check({}, 0, 0.0, 0, frozenset()), tries
        if not first:
            await self.pulse.settle(job.addresses, start)
        missed = _missed(run, known)
        doubted = {*missed, *(one for one in job.addresses if self.pulse.silent_since(one, start))}
        await self.pulse.verify(one for one in doubted if self._known(one))
        gone = self.pulse.behind_lost_path(job.addresses)
        self._end(gone, job)
        missed = {one: ports for one, ports in missed.items() if one not in gone}
        loss = self.pulse.loss(job.addresses, since, end)
        canaries = sum(len(ports) for one, ports in known.items() if one not in gone)
        lost = sum(map(len, missed.values()))
        spread = len(missed) > 1 or len([one for one in known if known[one] and one not in gone]) == 1
        share = max(loss.share, (lost / canaries) ** (1 / _TRIES) if lost and spread else 0.0)
        tries += _TRIES
        # Losses come in bursts: where a canary was missed, no share of single probes tells what else was.
        if loss.lost and (missed or loss.share**tries > _MAY_MISS):
            doubted |= set(job.addresses)
        if first and not doubted:
            if loss.asked < ENOUGH:
                self._thin.append((job, start, end))
            else:  # what was too fast may have been so for a moment: up again, to no more than half of it
                self.speed = max(self.speed, min(1.0, self.speed * 2, self._too_fast / 2))
                self._in_vain = False
        lost = max(loss.lost, lost if spread else 0)
        away = frozenset(one for one in job.addresses if one not in gone and self.pulse.away_since(one, start))
        return _Check(missed, canaries, share, lost, frozenset(doubted - gone), away), tries

    def _note_losses(self, job: Job, start: float) -> None:
        """Write down at once that probes were lost. The beats are in no shard, and judging the sweep takes a while.

        Whoever goes on with a scan that is cut short before then would take what the sweep saw as it is.
        """
        for one, since in (*((thin, begun) for thin, begun, _ in self._thin), (job, start)):
            if (id(one), since) not in self._lossy and self.pulse.loss(one.addresses, since).lost:
                self._lossy.add((id(one), since))
                self.runner.repeat(one.addresses)

    async def _watched(self, job: Job) -> Run | None:
        """The run of the job; None where it was ended, since everything it was about had stopped answering."""
        running = asyncio.ensure_future(self.ask(job))
        try:
            while True:
                self.pulse.changed.clear()
                news = asyncio.ensure_future(self.pulse.changed.wait())
                try:
                    await asyncio.wait({running, news}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
                if running.done():
                    return running.result()
                if len(self.pulse.behind_lost_path(job.addresses)) == len(set(job.addresses)):
                    return None
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    def _known(self, address: Address) -> PortSet:
        """The open ports of an address. Closed ones are no canaries: systems limit how often they refuse."""
        return self.board.ports(address, Protocol.TCP, PortState.OPEN)

    def _starved(self, job: Job) -> bool:
        """Whether the scanner's machine was short of processor time when the job was last carried out."""
        surplus = self.kernel.of(job.addresses[0])
        return surplus is not None and (surplus.slow or surplus.doubtful)

    def _without_gone(self, job: Job) -> Job | None:
        gone = self.pulse.behind_lost_path(job.addresses)
        self._end(gone, job)
        return job.without(gone) if gone else job

    def _end(self, addresses: Collection[Address], job: Job) -> None:
        """No silence of these is trusted, and what has not been asked is left."""
        self.runner.doubt(addresses)
        for address in sorted(addresses, key=by_address):
            reason = self._why_gone(address)
            self.board.distrust_silence(address, reason, (Protocol.TCP,))
            self.board.fail(address, Protocol.TCP, job.ports, reason)

    def _why_gone(self, address: Address) -> str:
        """Why nothing more is to be had from an address: its whole path is lost, or it alone stopped answering."""
        gaps = self.pulse.gaps
        path = next((entry for entry in self.pulse.lost_paths() if contains([entry], address)), None)
        behind = [one for one in gaps if path is not None and contains([path], one)]
        if len(behind) > 1 or address not in gaps:
            gap = min((gaps[one][-1] for one in behind), key=lambda gap: gap.start)
            what = f"the path to {path} was lost"
            so = "nothing there answers any more"
        else:
            gap = gaps[address][-1]
            what = f"{address} stopped answering"
            so = (
                "the scanner looks banned there, or the host crashed; lower the rate to it, or have the scanner "
                "let through"
            )
        sent = self._probes(gap)
        after = f" after about {sent:,} probes" if sent else ""
        message = f"{what} at {gap.since:%H:%M:%S} UTC{after}: {so}"
        self.runner.note(message)
        return message

    def _probes(self, gap: Gap) -> int:
        """About how many probes the sweeps had sent by then."""
        now = time.monotonic()
        sent = sum(rate * max(0.0, min(end, gap.start, now) - start) for rate, start, end in self._sent)
        return int(float(f"{sent:.1g}"))

    def _slower(self, rate: float, check: _Check) -> float:
        """The rate for the repeat: what came through, and some less, where that many lost probes blame the rate."""
        if check.share <= _TOO_FAST or check.lost < _SURE or self._in_vain:
            return rate
        slower = rate
        while slower > max(_SLOWEST, rate * (1 - check.share), rate / _STEP):
            slower /= 2
        return slower

    def _tell(self, job: Job, check: _Check, rate: float) -> None:
        again = f"slowed down to {rate:,.0f} and asked again" if rate < job.rate else "asked again"
        if (check.lost and not check.missed) or check.lost >= _SURE:
            self.runner.note(
                f"the path to {self._networks(check.doubted)} lost {check.share:.0%} of the probes at "
                f"{job.rate:,.0f} packets a second; {again}"
            )
        elif check.missed:
            self.runner.note(f"a sweep at {job.rate:,.0f} packets a second {_words(check)}; {again}")
        else:
            names = [str(one) for one in sorted(check.doubted, key=by_address)]
            some = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
            self.runner.note(f"{some} did not answer for a time during a sweep; what was silent was {again}")
        for address in sorted(check.doubted - set(check.missed), key=by_address):
            for gap in self.pulse.gaps.get(address, ()):
                if gap.until is not None and (address, gap.start) not in self._told:
                    self._told.add((address, gap.start))
                    self.runner.note(
                        f"{address} did not answer from {gap.since:%H:%M:%S} to {gap.until:%H:%M:%S} UTC: the scanner "
                        "looks banned there for a time, or the path was down; what was silent was asked again"
                    )

    def _networks(self, addresses: Collection[Address]) -> str:
        paths = [str(entry) for entry in self.pulse.viewpoint.targets if any_in(entry, addresses)]
        return ", ".join(paths or [str(min(addresses, key=by_address))])

    def _repeat(self, job: Job, doubted: Collection[Address]) -> Job | None:
        """The job again, of what stayed silent and some of what answers, as canaries. The silence so far is undone."""
        silent = {one: self.board.silence(one, Protocol.TCP) & job.ports for one in job.addresses if one in doubted}
        silent = {one: ports for one, ports in silent.items() if ports}
        for address, ports in silent.items():
            self.board.take_out(address, Protocol.TCP, ports, _PENDING)
        targets = tuple(target for target in job.targets if target.address in silent)
        if not targets:
            return None
        canaries = PortSet.union(PortSet.of(*list(self._known(one) & job.ports)[:_CANARIES]) for one in silent)
        return replace(job, ports=PortSet.union(silent.values()) | canaries, targets=targets)

    def _give_up(self, check: _Check, tries: int) -> None:
        for address, ports in check.missed.items():
            reason = f"the sweep {_words(replace(check, missed={address: ports}))}: its silence tells nothing"
            self.board.distrust_silence(address, reason, (Protocol.TCP,))
        for address in sorted(check.away, key=by_address):
            self.board.distrust_silence(address, _FLAPS, (Protocol.TCP,))
        if check.share**tries > _TOO_MANY:
            for address in check.doubted:
                reason = (
                    f"the path loses {check.share:.0%} of the probes whatever the rate: silence there tells nothing"
                )
                self.board.distrust_silence(address, reason, (Protocol.TCP,))


def _missed(run: Run, known: dict[Address, PortSet]) -> dict[Address, PortSet]:
    """The endpoints known to be open that the run asked and has not seen so."""
    seen: dict[Address, PortSet] = {}
    told: dict[Address, PortSet] = {}
    for record in run.records:
        for one in record.seen:
            told[record.address] = told.get(record.address, PortSet()) | one.ports
            if one.sight.state in ANSWERS:
                seen[record.address] = seen.get(record.address, PortSet()) | one.ports
    missed = {one: (ports & told.get(one, PortSet())) - seen.get(one, PortSet()) for one, ports in known.items()}
    return {one: ports for one, ports in missed.items() if ports}


def _words(check: _Check) -> str:
    """`missed 2 of 9 endpoints known to answer: 10.0.0.1:80/tcp, …`."""
    each = [f"{one}:{port}/tcp" for one in sorted(check.missed, key=by_address) for port in check.missed[one]]
    named = ", ".join(each[:_NAMED]) + (", …" if len(each) > _NAMED else "")
    return f"missed {len(each)} of {max(len(each), check.canaries)} endpoints known to answer: {named}"
