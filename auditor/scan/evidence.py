"""Saved nmap XML → what one viewpoint saw, for `compare`. No packet is sent."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import chain, pairwise
from pathlib import Path

from auditor.errors import EvidenceError
from auditor.model.ages import Freshness
from auditor.model.observation import UNDATED, Failure, Label, Observation, Reply, Resolved, Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol, Technique
from auditor.scan.fresh import Fresh, Source, reported
from auditor.scan.merge import ANSWERS, Board
from auditor.scan.nmap_records import Asked, HostRecord, Item, Skipped, Unread, bounded
from auditor.scan.nmap_xml import NmapXmlReader
from auditor.scan.run import Run, reconcile

_CHUNK = 256 * 1024
_GZIP = 31  # wbits of zlib.decompressobj for a gzip header and the largest window
_MOST_FROM_ONE_WORD = 4096  # addresses; a larger network on an nmap command line is no list of what was meant
_TAKES_A_VALUE = frozenset(
    ("-S", "-D", "-g", "-e", "-b", "-p", "-sI", "-iL", "-oX", "-oN", "-oG", "-oA", "-oS", "--resume", "--proxies")
) | frozenset(
    ("--exclude", "--excludefile", "--exclude-ports", "--dns-servers", "--source-port", "--spoof-mac", "--ip-options")
)
_NO_HANDSHAKE = frozenset({"ack", "window", "maimon", "fin", "null", "xmas"})  # scan types that open no connection
_CLAIMS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.FILTERED})
_LAST_OCTETS = re.compile(r"(\d+\.\d+\.\d+\.)(\d{1,3})-(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What saved files of one viewpoint tell. `asked` is what their scans set out to ask.

    An address of which a file tells only that it lives is in `asked` with no ports. `sources` are the source addresses
    that the scans were told to use (nmap's -S). `contradicted` are open endpoints on which it is not known who answers.
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
        )


def read_evidence(paths: Sequence[Path], freshness: Freshness | None = None) -> Evidence:
    """Read nmap XML files, plain or gzipped, as one body of evidence, whatever their order.

    What is cut off is kept as far as it goes. What was seen of an endpoint at several times is laid over one another,
    see `over_time`. With `freshness`, what is too old or from the future was asked about in vain, and is no sign of
    life either. Raises EvidenceError where a file cannot be read or is not nmap XML.
    """
    board = Board()
    asked: dict[tuple[Address, Protocol], PortSet] = {}
    read = sorted(map(_read, paths), key=lambda one: (one.at or UNDATED, str(one.path)))
    read = [*{one.digest: one for one in read}.values()]  # a copy of a file is no second look
    fresh = Fresh(board, freshness)
    for one in read:
        fresh.add(Source(str(one.path), one.at, one.span, one.reader.asked), _with_absent(one))
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
        sources=tuple(dict.fromkeys(source for start in starts for source in _sources(start.args))),
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


def _ask(asked: dict[tuple[Address, Protocol], PortSet], key: tuple[Address, Protocol], ports: PortSet) -> None:
    """Add ports. Hosts that were asked the same share one set: 100,000 of 8 KB each would be 800 MB."""
    known = asked.get(key)
    if known is None:
        asked[key] = ports
    elif ports.bits & ~known.bits:
        asked[key] = known | ports


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    reader: NmapXmlReader
    run: Run
    addresses: tuple[Address, ...]  # that its scan was about
    at: datetime | None
    span: tuple[datetime | None, datetime | None]  # from when to when it may have looked
    digest: bytes  # of what it holds, unpacked


def _read(path: Path) -> _File:
    reader = NmapXmlReader()
    records: list[HostRecord] = []
    skipped: list[str] = []
    cut: str | None = None
    digest = sha256()
    try:
        for chunk in _chunks(path):
            digest.update(chunk)
            _sort(reader.feed(chunk), records, skipped)
    except (EOFError, zlib.error) as error:
        cut = f"the compressed file is cut off or damaged ({error})"
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror or error}") from error
    _sort(reader.end(), records, skipped)
    records = [_without_guesses(record, reader.asked) for record in records]
    document = reader.problem
    if reader.start is None:
        raise EvidenceError(f"{path}: {document or cut or 'this is not nmap XML'}")
    finish = reader.finish
    problem = cut or document
    if finish is not None and finish.exit == "error":
        problem = f"nmap stopped with an error: {finish.error or 'it gave no reason'}"
    elif problem is None and (finish is None or finish.exit != "success"):
        problem = "nmap's document has no proper end"
    run = Run((), tuple(records), tuple(skipped), (0.0, 0.0), problem)
    meant = dict.fromkeys((*(record.address for record in records), *_meant(reader.start.args)))
    times = [finish.at if finish else None, reader.start.at]
    at = next((time for time in times if time is not None), None)
    span = reader.start.at, finish.at if finish else None
    return _File(path, reader, run, tuple(meant), at, span, digest.digest())


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


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked where gzipped. Raises zlib.error or EOFError after all that could be unpacked."""
    with path.open("rb") as file:
        first = file.read(_CHUNK)
        unpacker = zlib.decompressobj(_GZIP) if first.startswith(b"\x1f\x8b") else None
        for chunk in chain((first,), iter(lambda: file.read(_CHUNK), b"")):
            if unpacker is None:
                yield chunk
                continue
            rest = chunk
            while rest:
                yield unpacker.decompress(rest, _CHUNK)
                rest = unpacker.unconsumed_tail  # a little may unpack to a lot, so piece by piece
        if unpacker is not None:
            yield unpacker.flush()
            if not unpacker.eof:
                raise EOFError("its end is missing")


def _sources(args: str) -> Iterator[Address]:
    """The source addresses that an nmap command line sets."""
    for option, value in pairwise(args.split()):
        if option == "-S":
            with suppress(ValueError):
                yield ip_address(value)


def _meant(args: str) -> Iterator[Address]:
    """The addresses that an nmap command line names, as far as they are literal."""
    previous = ""
    for word in args.split():
        if previous not in _TAKES_A_VALUE and not word.startswith("-"):
            yield from _addresses(word)
        previous = word


def _addresses(word: str) -> Iterator[Address]:
    if found := _LAST_OCTETS.fullmatch(word):
        first, last = int(found[2]), int(found[3])
        words = [f"{found[1]}{octet}" for octet in range(first, min(last, 255) + 1)]
    else:
        words = [word]
    for one in words:
        try:
            network = ip_network(one, strict=False)
        except ValueError:
            continue
        if network.num_addresses <= _MOST_FROM_ONE_WORD:
            yield from (
                (ip_address(int(network.network_address) + n) for n in range(network.num_addresses))
                if isinstance(network.network_address, IPv4Address)
                else network
            )
