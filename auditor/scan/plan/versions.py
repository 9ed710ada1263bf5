"""Which endpoints get a version probe, and in which nmap runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.addresses import ProbeTarget, probe_target
from auditor.catalogue.entry import entries
from auditor.catalogue.lookup import entry_by_word
from auditor.catalogue.ports import PRINTER_PORTS, RETICENT_PORTS, usual_ports
from auditor.model.expectation import Expectations
from auditor.model.inventory import Scope, Service
from auditor.model.ports import PortSet
from auditor.model.words import HERE, NOWHERE, Address, Basis, PortState, Profile, Protocol, ServiceClass, Technique
from auditor.scan.board import SILENCE, Board
from auditor.scan.nmap import command
from auditor.scan.nmap.records import HostRecord, Sight

_CROWDED = 50  # undeclared open ports of one address; more than that looks like a middlebox that answers for all
_TARGETS = 16  # hosts in one run at most; nmap probes about 40 services at a time
_PORTS = 40  # ports of one crowded address in one run
_SAMPLE = 20  # ports of one where nearly all are open, that are asked before the usual ones


@dataclass(frozen=True, slots=True)
class VersionJob:
    protocol: Protocol
    ports: PortSet
    targets: tuple[ProbeTarget, ...]
    technique: Technique
    printers: bool = False
    own: bool = False  # silent over UDP so far: only nmap's probes for these very ports
    crowd: bool = False

    def argv(self, rate: float) -> tuple[str, ...]:
        return command.versions(
            self.technique, self.protocol, self.ports, self.targets, rate=rate, printers=self.printers, own=self.own
        )

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(target.address for target in self.targets)

    def without(self, addresses: Collection[Address]) -> VersionJob | None:
        """The job less some addresses; None where nothing is left of it."""
        left = tuple(target for target in self.targets if target.address not in addresses)
        return replace(self, targets=left) if left else None


@dataclass(frozen=True, slots=True)
class Wants:
    """What the expectations say that matters for version probes, by address and protocol."""

    coverage: Mapping[tuple[Address, Protocol], PortSet]
    named: Mapping[tuple[Address, Protocol], PortSet]  # declared anywhere on the host
    due: Mapping[tuple[Address, Protocol], PortSet]  # should answer here
    no_printer: Mapping[tuple[Address, Protocol], PortSet]  # declared on this address as something else than a printer
    quiet: Mapping[tuple[Address, Protocol], PortSet]  # declared here not to answer
    spoken: Mapping[tuple[Address, Protocol], PortSet]  # declared here to speak a protocol, which only an answer shows


def wants(expectations: Expectations) -> Wants:
    """Sort the expectations once.

    A printer port is safe to probe only where it is declared as something else, and a service declared not to answer
    would only cost the time until its probe gives up.
    """
    sets: tuple[dict[tuple[Address, Protocol], PortSet], ...] = ({}, {}, {}, {}, {})
    named, due, no_printer, quiet, spoken = sets
    for one in expectations.expectations:
        key = one.address, one.protocol
        service = one.service if one.basis in HERE else None
        answers = one.basis is Basis.DECLARED and service is not None and service.answers
        for into, fits in (
            (named, one.basis not in NOWHERE),
            (due, answers),
            (quiet, service is not None and not service.answers),
            (spoken, answers and service is not None and service.protocol is not None),
            (no_printer, service is not None and bool(one.ports & PRINTER_PORTS) and _no_printer(service)),
        ):
            if fits:
                into[key] = into.get(key, PortSet()) | one.ports
    return Wants(expectations.coverage(), named, due, no_printer, quiet, spoken)


def _no_printer(service: Service) -> bool:
    """Whether the declaration rules out a printer. Its class alone does not where printers are of that class too."""
    printer = next(entry for entry in entries() if entry.id == "printer")
    if service.protocol is not None:
        return entry_by_word(service.protocol) is not printer
    return service.declared_class not in (None, ServiceClass.UNCLASSIFIED, printer.service_class)


def version_jobs(
    board: Board,
    wanted: Wants,
    done: Mapping[tuple[Address, Protocol], PortSet],
    *,
    scope: Scope,
    technique: Technique,
    profile: Profile,
    sampled: Collection[Address] = (),
    side_by_side: int = _TARGETS,
) -> tuple[VersionJob, ...]:
    """The runs for what has been found open since `done`: one port of several hosts, or many of one crowded address.

    Of a crowded address a sample comes first; `sampled` are those of which it has been asked. None of the runs talks to
    more than `side_by_side` hosts.
    """
    most = min(_TARGETS, side_by_side)
    alike: dict[tuple[int, Protocol, int, bool], list[ProbeTarget]] = {}
    crowds: list[VersionJob] = []
    quiet: dict[tuple[int, PortSet], list[ProbeTarget]] = {}
    for (address, protocol), covered in wanted.coverage.items():
        single, crowd = _chosen(board, wanted, address, protocol, covered, full=profile is Profile.FULL)
        already = done.get((address, protocol), PortSet())
        if crowd:
            named = wanted.named.get((address, protocol), PortSet())
            crowd = _of_crowd(crowd, board, address, named, already, sampled=address in sampled)
        target = probe_target(address, scope)
        for port in single - already:
            alike.setdefault((address.version, protocol, port, port in PRINTER_PORTS), []).append(target)
        crowds += [
            VersionJob(protocol, PortSet.of(*ports), (target,), technique, crowd=True)
            for ports in command.chunks(crowd - already, _PORTS)
        ]
        if protocol is Protocol.UDP and (ports := _reticent(board, wanted, address, covered) - already):
            quiet.setdefault((address.version, ports), []).append(target)
    jobs = [
        VersionJob(protocol, PortSet.of(port), chunk, technique, printer)
        for (_, protocol, port, printer), targets in alike.items()
        for chunk in command.chunks(targets, most)
    ]
    asked = [
        VersionJob(Protocol.UDP, ports, chunk, technique, own=True)
        for (_, ports), targets in quiet.items()
        for chunk in command.chunks(targets, most)
    ]
    return (*jobs, *crowds, *asked)


def _of_crowd(
    crowd: PortSet, board: Board, address: Address, named: PortSet, already: PortSet, *, sampled: bool
) -> PortSet:
    """What to ask of a crowded address: where all ports are open, first some of them, and no more if those talk."""
    if not board.nearly_all_open(address, Protocol.TCP, named):
        return crowd
    opened = board.ports(address, Protocol.TCP, PortState.OPEN) - named
    if not sampled:
        return PortSet() if already & opened else (opened - PRINTER_PORTS).spread(_SAMPLE)
    return PortSet() if talkative(board, address, already - named) else crowd


def talkative(board: Board, address: Address, asked: PortSet) -> bool:
    """Whether something says what it is on most of the ports asked, none of them declared: no host is all of that."""
    return 2 * len(board.recognised(address, Protocol.TCP) & asked) > len(asked)


def unsettled(
    job: VersionJob, wanted: Wants, records: Callable[[Address], Sequence[HostRecord]]
) -> tuple[ProbeTarget, ...]:
    """The targets of which a look at one port is worth another, since it may have come at a bad moment.

    So is one that has found the port silent, or has not told its state; and one on which nothing has spoken, where what
    becomes of the port hangs on that. Those cost a few seconds. Where the time was over, that long a wait is worth it
    only for a declared protocol: anything else that is open comes out as what its port is usually for.
    """
    if len(job.ports) > 1 or job.own:
        return ()
    return tuple(one for one in job.targets if _unsettled(job, wanted, one.address, records(one.address)))


def _unsettled(job: VersionJob, wanted: Wants, address: Address, records: Sequence[HostRecord]) -> bool:
    looks = [one.sight for record in records for one in record.seen if one.protocol is job.protocol]
    if any((look.state, look.reason) == (PortState.FILTERED, SILENCE) for look in looks):
        return True
    if job.protocol is not Protocol.TCP:
        return False
    if any(record.unread for record in records):
        return True
    key = address, job.protocol
    if job.ports & wanted.spoken.get(key, PortSet()):
        return any(map(_mute, looks)) or any(record.why_not for record in records)
    return not job.ports & wanted.due.get(key, PortSet()) and any(map(_mute, looks))


def _mute(look: Sight) -> bool:
    """Whether the port was open, and nothing on it said a word; nmap says `tcpwrapped` of some of those."""
    return look.state is PortState.OPEN and (look.identity is None or look.identity.name == "tcpwrapped")


def _reticent(board: Board, wanted: Wants, address: Address, covered: PortSet) -> PortSet:
    """Silent UDP ports that nmap has probes for: declared ones, and those that its port scan has nothing to say to."""
    silent = board.ports(address, Protocol.UDP, PortState.OPEN_FILTERED) & covered
    due = wanted.due.get((address, Protocol.UDP), PortSet()) & usual_ports(Protocol.UDP)
    return silent & (due | RETICENT_PORTS - wanted.quiet.get((address, Protocol.UDP), PortSet()))


def _chosen(
    board: Board, wanted: Wants, address: Address, protocol: Protocol, covered: PortSet, *, full: bool
) -> tuple[PortSet, PortSet]:
    """The ports to probe one by one, and those to probe in bulk."""
    key = address, protocol
    named = wanted.named.get(key, PortSet())
    found = board.ports(address, protocol, PortState.OPEN) & covered
    if protocol is Protocol.UDP:
        maybe = board.ports(address, protocol, PortState.OPEN_FILTERED) & covered
        return found | (maybe & wanted.due.get(key, PortSet()) - usual_ports(protocol)), PortSet()
    safe = found - (PRINTER_PORTS - wanted.no_printer.get(key, PortSet()))
    if len(found - named) <= _CROWDED:
        return safe, PortSet()
    rest = safe - named
    return safe & named, rest if full else rest & usual_ports(protocol)
