"""Asks addresses that nobody has what others have answered: whoever answers there too is a device on the way."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from auditor.addresses import Neighbourhoods, by_address, probe_target
from auditor.catalogue.ports import PRINTER_PORTS, RETICENT_PORTS, usual_ports
from auditor.model.observation import LINK_REPLIES, Controls
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Network, PortState, Protocol, Technique
from auditor.scan.board import ANSWERS, Board
from auditor.scan.nmap import command
from auditor.scan.plan.pings import pings
from auditor.scan.plan.plan import CONTROL_PORTS, Job, Plan, Purpose
from auditor.scan.plan.source import check_sources
from auditor.scan.runs.run import Run, silent_if_absent
from auditor.scan.runs.runner import Runner
from auditor.scan.together import together
from auditor.transport.base import Transport

_SIDE_BY_SIDE = 4
# Ports that are asked, of those that an address has answered on: more are asked of nobody for what a few tell as well.
_OF_ONE = {
    (Protocol.TCP, PortState.OPEN): 40,
    (Protocol.TCP, PortState.CLOSED): 20,
    (Protocol.UDP, PortState.OPEN): 16,
    (Protocol.UDP, PortState.CLOSED): 2,
}
_ALIKE = 5  # controls that answer, before it is asked what they say; and to pings, before others are tried
_TALKED_TO = 3  # of them
_SUBJECTS = 16  # ports of one neighbourhood on which that is asked


@dataclass(slots=True)
class Controlling:
    """The controls of one viewpoint's scan. `board` has what was seen elsewhere; `talk` asks services what they are."""

    plan: Plan
    transport: Transport
    runner: Runner
    board: Board
    talk: Callable[[str, tuple[str, ...]], Awaitable[Run]]
    _seen: Board = field(default_factory=Board)
    _macs: dict[Address, str] = field(default_factory=dict)
    _pinged: set[Address] = field(default_factory=set)
    _asked: dict[tuple[Network, Protocol], PortSet] = field(default_factory=dict)
    _talked: dict[tuple[Network, Protocol], PortSet] = field(default_factory=dict)
    _members: dict[Network, list[Address]] | None = None  # those that there is a way to
    _neighbours: frozenset[Address] = frozenset()
    _looked: dict[Network, list[Address]] = field(default_factory=lambda: defaultdict(list))

    async def ask(self, rate: float) -> None:
        """Ask what has been answered since it was last asked. `rate` is in packets a second, all together."""
        await self._sort()
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        jobs = list(self._jobs(rate / _SIDE_BY_SIDE))
        if jobs:
            count = len({address for job in jobs for address in job.addresses})
            self.runner.tell(f"asking {count} addresses that nobody declares what others have answered")

        async def one(job: Job) -> None:
            async with gate:
                await self._run(job)

        await together(*(one(job) for job in jobs))
        await self._identify(rate)
        await self._ping(rate)

    def result(self, now: datetime) -> Controls:
        """What the controls answered. On the own link, one with a hardware address to itself is somebody's."""
        count = Counter(self._macs.values())
        own = {address for address, mac in self._macs.items() if count[mac] == 1}
        return Controls(
            tuple(one for one in self._seen.observations(now) if one.address not in own),
            tuple(one for one in self._seen.replies() if one.address not in own),
            tuple(sorted(self._pinged - own, key=by_address)),
        )

    async def _sort(self) -> None:
        """Group controls and what is looked at, once; leave out those that the viewpoint has no way to."""
        if self._members is not None:
            return
        expected, self._members = self.plan.expectations, {}
        where = Neighbourhoods(self.plan.viewpoint.targets)
        if not expected.controls:
            return
        sources = await check_sources(self.transport, self.plan.viewpoint, expected.controls)
        lost = {address for address, _ in sources.lost}
        self._neighbours = frozenset(sources.neighbours)
        for address in expected.controls if sources.failure is None else ():
            if address not in lost and (near := where.of(address)):
                self._members.setdefault(near, []).append(address)
        for address in {address for address, _ in expected.coverage()}:
            if (near := where.of(address)) in self._members:
                self._looked[near].append(address)

    def _jobs(self, rate: float) -> Iterator[Job]:
        groups: dict[tuple[int, Protocol, PortSet, bool], list[Address]] = defaultdict(list)
        for near, members in (self._members or {}).items():
            for protocol in Protocol:
                place = near, protocol
                asked = self._asked.get(place, PortSet())
                ports = self._wanted(self._looked[near], protocol) - asked
                self._asked[place] = asked | ports
                for address in members if ports else ():
                    groups[near.version, protocol, ports, address in self._neighbours].append(address)
        for (_, protocol, ports, absent), addresses in groups.items():
            for chunk in command.chunks(addresses):
                targets = tuple(probe_target(one, self.plan.scope) for one in chunk)
                technique = self.plan.abilities.technique
                yield Job(Purpose.CONTROLS, protocol, ports, targets, technique, rate, absent=absent)

    def _wanted(self, addresses: Collection[Address], protocol: Protocol) -> PortSet:
        """The ports that some address answered on; of one that answers on many, and of the network, some."""
        found = PortSet.union(
            self.board.ports(address, protocol, state).spread(most)
            for (over, state), most in _OF_ONE.items()
            for address in addresses
            if over is protocol
        )
        return found.spread(CONTROL_PORTS[protocol])

    async def _run(self, job: Job) -> None:
        """Open UDP ports that nmap's port scan has nothing to say to are asked in the words of its version probes."""
        spoken = PortSet()
        if job.protocol is Protocol.UDP:
            looked = (address for every in self._looked.values() for address in every)
            opened = PortSet.union(self.board.ports(address, Protocol.UDP, PortState.OPEN) for address in looked)
            spoken = job.ports & opened - (usual_ports(Protocol.UDP) - RETICENT_PORTS)
        name = f"{job.purpose}-{job.family}"
        if spoken:
            argv = command.versions(job.technique, job.protocol, spoken, job.targets, rate=job.rate, own=True)
            self._take(await self.talk(name, argv))
        if rest := job.ports - spoken:
            job = replace(job, ports=rest)
            self._take(silent_if_absent(await self.runner.run(name, job.argv), job))

    def _take(self, run: Run) -> None:
        self._seen.take(run.records)
        for record in run.records:
            if record.label is not None and record.label.mac:
                self._macs[record.address] = record.label.mac

    async def _identify(self, rate: float) -> None:
        """What answers on a port of most controls says of itself; a host that says something else is itself."""
        groups: dict[tuple[int, Protocol, int], list[Address]] = defaultdict(list)
        for near, members in (self._members or {}).items():
            for protocol in Protocol:
                place = near, protocol
                opened = {one: self._seen.ports(one, protocol, PortState.OPEN) for one in members}
                done = self._talked.get(place, PortSet())
                new = PortSet.union(opened.values()) - done - PRINTER_PORTS
                for port in _shared(new, opened.values()).spread(_SUBJECTS):
                    self._talked[place] = self._talked.get(place, PortSet()) | PortSet.of(port)
                    some = [one for one, ports in opened.items() if port in ports][:_TALKED_TO]
                    groups[near.version, protocol, port] += some

        async def one(protocol: Protocol, port: int, addresses: Collection[Address]) -> None:
            targets = [probe_target(address, self.plan.scope) for address in addresses]
            technique, ports = self.plan.abilities.technique, PortSet.of(port)
            argv = command.versions(technique, protocol, ports, targets, rate=rate / _SIDE_BY_SIDE)
            self._take(await self.talk(f"{Purpose.CONTROLS}-{Family.of(targets[0].address)}", argv))

        await together(
            *(
                one(protocol, port, chunk)
                for (_, protocol, port), addresses in groups.items()
                for chunk in command.chunks(addresses, _SIDE_BY_SIDE * _TALKED_TO)
            )
        )

    async def _ping(self, rate: float) -> None:
        """Ping controls where a ping is all that shows that an address lives; and those that answer: do they live?"""
        found = {*self.plan.expectations.undeclared, *(one.address for one in self.plan.expectations.carried)}
        due, doubtful = list[Address](), list[Address]()
        for near, members in (self._members or {}).items():
            answering = any(self._seen.answered(one) for one in members)
            if answering or any(one in found or self._only_pinged(one) for one in self._looked[near]):
                due += (one for one in members if one not in self._pinged)
        self._pinged |= set(await self._pings(due, rate, self._seen))
        for near, members in (self._members or {}).items():
            resets = [one for one in members if any(r.reason == "reset" for r in self._seen.replies_of(one))]
            if len(resets) >= _ALIKE and not set(members).isdisjoint(due):
                doubtful += (one for one in self._looked[near] if self._only_pinged(one, {"reset"}))
        if self.plan.abilities.technique is Technique.SYN:
            kinds = pings(Technique.SYN, self.plan.viewpoint.limits.host_rate).stateless
            await self._pings(doubtful, rate, self.board, kinds)

    def _only_pinged(self, address: Address, reasons: Collection[str] = ()) -> bool:
        """Whether the address answered pings alone, with these reasons alone where any are given."""
        said = {one.reason for one in self.board.replies_of(address)} - LINK_REPLIES
        on_port = any(self.board.ports(address, protocol, *ANSWERS) for protocol in Protocol)
        return bool(said) and not on_port and (not reasons or said <= set(reasons))

    async def _pings(
        self, addresses: Collection[Address], rate: float, board: Board, kinds: tuple[str, ...] = ()
    ) -> list[Address]:
        """Those of the addresses that were pinged; what they answered is on the board."""
        told: list[Address] = []
        by_family = [[one for one in addresses if Family.of(one) is family] for family in Family]
        for chunk in (chunk for members in by_family for chunk in command.chunks(members)):
            targets = [probe_target(address, self.plan.scope) for address in chunk]
            argv = command.ping(self.plan.abilities.technique, targets, link=False, rate=rate, pings=kinds)
            run = await self.runner.run(f"{Purpose.CONTROLS}-{Family.of(targets[0].address)}", argv)
            board.take(run.records)
            told += [] if run.unsent else [record.address for record in run.records]
        return told


def _shared(ports: PortSet, opened: Collection[PortSet]) -> PortSet:
    """Those of the ports that are open at so many controls that they are worth a word."""
    return PortSet.of(*(port for port in ports if sum(port in one for one in opened) >= _ALIKE))
