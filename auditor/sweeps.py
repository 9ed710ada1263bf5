"""When which slice of the undeclared ports was swept: `sweeps.json` in the reports folder."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.errors import RunError
from auditor.model.inventory import Viewpoint
from auditor.model.rotation import Rotation
from auditor.rundir.files import in_turn, write_whole
from auditor.rundir.leftovers import in_work

_NAME = "sweeps.json"
_SCHEMA = "auditor/sweeps/v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Sweeps:
    """The record of one reports folder, by inventory and viewpoint.

    What cannot be read is told by `warn` and counts as never swept: slices are then looked at sooner than they need be.
    """

    def __init__(self, reports: Path, warn: Callable[[str], None]) -> None:
        self._reports = reports
        self._path = reports / _NAME
        self._warn = warn

    def rotation(self, inventory: str, viewpoint: str, slices: int, now: datetime) -> Rotation:
        """Another number of slices than before begins anew."""
        never = Rotation((None,) * slices, now)
        try:
            found = _entry(self._read(), inventory, viewpoint).get("swept", [])
            swept = tuple(None if text is None else _instant(text) for text in found)
        except (OSError, ValueError, TypeError, AttributeError) as error:
            self._warn(f"{self._path}: cannot be read ({error}); it counts as if nothing had been swept yet")
            return never
        return Rotation(swept, now) if len(swept) == slices else never

    def rotations(self, inventory: str, viewpoints: Iterable[Viewpoint], now: datetime) -> dict[str, Rotation]:
        """Those of the viewpoints that sweep in slices, by name. What audits in work have taken is left to them."""
        found = {v.name: self.rotation(inventory, v.name, v.slices, now) for v in viewpoints if v.slices > 1}
        taken = self._taken(inventory) if found else {}
        return {name: replace(one, taken=taken.get(name, frozenset())) for name, one in found.items()}

    @contextmanager
    def choosing(self) -> Iterator[None]:
        """Whoever takes a slice within this does so before the next one looks which are taken."""
        with in_turn(self._reports):
            yield

    def note(self, inventory: str, viewpoint: str, rotation: Rotation) -> None:
        """The slice that was due has been swept, to its end, by the audit that began at the rotation's `now`."""
        try:
            with in_turn(self._reports):  # audits that end at the same time write one after the other
                known = self._known()
                latest = self.rotation(inventory, viewpoint, len(rotation.swept), rotation.now)
                swept = list(latest.swept)
                swept[rotation.due] = max(filter(None, (swept[rotation.due], rotation.now)))
                texts = [None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in swept]
                known.setdefault(inventory, {})[viewpoint] = {"swept": texts}
                document = {"schema": _SCHEMA, "inventories": known}
                write_whole(self._path, json.dumps(document, indent=1, sort_keys=True) + "\n")
        except (OSError, RunError) as error:
            self._warn(f"{error}: the next audit sweeps the same slice again")

    def _known(self) -> dict[str, Any]:
        """What is there, as far as it is whole."""
        try:
            found = self._read()["inventories"]
            return {name: dict(viewpoints) for name, viewpoints in found.items()}
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return {}

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {"inventories": {}}
        found = json.loads(self._path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or found.get("schema") != _SCHEMA or "inventories" not in found:
            raise ValueError(f"it is no {_SCHEMA}")
        return found

    def _taken(self, inventory: str) -> dict[str, frozenset[int]]:
        """By viewpoint, the slices of audits that other processes are at."""
        taken: defaultdict[str, set[int]] = defaultdict(set)
        with suppress(OSError):
            for name, request in in_work(self._reports):
                if name == inventory:
                    for viewpoint, due in _due(request):
                        taken[viewpoint].add(due)
        return {viewpoint: frozenset(slices) for viewpoint, slices in taken.items()}


def read_rotations(request: Any, now: datetime) -> dict[str, Rotation]:
    """The rotations that an audit keeps with what was asked for. Raises ValueError and others where it is damaged."""
    taken = request.get("taken", {})
    return {
        name: Rotation(
            tuple(None if at is None else _instant(at).astimezone(UTC) for at in ats),
            now,
            frozenset(map(int, taken.get(name, ()))),
        )
        for name, ats in request["swept"].items()
    }


def rotations_as_read(rotations: Mapping[str, Rotation]) -> dict[str, object]:
    """What `read_rotations` reads."""
    taken = {name: sorted(one.taken) for name, one in rotations.items() if one.taken}
    swept = {name: [at and at.isoformat() for at in one.swept] for name, one in rotations.items()}
    return {"swept": swept, "taken": taken} if taken else {"swept": swept}


def _due(request: Any) -> list[tuple[str, int]]:
    try:
        return [(name, one.due) for name, one in read_rotations(request, _EPOCH).items()]
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return []


def _entry(document: dict[str, Any], inventory: str, viewpoint: str) -> dict[str, Any]:
    found: dict[str, Any] = document["inventories"].get(inventory, {}).get(viewpoint, {})
    return found


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
