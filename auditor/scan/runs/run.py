"""One nmap run: its stream read to the end, and an honest account of how it ended."""

from __future__ import annotations

import asyncio
import re
import shlex
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Protocol as Interface

from auditor.errors import TransportError
from auditor.model.inventory import Via
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.rundir.journal import Shard
from auditor.scan.board import SILENCE, Board, covered
from auditor.scan.nmap import command
from auditor.scan.nmap.records import Heard, HostRecord, Item, Progress, Seen, Sight, Skipped, Unread, bounded
from auditor.scan.nmap.xml import NmapXmlReader
from auditor.scan.plan.plan import Job
from auditor.transport.base import Process, Transport

_NOT_SENT = re.compile(r"^sendto in \w+: sendto\(.*\) => (.+)$", re.MULTILINE)


class Sink(Interface):
    def write(self, data: bytes, /) -> object: ...


class EvidenceStore(Interface):
    """Where raw evidence goes as it streams."""

    def open(self, name: str, /) -> AbstractContextManager[Sink]:
        """A new file of that name, written whole or marked by whoever keeps it. May raise RunError."""
        ...

    def keep(self, shard: Shard, /) -> None:
        """Note that the run which wrote a file has ended, so that it need not be repeated. May raise RunError."""
        ...

    def end(self, viewpoint: str, /) -> None:
        """Note that the scan from there has come to its end, with nothing left to ask again. May raise RunError."""
        ...

    def doubt(self, viewpoint: str, addresses: Iterable[object], /) -> None:
        """Note that what was asked of these addresses until now is to be asked again. May raise RunError."""
        ...

    @property
    def shards(self) -> Sequence[Shard]:
        """What earlier attempts at the same audit have kept, in order."""
        ...

    @property
    def done(self) -> Collection[str]:
        """The viewpoints that had come to their end before."""
        ...

    def unpack(self, shard: Shard, /) -> Iterator[bytes]:
        """The file of a shard. Raises EvidenceError where it is not as it was written."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What one nmap run gave. `problem` says why it cannot be taken as whole; `noted` is its last word on stderr.

    `unsent` is why the viewpoint's own machine did not send some of the probes, where it did not. `unasked` says of
    single addresses why they were not asked to the end. `heard` is what scripts said that is about no host. `earlier`
    is whether an earlier attempt at the audit had asked some of it.
    """

    argv: tuple[str, ...]
    records: tuple[HostRecord, ...]
    skipped: tuple[str, ...]
    span: tuple[float, float]
    problem: str | None = None
    noted: str = ""
    unsent: str | None = None
    unasked: Mapping[Address, str] = field(default_factory=dict)
    heard: tuple[Heard, ...] = ()
    earlier: bool = False

    @property
    def command(self) -> str:
        return shlex.join(self.argv)

    def of(self, address: Address) -> list[HostRecord]:
        return [record for record in self.records if record.address == address]


async def run_nmap(
    transport: Transport,
    via: Via,
    argv: Sequence[str],
    sink: AbstractContextManager[Sink | None] | None = None,
    progress: Callable[[float, int], None] | None = None,
    *,
    end: End | None = None,
) -> Run:
    """Run nmap, copying its XML to `sink`.

    `progress` is told the percentage of the hosts in work, and hosts finished: at the beginning, and as nmap tells.

    A run that talks to services gives way to those that send probes: an nmap that sweeps and is short of processor time
    reads replies too late, and loses nearly all of them.

    Whatever goes wrong with the run becomes its `problem`, the end of its time too; what was finished before is kept.
    """
    started = time.monotonic()
    reader = NmapXmlReader()
    records: list[HostRecord] = []
    skipped: list[str] = []
    heard: list[Heard] = []
    problem, noted, unsent = None, "", None
    chunks = _Chunks(end)
    tell = progress or _nobody
    tell(0.0, 0)
    try:
        async with transport.run(via, argv, nice=command.talks(argv)) as process:
            with sink or nullcontext() as copy:
                async for item in _items(reader, chunks.of(process), copy):
                    match item:
                        case HostRecord():
                            records.append(item)
                            tell(0.0, len(records))
                        case Skipped():
                            skipped.append(item.specification)
                        case Heard():
                            heard.append(item)
                        case Progress():
                            percent = 0.0 if "Ping" in item.task else item.percent
                            tell(percent, len(records))
            try:
                returncode = await chunks.end_of(process)
            except TransportError as error:  # what was finished before is kept, and the rest of stderr still holds
                problem = str(error)
            else:
                noted = "" if end is not None and chunks.cut else _last_line(process.stderr)
                problem = end.reason if end is not None and chunks.cut else _problem(reader, returncode, noted)
            if said := _NOT_SENT.search(process.stderr):
                # nmap goes on, reports success, and names no more than the first ten such probes
                unsent = f"the viewpoint's own machine did not send some of the probes: {bounded(said[1], 100)}"
                records = [without_silence(record, unsent) for record in records]
    except TransportError as error:
        problem = str(error)
    span = started, time.monotonic()
    return Run(tuple(argv), tuple(records), tuple(skipped), span, problem, noted, unsent, heard=tuple(heard))


@dataclass(frozen=True, slots=True)
class End:
    """When a run has to end, whatever it has done, and why."""

    seconds: float
    reason: str


class _Chunks:
    """The output of a process as it comes, and its end, until its time is over by our own clock: then `cut` is true.

    A process may have closed its output long before it ends, or have left it to another one that goes on.
    """

    def __init__(self, end: End | None) -> None:
        self._when = None if end is None else asyncio.get_running_loop().time() + end.seconds
        self.cut = False

    async def of(self, process: Process) -> AsyncIterator[bytes]:
        chunks = aiter(process.chunks())
        try:
            while True:
                async with asyncio.timeout_at(self._when):
                    chunk = await anext(chunks)
                yield chunk
                if self._when is not None and asyncio.get_running_loop().time() >= self._when:
                    raise TimeoutError  # what is there already is read without waiting, and so without the time-out
        except StopAsyncIteration:
            return
        except TimeoutError:
            self.cut = True

    async def end_of(self, process: Process) -> int:
        """Its exit status; 0 where its time was over before. May raise TransportError."""
        if self.cut:
            return 0
        try:
            async with asyncio.timeout_at(self._when):
                return await process.wait()
        except TimeoutError:
            self.cut = True
            return 0


def _nobody(_percent: float, _hosts: int) -> None:
    """Takes progress that nobody asked for."""


async def _items(reader: NmapXmlReader, chunks: AsyncIterator[bytes], copy: Sink | None) -> AsyncIterator[Item]:
    async for chunk in chunks:
        if copy is not None:
            copy.write(chunk)
        for item in reader.feed(chunk):
            yield item
    for item in reader.end():
        yield item


def without_silence(record: HostRecord, why: str) -> HostRecord:
    """The record less the ports that stayed silent, whose silence cannot be trusted."""
    silent = [one for one in record.seen if one.sight.reason == SILENCE]
    return replace(
        record,
        seen=tuple(one for one in record.seen if one not in silent),
        unread=(*record.unread, *(Unread(one.protocol, one.ports, why) for one in silent)),
    )


def silent_if_absent(run: Run, job: Job) -> Run:
    """The run, with all ports of absent neighbours silent where nmap does not find them either.

    Neither nmap nor the kernel, in its own time, has had an answer to ARP: nothing can be sent to such an address from
    there, by whomever, so every port has been asked as far as it can be.
    """
    if not job.absent:
        return run
    state = PortState.FILTERED if job.protocol is Protocol.TCP else PortState.OPEN_FILTERED
    return replace(
        run,
        records=tuple(
            replace(record, seen=(Seen(job.protocol, job.ports, Sight(state, SILENCE, ttl=0)),), why_not=None)
            if record.down
            else record
            for record in run.records
        ),
    )


def _problem(reader: NmapXmlReader, returncode: int, noted: str) -> str | None:
    """Why the run is not whole: the first of what tells most."""
    said = f": {noted}" if noted else ""
    if reader.finish is not None and reader.finish.exit == "error":
        return f"nmap stopped with an error: {reader.finish.error or noted or 'it gave no reason'}"
    if returncode < 0:
        return f"nmap was killed by signal {-returncode} before it had finished"
    if returncode:
        return f"nmap ended with exit status {returncode}{said}"
    if reader.problem is not None:
        return f"{reader.problem}{said}"
    if reader.finish is None or reader.finish.exit != "success":
        return f"nmap's document has no proper end{said}"
    return None


def reconcile(board: Board, run: Run, addresses: Sequence[Address], protocol: Protocol, ports: PortSet) -> None:
    """Set what was asked against what came back: every port without a state is a failure, with the nearest reason."""
    by_address: dict[Address, list[HostRecord]] = {}
    for record in run.records:
        by_address.setdefault(record.address, []).append(record)
    for address in addresses:
        records = by_address.get(address, [])
        missing = ports - covered(records, protocol)
        for unread in (one for record in records for one in record.unread if one.protocol is protocol):
            board.fail(address, protocol, unread.ports & missing, unread.reason)
            missing -= unread.ports
        board.fail(address, protocol, missing, _why_missing(run, address, records))


def _why_missing(run: Run, address: Address, records: Sequence[HostRecord]) -> str:
    if reason := next((record.why_not for record in records if record.why_not), None):
        return reason
    if address in run.unasked:
        return run.unasked[address]
    said = f": {run.noted}" if run.noted else ""
    if str(address) in run.skipped:
        return f"nmap skipped this address, it has no usable way to it{said}"
    if run.problem is not None:
        return run.problem
    return f"nmap did not report on it{said}"


def _last_line(text: str) -> str:
    line = text.strip().rpartition("\n")[2]
    return bounded("".join(c for c in line if c.isprintable()), 300)
