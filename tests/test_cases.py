"""Saved evidence against an inventory, end to end: every folder of tests/cases is one case.

A case `NAME.exitN` holds `inventory.yaml`, the evidence as `VIEWPOINT.xml` or `VIEWPOINT.ANYTHING.xml`, maybe `options`
(one command line), and `expected.json`: the report with what changes from run to run taken out. UPDATE=1 rewrites it.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import jsonschema
import pytest

from auditor.cli.main import run
from auditor.resources import schema_text

CASES = sorted(Path(__file__).parent.joinpath("cases").glob("*.exit*"))
FLEETING = ("id", "started_at", "finished_at", "auditor_version", "options")


def scrub(report: dict) -> dict:
    for key in FLEETING:
        report["audit"].pop(key, None)
    for file in report["audit"]["inventory"]["files"]:
        file["path"] = Path(file["path"]).name
        file.pop("sha256")
    for finding in report["findings"]:
        declared = finding.get("expected", {}).get("declared_at")
        if declared:
            declared["file"] = Path(declared["file"]).name
    report.pop("playbooks")  # long, and tested where they are made
    report.pop("kinds")
    return report


def arguments(case: Path, output: Path) -> list[str]:
    files = [f"--nmap-xml={path.name.partition('.')[0]}={path}" for path in sorted(case.glob("*.xml"))]
    options = case / "options"
    more = shlex.split(options.read_text()) if options.exists() else []
    return ["compare", str(case / "inventory.yaml"), *files, "-o", str(output), *more]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the one in the folder's name, and the report is valid and as expected."""
    code = run(arguments(case, tmp_path))
    printed = capsys.readouterr()
    reports = list(tmp_path.glob("*/report.json"))

    assert f"exit{code}" == case.name.rpartition(".")[2], printed.err
    if code == 2:
        assert (reports, printed.err.replace(str(case), "CASE")) == ([], golden(case / "expected.txt", printed.err, case))
        return
    report = json.loads((tmp_path / "latest" / "report.json").read_text())
    jsonschema.validate(report, json.loads(schema_text("report")))
    actual = json.dumps(scrub(report), indent=1, ensure_ascii=False) + "\n"
    assert golden(case / "expected.json", actual, case) == actual


def golden(path: Path, actual: str, case: Path) -> str:
    if os.environ.get("UPDATE"):
        path.write_text(actual.replace(str(case), "CASE"))
    return path.read_text()


def test_there_are_cases() -> None:
    """An empty glob would pass every case."""
    assert len(CASES) >= 20
