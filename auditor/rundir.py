"""Run folders: files whole or not at all, readable by their owner only; `latest` moves last."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO
from uuid import uuid4

from auditor.errors import RunError

_SPECIAL = frozenset(map(Path, ("/dev", "/dev/fd", "/proc/self/fd")))  # where even a file is somebody's open stream


class RunDir:
    """The folder of one run, `<20260101T020000Z>-<inventory name>-<id8>`, below the reports folder."""

    def __init__(self, reports: Path, inventory: str, audit_id: str, started: datetime) -> None:
        """Create the folder. Raises RunError where that cannot be done."""
        self._reports = reports
        self.path = reports / f"{started:%Y%m%dT%H%M%SZ}-{inventory}-{audit_id[:8]}"
        latest = reports / "latest"
        if latest.exists() and not latest.is_symlink():
            raise RunError(f"{latest} is no link, and would be replaced by one; move it away, or choose another folder")
        with _as_run_error(f"cannot create the folder {reports}"):
            reports.mkdir(parents=True, exist_ok=True)
        with _as_run_error(f"cannot create {self.path}"):
            self.path.mkdir(mode=0o700)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the run. Raises RunError, leaving no part of it behind."""
        path = self.path / name
        write_whole(path, text)
        return path

    @contextmanager
    def open(self, name: str) -> Iterator[gzip.GzipFile]:
        """A compressed evidence file, `evidence/<name>.gz`, that appears when its writer is done. Raises RunError."""
        path = self.path / "evidence" / f"{name}.gz"
        with _as_run_error(f"cannot write {path}"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with _whole(path) as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
                yield packed

    @contextmanager
    def discarded_on_error(self) -> Iterator[None]:
        """Remove the folder where nothing of the run is worth keeping: no evidence was written before the error."""
        try:
            yield
        except BaseException:
            with suppress(OSError):  # not empty: what was seen so far stays
                self.path.rmdir()
            raise

    def publish(self) -> None:
        """Point `latest` to this run. Call it last."""
        latest = self._reports / "latest"
        link = self._reports / f".latest-{uuid4().hex}"
        with _as_run_error(f"cannot move {latest}"):
            link.symlink_to(self.path.name, target_is_directory=True)
            try:
                link.replace(latest)
            except OSError:
                link.unlink()
                raise


def write_whole(path: Path, text: str) -> None:
    """Write a text file, mode 0600. Raises RunError, leaving what was there before as it was."""
    with _as_run_error(f"cannot write {path}"), _whole(path) as file:
        file.write(text.encode("utf-8"))


def write_anywhere(path: Path, text: str) -> None:
    """Write where a user says: a file whole or not at all, through links; a device or a pipe as it is.

    Raises RunError.
    """
    if (path.is_file() and path.parent not in _SPECIAL) or not path.exists():
        write_whole(path.resolve() if path.is_symlink() else path, text)
        return
    with _as_run_error(f"cannot write {path}"):
        path.write_bytes(text.encode("utf-8"))


def write_new(path: Path, text: str) -> None:
    """Write a text file, mode 0600, that must not be there yet. Raises RunError, leaving what is there as it is."""
    with (
        _as_run_error(f"cannot write {path}"),
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
def _whole(path: Path) -> Iterator[IO[bytes]]:
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


@contextmanager
def _as_run_error(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"{doing}: {error.strerror or error}") from error
