"""Saved evidence against an inventory, end to end: every folder of tests/cases is one case.

A case `NAME.exitN` holds `inventory.yaml`, the evidence as `VIEWPOINT.xml` or `VIEWPOINT.ANYTHING.xml`, maybe `options`
(one command line), maybe `names.json` (what the resolver would say of DNS names), and `expected.json`: the report with
what changes from run to run taken out. It is always the same day, see NOW. UPDATE=1 rewrites it.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Collection
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest

from auditor.cli.acts import choosing, judged
from auditor.cli.main import NO_VERDICT, run
from auditor.inventory.resolving.names import Lookup
from auditor.model.words import Address, Kind, Result
from auditor.report.junit import junit
from auditor.resources import schema_text

CASES = sorted(Path(__file__).parent.joinpath("cases").glob("*.exit*"))
NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)  # later than all evidence that is not from the future
FLEETING = ("id", "started_at", "finished_at", "auditor_version", "options")


def scrub(report: dict[str, Any]) -> dict[str, Any]:
    for key in FLEETING:
        report["audit"].pop(key, None)
    for file in report["audit"]["inventory"]["files"]:
        file["path"] = Path(file["path"]).name
        file.pop("sha256")
    for finding in (*report["findings"], *report["waived"]):
        finding["playbook"].pop("values")  # tested where they are made, as the texts are
        declared = finding.get("expected", {}).get("declared_at")
        if declared:
            declared["file"] = Path(declared["file"]).name
    report.pop("playbooks")
    report.pop("kinds")
    return report


def arguments(case: Path, output: Path) -> list[str]:
    files = [f"--nmap-xml={path.name.partition('.')[0]}={path}" for path in sorted(case.glob("*.xml"))]
    given = case / "options"
    more = shlex.split(given.read_text()) if given.exists() else []
    return ["compare", str(case / "inventory.yaml"), *files, "-o", str(output), *more]


def resolver(case: Path) -> Lookup:
    """Says what the case wants, and never asks anybody."""

    def look_up(names: Collection[str]) -> dict[str, tuple[Address, ...] | str]:
        answers = json.loads((case / "names.json").read_text())
        return {
            name: said if isinstance(said := answers[name], str) else tuple(map(ip_address, said)) for name in names
        }

    return look_up


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is the one in the folder's name, and the report is valid and as expected.

    No two cases of JUnit have one class and name, by which alone services tell them apart.
    """
    monkeypatch.setattr(choosing, "look_up", resolver(case))
    monkeypatch.setattr(judged, "now", lambda: NOW)
    code = run(arguments(case, tmp_path))
    told = capsys.readouterr().err.replace(str(case), "CASE")

    assert case.suffix.removeprefix(".") == f"exit{code}", told
    if code == NO_VERDICT:
        assert list(tmp_path.iterdir()) == []  # no report, and `latest` points to none
        assert golden(case / "expected.txt", told) == told
        return
    report = json.loads((tmp_path / "latest" / "report.json").read_text())
    jsonschema.validate(report, json.loads(schema_text("report")))
    named = [(each.get("classname"), each.get("name")) for each in fromstring(junit(report)).iter("testcase")]
    assert len(set(named)) == len(named)
    actual = json.dumps(scrub(report), indent=1, ensure_ascii=False).replace(str(case), "CASE") + "\n"
    assert golden(case / "expected.json", actual) == actual


def golden(path: Path, actual: str) -> str:
    if os.environ.get("UPDATE"):
        path.write_text(actual)
    return path.read_text()


def test_there_are_cases() -> None:
    """An empty glob would pass every case."""
    assert len(CASES) >= 90


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_case(kind: Kind) -> None:
    """Each drift kind that saved evidence can give is found in some expected report."""
    found = {finding["kind"] for case in CASES for finding in expected(case).get("findings", ())}

    assert kind in found


@pytest.mark.parametrize("result", Result)
def test_every_result_has_a_case(result: Result) -> None:
    """Each outcome of an endpoint is counted in some expected report."""
    assert any(expected(case)["summary"]["endpoints"][result] for case in CASES if expected(case))


def expected(case: Path) -> dict[str, Any]:
    path = case / "expected.json"
    return json.loads(path.read_text()) if path.exists() else {}
