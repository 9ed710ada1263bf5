"""Expectations → the nmap runs that answer them. Pure: sends nothing."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from auditor.addresses import ProbeTarget, contains, probe_target
from auditor.model.expectation import Expectations, HostLimits
from auditor.model.inventory import Canary, Scope, Viewpoint
from auditor.model.limits import Limits
from auditor.model.observation import Failure
from auditor.model.ports import PortSet
from auditor.model.words import NOWHERE, Address, Family, Protocol, Technique
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.pace import PROCESSES, rate_to

_DECLARED_SIDE_BY_SIDE = 8
_UDP_SIDE_BY_SIDE = 4
_SWEEPS_SIDE_BY_SIDE = 4
_LONG_SWEEP = 10.0  # seconds; from here on a sweep uses the whole rate alone
_SHARD_SECONDS = 60  # an interrupted run loses no more than the hosts of about a minute
_SHORT_SHARD_SECONDS = 15  # or of this, where the whole sweep is short
_SHARDS = 8  # that a short sweep is cut into: what one finds is asked what it is beside the next
_LARGEST_GROUP = 256
_UDP_SHARE = 0.1  # of the rate, at most, while UDP runs beside a TCP sweep
_UDP_SECONDS = 5.0  # or what sends all UDP probes in that time: how often hosts refuse takes longer anyway
_UDP_FIRST = 0.8  # of that: the rest is for second looks beside it
_TALKING = 50  # packets a second with a host that is asked what answers; nmap cannot limit those
_TALKING_SHARE = 0.05  # of the rate, for that beside a sweep
_ALONE_SHARE = 0.5  # of the rate, at most, for hosts with a rate of their own while others are swept
_PATIENT = 2.2  # seconds that a patient look takes with a port that stays silent, asked twice
_SWEEP_RETRIES = 3  # at most; nmap goes beyond one only for hosts that have answered to a retry, so it costs no time
# Ports of one neighbourhood that its controls are asked: of those on which others have answered, at most.
CONTROL_PORTS = {Protocol.TCP: 256, Protocol.UDP: 24}
CONTROL_TRIES = 2  # packets to a port that stays silent
_CONTROL_RATE = 1000.0  # packets a second, at least: to addresses that nobody has, nmap left alone sends a hundred
# Probes to a port that stays silent, typically.
_TRIES = {"declared": 2, "sweep": 2, "udp": 3, "canary": 2, "controls": CONTROL_TRIES}


Coverage = Mapping[tuple[Address, Protocol], PortSet]


class Purpose(StrEnum):
    CANARY = "canary"
    DECLARED = "declared"
    SWEEP = "sweep"
    UDP = "udp"
    LIVENESS = "liveness"
    VERSIONS = "versions"
    AGAIN = "again"
    NEIGHBOURS = "neighbours"
    CONFIRM = "confirm"
    REFUSALS = "refusals"
    DISCOVERY = "discovery"
    CONTROLS = "controls"


@dataclass(frozen=True, slots=True)
class Job:
    """One nmap run: the same ports of some addresses of one family. Empty `ports` means pings only."""

    purpose: Purpose
    protocol: Protocol
    ports: PortSet
    targets: tuple[ProbeTarget, ...]
    technique: Technique
    rate: float  # packets a second, at most
    host_rate: int | None = None  # packets a second to its one host
    hosts: int | None = None  # in work at a time, at most
    patient: bool = False  # a second look, one port a second
    absent: bool = False  # neighbours that the viewpoint's kernel does not find

    @property
    def family(self) -> Family:
        return Family.of(self.targets[0].address)

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(target.address for target in self.targets)

    @property
    def probes(self) -> int:
        """About how many packets it sends where nothing answers."""
        return max(1, len(self.ports)) * len(self.targets) * _TRIES[self.purpose]

    @property
    def seconds(self) -> float:
        """About how long it takes where nothing answers."""
        return max(self.probes / self.rate, self.patient * len(self.ports) * _PATIENT) + 1

    @property
    def group(self) -> int:
        """How many hosts nmap has in work at a time."""
        if self.purpose is not Purpose.SWEEP:
            return self.hosts or len(self.targets)
        hosts = int(_SHARD_SECONDS * self.rate / (len(self.ports) * _TRIES["sweep"]))
        return min(max(1, hosts), self.hosts or _LARGEST_GROUP, _LARGEST_GROUP)

    @property
    def argv(self) -> tuple[str, ...]:
        if not self.ports:
            return command.ping(self.technique, self.targets, link=False, rate=self.rate)
        sweep = self.purpose is Purpose.SWEEP
        least = {Purpose.SWEEP: self.rate, Purpose.CONTROLS: min(self.rate, _CONTROL_RATE)}
        return command.probe(
            self.technique,
            self.protocol,
            self.ports,
            self.targets,
            rate=self.rate,
            least_rate=least.get(self.purpose),
            retries=_SWEEP_RETRIES if sweep else 1 if self.patient else None,
            group=self.group if sweep or self.hosts is not None else None,
            patient=self.patient,
            absent=self.absent,
        )

    @property
    def command(self) -> str:
        """The argument list as a shell would take it, for people to read."""
        return shlex.join(self.argv)

    def without(self, addresses: Collection[Address]) -> Job | None:
        """The job less some addresses; None where nothing is left of it."""
        left = tuple(target for target in self.targets if target.address not in addresses)
        return replace(self, targets=left) if left else None

    def absent_only(self, absent: Collection[Address]) -> Job | None:
        """The part of the job that is about absent neighbours; None where there is none."""
        left = tuple(target for target in self.targets if target.address in absent)
        return replace(self, targets=left, absent=True) if left else None


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs of which at most `side_by_side` run at a time."""

    jobs: tuple[Job, ...]
    side_by_side: int

    @property
    def seconds(self) -> float:
        return sum(job.seconds for job in self.jobs) / self.side_by_side


@dataclass(frozen=True, slots=True)
class Plan:
    """What one viewpoint's scan will send. `first` runs before `lanes`, which run beside each other.

    The search for silent neighbours, pings of silent addresses, version probes of open ports and the last look at what
    answered follow from what is found; they are not in it.
    `refused` is what cannot be asked from there at all. `problem` is set where nothing can. `talking` is with how many
    hosts version probes may talk beside `lanes`.
    """

    expectations: Expectations
    scope: Scope
    abilities: Abilities
    first: Lane
    lanes: tuple[Lane, ...]
    refused: tuple[Failure, ...] = ()
    talking: int = 0

    @property
    def viewpoint(self) -> Viewpoint:
        return self.expectations.viewpoint

    def talking_of(self, share: float) -> int:
        """With how many hosts version probes may talk at a time, given that share of the rate; at least one."""
        return max(1, self.talking, int(self.viewpoint.rate * share / _TALKING))

    @property
    def problem(self) -> str | None:
        return self.abilities.problem

    @property
    def jobs(self) -> tuple[Job, ...]:
        return (*self.first.jobs, *(job for lane in self.lanes for job in lane.jobs))

    @property
    def probes(self) -> int:
        return sum(job.probes for job in self.jobs)

    @property
    def seconds(self) -> float:
        """About how long it takes where nothing answers, version probes left aside.

        A host with a rate of its own has one run at a time.
        """
        by_host: dict[str, float] = {}
        for job in (job for lane in self.lanes for job in lane.jobs if job.host_rate is not None):
            (address,) = job.addresses
            host = self.expectations.limits.get(address)
            name = host.host if host else str(address)
            by_host[name] = by_host.get(name, 0.0) + job.seconds
        return self.first.seconds + max((*(lane.seconds for lane in self.lanes), *by_host.values()), default=0.0)


def plan(expectations: Expectations, scope: Scope, abilities: Abilities) -> Plan:
    """What to send for these expectations. Raises OutOfScopeError where one is about an address outside the scope."""
    coverage = _most_first(expectations)
    tcp = {address: ports for (address, protocol), ports in coverage.items() if protocol is Protocol.TCP}
    udp = {address: ports for (address, protocol), ports in coverage.items() if protocol is Protocol.UDP}
    refused = () if abilities.raw else tuple(_refuse(udp))
    if not abilities.raw:
        udp = {}
    draft = _Draft(scope, abilities.technique, expectations.viewpoint.limits, expectations.limits)
    rate = float(expectations.viewpoint.rate)
    talking = int(rate * _TALKING_SHARE / _TALKING)
    rest = rate - talking * _TALKING
    share = rest
    if tcp and udp:
        share = min(rest * _UDP_SHARE, max(1.0, sum(map(len, udp.values())) * _TRIES["udp"] / _UDP_SECONDS))
    lanes = (*_sweeps(draft, tcp, rest - share if udp else rest), *_udp(draft, udp, share))
    return Plan(
        expectations,
        scope,
        abilities,
        _first(draft, expectations, coverage, rate, raw=abilities.raw),
        tuple(lane for lane in lanes if lane.jobs),
        refused,
        talking,
    )


def _most_first(expectations: Expectations) -> Coverage:
    """The coverage, with the addresses first that have most TCP ports declared.

    Most that is not declared is on them too. Asking what that is takes up to a minute, better beside the sweep of the
    others than after it.
    """
    declared = Counter(
        one.address for one in expectations.expectations if one.protocol is Protocol.TCP and one.basis not in NOWHERE
    )
    return dict(sorted(expectations.coverage().items(), key=lambda item: -declared[item[0][0]]))


def _refuse(udp: Mapping[Address, PortSet]) -> Iterator[Failure]:
    for address, ports in udp.items():
        yield Failure(address, Protocol.UDP, ports, "UDP needs raw sockets, which this viewpoint does not have")


@dataclass(frozen=True, slots=True)
class _Draft:
    scope: Scope
    technique: Technique
    limits: Limits
    hosts: Mapping[Address, HostLimits]

    def jobs(
        self, purpose: Purpose, protocol: Protocol, wanted: Mapping[Address, PortSet], rate: float = 1.0
    ) -> tuple[Job, ...]:
        """One job for each family and port set; hosts with equal sets go together, those with an own rate alone."""
        groups: dict[tuple[int, PortSet], list[ProbeTarget]] = {}
        alone: list[Job] = []
        for address, ports in wanted.items():
            target = probe_target(address, self.scope)
            most = rate_to(address, self.limits, self.hosts)
            if most is None:
                groups.setdefault((address.version, ports), []).append(target)
            else:
                alone.append(Job(purpose, protocol, ports, (target,), self.technique, min(rate, most), most))
        together = (
            Job(purpose, protocol, ports, chunk, self.technique, rate)
            for (_, ports), targets in groups.items()
            for chunk in command.chunks(targets)
        )
        return (*together, *alone)

    def lane(self, jobs: Sequence[Job], rate: float, most: int) -> Lane:
        """The jobs, sharing the rate so that those which run together never exceed it."""
        hosts = self.limits.hosts
        together = max(1, min(most, len(jobs), hosts or most))
        each = None if hosts is None else max(1, hosts // together)
        return Lane(
            tuple(replace(job, rate=min(rate / together, job.host_rate or rate), hosts=each) for job in jobs), together
        )

    def lane_alone(self, jobs: Sequence[Job], rate: float) -> tuple[Lane, float]:
        """Jobs of one host each, as many together as the rate bears, and how much of it they take."""
        rates = sorted((min(rate, job.host_rate or rate) for job in jobs), reverse=True)
        sums = list(accumulate(rates[: min(PROCESSES, self.limits.hosts or PROCESSES)]))
        together = max(1, sum(taken <= rate for taken in sums))
        slow = (replace(job, rate=min(rate, job.host_rate or rate)) for job in jobs)
        return Lane(tuple(slow), together), sums[together - 1] if sums else 0.0


def _first(draft: _Draft, expectations: Expectations, coverage: Coverage, rate: float, *, raw: bool) -> Lane:
    """Proof of the paths, and every declared TCP port, at leisure: no retry is saved on what people rely on."""
    declared: dict[Address, PortSet] = {}
    for one in expectations.expectations:
        if one.protocol is Protocol.TCP and one.basis not in NOWHERE:
            declared[one.address] = declared.get(one.address, PortSet()) | one.ports
    jobs = [*_canaries(draft, expectations.viewpoint.canaries, coverage, raw=raw)]
    jobs += draft.jobs(Purpose.DECLARED, Protocol.TCP, declared)
    return draft.lane(jobs, rate, _DECLARED_SIDE_BY_SIDE)


def _canaries(draft: _Draft, canaries: Sequence[Canary], coverage: Coverage, *, raw: bool) -> Iterator[Job]:
    """Those that the coverage does not ask anyway. UDP ones need raw sockets."""
    for protocol in (Protocol.TCP, Protocol.UDP) if raw else (Protocol.TCP,):
        wanted: dict[Address, PortSet] = {}
        for canary in canaries:
            if contains(draft.scope.site, canary.address):
                continue  # denied since the inventory was loaded
            asked = coverage.get((canary.address, protocol), PortSet())
            ports = PortSet() if canary.port is None else PortSet.of(canary.port) - asked
            if (canary.protocol or Protocol.TCP) is protocol and (ports or not asked):
                wanted[canary.address] = wanted.get(canary.address, PortSet()) | ports
        yield from draft.jobs(Purpose.CANARY, protocol, wanted)


def _sweeps(draft: _Draft, tcp: Mapping[Address, PortSet], rate: float) -> tuple[Lane, ...]:
    """Hosts with a rate of their own beside the others, which get what those leave of it."""
    alone, jobs = _parted(draft.jobs(Purpose.SWEEP, Protocol.TCP, tcp, rate))
    slow, taken = draft.lane_alone(alone, rate * _ALONE_SHARE if jobs else rate)
    rate -= taken if jobs else 0
    if any(job.seconds >= _LONG_SWEEP for job in jobs):
        eighth = sum(job.probes for job in jobs) / rate / _SHARDS
        seconds = min(_SHARD_SECONDS, max(_SHORT_SHARD_SECONDS, eighth))
        return draft.lane(_shards(jobs, rate, seconds), rate, 1), slow
    return draft.lane(jobs, rate, _SWEEPS_SIDE_BY_SIDE), slow


def _udp(draft: _Draft, udp: Mapping[Address, PortSet], rate: float) -> tuple[Lane, ...]:
    """Hosts with a rate of their own last to first: their sweeps go the other way, and a host has one run at a time."""
    alone, whole = _parted(draft.jobs(Purpose.UDP, Protocol.UDP, udp, rate))
    jobs = _shards(whole, rate / _UDP_SIDE_BY_SIDE)
    rate *= _UDP_FIRST if len(jobs) + len(alone) > _UDP_SIDE_BY_SIDE else 1
    slow, taken = draft.lane_alone(alone[::-1], rate * _ALONE_SHARE if jobs else rate)
    return draft.lane(jobs, rate - taken if jobs else rate, _UDP_SIDE_BY_SIDE), slow


def _shards(jobs: Iterable[Job], rate: float, seconds: float = _SHARD_SECONDS) -> list[Job]:
    """The jobs as runs of about so many seconds each, were that their rate; whole hosts in each."""
    return [
        replace(job, targets=targets)
        for job in jobs
        for targets in command.chunks(job.targets, max(1, int(seconds * rate / (len(job.ports) * _TRIES[job.purpose]))))
    ]


def _parted(jobs: Sequence[Job]) -> tuple[list[Job], list[Job]]:
    return [job for job in jobs if job.host_rate is not None], [job for job in jobs if job.host_rate is None]
