"""What of saved scans counts by its age, laid over one another by time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from auditor.model.ages import Freshness
from auditor.model.observation import UNDATED, Failure, Label, Resolved
from auditor.model.ports import PortSet
from auditor.model.words import Address, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap.records import Asked, HostRecord, Seen
from auditor.scan.trust.over_time import Look, held


@dataclass(frozen=True, slots=True)
class Source:
    """A saved scan: its name in messages, its time, the span in which it may have looked, and what it asked."""

    name: str
    at: datetime | None
    span: tuple[datetime | None, datetime | None]
    asked: Sequence[Asked]


class Fresh:
    """The looks of all scans that count by their age. What does not is put on the board as a failure."""

    def __init__(self, board: Board, freshness: Freshness | None) -> None:
        self._board = board
        self._freshness = freshness
        self._looks: dict[Address, list[tuple[HostRecord, Source]]] = defaultdict(list)
        self._stale: list[tuple[HostRecord, str]] = []
        self.labels: list[Label] = []
        self.resolved: list[Resolved] = []
        self.errors: list[str] = []

    def add(self, source: Source, records: Iterable[HostRecord]) -> None:
        """Take in a scan, the older ones first."""
        told = False
        for record in records:
            at = record.at or source.at
            future, stale = self._judge(at)
            if future and not told:
                self.errors.append(f"{source.name}: {future}")
                told = True
            if why := future or stale:
                self._stale.append((record, why))
                continue
            self._looks[record.address].append((record, source))
            if record.label is not None:
                self.labels.append(record.label)
                given = record.label.names[: record.label.given]
                self.resolved += (Resolved(name, record.address, at or UNDATED) for name in given)

    def _judge(self, at: datetime | None) -> tuple[str | None, str | None]:
        return (None, None) if self._freshness is None else (self._freshness.future(at), self._freshness.stale(at))

    def lay(self) -> tuple[Failure, ...]:
        """Put on the board what holds, and why the rest does not. Gives the endpoints whose service is not known."""
        contradicted: list[Failure] = []
        for address, found in self._looks.items():
            (record, source), *more = found
            if not more and _disjoint(record.seen):  # as nearly all are: there is nothing to lay over one another
                self._board.add(record if record.at else replace(record, at=source.at))
                continue
            laid = held(address, [look for one, of in found for look in _looks(one, of)])
            self._board.add(HostRecord(address, None, laid.seen))
            for one, _ in found:
                self._board.add(replace(one, seen=()))
            for failure in laid.disputed:
                self._board.fail(failure.address, failure.protocol, failure.ports, failure.reason)
            contradicted += laid.contradicted
        for record, why in reversed(self._stale):  # the youngest reason is told
            for protocol, ports in reported(record):
                self._board.fail(record.address, protocol, ports, why)
        return tuple(contradicted)


def reported(record: HostRecord) -> Iterator[tuple[Protocol, PortSet]]:
    """The ports of which a record says anything."""
    yield from ((seen.protocol, seen.ports) for seen in record.seen)
    yield from ((unread.protocol, unread.ports) for unread in record.unread)


def _looks(record: HostRecord, source: Source) -> Iterator[tuple[Protocol, PortSet, Look]]:
    """What a record saw, as looks, each at the time of the record; else at that of its scan."""
    began, ended = (record.began or record.at, record.at) if record.at else source.span
    times = began, ended, record.at or source.at
    for seen in record.seen:
        yield seen.protocol, seen.ports, Look(seen.sight, *times, source.name)
    if record.down:
        for scan in source.asked:
            if scan.protocol in ("tcp", "udp"):
                yield Protocol(scan.protocol), scan.services, Look(None, *times, source.name)


def _disjoint(seen: Sequence[Seen]) -> bool:
    bits: dict[Protocol, int] = {}
    for one in seen:
        known = bits.get(one.protocol, 0)
        if known & one.ports.bits:
            return False
        bits[one.protocol] = known | one.ports.bits
    return True
