"""Silence that is none, since replies were lost: it is asked again, slower, until a sample of what is left agrees.

A sample of a host that refuses tells of its own silence, and of all that was swept beside it where the scanner's own
machine was to blame: what drops refusals drops the answers of open ports too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice

from auditor.addresses import by_address
from auditor.catalogue.ports import usual_ports
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol, Technique
from auditor.scan.board import ANSWERS, Board
from auditor.scan.nmap import command
from auditor.scan.plan.plan import Job
from auditor.scan.runs.kernel import Kernel, Surplus
from auditor.scan.runs.runner import Runner
from auditor.scan.trust.limited import Limited, Silence
from auditor.scan.trust.sweep import Sweeps

_ROUNDS = 5
_STEP = 4  # each round is slower by that
_SLOWEST = 50.0  # packets a second
_LONGEST = 1800.0  # seconds that a round may take as planned
_PIECE = 16_384  # ports of a run; each has its canaries, and more that are scattered would be no argument for nmap
_WORTH = 0.1  # of what was silent; where a round brings less than that, another is made only if it is short
_SHORT = 120.0  # seconds, as planned
_CANARIES = 16  # open ports of one address that are asked once more
_ALIKE = 1.25  # addresses are asked together where that asks of none so many times what it was silent on
_NAMED = 3
# nmap asks these first, in any order, before a buffer is full: that they answered says nothing of what comes later
# (seen with 7.93 and --packet-trace).
ASKED_FIRST = PortSet.of(
    *(21, 22, 23, 25, 53, 80, 110, 111, 113, 135, 139, 143, 199, 256, 443, 445, 554, 587),
    *(993, 995, 1025, 1720, 1723, 3306, 3389, 5900, 8080, 8888),
)
_UNREAD = (
    "what the kernel of this viewpoint's machine counts (/proc/net/snmp) cannot be read: samples alone tell whether "
    "replies were lost"
)


@dataclass(slots=True)
class Lost:
    """Asks again what one viewpoint's `jobs` left in doubt. `alone` is for runs that need the machine to themselves."""

    runner: Runner
    board: Board
    sweeps: Sweeps
    limited: Limited
    kernel: Kernel
    jobs: Iterable[Job]
    alone: Callable[[], AbstractAsyncContextManager[None]]
    _why: dict[Address, str] = field(default_factory=dict)
    _starved: bool = False  # the scanner's own machine was to blame

    async def settle(self, addresses: Collection[Address]) -> None:
        """Ask again, and trust no silence that no repeat could settle."""
        await self.kernel.judged(addresses)
        if self.kernel.unreadable and self.sweeps.pulse.technique is Technique.SYN:
            self.runner.note(_UNREAD)
        lost, beside = await self._doubted(addresses, tuple(self.kernel.surpluses), 0)
        self._why = beside | lost
        share, gain = 1.0, 1.0
        for number in range(1, _ROUNDS + 1):
            share /= _STEP
            jobs = list(self._again(share))
            seconds = sum(job.seconds for job in jobs)
            if not jobs or seconds > (_LONGEST if gain >= _WORTH else _SHORT):
                break
            gain = await self._round(jobs, number)
        self._distrust()

    def _distrust(self) -> None:
        for address, why in self._why.items():
            self.board.distrust_silence(address, f"{why}: its silence tells nothing", (Protocol.TCP,))

    async def _round(self, jobs: Collection[Job], number: int) -> float:
        """Ask once more. Gives the share of what was silent that has answered."""
        # A host with a limit has one run at a time: one that waits to talk to it would be waited for, and wait for us.
        alone = self._starved and not any(map(self.runner.limited, self._why))
        self._tell(min(job.rate for job in jobs), alone=alone)
        self.runner.repeat(self._why)
        doubted, before = self._why, {one: self._answers(one) for one in self._why}
        watched = {one for job in jobs if self._canaries(job.addresses) & job.ports for one in job.addresses}
        silent = sum(len(self.board.silence(one, Protocol.TCP)) for one in doubted)
        self._distrust()  # until it is asked again: the round may be cut short
        known = len(self.kernel.surpluses)
        async with self.alone() if alone else nullcontext():
            for job in jobs:
                await self.sweeps.again(job)
        await self.kernel.judged(doubted)
        lost, beside = await self._doubted(doubted, self.kernel.surpluses[known:], number)
        more = {one: why for one, why in doubted.items() if self._answers(one) != before[one]}
        if not more:  # nothing was missed before, and where canaries were met nothing is now: other traffic was counted
            beside = {one: why for one, why in beside.items() if one not in watched}
        # Who answers more each time, and refuses nothing that a sample could be of, may have more to say.
        self._why = beside | {one: why for one, why in more.items() if not self._closed(one)} | lost
        return sum(len(self._answers(one) - before[one]) for one in doubted) / max(1, silent)

    async def _doubted(
        self, addresses: Collection[Address], surpluses: Sequence[Surplus], number: int
    ) -> tuple[dict[Address, str], dict[Address, str]]:
        """Those of which replies were lost, and those swept beside such losses, each with what tells so."""
        verdicts = await self.limited.check(addresses, self.sweeps.rate, number)
        lost: dict[Address, str] = {}
        for address, verdict in verdicts.items():
            match verdict.silence:
                case Silence.LIMITED:
                    self.limited.trust(address, verdict.told)
                case Silence.LOST:
                    lost[address] = verdict.told
                case Silence.UNASKED:
                    self.board.distrust_silence(address, verdict.told, (Protocol.TCP,))
                case Silence.DROPPED:
                    pass
        beside: dict[Address, str] = {}
        limited = {one for one, verdict in verdicts.items() if verdict.silence is Silence.LIMITED}
        for surplus in surpluses:
            missing = sum(verdicts[one].missing for one in surplus.addresses & set(lost))
            if not (surplus.doubtful or surplus.explains(missing)):
                continue
            self._starved = True
            for address in sorted(surplus.addresses & set(addresses) - limited, key=by_address):
                if self.board.silence(address, Protocol.TCP):
                    beside.setdefault(address, _why_starved(surplus))
        return lost, beside

    def _again(self, share: float) -> Iterator[Job]:
        """The sweeps of what is in doubt, slower by that share: first the ports that services use."""
        parts = [part for job in self.jobs for part in self._parts(job)]
        for first in (True, False):
            for job, addresses, silent in parts:
                ports = silent & usual_ports(Protocol.TCP) if first else silent - usual_ports(Protocol.TCP)
                rate = max(min(job.rate, _SLOWEST), self.sweeps.rate(addresses[0]) * share)
                left = tuple(target for target in job.targets if target.address in addresses)
                canaries = self._canaries(addresses) & job.ports
                for piece in command.chunks(ports, _PIECE):
                    yield replace(job, ports=PortSet.of(*piece) | canaries, targets=left, rate=rate)

    def _parts(self, job: Job) -> Iterator[tuple[Job, tuple[Address, ...], PortSet]]:
        """Addresses of a job that are in doubt, with what they are silent on: together where that is about the same."""
        silent = {
            one: ports
            for one in job.addresses
            if one in self._why and (ports := self.board.silence(one, Protocol.TCP) & job.ports)
        }
        every = PortSet.union(silent.values())
        if silent and len(every) * len(silent) <= _ALIKE * sum(map(len, silent.values())):
            yield job, tuple(silent), every
        else:
            for address, ports in silent.items():
                yield job, (address,), ports

    def _canaries(self, addresses: Iterable[Address]) -> PortSet:
        """Open ports that are asked somewhere in the middle of a sweep: one that misses them has lost replies."""
        opened = (self.board.ports(one, Protocol.TCP, PortState.OPEN) - ASKED_FIRST for one in addresses)
        return PortSet.union(PortSet.of(*islice(ports, _CANARIES)) for ports in opened)

    def _answers(self, address: Address) -> PortSet:
        return self.board.ports(address, Protocol.TCP, *ANSWERS)

    def _closed(self, address: Address) -> bool:
        return bool(self.board.ports(address, Protocol.TCP, PortState.CLOSED))

    def _tell(self, rate: float, *, alone: bool) -> None:
        beside = ", with nothing else beside it," if alone else ""
        reasons: dict[str, list[Address]] = {}
        for address, why in sorted(self._why.items(), key=lambda one: by_address(one[0])):
            reasons.setdefault(why, []).append(address)
        for why, addresses in list(reasons.items())[:_NAMED]:
            of = f" of {len(addresses)} addresses" if len(addresses) > 1 else ""
            self.runner.note(f"{why}; the silence{of} is asked again{beside} at {rate:,.0f} packets a second or less")
        if len(reasons) > _NAMED:
            self.runner.note(
                f"replies of {len(reasons) - _NAMED} more addresses were lost in the same way; their silence is asked "
                f"again{beside} at {rate:,.0f} packets a second or less"
            )


def _why_starved(surplus: Surplus) -> str:
    if surplus.replies is None:
        return (
            "the scanner's machine may have lost replies: what its kernel counted cannot be read, and others swept "
            "beside it lost some"
        )
    if surplus.opened:
        return (
            f"the scanner's machine lost replies: its kernel counted {surplus.opened:,} SYN-ACKs more than nmap told of"
        )
    return f"the scanner's machine lost replies: its kernel counted {surplus.replies:,} more than nmap told of"
