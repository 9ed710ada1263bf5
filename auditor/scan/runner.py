"""Runs the nmap commands of one viewpoint's scan, and keeps the record of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from itertools import count

from auditor.model.context import Context, Event
from auditor.model.inventory import Viewpoint
from auditor.scan.run import EvidenceStore, Run, run_nmap
from auditor.transport import Transport


class Runner:
    """The one way in which a scan starts nmap. What goes wrong with a run is in the run, and in `errors`."""

    def __init__(
        self, viewpoint: Viewpoint, transport: Transport, context: Context, evidence: EvidenceStore | None
    ) -> None:
        self._viewpoint = viewpoint
        self._transport = transport
        self._context = context
        self._evidence = evidence
        self._numbers = count(1)
        self._commands: list[str] = []
        self._errors: list[str] = []
        self._notes: dict[str, None] = {}

    async def run(self, name: str, argv: Sequence[str], progress: Callable[[float, int], None] | None = None) -> Run:
        """Run nmap at the viewpoint. `progress` is as in `run_nmap`. Raises only what the evidence store does."""
        name = f"{self._viewpoint.name}-{name}-{next(self._numbers):03}"
        sink = None if self._evidence is None else self._evidence.open(f"{name}.xml")
        self.tell(f"{name}: {shlex.join(argv)}", "debug")
        run = await run_nmap(self._transport, self._viewpoint.via, argv, sink, progress)
        self.tell(f"{name}: ended after {run.span[1] - run.span[0]:.1f} s", "debug")
        self._commands.append(run.command)
        if run.problem is not None:
            self._errors.append(f"{name}: {run.problem}")
            self.tell(f"{name}: {run.problem}", "warning")
        return run

    def note(self, message: str) -> None:
        """Something about the network that whoever reads the report should know; no error, each once."""
        if message not in self._notes:
            self._notes[message] = None
            self.tell(message, "warning")

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
