"""The committed sample report is what today's program would show of the demo."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from auditor.report.formats import FORMATS
from auditor.report.stored import read

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "reports" / "sample"
KEYS = ("kind", "viewpoint", "host", "family", "service", "class", "severity")


def test_it_is_a_valid_report_of_the_five_exposures() -> None:
    """Its findings are those that the demo promises."""
    report = read(SAMPLE / "report.json")
    exposures = yaml.safe_load((ROOT / "script/lab/practice-findings.yaml").read_text(encoding="utf-8"))
    promised = [finding for findings in exposures.values() for finding in findings]

    assert sorted([one.get(key) for key in KEYS] for one in promised) == sorted(
        [one.get(key) for key in KEYS] for one in report["findings"]
    )
    assert len(exposures) == 5


def test_its_page_is_rendered_from_it() -> None:
    """After a change of the page: `cd reports/sample; auditor render report.json --format html=report.html`."""
    page = (SAMPLE / "report.html").read_text(encoding="utf-8")

    assert FORMATS["html"](read(SAMPLE / "report.json")) == page


def test_it_names_no_machine() -> None:
    """Paths in it are relative to the repository."""
    files = json.loads((SAMPLE / "report.json").read_text(encoding="utf-8"))["audit"]["inventory"]["files"]

    assert all(file["path"].startswith("inventories/practice/") for file in files)
