"""Signs of life beside the ports: neighbours, pings, and a last look at whether all that answered still does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from auditor.addresses import probe_target
from auditor.catalogue import RETICENT_PORTS, usual_ports
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.plan.later import LATE_SHARE
from auditor.scan.plan.plan import Plan, Purpose
from auditor.scan.plan.source import unresolved
from auditor.scan.runs.runner import Runner
from auditor.scan.talking import Talking
from auditor.scan.together import together
from auditor.scan.trust import again
from auditor.transport.base import Transport

_AGAIN_SIDE_BY_SIDE = 4
_ANY_PORT = PortSet.of(80)  # for a packet that has the kernel look for a neighbour; what it says is not used
_PINGED = 4096  # addresses in one ping run
_FRUITLESS = 2  # rounds of looking for neighbours without finding one; a link may limit how many answer at a time


class Alive:
    """What one viewpoint's scan does about life. `not_pinged` are those whose pings were never sent."""

    def __init__(
        self,
        plan: Plan,
        transport: Transport,
        runner: Runner,
        talking: Talking,
        *,
        board: Board,
        canaries: Board,
    ) -> None:
        self.not_pinged: set[Address] = set()
        self._plan = plan
        self._technique = plan.abilities.technique
        self._transport = transport
        self._runner = runner
        self._board = board
        self._canaries = canaries
        self._addresses = talking.addresses
        self._talking = talking
        self._pinged: set[Address] = set()  # that have answered pings after the sweep, and nothing before

    async def absent(self, neighbours: Sequence[Address]) -> frozenset[Address]:
        """Have the kernel look for silent neighbours until it finds no more; give those that it does not find."""
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
        return frozenset(absent)

    async def ping(self, lost: frozenset[Address]) -> None:
        """Look for any other sign of life where no port gave one; then, past the own link, for proof of the path.

        Those that have answered over a path only now are asked once more at last.
        """
        silent = [address for address in self._addresses if address not in lost and not self._board.answered(address)]
        for family in Family:
            asked = [address for address in silent if Family.of(address) is family]
            await self._ping([address for address in asked if not self._board.near(address)], link=True)
            await self._ping([address for address in asked if self._board.near(address)], link=False)
        self._pinged = {address for address in silent if self._board.answered(address)}

    async def once_more(self) -> None:
        """Ask what answered whether it still does, and trust no silence where it does not."""
        gate = asyncio.Semaphore(_AGAIN_SIDE_BY_SIDE)
        there, gone, reported = set(self._pinged), set[Address](), set[Address]()  # reported: asked to the end
        unheard, unasked = set[Address](), dict[Address, str]()  # unheard: no firewall refuses there any more

        async def ask(one: again.Question) -> None:
            argv = self._again(one)
            room = self._talking.place if command.talks(argv) else None
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
            return self._talking.slowly(command.versions(self._technique, one.protocol, one.ports, targets, rate=rate))
        return command.probe(self._technique, one.protocol, one.ports, targets, rate=rate)

    async def _ping(self, addresses: Sequence[Address], *, link: bool) -> None:
        for chunk in command.chunks(addresses, _PINGED):
            targets = [probe_target(address, self._plan.scope) for address in chunk]
            rate = self._plan.viewpoint.rate * LATE_SHARE
            argv = command.ping(self._technique, targets, link=link, rate=rate)
            run = await self._runner.run(f"{Purpose.LIVENESS}-{Family.of(targets[0].address)}", argv)
            self._board.take(run.records)
            told = set() if run.unsent else {record.address for record in run.records}
            self.not_pinged |= {target.address for target in targets} - told
