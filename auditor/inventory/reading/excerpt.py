"""The line of a file that a problem is about, with a caret under the place."""

from __future__ import annotations

import stat
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from auditor.errors import Problem
from auditor.inventory.reading.files import MAX_BYTES, decoded

_MOST = 84  # characters of a long line that are shown around the place
_CUT = "…"


def told(problems: Iterable[Problem]) -> Iterator[str]:
    """Each problem in its own line, and below it the line of its file, where that can still be read.

    Problems of one file follow one another, as they are sorted, so that each is read once.
    """
    for file, here in groupby(problems, lambda problem: problem.file):
        lines: list[str] | None = None
        for problem in here:
            yield str(problem)
            if problem.line:
                lines = _lines(file) if lines is None else lines
                yield from _excerpt(lines, problem)


def _lines(file: str) -> list[str]:
    """No lines where it is gone, or was no regular file: a pipe has nothing more to say, and would be waited for."""
    try:
        path = Path(file)
        found = path.stat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BYTES:
            return []
        return decoded(path.read_bytes(), file, "replace").split("\n")
    except (OSError, ValueError):
        return []


def _excerpt(lines: list[str], problem: Problem) -> Iterator[str]:
    """The line and the caret below it; nothing where the file has changed since, so that there is no such place."""
    if problem.line > len(lines):
        return
    line = lines[problem.line - 1].removesuffix("\r")
    at = problem.column - 1
    if not line.strip() or at > len(line):
        return
    first = max(0, min(at - _MOST // 2, len(line) - _MOST))
    last = first + _MOST
    start, end = "".join(map(_seen, line[first:at])), "".join(map(_seen, line[at:last]))
    if first or len(start) > _MOST:
        start = f"{_CUT}{start[-_MOST:]}"
    if last < len(line) or len(end) > _MOST:
        end = f"{end[:_MOST]}{_CUT}"
    number = str(problem.line)
    yield f"{number:>5} | {start}{end}".rstrip()
    yield f"{'':>{max(5, len(number))}} | {'':>{sum(map(_width, start))}}^"


def _seen(char: str) -> str:
    """A character that would act instead of being seen as an escape, as messages have it."""
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _width(char: str) -> int:
    """How many columns of a terminal it takes (https://www.unicode.org/reports/tr11/)."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
