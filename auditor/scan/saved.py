"""Saved nmap XML → what one viewpoint saw, for `compare`. No packet is sent."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from auditor.errors import EvidenceError
from auditor.model.ages import Freshness
from auditor.model.expectation import BEYOND, LeftOut, Unasked
from auditor.model.observation import UNDATED, Failure, Label, Observation, Reply, Resolved, Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol, Technique
from auditor.scan.board import ANSWERS, Board
from auditor.scan.nmap.abilities import fault_after_syn
from auditor.scan.nmap.arguments import EXCLUDE_FILE, meant, source_addresses
from auditor.scan.nmap.documents import parts
from auditor.scan.nmap.records import Asked, HostRecord, Item, Skipped, Unread, bounded
from auditor.scan.nmap.xml import NmapXmlReader
from auditor.scan.runs.run import Run, reconcile
from auditor.scan.trust.fresh import Fresh, Source, reported

_NO_HANDSHAKE = frozenset({"ack", "window", "maimon", "fin", "null", "xmas"})  # scan types that open no connection
_CLAIMS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.FILTERED})
_MOST_DOCUMENTS = 4096  # of one file: ten years of nights


@dataclass(frozen=True, slots=True)
class Evidence:
    """What saved files of one viewpoint tell. `asked` is what their scans set out to ask.

    An address of which a file tells only that it lives is in `asked` with no ports. `sources` are the source addresses
    that the scans were told to use (nmap's -S). `unasked` are addresses that they named and did not ask, `left_out` is
    what they asked over protocols that are not audited. `contradicted` are open endpoints on which it is not known who
    answers.
    """

    observations: tuple[Observation, ...]
    replies: tuple[Reply, ...]
    failures: tuple[Failure, ...]
    asked: Mapping[tuple[Address, Protocol], PortSet]
    nmap_version: str
    technique: Technique
    commands: tuple[str, ...]
    errors: tuple[str, ...]
    labels: tuple[Label, ...] = ()
    sources: tuple[Address, ...] = ()
    notes: tuple[str, ...] = ()
    unasked: tuple[Unasked, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    contradicted: tuple[Failure, ...] = ()
    resolved: tuple[Resolved, ...] = ()

    @property
    def alive(self) -> frozenset[Address]:
        """The addresses that sent some reply of their own."""
        answered = (one.address for one in self.observations if one.state in ANSWERS)
        return frozenset((*answered, *(reply.address for reply in self.replies)))

    def scan(self, viewpoint: str) -> Scan:
        """The evidence as a scan from that viewpoint."""
        return Scan(
            viewpoint=viewpoint,
            technique=self.technique,
            nmap_version=self.nmap_version,
            observations=self.observations,
            replies=self.replies,
            failures=self.failures,
            contradicted=self.contradicted,
            commands=self.commands,
            errors=self.errors,
            notes=self.notes,
        )


def read_evidence(paths: Sequence[Path], freshness: Freshness | None = None) -> Evidence:
    """Read nmap XML files, plain or gzipped, as one body of evidence, whatever their order.

    What is cut off is kept as far as it goes. What was seen of an endpoint at several times is laid over one another,
    see `over_time`. With `freshness`, what is too old or from the future was asked about in vain, and is no sign of
    life either. Raises EvidenceError where a file cannot be read or is not nmap XML.
    """
    board = Board()
    asked: dict[tuple[Address, Protocol], PortSet] = {}
    documents = (one for path in paths for one in _read(path))
    read = sorted(documents, key=lambda one: (one.at or UNDATED, one.path))
    read = [*{one.digest: one for one in read}.values()]  # a copy of a scan is no second look
    fresh = Fresh(board, freshness)
    for one in read:
        fresh.add(Source(one.path, one.at, one.span, one.reader.asked), _with_absent(one))
    contradicted = fresh.lay()
    for one in reversed(read):  # of several reasons why nothing is known, the youngest is told
        for scan in one.reader.asked:
            if scan.protocol in ("tcp", "udp"):
                protocol = Protocol(scan.protocol)
                for address in one.addresses:
                    _ask(asked, (address, protocol), scan.services)
                reconcile(board, one.run, one.addresses, protocol, scan.services)
        for record in one.run.records:
            if record.reply is not None:
                _ask(asked, (record.address, Protocol.TCP), PortSet())
            for protocol, ports in reported(record):  # scanners other than nmap do not say what they asked
                _ask(asked, (record.address, protocol), ports)
    starts = [one.reader.start for one in read if one.reader.start is not None]
    connect = any(scan.type == "connect" for one in read for scan in one.reader.asked)
    problems = [f"{one.path}: {one.run.problem}" for one in read if one.run.problem is not None]
    return Evidence(
        observations=board.observations(UNDATED),
        replies=board.replies(),
        failures=board.failures(),
        asked=asked,
        nmap_version=", ".join(sorted({start.version for start in starts if start.version})),
        technique=Technique.CONNECT if connect else Technique.SYN,
        commands=tuple(bounded(start.args, 4096) for start in starts),
        errors=(*problems, *fresh.errors),
        labels=tuple(dict.fromkeys(fresh.labels)),
        notes=tuple(note for one in read if (note := _doubt(one))),
        sources=tuple(dict.fromkeys(source for start in starts for source in source_addresses(start.args))),
        unasked=_unasked(read),
        left_out=tuple(_beyond(read)),
        contradicted=contradicted,
        resolved=tuple(dict.fromkeys(fresh.resolved)),
    )


def _with_absent(file: _File) -> Iterator[HostRecord]:
    """The records of a file, and one for each address that it was about and that a whole scan says nothing of.

    Without -v, nmap leaves out who did not answer its pings.
    """
    yield from file.run.records
    if file.run.problem is None:
        told = {record.address for record in file.run.records}
        for address in file.addresses:
            if address not in told and str(address) not in file.run.skipped:
                yield HostRecord(address, None, down=True)


def _doubt(file: _File) -> str | None:
    """What to know of the nmap that wrote a file, where it has asked what answers."""
    start, asked = file.reader.start, file.reader.asked
    if start is None or not any(one.type == "syn" for one in asked) or not {"-sV", "-A"} & set(start.args.split()):
        return None
    why = fault_after_syn(start.version)
    return f"{file.path}: nmap {start.version}: {why}; look again with -sT beside -sV" if why else None


def _ask(asked: dict[tuple[Address, Protocol], PortSet], key: tuple[Address, Protocol], ports: PortSet) -> None:
    """Add ports. Hosts that were asked the same share one set: 100,000 of 8 KB each would be 800 MB."""
    known = asked.get(key)
    if known is None:
        asked[key] = ports
    elif ports.bits & ~known.bits:
        asked[key] = known | ports


def _unasked(read: Iterable[_File]) -> tuple[Unasked, ...]:
    """The addresses that port scans were given, whose ports none of them has asked, and that nothing shows to live."""
    scans = [one for one in read if one.reader.asked]
    asked = {address for one in scans for address in one.addresses if address not in one.down}
    asked |= {record.address for one in read for record in one.run.records if not record.down}
    down = {address for one in scans for address in one.down} - asked
    excluded = {address for one in scans for address in one.excluded} - asked - down
    files = any(EXCLUDE_FILE in start.args.split() for one in scans if (start := one.reader.start))
    return (
        Unasked(frozenset(down), f"found down by nmap{', or in its excludefile' * files}: no port was asked"),
        Unasked(frozenset(excluded), "excluded by the scan itself"),
    )


def _beyond(read: Iterable[_File]) -> Iterator[LeftOut]:
    """What scans asked over protocols that are not audited, and what they saw open there."""
    asked = {scan.protocol for one in read for scan in one.reader.asked} - set(Protocol)
    found: dict[tuple[Address, str], PortSet] = {}
    for record in (record for one in read for record in one.run.records if record.beyond):
        for beyond in record.beyond:
            key = record.address, beyond.protocol
            found[key] = found.get(key, PortSet()) | beyond.ports
    if protocols := {*asked, *(protocol for _, protocol in found)}:
        yield LeftOut(BEYOND, f"not audited; the evidence asked about {', '.join(sorted(map(_spelled, protocols)))}")
    for (address, protocol), ports in found.items():
        yield LeftOut(f"{address}: {_spelled(protocol)} {ports}", "seen open, but only TCP and UDP are audited")


def _spelled(protocol: str) -> str:
    if protocol == "ip":
        return "protocols over IP"
    return protocol.upper()[:16] if protocol.isascii() and protocol.isalnum() else "an unknown protocol"


@dataclass(frozen=True, slots=True)
class _File:
    """One document of a file; `path` names it, and says which it is where there are several."""

    path: str
    reader: NmapXmlReader
    run: Run
    addresses: tuple[Address, ...]  # that its scan was about
    down: frozenset[Address]  # those of them that nmap held to be down, so that it asked no port
    excluded: frozenset[Address]
    at: datetime | None
    span: tuple[datetime | None, datetime | None]  # from when to when it may have looked
    digest: bytes  # of what it holds, unpacked


class _Reading:
    """One document while it is read."""

    def __init__(self, path: str) -> None:
        self.begun = False
        self._path = path
        self._reader = NmapXmlReader()
        self._records: list[HostRecord] = []
        self._skipped: list[str] = []
        self._digest = sha256()

    def feed(self, part: bytes) -> None:
        self.begun = True
        self._digest.update(part)
        _sort(self._reader.feed(part), self._records, self._skipped)

    def end(self, cut: str | None = None) -> _File:
        """`cut` says why the file could not be read to its end. Raises EvidenceError where it is not nmap XML."""
        reader = self._reader
        _sort(reader.end(), self._records, self._skipped)
        if reader.start is None:
            raise EvidenceError(f"{self._path}: {reader.problem or cut or 'this is not nmap XML'}")
        finish = reader.finish
        problem = cut or reader.problem or reader.unread
        if finish is not None and finish.exit == "error":
            problem = f"nmap stopped with an error: {finish.error or 'it gave no reason'}"
        elif problem is None and (finish is None or finish.exit != "success"):
            problem = "nmap's document has no proper end"
        records = [_without_guesses(record, reader.asked) for record in self._records]
        run = Run((), tuple(records), tuple(self._skipped), (0.0, 0.0), problem)
        named, excluded = meant(reader.start.args)
        addresses = tuple(dict.fromkeys((*(record.address for record in records), *named)))
        times = [finish.at if finish else None, reader.start.at]
        at = next((time for time in times if time is not None), None)
        span = reader.start.at, finish.at if finish else None
        down = frozenset(_down(run, addresses, reader))
        return _File(self._path, reader, run, addresses, down, excluded, at, span, self._digest.digest())


def _read(path: Path) -> list[_File]:
    """The documents of a file. Raises EvidenceError where its first is not nmap XML, or it cannot be read."""
    files: list[_File] = []
    reading, cut, count = _Reading(str(path)), None, 1
    try:
        for part, ended in parts(path):
            reading.feed(part)
            if ended:
                _add(files, reading)
                count += 1
                reading = _Reading(f"{path} (its scan {count})")
            if count > _MOST_DOCUMENTS:
                raise EvidenceError(f"{path}: it holds {_MOST_DOCUMENTS:,} scans or more; give them in several files")
    except (EOFError, zlib.error) as error:
        cut = f"the compressed file is cut off or damaged ({error})"
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if reading.begun or cut or not files:
        _add(files, reading, cut)
    return files


def _add(files: list[_File], reading: _Reading, cut: str | None = None) -> None:
    """Add the document that was read; where it is not nmap's, the one before has that for a problem."""
    try:
        files.append(reading.end(cut))
    except EvidenceError:
        if not files:
            raise
        problem = files[-1].run.problem or cut or "something follows the end of nmap's document"
        files[-1] = replace(files[-1], run=replace(files[-1].run, problem=problem))


def _down(run: Run, meant: Iterable[Address], reader: NmapXmlReader) -> Iterator[Address]:
    """The addresses that nmap held to be down, and whose ports it did not ask.

    Without `-v` it leaves them out of its document, and the number of them tells that they are: all hosts that it found
    up are there, and none that is not there may be anything else, but for those of an excludefile.
    """
    up = {record.address for record in run.records if not record.down}
    told = {record.address for record in run.records if record.down} - up
    yield from told
    if run.problem is not None or reader.hosts is None or reader.start is None:
        return
    skipped = set(run.skipped)
    absent = [one for one in meant if one not in up and one not in told and str(one) not in skipped]
    counted_up, counted_down = reader.hosts
    listed = sum(record.down for record in run.records)
    enough = len(absent) <= counted_down - listed or EXCLUDE_FILE in reader.start.args.split()
    if enough and counted_up == len(run.records) - listed:
        yield from absent


def _sort(items: Iterable[Item], records: list[HostRecord], skipped: list[str]) -> None:
    for item in items:
        if isinstance(item, HostRecord):
            records.append(item)
        elif isinstance(item, Skipped):
            skipped.append(item.specification)


def _without_guesses(record: HostRecord, asked: Sequence[Asked]) -> HostRecord:
    """The record less what a scan that opens no connection claims over TCP.

    A stateful firewall drops a stray ACK or FIN to a port that it lets clients connect to, and many systems reset it on
    an open port (https://nmap.org/book/scan-methods-null-fin-xmas-scan.html): neither shows what a client would meet.
    """
    types = [one.type for one in asked if one.protocol == "tcp" and one.type in _NO_HANDSHAKE]
    if not types:
        return record
    reason = f"a scan of type {types[0]} does not show whether a connection would be accepted"
    guesses = [one for one in record.seen if one.protocol is Protocol.TCP and one.sight.state in _CLAIMS]
    return replace(
        record,
        seen=tuple(one for one in record.seen if one not in guesses),
        unread=(*record.unread, *(Unread(one.protocol, one.ports, reason) for one in guesses)),
    )
