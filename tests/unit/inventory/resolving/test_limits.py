"""Limits of viewpoints and hosts: what an inventory says of them, and when time windows are open."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.inventory.loading import load
from auditor.inventory.resolving.limits import window
from auditor.model.limits import NO_LIMITS, Limits, next_opening, open_until

INVENTORY = """
version: 1
name: estate
scope: {allow: [10.0.0.0/8]}
viewpoints:
  plain: {kind: internal, addresses: [10.9.0.1]}
  careful:
    kind: internal
    addresses: [10.9.0.1]
    limits: {rate: 100, host_rate: 10.0, hosts: 5, windows: ["22:00-06:00 Europe/Berlin", "Sat,Sun 00:00-24:00"]}
    sweep: {slices: 7}
hosts:
  plain: {interfaces: {lan: [10.0.0.1]}}
  frail: {interfaces: {lan: [10.0.0.2]}, limits: {rate: 20, host_rate: 50, windows: ["01:00-02:00"]}}
  rated: {interfaces: {lan: [10.0.0.3]}, limits: {rate: 20}}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def until(now: str, *windows: str) -> str | None:
    closes = open_until([window(one) for one in windows], at(now))
    return closes and f"{closes:%Y-%m-%dT%H:%M}"


def opens(now: str, *windows: str) -> str:
    found = next_opening([window(one) for one in windows], at(now))
    assert found.tzinfo is UTC
    return f"{found:%Y-%m-%dT%H:%M}"


def test_limits_as_they_are_written(tmp_path: Path) -> None:
    """Of a host `rate` and `host_rate` mean the same, and the smaller one holds; what is not written is no limit."""
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY, encoding="utf-8")
    loaded = load(path)
    careful, plain = loaded.viewpoints["careful"], loaded.viewpoints["plain"]
    windows = window("22:00-06:00 Europe/Berlin"), window("Sat,Sun 00:00-24:00")

    assert (100, Limits(10, 5, windows), 7) == (careful.rate, careful.limits, careful.slices)
    assert (5000, NO_LIMITS, 1) == (plain.rate, plain.limits, plain.slices)
    assert NO_LIMITS == loaded.hosts["plain"].limits
    assert Limits(20, None, (window("01:00-02:00"),)) == loaded.hosts["frail"].limits
    assert Limits(20) == loaded.hosts["rated"].limits


@pytest.mark.parametrize(
    ("now", "written", "expected"),
    [
        ("2026-11-24T22:00", "22:00-06:00", "2026-11-25T06:00"),
        ("2026-11-24T21:59", "22:00-06:00", None),
        ("2026-11-25T05:59", "22:00-06:00", "2026-11-25T06:00"),
        ("2026-11-25T06:00", "22:00-06:00", None),
        ("2026-11-24T13:00", "09:00-17:30", "2026-11-24T17:30"),
        ("2026-11-24T21:00", "22:00-06:00 Europe/Berlin", "2026-11-25T05:00"),
        ("2026-07-24T20:00", "22:00-06:00 Europe/Berlin", "2026-07-25T04:00"),
        ("2026-07-24T19:59", "22:00-06:00 Europe/Berlin", None),
        ("2026-11-24T12:00", "00:00-24:00", "2026-12-03T00:00"),  # as far as it looks ahead
        ("2026-11-27T23:00", "Mon-Fri 22:00-06:00", "2026-11-28T06:00"),  # Friday's, into Saturday
        ("2026-11-28T05:00", "Mon-Fri 22:00-06:00", "2026-11-28T06:00"),
        ("2026-11-28T23:00", "Mon-Fri 22:00-06:00", None),
        ("2026-11-30T05:00", "Mon-Fri 22:00-06:00", None),  # Sunday's is none
        ("2026-11-29T12:00", "Fri-Mon 10:00-14:00", "2026-11-29T14:00"),
        ("2026-12-02T12:00", "Fri-Mon 10:00-14:00", None),
        ("2026-11-28T12:00", "Sat 00:00-24:00", "2026-11-29T00:00"),
        ("2026-11-24T12:00", "00:00-12:00 Pacific/Kiritimati", "2026-11-24T22:00"),  # their tomorrow has begun
    ],
)
def test_when_a_window_closes(now: str, written: str, expected: str | None) -> None:
    """By the clock of its zone, over midnight too; days are those on which it opens."""

    assert expected == until(now, written)


def test_windows_that_adjoin_are_one() -> None:
    """Nothing closes where another window opens at that moment."""

    assert "2026-11-25T08:00" == until("2026-11-24T21:00", "20:00-24:00", "00:00-06:00", "05:00-08:00")


@pytest.mark.parametrize(
    ("now", "closes"),
    [
        ("2026-03-28T22:00", "2026-03-29T04:00"),  # 23:00 in winter to 06:00 in summer, an hour less
        ("2026-10-24T21:00", "2026-10-25T05:00"),  # 23:00 in summer to 06:00 in winter, an hour more
    ],
)
def test_the_clocks_change_within_a_window(now: str, closes: str) -> None:
    """A window follows the wall clock."""

    assert closes == until(now, "22:00-06:00 Europe/Berlin")


def test_when_a_window_opens_next() -> None:
    """The first of several, at most a week ahead."""

    assert "2026-11-24T21:00" == opens("2026-11-24T12:00", "22:00-06:00 Europe/Berlin")
    assert "2026-11-25T22:00" == opens("2026-11-24T22:00", "22:00-06:00")
    assert "2026-11-30T08:00" == opens("2026-11-23T08:00", "Mon 08:00-09:00")
    assert "2026-11-24T13:00" == opens("2026-11-24T12:00", "22:00-06:00", "13:00-14:00")
