"""Whether the silence of a host that refuses elsewhere is one: some of its silent ports are asked slowly.

Where none answers, something drops what is sent there. Where some do, replies were lost, or the host limits how often
it refuses. A limit touches refusals alone. So it takes for one that open ports on the same path answered all along the
sweep, that the scanner's kernel got no more replies than nmap told, and that a burst of questions is refused in part
only, as the sweep's were. Without all of that replies were lost, open ports' too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random

from auditor.addresses import by_address, probe_target
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, Boundary, Family, PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.plan.plan import Plan, Purpose
from auditor.scan.runs.kernel import FLOOD, Kernel
from auditor.scan.runs.runner import Runner
from auditor.scan.together import together
from auditor.scan.trust.pulse import Pulse

_SAMPLE = 30  # silent ports of one host
_PER_HOST = 20  # packets a second to each
_SIDE_BY_SIDE = 4
_BURST = 0.5  # seconds, at the rate of the sweep
_FEW = 200  # silent ports; asking so few slowly takes no longer than finding out why they were silent
_PART = 0.5  # of a burst; a host that refuses more of it limits nothing that a sweep would meet
_NOTICED = 0.1  # of silent ports; where so many have replied, a sample notices
_SURELY = 1e-3  # chance that a path which lost the refusals let through all that open ports answered
_TRIES = 2  # probes that a sweep sends to a port that stays silent


class Silence(Enum):
    """What the silence of an address is."""

    DROPPED = "its silent ports stay silent when asked slowly"
    LIMITED = "the host limits how often it refuses"
    LOST = "replies were lost"
    UNASKED = "its silent ports could not be asked"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`told` says of an address what was seen; of so many silent ports replies are `missing`, about."""

    silence: Silence
    told: str = ""
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Limited:
    """Looks at hosts which refused some ports and were silent on others. `rate` is for all runs."""

    plan: Plan
    runner: Runner
    board: Board
    pulse: Pulse
    kernel: Kernel
    rate: float

    async def check(
        self, addresses: Collection[Address], swept_at: Callable[[Address], float], number: int = 0
    ) -> dict[Address, Verdict]:
        """Ask a sample of each that refuses, or may have: what its silence is.

        `swept_at` gives rates, in packets a second. The sample is another one with each `number`, and the same whenever
        the scan is gone through again.
        """
        groups: dict[tuple[Family, PortSet], list[Address]] = {}  # hosts that are silent on the same ports share a run
        for address in sorted(addresses, key=by_address):
            silent = self.board.silence(address, Protocol.TCP)
            refuses = self.board.ports(address, Protocol.TCP, PortState.CLOSED)
            if silent and (refuses or self._may_refuse(address, silent)):
                groups.setdefault((Family.of(address), silent), []).append(address)
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def ask(sample: PortSet, members: Sequence[Address]) -> list[tuple[Address, PortSet, Board]]:
            rate = min(self.rate / _SIDE_BY_SIDE, float(_PER_HOST * len(members)))
            async with gate:
                seen = await self._run(sample, members, rate=rate, retries=1)
            return [(one, sample, seen) for one in members]

        samples = [
            (_sample(silent, _SAMPLE, number), c) for (_, silent), m in groups.items() for c in command.chunks(m)
        ]
        asked = [one for some in await together(*(ask(*one) for one in samples)) for one in some]
        return {one: await self._judge(one, sample, seen, swept_at(one), number) for one, sample, seen in asked}

    def trust(self, address: Address, told: str) -> None:
        """Take a limit for one, and say so: closed and filtered look alike there, which may be what matters."""
        self.runner.note(told)
        if self.plan.viewpoint.boundary is Boundary.FILTERED:
            reason = f"{told}, so closed and filtered look the same there"
            swept = self.board.silence(address, Protocol.TCP) - self._declared(address)
            self.board.take_out(address, Protocol.TCP, swept, reason)

    def _may_refuse(self, address: Address, silent: PortSet) -> bool:
        """Whether all refusals of an address may have been lost by the scanner's machine."""
        surplus = self.kernel.of(address)
        return surplus is not None and (surplus.replies or 0) >= max(FLOOD, len(silent) * _NOTICED)

    async def _run(
        self,
        ports: PortSet,
        addresses: Sequence[Address],
        *,
        rate: float,
        retries: int,
        least_rate: float | None = None,
    ) -> Board:
        targets = [probe_target(one, self.plan.scope) for one in addresses]
        argv = command.probe(
            self.plan.abilities.technique,
            Protocol.TCP,
            ports,
            targets,
            rate=rate,
            least_rate=least_rate,
            retries=retries,
        )
        run = await self.runner.run(f"{Purpose.REFUSALS}-{Family.of(targets[0].address)}", argv)
        self.board.take(run.records)
        return Board.of(run.records)

    async def _judge(self, address: Address, sample: PortSet, seen: Board, rate: float, number: int) -> Verdict:
        opened = seen.ports(address, Protocol.TCP, PortState.OPEN) & sample
        refused = seen.ports(address, Protocol.TCP, PortState.CLOSED) & sample
        silent = len(self.board.silence(address, Protocol.TCP))
        missing = silent * (len(opened) + len(refused)) // len(sample)
        if opened:
            told = f"the sweep missed {address}:{opened.first}/tcp, which was open when asked slowly"
            return Verdict(Silence.LOST, told, missing)
        if not seen.ports(address, Protocol.TCP, *PortState) & sample:
            return Verdict(Silence.UNASKED, "a sample of its silent ports could not be asked slowly")
        if not refused:
            return Verdict(Silence.DROPPED)
        told = f"{len(refused)} of {len(sample)} silent ports refused when asked slowly"
        if self.runner.over or await self._is_limit(address, missing, rate, number):  # a loss would have been noted
            return Verdict(Silence.LIMITED, f"{address} limits how often it refuses: {told}")
        return Verdict(Silence.LOST, f"replies of {address} were lost: {told}", missing)

    async def _is_limit(self, address: Address, missing: int, rate: float, number: int) -> bool:
        """Whether refusals alone were held back, and no other reply."""
        silent = self.board.silence(address, Protocol.TCP)
        closed = len(self.board.ports(address, Protocol.TCP, PortState.CLOSED))
        surplus = self.kernel.of(address)
        if missing <= _FEW or surplus is None or surplus.replies is None or surplus.replies > missing / 2:
            return False
        lost = (missing / (missing + closed)) ** (1 / _TRIES)  # of single probes, had a path lost them
        beats = self.pulse.loss_of_open(address, surplus.start, surplus.end)
        if beats.share > lost / 5 or (1 - lost) ** beats.asked > _SURELY:
            return False
        return await self._refuses_in_part(address, silent, rate, number)

    async def _refuses_in_part(self, address: Address, silent: PortSet, rate: float, number: int) -> bool:
        """Whether a burst of questions at the sweep's rate is refused in part only, and nothing of that was lost."""
        burst = _sample(silent, max(_FEW, int(rate * _BURST)), number)
        async with self.kernel.watching((address,), len(burst) / rate + 1):
            seen = await self._run(burst, (address,), rate=rate, retries=0, least_rate=rate)
        refused = len(seen.ports(address, Protocol.TCP, PortState.CLOSED) & burst)
        await self.kernel.judged((address,))
        surplus = self.kernel.of(address)
        told = surplus is not None and surplus.replies is not None and surplus.replies <= len(burst) / 10
        return told and refused <= len(burst) * _PART

    def _declared(self, address: Address) -> PortSet:
        """What was asked at leisure, before any sweep: it got its refusal if there was one."""
        return PortSet.union(
            one.ports
            for one in self.plan.expectations.expectations
            if (one.address, one.protocol) == (address, Protocol.TCP) and one.basis is not Basis.UNDECLARED
        )


def _sample(silent: PortSet, most: int, number: int) -> PortSet:
    ports = list(silent)
    if len(ports) <= most:
        return silent
    return PortSet.of(*Random(silent.bits + number).sample(ports, most))  # noqa: S311 - a sample, no secret
