"""What rate a machine bore is remembered for `plan`, and is no evidence: without it nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.rundir.rates import Borne, remember, remembered


def test_what_was_borne_is_remembered_by_place(tmp_path: Path) -> None:
    """The last time counts."""
    file = tmp_path / "cache" / "rates.json"
    first, later, other = (
        Borne(rate, 5000, f"2026-11-{day:02}T02:00+00:00") for rate, day in ((100, 1), (5000, 2), (7, 3))
    )
    remember({"local": first, "netns a": other}, file)
    remember({"local": later}, file)

    assert {"local": later, "netns a": other} == remembered(file)
    assert 0o600 == file.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", '{"local": 5}', "\0"),
        *(f'{{"local": {{"rate": {rate}, "tried": 1, "at": ""}}}}' for rate in ('"x"', "Infinity")),
    ],
)
def test_a_memory_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    """Nothing fails, and the next audit writes it anew."""
    file = tmp_path / "rates.json"
    file.write_text(text, encoding="utf-8")
    nothing = remembered(file)
    remember({"local": Borne(1, 2, "3")}, file)

    assert {} == nothing
    assert {"local": Borne(1, 2, "3")} == remembered(file)


def test_a_memory_that_cannot_be_written_is_none() -> None:
    """Neither is its absence, nor a folder that nobody may make."""
    file = Path("/proc/nowhere/rates.json")
    remember({"local": Borne(1, 2, "3")}, file)

    assert {} == remembered(file)
