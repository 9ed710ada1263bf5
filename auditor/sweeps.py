"""When which slice of the undeclared ports was swept: `sweeps.json` in the reports folder."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.errors import RunError
from auditor.model.inventory import Viewpoint
from auditor.model.rotation import Rotation
from auditor.rundir import write_whole

_NAME = "sweeps.json"
_SCHEMA = "auditor/sweeps/v1"


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
        """Those of the viewpoints that sweep in slices, by name."""
        return {v.name: self.rotation(inventory, v.name, v.slices, now) for v in viewpoints if v.slices > 1}

    def note(self, inventory: str, viewpoint: str, rotation: Rotation) -> None:
        """The slice that was due has been swept, to its end, by the audit that began at the rotation's `now`."""
        try:
            with self._locked():
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

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Audits that end at the same time write one after the other."""
        folder = os.open(self._reports, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _entry(document: dict[str, Any], inventory: str, viewpoint: str) -> dict[str, Any]:
    found: dict[str, Any] = document["inventories"].get(inventory, {}).get(viewpoint, {})
    return found


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
