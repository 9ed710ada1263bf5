"""The journal of an audit: lines that are on the disk as soon as they are written, and never changed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shard:
    """One run of nmap that has ended, with its XML in `evidence/<name>.xml.gz`, and what the XML does not say.

    `purpose` is the scan's word for what it was about. `problem` says why it is not whole, `unsent` why the viewpoint's
    own machine did not send some of its probes. `attempt` counts how often the audit had been resumed before;
    the silence of `doubted` addresses was taken back later.
    """

    viewpoint: str
    purpose: str
    number: int
    argv: tuple[str, ...]
    started_at: str
    seconds: float
    problem: str | None = None
    unsent: str | None = None
    sha256: str = ""  # of the compressed file
    attempt: int = 0
    doubted: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.viewpoint}-{self.purpose}-{self.number:03}"


@dataclass(frozen=True, slots=True)
class Done:
    """A viewpoint's scan has come to its end, with nothing left to ask again."""

    viewpoint: str


@dataclass(frozen=True, slots=True)
class Doubted:
    """These addresses, or paths to them, were lost: what was asked of them until now is no part of the audit."""

    viewpoint: str
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finished:
    """The audit has come to its end: its reports are written, and `latest` has moved where it had to."""


class Journal:
    """`shards` and how many lines are `damaged`, as read; the viewpoints that are `done` and when it was `resumed`.

    `finished` is whether the last line says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self.shards: tuple[Shard, ...] = ()
        self.done: frozenset[str] = frozenset()
        self.resumed: tuple[datetime, ...] = ()
        self.damaged = 0
        self.finished = False

    def read(self) -> None:
        """Read what is there, and cut off a line that a process was killed in. Raises OSError."""
        if not self._path.exists():
            return
        shards: list[Shard] = []
        doubts: list[tuple[int, Doubted]] = []  # each with the number of shards before it
        done: set[str] = set()
        resumed: list[datetime] = []
        whole = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                entry = _entry(line)
                self.finished = isinstance(entry, Finished)
                match entry:
                    case Shard() as shard:
                        shards.append(replace(shard, attempt=len(resumed)))
                    case Done(viewpoint):
                        done.add(viewpoint)
                    case Doubted() as doubt:
                        doubts.append((len(shards), doubt))
                    case datetime() as time:
                        resumed.append(time)
                    case Finished():
                        pass
                    case None:
                        self.damaged += 1
        if whole < self._path.stat().st_size:
            os.truncate(self._path, whole)
        self.shards, self.done, self.resumed = _with_doubts(shards, doubts), frozenset(done), tuple(resumed)

    def add(self, entry: Shard | Done | Doubted | Finished | datetime) -> None:
        """Write an entry, whole. Raises OSError, leaving no part behind."""
        match entry:
            case Shard():
                known = {key: value for key, value in asdict(entry).items() if key not in ("attempt", "doubted")}
                self._write({"shard": known})
            case Doubted():
                self._write({"doubted": {"viewpoint": entry.viewpoint, "addresses": sorted(entry.addresses)}})
            case Done():
                self._write({"done": entry.viewpoint})
                self.done |= {entry.viewpoint}
            case datetime():
                self._write({"resumed": entry.isoformat()})
                self.resumed = (*self.resumed, entry)
            case Finished():
                self._write({"finished": True})
        self.finished = isinstance(entry, Finished)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _write(self, line: Mapping[str, object]) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        before = os.fstat(self._file).st_size
        rest = (json.dumps(line, separators=(",", ":")) + "\n").encode("ascii")
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, before)
            raise


def _with_doubts(shards: Sequence[Shard], doubts: Iterable[tuple[int, Doubted]]) -> tuple[Shard, ...]:
    last: dict[tuple[str, str], int] = {}
    for place, doubt in doubts:
        last |= {(doubt.viewpoint, address): place for address in doubt.addresses}
    if not last:
        return tuple(shards)
    return tuple(
        replace(shard, doubted=frozenset(one for one in shard.argv if last.get((shard.viewpoint, one), 0) > place))
        for place, shard in enumerate(shards)
    )


def _entry(line: bytes) -> Shard | Done | Doubted | Finished | datetime | None:
    """A line of the journal; None for what was never written so."""
    try:
        data = json.loads(line)
        if "resumed" in data:
            return datetime.fromisoformat(data["resumed"]).astimezone(UTC)
        if "finished" in data:
            return Finished() if data["finished"] is True else None
        if "done" in data:
            return Done(str(data["done"]))
        if "doubted" in data:
            return Doubted(str(data["doubted"]["viewpoint"]), frozenset(map(str, data["doubted"]["addresses"])))
        shard = Shard(**data["shard"])
        shard = replace(shard, argv=tuple(shard.argv))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return shard if _sound(shard) else None


def _sound(shard: Shard) -> bool:
    texts = (shard.viewpoint, shard.purpose, shard.started_at, shard.sha256, *shard.argv)
    maybe = (shard.problem, shard.unsent)
    return (
        all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in maybe)
        and type(shard.number) is int
        and type(shard.seconds) in (int, float)
        and not {"/", "\0"} & set(shard.name)
        and not shard.name.startswith(".")
    )
