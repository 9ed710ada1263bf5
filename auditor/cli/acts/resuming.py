"""What an audit was asked for, kept in its folder, so that `--resume` needs no more than to be told the folder."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from auditor import __version__
from auditor.errors import EvidenceError, RunError, UsageError
from auditor.model.context import Event
from auditor.model.inventory import Inventory, Viewpoint
from auditor.model.rotation import Rotation
from auditor.model.words import Profile
from auditor.pipeline.judging import Request
from auditor.report.stored import read
from auditor.rundir.folder import RunDir
from auditor.sweeps import read_rotations, rotations_as_read

_SCHEMA = "auditor/run/v1"
# Parameters of the command that stay as they were. Others, such as where reports go, are for one attempt.
_FIXED: Mapping[str, str] = {
    "viewpoints": "-V",
    "profile": "--profile",
    "hosts": "--host",
    "tags": "--tag",
    "discover": "--discover",
}
_ADDED = ("deny",)  # what either says
_ENGINE = "engine"  # who scans; where its cluster is may change
_USUAL = ("fail_on", "allow_unverified")  # as before where the command line does not say otherwise
_ON_THE_LINE = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Asked:
    """One audit as it was asked for. `inventory` is the path as given, `absolute` what it meant.

    `parameters` are the command's, by name; of `viewpoints` the names that were chosen. `rotations` say by viewpoint
    which slice of the undeclared ports is swept, and `sources` which addresses those were found to have that have no
    fixed ones, once that is known.
    """

    id: str
    started_at: datetime
    inventory: str
    absolute: str
    files: tuple[str, ...]  # SHA-256 of each
    parameters: Mapping[str, Any]
    rotations: Mapping[str, Rotation]
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        path: Path,
        declared: Inventory,
        request: Request,
        parameters: Mapping[str, Any],
        rotations: Mapping[str, Rotation],
    ) -> Asked:
        files, kept = _digests(declared), _kept(parameters)
        return cls(request.id, request.started_at, str(path), str(path.absolute()), files, kept, rotations)

    @property
    def path(self) -> Path:
        """Where the inventory is: as given, as long as that means the same from here."""
        given = Path(self.inventory)
        return given if str(given.absolute()) == self.absolute else Path(self.absolute)

    def document(self) -> dict[str, object]:
        return {
            "schema": _SCHEMA,
            "id": self.id,
            "started_at": self.started_at.isoformat(),
            "auditor_version": __version__,
            "inventory": {"path": self.inventory, "absolute": self.absolute, "sha256": list(self.files)},
            "parameters": dict(self.parameters),
            **rotations_as_read(self.rotations),
            **({"sources": {name: list(each) for name, each in self.sources.items()}} if self.sources else {}),
        }

    def check(self, declared: Inventory, path: Path, viewpoints: tuple[str, ...], engine: str) -> None:
        """Refuse another inventory, other viewpoints or another engine than the audit began with. Raises UsageError."""
        if _digests(declared) != self.files:
            raise UsageError(
                f"{path} is not what it was when this audit began, and what has been seen cannot be judged by it: "
                "start a new audit, or put the files back as they were"
            )
        if (was := self.parameters["viewpoints"]) != list(viewpoints):
            raise UsageError(f"-V: this audit began with {' '.join(was)}; leave the option out")
        if (began := self.parameters.get(_ENGINE, engine)) != engine:
            raise UsageError(
                f"this audit began with --engine {began}, which stands elsewhere: give the same options again"
            )
        slices = {name: declared.viewpoints[name].slices for name in viewpoints}
        if {name: len(one.swept) for name, one in self.rotations.items()} != {n: s for n, s in slices.items() if s > 1}:
            raise RunError("the audit's run.json is damaged: it does not tell which slices were swept when")


def standing(viewpoints: Iterable[Viewpoint]) -> dict[str, tuple[str, ...]]:
    """The addresses of viewpoints that have no fixed ones, as they were found."""
    return {one.name: tuple(map(str, one.addresses)) for one in viewpoints if one.within}


def check_sources(asked: Asked, found: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse to go on from other addresses: what has been seen was judged from those. Raises UsageError."""
    for name, was in asked.sources.items():
        if (now := found.get(name, ())) != was:
            raise UsageError(
                f"viewpoint {name}: this audit began from {_addresses(was)}, and the system there uses "
                f"{_addresses(now)} now: start a new audit, or go on where it began"
            )


def _addresses(texts: Iterable[str]) -> str:
    return " and ".join(texts) or "no address within its range"


@dataclass(frozen=True, slots=True)
class Resumed:
    """An audit that goes on: its folder, held, and what it was asked for.

    `report` is set where all has been asked and judged, and something ended it while it wrote down the rest.
    """

    run: RunDir
    asked: Asked
    report: dict[str, Any] | None = None


def reopen(named: Path, reports: Path) -> Resumed:
    """The audit of that folder, or of that name in the reports folder. Raises RunError and UsageError."""
    folder = next((path for path in (named, reports / named) if path.is_dir()), None)
    if folder is None:
        raise UsageError(f"--resume {named}: there is no such folder, here or in {reports}")
    run = RunDir.reopen(folder)
    asked = _read(run)
    if run.finished and (report := run.reported) is not None and not unfinished(run, asked.parameters["viewpoints"]):
        raise UsageError(
            f"{run.path} is finished, there is nothing to go on with: `auditor render {shlex.quote(str(report))}` "
            "shows its report, `auditor audit` without --resume looks again"
        )
    return Resumed(run, asked, _last_report(run, asked))


def _last_report(run: RunDir, asked: Asked) -> dict[str, Any] | None:
    """The report of the last attempt, where that was ended after it; an earlier one has been resumed less often."""
    if run.finished or run.reported is None:
        return None
    try:
        report = read(run.reported)
    except EvidenceError:
        return None
    about = report.get("audit", {})
    current = about.get("id") == asked.id and len(about.get("resumed", ())) == len(run.resumed)
    return report if current else None


def parameters(context: click.Context, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """The parameters of a command line, with those that an audit began with. Raises UsageError where they disagree."""
    together = dict(given)
    for name in (*_FIXED, *_USUAL):
        if name not in asked.parameters:
            continue
        was = asked.parameters[name]
        was = tuple(was) if isinstance(was, list) else was
        if context.get_parameter_source(name) not in _ON_THE_LINE:
            together[name] = was
        elif name in _FIXED and name != "viewpoints" and given[name] != was:
            # which viewpoints `all` means is known once the inventory is read
            words = " ".join(was) if isinstance(was, tuple) else was
            raise UsageError(f"{_FIXED[name]}: this audit began with {words or 'none'}; leave the option out")
    together["deny"] = tuple(dict.fromkeys((*asked.parameters.get("deny", ()), *given["deny"])))  # never less than then
    return together


def tell(run: RunDir, emit: Callable[[Event], None]) -> None:
    """Say what is taken from the folder."""
    count = len(run.shards)
    emit(Event("scan", f"going on with {run.path}: {count} finished {'run' if count == 1 else 'runs'} of nmap"))
    if run.damaged:
        lost = f"{run.damaged} {'line' if run.damaged == 1 else 'lines'} of its journal cannot be read"
        emit(Event("scan", f"{lost}: what they stood for is asked again", level="warning"))


def command_line(run: RunDir) -> str:
    return f"auditor audit --resume {shlex.quote(str(run.path))}"


@contextmanager
def telling_how(run: RunDir) -> Iterator[None]:
    """Add to whatever ends an audit early how it can go on."""
    try:
        yield
    except BaseException as error:
        if run.resumable:
            error.add_note(f"what was seen so far is kept; to go on: {command_line(run)}")
        raise


def unfinished(run: RunDir, viewpoints: Collection[str]) -> bool:
    """Whether the scan of some viewpoint failed or was cut short, so that it is worth while to go on with it."""
    return run.resumable and not run.done.issuperset(viewpoints)


def _kept(given: Mapping[str, Any]) -> dict[str, Any]:
    names = (*_FIXED, *_ADDED, *_USUAL, _ENGINE)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if name in names}


def _digests(declared: Inventory) -> tuple[str, ...]:
    return tuple(sorted(file.sha256 for file in declared.files))


def _read(run: RunDir) -> Asked:
    """What the folder says. Raises RunError."""
    try:
        match run.request():
            case {
                "schema": "auditor/run/v1",
                "id": str(audit_id),
                "started_at": str(started),
                "inventory": {"path": str(path), "absolute": str(absolute), "sha256": list(digests)},
                "parameters": {"viewpoints": list(), "profile": str(profile), **rest} as kept,
                "swept": dict(),
            } as request if profile in set(Profile) and all(map(_plain, rest.values())) and _plain(kept["viewpoints"]):
                at = datetime.fromisoformat(started).astimezone(UTC)
                digests_read = tuple(map(str, digests))
                sources = {str(name): tuple(map(str, each)) for name, each in request.get("sources", {}).items()}
                return Asked(audit_id, at, path, absolute, digests_read, kept, read_rotations(request, at), sources)
    except (ValueError, TypeError, AttributeError):
        pass
    raise RunError(f"{run.path}: its run.json is damaged, or of another version; start a new audit")


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in value)
    return isinstance(value, str | bool)
