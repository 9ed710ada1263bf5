"""Files whole or not at all, readable by their owner only."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import IO
from uuid import uuid4

from auditor.errors import RunError

_SPECIAL = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))  # where even a file is somebody's open stream
_LOOK = 0.05  # seconds between looks at whether a lock is free


def write_whole(path: Path, text: str) -> None:
    """Write a text file, mode 0600. Raises RunError, leaving what was there before as it was."""
    with as_run_error(f"cannot write {path}"), whole_file(path) as file:
        file.write(text.encode("utf-8"))


def write_anywhere(path: Path, text: str) -> None:
    """Write where a user says: a file whole or not at all, through links; a device or a pipe as it is.

    Raises RunError.
    """
    if (path.is_file() and path.parent not in _SPECIAL) or not path.exists():
        write_whole(path.resolve() if path.is_symlink() else path, text)
        return
    with as_run_error(f"cannot write {path}"):
        path.write_bytes(text.encode("utf-8"))


def write_new(path: Path, text: str) -> None:
    """Write a text file, mode 0600, that must not be there yet. Raises RunError, leaving what is there as it is."""
    with (
        as_run_error(f"cannot write {path}"),
        TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:64]}.") as part,
    ):
        whole = Path(part, "whole")
        write_whole(whole, text)
        try:
            path.hardlink_to(whole)  # fails where the name is taken, in one step
        except FileExistsError:
            message = f"{path} is there already, and is never overwritten; choose another name, or move it away"
            raise RunError(message) from None


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that replaces `path` once it is written to the disk, and never otherwise."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def locked(file: int, patience: float) -> bool | None:
    """Whether the file is ours now (flock(2)), after so many seconds at most; None where the system knows no locks.

    It is until the file is closed, by whatever end of the process.
    """
    until = monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if monotonic() >= until:
                return False
            sleep(_LOOK)
        except OSError:
            return None
        else:
            return True


@contextmanager
def in_turn(folder: Path, patience: float = 3.0) -> Iterator[bool]:
    """Processes that do so change what is in the folder one after the other.

    False where there is no such turn: whoever else has locked the folder may keep it for as long as an audit lasts, and
    a folder that may only be written to cannot be locked.
    """
    try:
        file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield False
        return
    try:
        yield bool(locked(file, patience))
    finally:
        os.close(file)


def to_disk(folder: Path) -> None:
    """Have the names in a folder survive whatever ends the machine. Raises OSError."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def as_run_error(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{doing}: {error.strerror or error}") from error
