"""What a person sees: log lines and the progress bar on stderr, data on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import ceil
from time import monotonic
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from auditor.cli.style import Style, clean
from auditor.model.context import Event
from auditor.report.facts import is_gate
from auditor.report.gate_text import gate_text
from auditor.report.summary import WIDTH, text, verdict_line

_MOST_CHANGES = 200  # that a person would read; the document has all
_MOST_FINDINGS = 200  # the same of an audit, whose worst come first
_LONG = 25  # lines after which nobody sees the first one any more
_LEVELS = ("warning", "info", "debug")


class _Console(Console):
    """rich's console, leaving the exit code to `main`: rich itself exits 1 on a closed pipe, which reads as drift."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def console(style: Style, *, stderr: bool = False, columns: int = 120) -> Console:
    """A console as wide as its terminal, or of so many columns where there is none."""
    forced, stream = style.forced_color, sys.stderr if stderr else sys.stdout
    width, height = (None, None) if stream.isatty() else (columns, 25)  # rich believes a width only with a height
    return _Console(
        stderr=stderr,
        no_color=forced is False,
        force_terminal=True if forced else None,
        width=width,
        height=height,
    )


def summary(document: dict[str, Any], style: Style, *, brief: bool = False, ends: bool = False) -> str:
    """The terminal summary of a report or a gate, with the codes for colour in it where colour is wanted.

    Of a report, `brief` only counts what is no part of the verdict, and where `ends` a long one ends with the verdict.
    """
    forced, screen = style.forced_color, console(style, columns=WIDTH)
    color = screen.color_system is not None if forced is None else forced  # a dumb terminal has none
    if is_gate(document):
        return gate_text(document, color=color, width=screen.width, limit=_MOST_CHANGES)
    shown = text(document, color=color, width=screen.width, limit=_MOST_FINDINGS, brief=brief)
    if ends and shown.count("\n") > _LONG:
        shown += f"\n{verdict_line(document, color=color, width=screen.width)}"
    return shown


class _Times(ProgressColumn):
    """For how long it has gone on; and the time left as the last event had it, less what has passed since."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._began = clock()

    def render(self, task: Task) -> Text:
        """The column of one line; no time is left where all is done."""
        now = self._clock()
        ends = None if task.finished else task.fields["ends"]
        left = "" if ends is None else f" left {_spelled(max(0.0, ends - now))}"
        return Text(f"{_spelled(now - self._began)}{left}", style="progress.elapsed")


def _spelled(seconds: float) -> str:
    return str(timedelta(seconds=ceil(seconds)))


class Log:
    """Takes the stages' events. Progress where stderr is a terminal, plain lines otherwise.

    Progress is one line for each viewpoint, and below several one for all of them.
    """

    def __init__(self, style: Style, clock: Callable[[], float] = monotonic) -> None:
        self._levels = _LEVELS[: style.verbosity + 2]
        self._timed = style.verbosity > 0
        self._clock = clock
        self._console = console(style, stderr=True)
        self._progress: Progress | None = None
        self._events: dict[str, tuple[float, Event]] = {}  # the last of each line, and when
        self._lines: dict[str, TaskID] = {}
        if sys.stderr.isatty() and style.verbosity >= 0:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
            self._progress = Progress(*columns, _Times(clock), console=self._console, get_time=clock, transient=True)

    def __enter__(self) -> Log:
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def emit(self, event: Event) -> None:
        """Show one event. Text in it may be hostile."""
        if event.task:
            self._advance(event)
        elif event.level in self._levels:
            at = f"{datetime.now(UTC):%H:%M:%S} " if self._timed else ""
            where = f"{event.viewpoint}: " if event.viewpoint else ""
            line = clean(f"{at}auditor: {where}{event.message}")
            if self._progress:
                self._console.print(line, markup=False, highlight=False)
            else:
                click.echo(line, err=True)

    def warn(self, message: str) -> None:
        """Show what whoever runs the command should know."""
        self.emit(Event("audit", message, level="warning"))

    def _advance(self, event: Event) -> None:
        if self._progress is None:
            return
        self._events[event.task] = self._clock(), event
        self._show(self._progress, event.task, f"{event.task}: {event.message}", *self._events[event.task])
        if len(self._events) > 1:  # they go side by side, and all take as long as the longest
            at, last = max(self._events.values(), key=lambda one: one[0] + (one[1].left or 0.0))
            self._show(self._progress, "", "all", at, last)

    def _show(self, progress: Progress, line: str, name: str, at: float, event: Event) -> None:
        ends = None if event.left is None else at + event.left
        name, done = clean(name), event.done or 0.0
        if line not in self._lines and "" in self._lines:
            progress.remove_task(self._lines.pop(""))  # it comes last, again
        if line not in self._lines:
            self._lines[line] = progress.add_task(name, total=event.total, ends=ends)
        progress.update(self._lines[line], description=name, completed=done, total=event.total, ends=ends)
