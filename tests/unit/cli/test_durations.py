"""`--max-age` and `--max-duration` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.commands import CASES, FakeNmap, auditor

CLEAN = CASES / "clean.exit0"


def test_old_evidence_gives_no_all_clear(tmp_path: Path) -> None:
    """What was clean when it was seen is unverified years later, unless any age will do."""
    old = tmp_path / "public.xml"
    old.write_text(re.sub(r"179[0-9]{7}", "1577836800", (CLEAN / "public.xml").read_text(encoding="utf-8")))
    given = ("compare", CLEAN / "inventory.yaml", "--nmap-xml", old, "-o", tmp_path / "out")
    ended = auditor(*given)
    report = json.loads((tmp_path / "out" / "latest" / "report.json").read_text(encoding="utf-8"))

    assert 3 == ended.returncode, ended.stderr
    assert "30 days" == report["audit"]["options"]["max_age"]
    assert {True} == {one["reason"].startswith("too old: seen ") for one in report["unverified"]}
    assert 3 == auditor(*given, "--max-age", "365d").returncode
    assert 0 == auditor(*given, "--max-age", "any").returncode


@pytest.mark.parametrize("text", ["", "5", "90 m", "1w", "-1s", "1.5h", "9999999d"])
def test_what_is_no_duration(text: str) -> None:
    """Says what one looks like."""
    ended = auditor("compare", CLEAN / "inventory.yaml", "--nmap-xml", CLEAN / "public.xml", "--max-age", text)

    assert 2 == ended.returncode
    assert "is not a duration; write a whole number and s, m, h or d, such as 90m or any" in ended.stderr


def test_no_time_at_all(tmp_path: Path) -> None:
    """With `--max-duration 0s` nmap is never asked to look at anything; the report says so."""
    fake = FakeNmap(tmp_path / "bin")
    ended = auditor(
        *("audit", CLEAN / "inventory.yaml", "-o", tmp_path / "out", "--max-duration", "0s"),
        env={**fake.env, "NMAP_PRIVILEGED": "1"},
    )

    assert 3 == ended.returncode, ended.stderr
    assert [] == fake.started()
