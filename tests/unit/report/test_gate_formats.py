"""Every case of the gate, in every format for CI: they tell of the same verdict, at lines that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from auditor.model.words import Severity
from auditor.report.facts import anchor, fails, sentence
from auditor.report.formats import GATE_FORMATS
from auditor.report.stored import read
from tests.gates import FILE, WAIVED, change, gate
from tests.test_gate_cases import CASES, gated

JUDGED = [case for case in CASES if not case.name.endswith("exit2")]


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.name)
def test_the_same_verdict(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many findings fail in each format as there are, and some do exactly where the gate fails."""
    code = gated(case, tmp_path / "gate.json")
    doc = read(tmp_path / "gate.json")
    failing = sum(fails(entry, doc) for entry in doc["findings"])
    told = {name: GATE_FORMATS[name](doc) for name in ("github", "junit", "markdown", "sarif")}
    results = json.loads(told["sarif"])["runs"][0]["results"]

    assert code == (1 if failing else 0)
    assert {"github": failing, "junit": failing, "markdown": failing} == {
        "github": told["github"].count("::error "),
        "junit": len(fromstring(told["junit"]).findall(".//failure")),
        "markdown": told["markdown"].count("| ❌ |"),
    }
    assert len(doc["findings"]) + len(doc["waived"]) == len(results)
    named = [(each.get("classname"), each.get("name")) for each in fromstring(told["junit"]).iter("testcase")]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.name)
def test_the_lines_are_there(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is anchored at a line that its file has."""
    gated(case, tmp_path / "gate.json")
    doc = read(tmp_path / "gate.json")
    places = [anchor(entry, doc) for entry in (*doc["findings"], *doc["waived"])]
    missing = [place for place in places if place[1] > len(Path(place[0]).read_text().splitlines())]

    assert [] == missing


def test_all_of_it_waived() -> None:
    """Where a waiver covers all that a change opens, no format says that the change does nothing."""
    doc = gate(waived=[WAIVED])
    told = {name: GATE_FORMATS[name](doc).splitlines() for name in ("text", "markdown")}

    assert "PASS  1 finding, waived before this change." == told["text"][0]
    assert "Whatever the change does was waived before it (`--fail-on internal-recon`)." == told["markdown"][3]


def test_a_key_is_told_once() -> None:
    """What is weakened begins with its key, which is not repeated where it stands just before."""
    key = "viewpoints.public.boundary"
    doc = gate(
        change(
            "weakened",
            Severity.INTERNAL_RECON,
            host=None,
            service=None,
            endpoints=(),
            rule=key,
            why=f"{key}: was filtered, is any.",
        )
    )

    assert f"weakened {key}: was filtered, is any." == sentence(doc["findings"][0])
    assert f"| `{key}` | was filtered, is any. |" in GATE_FORMATS["markdown"](doc)


@pytest.mark.parametrize(
    ("base", "text", "markdown"),
    [
        (
            {"path": "git:main:old", "asked": "git:main:inv", "name": "a", "files": [FILE]},
            "The inventory was moved: at git:main:inv there is none.",
            "The inventory was moved: at git:main:inv there is none.",
        ),
        (
            {"path": "git:main:_inv", "files": []},
            "The inventory is new: at git:main:_inv there is none.",
            "The inventory is new: at git:main:&#95;inv there is none.",
        ),
    ],
)
def test_no_base(base: dict[str, Any], text: str, markdown: str) -> None:
    """Whoever reads a verdict is told where BASE was found, or that there was none."""
    doc = gate()
    doc["gate"] = {**doc["gate"], "base": base}

    assert text in GATE_FORMATS["text"](doc).splitlines()
    assert markdown in GATE_FORMATS["markdown"](doc).splitlines()
