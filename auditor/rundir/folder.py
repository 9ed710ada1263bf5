"""The folder of one run: whole files, evidence, a lock; `latest` moves last."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from auditor.errors import EvidenceError, RunError
from auditor.rundir.files import as_run_error, in_turn, locked, to_disk, whole_file, write_whole
from auditor.rundir.journal import Done, Doubted, Finished, Journal, Shard
from auditor.rundir.leftovers import (
    EVIDENCE,
    JOURNAL,
    LATEST,
    LOCK,
    NAME,
    REPORT,
    REQUEST,
    clean_up,
    remove,
    worth_keeping,
)

_CHUNK = 256 * 1024
_PAGE = "report.html"
_PATIENCE = 0.3  # seconds: somebody who only looks whether the folder is held holds it for an instant


class RunDir:
    """The folder of one run, `<20260101T020000Z>-<inventory name>-<id8>`, below the reports folder."""

    def __init__(self, reports: Path, inventory: str, audit_id: str, started: datetime) -> None:
        """Create the folder. Raises RunError where that cannot be done."""
        self._begin(reports, reports / f"{started:%Y%m%dT%H%M%SZ}-{inventory}-{audit_id[:8]}")
        latest = reports / "latest"
        if latest.exists() and not latest.is_symlink():
            raise RunError(f"{latest} is no link, and would be replaced by one; move it away, or choose another folder")
        with as_run_error(f"cannot create the folder {reports}"):
            reports.mkdir(parents=True, exist_ok=True)
        with as_run_error(f"cannot create {self.path}"), in_turn(reports) as alone:
            if alone:
                clean_up(reports)
            self.path.mkdir(mode=0o700)
            folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            self._locks.append(folder)
            locked(folder, 0)  # nobody else's leftover

    def _begin(self, reports: Path, path: Path) -> None:
        self._reports = reports
        self.path = path
        self._locks: list[int] = []
        self._journal = Journal(path / JOURNAL)

    @classmethod
    def reopen(cls, path: Path) -> RunDir:
        """The folder of an audit that is there already, held. Its `shards` are those that have ended.

        Raises RunError where it is none, cannot be read, or is held by another process.
        """
        folder = path.resolve() if path.is_symlink() or not path.name else path
        with as_run_error(f"cannot read {folder}"):
            if not any(one.name == REQUEST for one in folder.iterdir()):
                raise RunError(f"{folder} is no folder of an audit: there is no {REQUEST} in it")
        self = cls.__new__(cls)
        self._begin(folder.parent, folder)
        with as_run_error(f"cannot read {folder}"):
            self._hold()
            self._journal.read()
            for part in (*folder.glob(".*.part"), *folder.glob(f"{EVIDENCE}/.*.part")):
                part.unlink()  # of a process that was killed outright: nobody else writes here
        return self

    def begin(self, request: Mapping[str, object]) -> None:
        """Hold the folder for this process, and note what was asked for. Raises RunError."""
        with as_run_error(f"cannot hold {self.path}"):
            self._hold()
        self.note(request)

    def note(self, request: Mapping[str, object]) -> None:
        """Note what was asked for, in place of what was noted of it before. Raises RunError."""
        self.write(REQUEST, json.dumps(request, ensure_ascii=False, indent=2) + "\n")

    def request(self) -> Any:
        """What was asked for, as JSON. Raises RunError where it cannot be read."""
        path = self.path / REQUEST
        with as_run_error(f"cannot read {path}"):
            text = path.read_bytes()
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: {error}") from error

    def resume(self, now: datetime) -> None:
        """Note that the audit goes on. Raises RunError."""
        with as_run_error(f"cannot write to {self.path}"):
            self._journal.add(now)

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The runs of nmap that had ended when the folder was opened again, in order."""
        return self._journal.shards

    @property
    def done(self) -> frozenset[str]:
        """The viewpoints whose scans have come to their end."""
        return self._journal.done

    @property
    def resumed(self) -> tuple[datetime, ...]:
        """The times at which the audit went on."""
        return self._journal.resumed

    @property
    def damaged(self) -> int:
        """How many lines of the journal cannot be read."""
        return self._journal.damaged

    @property
    def finished(self) -> bool:
        """Whether the last attempt at the audit has come to its end: nothing is left to be written."""
        return self._journal.finished

    @property
    def reported(self) -> Path | None:
        """The report, where there is one."""
        path = self.path / REPORT
        return path if path.exists() else None

    @property
    def resumable(self) -> bool:
        """Whether this is an audit's folder and something was seen, so that it is worth while to go on from here."""
        return (self.path / REQUEST).exists() and self._worth_keeping()

    def close(self) -> None:
        """Let another process have the folder."""
        self._journal.close()
        for lock in self._locks:
            os.close(lock)
        self._locks.clear()

    def write(self, name: str, text: str) -> Path:
        """Write a file of the run. Raises RunError, leaving no part of it behind."""
        path = self.path / name
        write_whole(path, text)
        return path

    @contextmanager
    def open(self, name: str) -> Iterator[gzip.GzipFile]:
        """A compressed evidence file, `evidence/<name>.gz`, that appears when its writer is done. Raises RunError."""
        path = self.path / EVIDENCE / f"{name}.gz"
        with as_run_error(f"cannot write {path}"):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with whole_file(path) as raw, gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed:
                yield packed

    def keep(self, shard: Shard) -> None:
        """Note a run of nmap whose evidence is written, once and for all. Where it left none there is nothing to note.

        Raises RunError.
        """
        path = self._evidence_of(shard)
        with as_run_error(f"cannot note {path}"):
            if path.exists():
                self._journal.add(replace(shard, sha256=_digest(path)))

    def end(self, viewpoint: str) -> None:
        """Note that a viewpoint's scan has come to its end, with nothing left to ask again. Raises RunError."""
        with as_run_error(f"cannot write to {self.path}"):
            self._journal.add(Done(viewpoint))

    def doubt(self, viewpoint: str, addresses: Iterable[object]) -> None:
        """Note that what was asked of these addresses until now is to be asked again. Raises RunError."""
        with as_run_error(f"cannot write to {self.path}"):
            self._journal.add(Doubted(viewpoint, frozenset(map(str, addresses))))

    def unpack(self, shard: Shard) -> Iterator[bytes]:
        """The XML of a shard, piece by piece. Raises EvidenceError, before the first piece, where it is not as kept."""
        path = self._evidence_of(shard)
        try:
            if not path.is_file() or _digest(path) != shard.sha256:
                raise EvidenceError(f"{path} is not as it was written")
            with gzip.open(path) as packed:
                while chunk := packed.read(_CHUNK):  # a little may unpack to a lot, so piece by piece
                    yield chunk
        except (OSError, EOFError, zlib.error) as error:
            raise EvidenceError(f"{path} cannot be read: {error}") from error

    @contextmanager
    def discarded_on_error(self) -> Iterator[None]:
        """Remove the folder where nothing of the run is worth keeping: no evidence was written before the error."""
        try:
            yield
        except BaseException:
            if not self._worth_keeping():
                remove(self.path)
            raise

    def publish(self, now: datetime | None = None) -> str | None:
        """Point `latest` to this run, unless a complete one that began later has it: the name of that is given then.

        One that began after `now` was told so by a wrong clock. Raises RunError.
        """
        latest = self._reports / "latest"
        with as_run_error(f"cannot move {latest}"), in_turn(self._reports):
            if newer := self._newer(latest, now):
                return newer
            link = self._reports / f"{LATEST}{uuid4().hex}"
            link.symlink_to(self.path.name, target_is_directory=True)
            try:
                link.replace(latest)
            except OSError:
                link.unlink()
                raise
        return None

    def finish(self) -> None:
        """Note that the audit has come to its end. Call it last: what was written before is on the disk then.

        Raises RunError.
        """
        if (self.path / REQUEST).exists():
            with as_run_error(f"cannot write to {self.path}"):
                to_disk(self.path)
                to_disk(self._reports)
                self._journal.add(Finished())

    def _newer(self, latest: Path, now: datetime | None) -> str | None:
        """The run that `latest` points to, where it is complete and began after this one."""
        name = latest.readlink().name if latest.is_symlink() else ""
        theirs, ours = NAME.fullmatch(name), NAME.fullmatch(self.path.name)
        if not theirs or not ours or theirs["began"] <= ours["began"]:
            return None
        if now is not None and theirs["began"] > f"{now:%Y%m%dT%H%M%SZ}":
            return None
        return name if all((self._reports / name / file).exists() for file in (REPORT, _PAGE)) else None

    def _worth_keeping(self) -> bool:
        return worth_keeping(self.path)

    def _evidence_of(self, shard: Shard) -> Path:
        return self.path / EVIDENCE / f"{shard.name}.xml.gz"

    def _hold(self) -> None:
        """Lock the folder (flock(2)); the system lets go of it when this process ends, however that comes.

        A file system that knows no locks must cost nobody the audit.
        """
        lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if locked(lock, _PATIENCE) is False:
            holder = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
            os.close(lock)
            raise RunError(f"{self.path} is in use by {holder or 'another process'}; it has to end first")
        self._locks.append(lock)
        with suppress(OSError):  # a full disk: then nobody is told who holds it
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
