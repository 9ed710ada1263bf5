"""What earlier attempts at a run have finished. It is taken from their XML, so that nothing is probed twice.

What counts is what was asked of which address, and not in which run of nmap it was: runs put addresses together as they
are found, and one that was killed has finished some of its hosts.
"""

from __future__ import annotations

import shlex
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from auditor.errors import EvidenceError
from auditor.model.words import Address
from auditor.rundir.journal import Shard
from auditor.scan.nmap import command
from auditor.scan.nmap.records import HostRecord
from auditor.scan.nmap.xml import NmapXmlReader
from auditor.scan.plan.plan import Purpose
from auditor.scan.runs.run import without_silence

# Whatever else is asked is about the present: whether a path still stands, or whom the kernel finds on its link. A scan
# that had come to its end has all that behind it.
_LASTING = frozenset(
    {Purpose.CANARY, Purpose.DECLARED, Purpose.SWEEP, Purpose.UDP, Purpose.VERSIONS, Purpose.DISCOVERY}
)
_NO_ARP = "--disable-arp-ping"
_PACE = ("--max-rate", "--min-rate", "--max-hostgroup")

_Options = tuple[str, ...]
_Read = Callable[[Shard], Iterator[bytes]]


class Earlier:
    """The finished hosts of a viewpoint's shards, each given out once, in the order in which they were asked."""

    def __init__(self, shards: Sequence[Shard], unpack: _Read, warn: Callable[[str], None], *, done: bool) -> None:
        """`unpack` gives the XML of a shard; `done` says that the scan had come to its end."""
        self.done = done
        self.last_number = max((shard.number for shard in shards), default=0)
        last = max((shard.attempt for shard in shards), default=0)
        self._networks: dict[tuple[str, _Options], _Stored] = {}  # whole runs that are about no single addresses
        self._asked: dict[tuple[str, _Options], dict[Address, deque[_Stored]]] = {}
        for shard in shards:
            if _purpose(shard.purpose) not in _LASTING and not (done and shard.attempt == last):
                continue
            try:
                options, addresses = command.split(shard.argv)
            except ValueError:
                warn(f"the journal names no addresses for {shard.name}: what it asked is asked again")
                continue
            stored = _Stored(shard, options, unpack, warn, done=done)
            if not addresses and "/" in shard.argv[-1] and shard.problem is None and shard.unsent is None:
                self._networks[shard.purpose, shard.argv] = stored
            by_address = self._asked.setdefault((shard.purpose, _alike(options)), defaultdict(deque))
            for address in addresses:
                if str(address) not in shard.doubted:
                    by_address[address].append(stored)

    def take(self, purpose: str, argv: Sequence[str]) -> tuple[list[HostRecord], list[str], tuple[str, ...] | None]:
        """What is known of a run's hosts, the commands that it came from, and what is left to run, if anything."""
        if not self._asked and not self._networks:
            return [], [], tuple(argv)
        options, addresses = command.split(argv)
        if not addresses:
            whole = self._networks.pop((purpose, tuple(argv)), None)
            found = whole.every() if whole else []
            return (found, [whole.command], None) if whole and found else ([], [], tuple(argv))
        known = self._asked.get((purpose, _alike(options)), {})
        records: list[HostRecord] = []
        commands: dict[str, None] = {}
        left = []
        for address in addresses:
            queue = known.get(address)
            while queue:
                stored = queue.popleft()
                if found := stored.take(address, options):
                    records += found
                    commands[stored.command] = None
                    break
            else:
                left.append(str(address))
        return records, list(commands), (*options, *left) if left else None


class _Stored:
    """One shard, read when it is first needed."""

    def __init__(
        self, shard: Shard, options: _Options, unpack: _Read, warn: Callable[[str], None], *, done: bool
    ) -> None:
        self._shard = shard
        self._done = done
        self._options = options
        self._unpack = unpack
        self._warn = warn
        self._records: dict[Address, list[HostRecord]] | None = None

    @property
    def command(self) -> str:
        return shlex.join(self._shard.argv)

    def every(self) -> list[HostRecord]:
        """All records of a run that was whole."""
        return [record for records in self._read().values() for record in records]

    def take(self, address: Address, options: _Options) -> list[HostRecord]:
        """The records of an address, once; none where it was not asked to the end."""
        if self._records is None:
            self._records = self._read()
        records = self._records.pop(address, [])
        return records if records and all(self._finished(record, options) for record in records) else []

    def _finished(self, record: HostRecord, options: _Options) -> bool:
        """Whether the record is an answer, and not one that asking again may still give.

        A version probe that timed out has met a service that says nothing. A neighbour that is down is one that the
        kernel did not find either, and it has to be of the same mind still.
        """
        if self._done:
            return True
        if record.down:
            return _NO_ARP not in self._options and self._options == options
        return record.why_not is None or _purpose(self._shard.purpose) == Purpose.VERSIONS

    def _read(self) -> dict[Address, list[HostRecord]]:
        reader = NmapXmlReader()
        found: dict[Address, list[HostRecord]] = {}
        unsent = self._shard.unsent
        try:
            for item in self._items(reader):
                if isinstance(item, HostRecord):
                    record = without_silence(item, unsent) if unsent else item
                    found.setdefault(record.address, []).append(record)
        except EvidenceError as error:
            self._warn(f"{error}: what it had finished is asked again")
            return {}
        return found

    def _items(self, reader: NmapXmlReader) -> Iterator[object]:
        for chunk in self._unpack(self._shard):
            yield from reader.feed(chunk)
        yield from reader.end()


def _purpose(label: str) -> str:
    return label.partition("-")[0]


def _alike(options: _Options) -> _Options:
    """The options less those that change nothing of what ports say: how fast to ask, and how to find a neighbour.

    Where a path did not bear the rate, its addresses are noted as doubted.
    """
    kept = [word for before, word in pairwise(("", *options)) if word not in _PACE and before not in _PACE]
    return tuple(word for word in kept if word != _NO_ARP) if "-Pn" in kept else tuple(kept)
