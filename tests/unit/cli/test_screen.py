"""What a person sees while an audit goes on."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from dataclasses import dataclass

import pytest

from auditor.cli.acts.screen import Log
from auditor.cli.style import Style
from auditor.model.context import Event

STYLE = Style(0, "never")
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    """A stderr that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def progress(viewpoint: str, phase: str, done: float, total: float, left: float) -> Event:
    return Event("scan", phase, viewpoint, viewpoint, done, total, left)


def drawn(terminal: Terminal, count: int) -> list[str]:
    """So many lines as they were drawn last, without bars."""
    text = _CODES.sub("", terminal.getvalue()).replace("\r", "\n")
    lines = [" ".join(re.sub("[━╸╺]", " ", line).split()) for line in text.split("\n")]
    return [line for line in lines if line][-count:]


def test_one_line_with_the_phase_and_the_time_left() -> None:
    """As the event says it, whatever rich would make of it."""
    clock = Clock()
    with redirect_stderr(Terminal()) as terminal, Log(STYLE, clock) as log:
        log.emit(progress("public", "sweep", 10, 40, 75))

    assert ["public: sweep 25% 0:00:00 left 0:01:15"] == drawn(terminal, 1)


def test_the_time_left_goes_on_between_events() -> None:
    """And never below nothing."""
    clock = Clock()
    with redirect_stderr(Terminal()) as terminal, Log(STYLE, clock) as log:
        log.emit(progress("public", "sweep", 10, 40, 75))
        clock.now += 5
    assert ["public: sweep 25% 0:00:05 left 0:01:10"] == drawn(terminal, 1)

    with redirect_stderr(Terminal()) as terminal, Log(STYLE, clock) as other:
        other.emit(progress("vpn", "UDP", 10, 40, 3))
        clock.now += 5

    assert ["vpn: UDP 25% 0:00:05 left 0:00:00"] == drawn(terminal, 1)


def test_several_viewpoints_have_one_total() -> None:
    """They go side by side: all of them take as long as the longest."""
    clock = Clock()
    with redirect_stderr(Terminal()) as terminal, Log(STYLE, clock) as log:
        log.emit(progress("public", "sweep", 10, 40, 75))
        log.emit(progress("vpn", "UDP", 10, 20, 10))
        clock.now += 8
        log.emit(progress("vpn", "last look", 19, 20, 1))

    assert [
        "public: sweep 25% 0:00:08 left 0:01:07",
        "vpn: last look 95% 0:00:08 left 0:00:01",
        "all 25% 0:00:08 left 0:01:07",
    ] == drawn(terminal, 3)


def test_the_total_stays_below_and_what_is_done_has_no_time_left() -> None:
    """Whichever viewpoint begins last, or ends first."""
    clock = Clock()
    with redirect_stderr(Terminal()) as terminal, Log(STYLE, clock) as log:
        for name in ("a", "b", "c"):
            log.emit(progress(name, "sweep", 10, 40, 75))
            clock.now += 1
        log.emit(progress("b", "done", 40, 40, 0))

    assert [
        "a: sweep 25% 0:00:03 left 0:01:12",
        "b: done 100% 0:00:03",
        "c: sweep 25% 0:00:03 left 0:01:14",
        "all 25% 0:00:03 left 0:01:14",
    ] == drawn(terminal, 4)


def test_messages_stay_above_the_lines() -> None:
    """Control characters in them are not printed."""
    with redirect_stderr(Terminal()) as terminal, Log(STYLE, Clock()) as log:
        log.emit(progress("public", "sweep", 10, 40, 75))
        log.emit(Event("scan", "odd \x1b[31mtext", "public", level="warning"))

    assert "auditor: public: odd [31mtext" in _CODES.sub("", terminal.getvalue())
    assert "\x1b[31m" not in terminal.getvalue()


def test_no_terminal_no_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """A log file has messages only."""
    with Log(STYLE) as log:
        log.emit(progress("public", "sweep", 10, 40, 75))
        log.emit(Event("scan", "done", "public"))

    assert "auditor: public: done\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("verbosity", "line"), [(1, r"\d\d:\d\d:\d\d auditor: public: done\n"), (0, "auditor: public: done\n")]
)
def test_verbose_lines_have_the_time(verbosity: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever looks for where time goes needs to know when; a log of a night has journald's."""
    with Log(Style(verbosity, "never")) as log:
        log.emit(Event("scan", "done", "public"))

    assert re.fullmatch(line, capsys.readouterr().err)
