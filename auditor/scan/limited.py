"""Hosts that limit how often they refuse: what is closed there looks filtered to a sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from auditor.addresses import ProbeTarget, by_address, probe_target
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, Boundary, Family, PortState, Protocol
from auditor.scan import command
from auditor.scan.confirm import spread
from auditor.scan.merge import Board
from auditor.scan.plan import Plan, Purpose
from auditor.scan.runner import Runner
from auditor.scan.together import together

_SAMPLE = 10  # silent ports of one host
_PER_HOST = 20  # packets a second to each
_SIDE_BY_SIDE = 4


@dataclass(frozen=True, slots=True)
class Limited:
    """Looks for such hosts among those which refused some ports and were silent on others. `rate` is for all runs."""

    plan: Plan
    runner: Runner
    board: Board
    rate: float

    async def check(self, addresses: Collection[Address]) -> None:
        """Ask some silent ports slowly. Where refusals are limited, and that matters, no sweep's silence is trusted."""
        groups: dict[tuple[int, PortSet], list[ProbeTarget]] = {}
        for address in sorted(addresses, key=by_address):
            silent = self.board.silence(address, Protocol.TCP)
            if silent and self.board.ports(address, Protocol.TCP, PortState.CLOSED):
                target = probe_target(address, self.plan.scope)
                groups.setdefault((address.version, spread(silent, _SAMPLE)), []).append(target)
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)

        async def ask(ports: PortSet, targets: Sequence[ProbeTarget]) -> None:
            rate = min(self.rate / _SIDE_BY_SIDE, float(_PER_HOST * len(targets)))
            technique = self.plan.abilities.technique
            argv = command.probe(technique, Protocol.TCP, ports, targets, rate=rate, retries=1)
            async with gate:
                run = await self.runner.run(f"{Purpose.REFUSALS}-{Family.of(targets[0].address)}", argv)
            asked = Board()
            for record in run.records:
                asked.add(record)
                self.board.add(record)
            for target in targets:
                self._judge(target.address, len(ports), asked)

        await together(
            *(ask(ports, chunk) for (_, ports), targets in groups.items() for chunk in command.chunks(targets))
        )

    def _judge(self, address: Address, number: int, asked: Board) -> None:
        if opened := asked.ports(address, Protocol.TCP, PortState.OPEN):
            reason = f"the sweep missed {address}:{opened.first}/tcp, which was open when asked slowly"
            self.runner.note(f"{reason}: no silence of this address is trusted")
            self.board.distrust_silence(address, f"{reason}: its silence tells nothing", (Protocol.TCP,))
        refused = asked.ports(address, Protocol.TCP, PortState.CLOSED)
        if not refused:
            return
        told = (
            f"{address} limits how often it refuses, or its refusals were lost: {len(refused)} of {number} silent "
            "ports refused when asked slowly"
        )
        self.runner.note(told)
        if self.plan.viewpoint.boundary is Boundary.FILTERED:
            reason = f"{told}, so closed and filtered look the same there"
            swept = self.board.silence(address, Protocol.TCP) - self._declared(address)
            self.board.take_out(address, Protocol.TCP, swept, reason)

    def _declared(self, address: Address) -> PortSet:
        """What was asked at leisure, before any sweep: it got its refusal if there was one."""
        return PortSet.union(
            one.ports
            for one in self.plan.expectations.expectations
            if (one.address, one.protocol) == (address, Protocol.TCP) and one.basis is not Basis.UNDECLARED
        )
