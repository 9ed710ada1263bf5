"""Runs the nmap commands of one viewpoint's scan, and keeps the record of them."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import count

from auditor.model.context import Context, Event
from auditor.model.expectation import HostLimits
from auditor.model.inventory import Via, Viewpoint
from auditor.model.words import Address
from auditor.rundir.journal import Shard
from auditor.scan.nmap import command
from auditor.scan.plan import patience
from auditor.scan.plan.pace import Pace, Turn
from auditor.scan.runs.earlier import Earlier
from auditor.scan.runs.kernel import Kernel
from auditor.scan.runs.run import End, EvidenceStore, Run, run_nmap
from auditor.scan.together import Room, together
from auditor.transport.base import Transport

Gate = Callable[[int], AbstractAsyncContextManager[None]]  # a place for a run about so many addresses


class Runner:
    """The one way in which a scan starts nmap, and so the one that keeps to limits.

    What goes wrong with a run is in the run, and in `errors`. After `until` no run starts and none goes on.
    """

    def __init__(
        self,
        viewpoint: Viewpoint,
        transport: Transport,
        context: Context,
        evidence: EvidenceStore | None,
        *,
        limits: Mapping[Address, HostLimits],
        until: datetime | None,
        kernel: Kernel | None = None,
    ) -> None:
        """`kernel` is told of every run that ends, of those that earlier attempts made none."""
        self._kernel = kernel or Kernel(transport, viewpoint.via)  # one that nobody looks at
        self._viewpoint = viewpoint
        self._transport = transport
        self._context = context
        self._evidence = evidence
        self._pace = Pace(viewpoint, limits, context, until)
        self._earlier = _earlier(viewpoint, evidence, lambda message: self.tell(message, "warning"))
        self._numbers = count(self._earlier.last_number + 1)
        self._commands: list[str] = []
        self._repeated: set[str] = set()  # commands of earlier attempts that are in `_commands`
        self._errors: list[str] = []
        self._notes: dict[str, None] = {}
        self._whole = True  # nothing was cut short
        self._beats: set[tuple[str, ...]] = set()
        self._phases: set[str] = set()

    async def run(
        self,
        name: str,
        argv: Sequence[str],
        progress: Callable[[float, int], None] | None = None,
        *,
        gate: Gate | None = None,
        last: bool = False,
    ) -> Run:
        """Run nmap at the viewpoint, in several runs where limits of hosts ask for it.

        `progress` is as in `run_nmap`. `gate` is what each run has to pass once it has its hosts. `last` is the look at
        whether paths still stand, for which some time is kept. Raises only what the evidence store does.
        """
        parts = self._pace.parts(argv)
        if len(parts) == 1:
            return await self._part(name, parts[0], progress, gate, last=last)
        room = Room(max(1, int(command.rate(argv))))

        async def one(part: tuple[str, ...]) -> Run:
            async with room.take(max(1, int(command.rate(part)))):
                return await self._part(name, part, None, gate or self._pace.process, last=last)

        return _united(argv, await together(*map(one, parts)))

    async def _part(
        self,
        name: str,
        argv: tuple[str, ...],
        progress: Callable[[float, int], None] | None,
        gate: Gate | None,
        *,
        last: bool,
    ) -> Run:
        """What an earlier attempt at the audit has finished of a run is taken from there; the rest is run."""
        known, commands, left = self._earlier.take(name, argv)
        self._commands += (one for one in commands if one not in self._repeated)
        self._repeated.update(commands)
        if left is None:
            return Run(argv, tuple(known), (), (0.0, 0.0), earlier=True)
        if known and progress is not None:
            progress = partial(_beside, progress, len(known))
        _, addresses = command.split(left)
        async with self._pace.hosts(left), (gate or _open)(len(addresses)):
            turn = self._pace.turn(left, last=last)
            if turn.refused is not None:
                self._cut(turn.refused, of_host=turn.of_host)
                return Run(left, tuple(known), (), (0.0, 0.0), unasked=dict.fromkeys(addresses, turn.refused))
            run = await self._start(name, left, progress, turn)
        return replace(run, records=(*known, *run.records), earlier=bool(known))

    async def _start(
        self, purpose: str, argv: Sequence[str], progress: Callable[[float, int], None] | None, turn: Turn
    ) -> Run:
        number = next(self._numbers)
        name = f"{self._viewpoint.name}-{purpose}-{number:03}"
        started = self._context.now()
        sink = None if self._evidence is None else self._evidence.open(f"{name}.xml")
        self.tell(f"{name}: {shlex.join(argv)}", "debug")
        end = _end(turn, argv, self._viewpoint.via)
        run = await run_nmap(self._transport, self._viewpoint.via, argv, sink, progress, end=end)
        self._kernel.tell(run)
        seconds = run.span[1] - run.span[0]
        self.tell(f"{name}: ended after {seconds:.1f} s", "debug")
        if self._evidence is not None:
            about = self._viewpoint.name, purpose, number, run.argv
            self._evidence.keep(Shard(*about, started.isoformat(), round(seconds, 3), run.problem, run.unsent))
        self._commands.append(run.command)
        if run.problem is not None and run.problem == turn.reason:
            self._cut(turn.reason, of_host=turn.of_host)
        elif run.problem is not None:
            self._errors.append(f"{name}: {run.problem}")
            self.tell(f"{name}: {run.problem}", "warning")
        return run

    def _cut(self, reason: str, *, of_host: bool) -> None:
        """Time was over: of the viewpoint, and the scan is not whole; or of one host. Told once."""
        self._whole = False
        if of_host:
            self.note(f"some addresses were not asked to the end: {reason}")
        elif reason not in self._errors:
            self._errors.append(reason)
            self.tell(reason, "warning")

    def end(self) -> None:
        """The scan has come to its end. Where all went well, nothing of it need ever be asked again."""
        self.tell("done")
        if self._evidence is not None and self._whole and not self._errors:
            self._evidence.end(self._viewpoint.name)

    async def beat(self, argv: Sequence[str], known: int, tries: int = 1) -> Run:
        """Ask whether something still answers, now: no evidence of the audit, so no part of what can be resumed.

        `known` is how many of the endpoints were open before; each is asked `tries` times at most.

        Where the scan had come to its end in an earlier attempt, the present changes nothing about it.
        """
        if self._earlier.done:
            return Run(tuple(argv), (), (), (0.0, 0.0), problem="the scan had come to its end before")
        runs = []
        for part in self._pace.parts(argv):
            turn = self._pace.turn(part, last=False)
            if turn.refused is not None:
                return Run(tuple(argv), (), (), (0.0, 0.0), problem=turn.refused)
            if part not in self._beats:
                self._beats.add(part)
                self.tell(f"asking what has answered whether it still does: {shlex.join(part)}", "debug")
            end = _end(turn, part, self._viewpoint.via)
            async with self._kernel.asking(min(known, command.endpoints(part)), tries) as told:
                runs.append(await run_nmap(self._transport, self._viewpoint.via, part, end=end))
                told.append(runs[-1])
        return runs[0] if len(runs) == 1 else _united(argv, runs)

    def doubt(self, addresses: Collection[Address]) -> None:
        """Addresses, or the path to them, were lost. Whoever goes on with the audit asks them again."""
        if addresses and not self._earlier.done:
            self._whole = False
            self.repeat(addresses)

    def repeat(self, addresses: Collection[Address]) -> None:
        """Addresses are asked again by this scan; cut short, it has to be done anew by whoever goes on with it.

        What the doubt rests on is in no evidence of the audit: beats.
        """
        if addresses and not self._earlier.done and self._evidence is not None:
            self._evidence.doubt(self._viewpoint.name, addresses)

    @property
    def may_send(self) -> bool:
        """Whether the viewpoint's time has begun, and is not over."""
        return self._pace.turn(("nmap",), last=False).refused is None

    @property
    def over(self) -> bool:
        """Whether an earlier attempt had come to its end, so that nothing is left to be sent but pings."""
        return self._earlier.done

    def limited(self, address: Address) -> bool:
        """Whether the address has limits of its own, so that nothing can be asked of it beside another run."""
        return self._pace.limited(address)

    def note(self, message: str) -> None:
        """Something about the network that whoever reads the report should know; no error, each once."""
        if message not in self._notes:
            self._notes[message] = None
            self.tell(message, "warning")

    def begin(self, phase: str) -> None:
        """Say what is being done from now on; each phase once, however often there is more of it."""
        if phase not in self._phases:
            self._phases.add(phase)
            self.tell(phase)

    def tell(self, message: str, level: str = "info") -> None:
        self._context.emit(Event("scan", message, self._viewpoint.name, level=level))

    @property
    def commands(self) -> tuple[str, ...]:
        return tuple(self._commands)

    @property
    def errors(self) -> tuple[str, ...]:
        return tuple(self._errors)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self._notes)


def _end(turn: Turn, argv: Sequence[str], via: Via) -> End:
    """The time that limits give to a run, or that no run needs."""
    longest = patience.longest(argv, via)
    if turn.seconds is not None and turn.seconds <= longest:
        return End(turn.seconds, turn.reason)
    return End(longest, patience.why(longest))


@asynccontextmanager
async def _open(_targets: int) -> AsyncIterator[None]:
    """The gate that lets everybody through."""
    yield


def _united(argv: Sequence[str], runs: Sequence[Run]) -> Run:
    """Several runs as the one that they are parts of; what went wrong with one is said of its own addresses."""
    unasked: dict[Address, str] = {}
    for run in runs:
        if run.problem is not None:
            unasked |= dict.fromkeys(command.split(run.argv)[1], run.problem)
        unasked |= run.unasked
    return Run(
        argv=tuple(argv),
        records=tuple(record for run in runs for record in run.records),
        skipped=tuple(one for run in runs for one in run.skipped),
        span=(min(run.span[0] for run in runs), max(run.span[1] for run in runs)),
        problem=next((run.problem for run in runs if run.problem is not None), None),
        noted=next((run.noted for run in runs if run.noted), ""),
        unsent=next((run.unsent for run in runs if run.unsent is not None), None),
        unasked=unasked,
        heard=tuple(one for run in runs for one in run.heard),
        earlier=any(run.earlier for run in runs),
    )


def _earlier(viewpoint: Viewpoint, evidence: EvidenceStore | None, warn: Callable[[str], None]) -> Earlier:
    if evidence is None:
        return Earlier((), lambda _: iter(()), warn, done=False)
    shards = [shard for shard in evidence.shards if shard.viewpoint == viewpoint.name]
    # What was doubted on the way, and asked again, is not told from the shards alone.
    done = viewpoint.name in evidence.done and not any(shard.doubted for shard in shards)
    return Earlier(shards, evidence.unpack, warn, done=done)


def _beside(progress: Callable[[float, int], None], known: int, percent: float, hosts: int) -> None:
    """Tell progress of a run of which some hosts were known before."""
    progress(percent, known + hosts)
