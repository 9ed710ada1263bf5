"""The formats that `--format` asks for: which, where to, and writing them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from auditor.cli.acts.rooted import from_root
from auditor.cli.meant import meant
from auditor.cli.style import say
from auditor.errors import UsageError
from auditor.report.facts import is_gate
from auditor.report.formats import FORMATS, GATE_FORMATS
from auditor.report.sarif import sarif_lacks
from auditor.rundir.files import write_anywhere


def parse_formats(wanted: Sequence[str], known: Collection[str] = FORMATS.keys()) -> dict[str, Path | None]:
    """`F[=PATH]`, each format at most once and at most one to stdout. Raises UsageError."""
    parsed: dict[str, Path | None] = {}
    for item in wanted:
        name, equals, path = item.partition("=")
        if name not in known:
            raise UsageError(f"--format {item}: {_no_format(item, name, known)}")
        if name in parsed:
            raise UsageError(f"--format {item}: {name} is asked for twice")
        if equals and not path:
            raise UsageError(f"--format {item}: the path after = is empty")
        target = Path(path) if equals and path != "-" else None
        _check_path(item, target, parsed.values())
        parsed[name] = target
    if sum(path is None for path in parsed.values()) > 1:
        raise UsageError("only one --format can go to stdout; give the others a path, as in html=report.html")
    return parsed


def _no_format(item: str, name: str, known: Collection[str]) -> str:
    head, colon, path = item.partition(":")
    if colon and path and head in known:
        return f"write {head}={path}"
    return f"no format is named {name}; {meant(name, known)}"


def _check_path(item: str, path: Path | None, taken: Iterable[Path | None]) -> None:
    """What cannot be written is better known before an audit than after it."""
    if path is None:
        return
    if path in taken:
        raise UsageError(f"--format {item}: another format goes to {path} too")
    if path.is_dir():
        raise UsageError(f"--format {item}: {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"--format {item}: there is no folder {path.parent}; create it first")


_AS_GIVEN = frozenset({"json", "html", "text"})


def write_formats(document: dict[str, Any], wanted: dict[str, Path | None]) -> None:
    """Write every format that was asked for. Raises RunError.

    Formats for CI name files from the repository's root; the report keeps the names that were given.
    """
    formats = GATE_FORMATS if is_gate(document) else FORMATS
    rooted = document if _AS_GIVEN.issuperset(wanted) else from_root(document)
    for name, path in wanted.items():
        text = formats[name](document if name in _AS_GIVEN else rooted)
        if path is None:
            to_stdout(text if text.endswith("\n") else f"{text}\n")
        else:
            write_anywhere(path, text)
    if "sarif" in wanted and (lacks := sarif_lacks(document)):
        say(f"sarif: {lacks}")


def to_stdout(text: str) -> None:
    """In UTF-8 whatever the locale, as in a file: a page and a document say so of themselves."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()
