"""What rate each viewpoint's machine bore when it was last tried: for `plan`, which sends nothing and tries nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from auditor.errors import RunError
from auditor.rundir.files import write_whole

_MOST = 1000  # entries; the newest are kept


@dataclass(frozen=True, slots=True)
class Borne:
    """The `rate` that was borne of the rate `tried`, in packets a second; `at` is when, in ISO 8601."""

    rate: int
    tried: int
    at: str


def remembered(path: Path | None = None) -> dict[str, Borne]:
    """By `str(via)`; nothing where there is no such file, or none that can be read: it is a memory, not evidence."""
    try:
        entries = json.loads((path or _path()).read_text(encoding="utf-8"))
        return {
            str(place): Borne(int(one["rate"]), int(one["tried"]), str(one["at"])[:40])
            for place, one in entries.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def remember(borne: Mapping[str, Borne], path: Path | None = None) -> None:
    """Keep these beside what is remembered. Where that cannot be written, it is forgotten."""
    if not borne:
        return
    file = path or _path()
    newest = sorted((remembered(file) | dict(borne)).items(), key=lambda one: one[1].at)[-_MOST:]
    with suppress(OSError, RunError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({place: asdict(one) for place, one in newest}, indent=1) + "\n")


def _path() -> Path:
    """Where programs keep what they can do without (XDG Base Directory Specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(os.environ.get("HOME") or "/nonexistent", ".cache")
    return base / "exposure-drift-auditor" / "rates.json"
