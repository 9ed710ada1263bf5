"""Two inventories through the gate, end to end: every folder of tests/cases_gate is one case.

A case `NAME.exitN` holds `base.yaml` or a folder `base`, the same of `head`, maybe `options` (one command line), and
`expected.json`: the document with what changes from run to run taken out. UPDATE=1 rewrites it.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor.cli.main import NO_VERDICT, run
from auditor.model.words import ChangeKind, Kind
from auditor.resources import schema_text

CASES = sorted(Path(__file__).parent.joinpath("cases_gate").glob("*.exit*"))


def side(case: Path, name: str) -> str:
    folder = case / name
    return str(folder if folder.is_dir() else case / f"{name}.yaml")


def scrub(document: dict[str, Any]) -> dict[str, Any]:
    document.pop("gate")
    document.pop("kinds")
    document.pop("playbooks")
    for finding in (*document["findings"], *document["waived"]):
        finding["playbook"].pop("values")
    return document


def gated(case: Path, output: Path) -> int:
    options = case / "options"
    more = shlex.split(options.read_text()) if options.exists() else []
    return run(["gate", side(case, "base"), side(case, "head"), f"--format=json={output}", *more])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the one in the folder's name, and the document is valid and as expected."""
    code = gated(case, tmp_path / "gate.json")
    told = capsys.readouterr().err.replace(str(case), "CASE")

    assert case.suffix.removeprefix(".") == f"exit{code}", told
    if code == NO_VERDICT:
        assert golden(case / "expected.txt", told) == told
        return
    text = (tmp_path / "gate.json").read_text().replace(str(case), "CASE")
    document = json.loads(text)
    jsonschema.validate(document, json.loads(schema_text("gate")))
    actual = json.dumps(scrub(document), indent=1, ensure_ascii=False) + "\n"
    assert golden(case / "expected.json", actual) == actual


def golden(path: Path, actual: str) -> str:
    if os.environ.get("UPDATE"):
        path.write_text(actual)
    return path.read_text()


@pytest.mark.parametrize("case", [case for case in CASES if "-as-before" in case.name], ids=lambda case: case.name)
def test_rewriting_changes_nothing(case: Path) -> None:
    """What is only written otherwise gives no finding, whatever was expected of it."""
    assert [] == expected(case)["findings"]


def test_there_are_cases() -> None:
    """An empty glob would pass every case."""
    assert len(CASES) >= 60


@pytest.mark.parametrize("kind", [*ChangeKind, Kind.POLICY_BREACH])
def test_every_kind_has_a_case(kind: str) -> None:
    """Each kind that a gate can give is found in some expected document."""
    found = {finding["kind"] for case in CASES for finding in expected(case).get("findings", ())}

    assert kind in found


def expected(case: Path) -> dict[str, Any]:
    path = case / "expected.json"
    return json.loads(path.read_text()) if path.exists() else {}
