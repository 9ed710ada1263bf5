"""What other audits have in a reports folder: those in work, and what was left by those that never began."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from auditor.rundir.files import locked

REQUEST, JOURNAL, LOCK, EVIDENCE, REPORT = "run.json", "journal.jsonl", ".lock", "evidence", "report.json"
LATEST = ".latest-"  # how a link begins that is about to become `latest`
NAME = re.compile(r"(?P<began>[0-9]{8}T[0-9]{6}Z)-(?P<inventory>.+)-[0-9a-f]{8}")  # of a run's folder
_PART = re.compile(r"\..+\.[0-9a-f]{32}\.part")
_MOST = 64 * 1024 * 1024  # bytes of a request that is read


def in_work(reports: Path) -> Iterator[tuple[str, Any]]:
    """The inventory's name, and what was asked for, of each audit that another process is at. What is damaged is none.

    Raises OSError where the reports cannot be read.
    """
    for folder in _folders(reports):
        if _held(folder / LOCK):
            with suppress(OSError, ValueError, RecursionError):
                yield _inventory(folder), _request(folder)


def clean_up(reports: Path) -> None:
    """Remove what a process that was killed left: folders of ours with neither a whole request nor anything seen.

    Such an audit had not sent a packet. Left alone is what somebody works on, and what has any other file in it. Call
    it while no other process creates a folder there.
    """
    with suppress(OSError):
        for folder in _folders(reports):
            with suppress(OSError):
                _remove_leftover(folder)
        for link in reports.glob(f"{LATEST}*"):
            if link.is_symlink():
                link.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a run's folder; not what is somebody else's in it. It has to be of no worth."""
    evidence = folder / EVIDENCE
    parts = [path for place in (folder, evidence) for path in place.glob(".*") if _PART.fullmatch(path.name)]
    for path in (*(folder / name for name in (REQUEST, JOURNAL, LOCK)), *parts):
        with suppress(OSError):
            path.unlink()
    for place in (evidence, folder):
        with suppress(OSError):  # not empty
            place.rmdir()


def worth_keeping(folder: Path) -> bool:
    """Whether something was seen, or told."""
    return (folder / REPORT).exists() or any(folder.glob(f"{EVIDENCE}/*.gz"))


def _folders(reports: Path) -> Iterator[Path]:
    for path in sorted(reports.iterdir()):
        if NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def _inventory(folder: Path) -> str:
    found = NAME.fullmatch(folder.name)
    return found["inventory"] if found else ""


def _remove_leftover(folder: Path) -> None:
    if worth_keeping(folder) or _whole(folder):
        return
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if locked(held, 0) and not _held(folder / LOCK) and not any(map(_strange, folder.rglob("*"))):
            remove(folder)
    finally:
        os.close(held)


def _strange(path: Path) -> bool:
    """Whether a file is none of those that an audit has before it has seen anything."""
    return path.name not in (REQUEST, JOURNAL, LOCK, EVIDENCE) and not _PART.fullmatch(path.name)


def _whole(folder: Path) -> bool:
    """Whether the audit can go on from there. What cannot be read now may be whole."""
    try:
        _request(folder)
    except (ValueError, RecursionError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def _request(folder: Path) -> Any:
    with (folder / REQUEST).open("rb") as file:
        return json.loads(file.read(_MOST))


def _held(path: Path) -> bool:
    """Whether another process holds a lock file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return locked(file, 0) is False
    finally:
        os.close(file)
