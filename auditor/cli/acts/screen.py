"""What a person sees: log lines and the progress bar on stderr, data on stdout."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

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


class Log:
    """Takes the stages' events. A progress bar where stderr is a terminal, plain lines otherwise."""

    def __init__(self, style: Style) -> None:
        self._levels = _LEVELS[: style.verbosity + 2]
        self._console = console(style, stderr=True)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        if sys.stderr.isatty() and style.verbosity >= 0:
            columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._progress = Progress(*columns, *times, console=self._console, transient=True)

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
        if event.done is not None and event.total is not None:
            self._advance(event, event.done, event.total)
        elif event.level in self._levels:
            where = f"{event.viewpoint}: " if event.viewpoint else ""
            line = clean(f"auditor: {where}{event.message}")
            if self._progress:
                self._console.print(line, markup=False, highlight=False)
            else:
                click.echo(line, err=True)

    def warn(self, message: str) -> None:
        """Show what whoever runs the command should know."""
        self.emit(Event("audit", message, level="warning"))

    def _advance(self, event: Event, done: float, total: float) -> None:
        if self._progress is None:
            return
        if event.task not in self._tasks:
            self._tasks[event.task] = self._progress.add_task(clean(event.task), total=total)
        self._progress.update(self._tasks[event.task], completed=done, total=total)
