"""Limits of viewpoints and hosts."""

from __future__ import annotations

import re
from datetime import time
from difflib import get_close_matches
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from auditor.inventory.reading.broken import Broken, items, told
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.text import shown
from auditor.model.inventory import Path
from auditor.model.limits import WEEKDAYS, Limits, Window

_WINDOW = re.compile(r"(?:(?P<days>[A-Za-z,-]+) )?(?P<opens>[0-9:]+)-(?P<closes>[0-9:]+)(?: (?P<zone>\S+))?")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY_ENDS = "24:00"
_EXAMPLE = "such as `22:00-06:00 Europe/Berlin` or `Mon-Fri 22:00-06:00`"


def viewpoint_limits(tree: Tree, path: Path, value: dict[str, Any]) -> Limits:
    return Limits(_whole(value, "host_rate"), _whole(value, "hosts"), _windows(tree, path, value))


def host_limits(tree: Tree, path: Path, value: dict[str, Any]) -> Limits:
    """`rate` and `host_rate` mean the same of a host, so that the smaller one holds."""
    if "hosts" in value:
        message = "says how many hosts a viewpoint probes at a time, and this is one; remove it, or set it there"
        tree.problem((*path, "hosts"), "misplaced-key", message)
    rates = [rate for key in ("rate", "host_rate") if (rate := _whole(value, key)) is not None]
    return Limits(min(rates, default=None), None, _windows(tree, path, value))


def _whole(value: dict[str, Any], key: str) -> int | None:
    found = told(value, key)
    return None if found is None else int(found)  # 5.0 is a whole number, too


def _windows(tree: Tree, path: Path, value: dict[str, Any]) -> tuple[Window, ...]:
    found = []
    for index, text in enumerate(items(value.get("windows", []))):
        if isinstance(text, Broken):
            continue
        try:
            found.append(window(text))
        except ValueError as error:
            tree.problem((*path, "windows", index), "bad-window", str(error))
    return tuple(found)


def window(text: str) -> Window:
    """`[DAYS ]HH:MM-HH:MM[ ZONE]`. Raises ValueError in words for people."""
    parts = _WINDOW.fullmatch(text)
    if not parts:
        raise ValueError(f"{shown(text)} is not a time window; write one {_EXAMPLE}")
    opens, closes = _time(parts["opens"]), None if parts["closes"] == _DAY_ENDS else _time(parts["closes"])
    if opens == closes:
        raise ValueError(f"{shown(text)} ends when it begins; for the whole day write `00:00-24:00`")
    days = _days(parts["days"]) if parts["days"] else frozenset(range(len(WEEKDAYS)))
    return Window(text, opens, closes, _zone(parts["zone"] or "UTC"), days)


def _time(text: str) -> time:
    found = _TIME.fullmatch(text)
    if not found:
        raise ValueError(f"{shown(text)} is not a time of the day; write hours and minutes, such as `06:00`")
    return time(int(found[1]), int(found[2]))


def _days(text: str) -> frozenset[int]:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon`."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _day(first), _day(last if dash else first)
        found.update((begin + ahead) % len(WEEKDAYS) for ahead in range((end - begin) % len(WEEKDAYS) + 1))
    return frozenset(found)


def _day(text: str) -> int:
    if text not in WEEKDAYS:
        raise ValueError(f"{shown(text)} is not a day of the week; known: {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(text)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(name: str) -> ZoneInfo:
    known = _zones()
    if name not in known:
        meant = get_close_matches(name[:64], known, n=1)
        hint = f"did you mean `{meant[0]}`?" if meant else "write one such as `Europe/Berlin` or `UTC`"
        raise ValueError(f"{shown(name)} is not a time zone that is known here; {hint}")
    return ZoneInfo(name)
