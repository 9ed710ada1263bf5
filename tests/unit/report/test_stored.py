"""Reports as JSON text, and reading them back from files that may be damaged or hostile."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.cli.main import run
from auditor.errors import EvidenceError
from auditor.report.document import document
from auditor.report.formats import FORMATS, GATE_FORMATS
from auditor.report.plain import Document, to_json
from auditor.report.stored import read
from tests.builders import clean_audit
from tests.estates import blind_audit, busy_audit, hostile_audit
from tests.gates import busy_gate, gate

WHOLE = to_json(document(busy_audit()))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes | str], Path]:
    def written(content: bytes | str) -> Path:
        path = tmp_path / "report.json"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.mark.parametrize("audit", [busy_audit, clean_audit, hostile_audit, blind_audit])
def test_round_trip(audit: Callable[[], object], write: Callable[[bytes | str], Path]) -> None:
    """A stored report reads back as the document that was written, and renders to the same bytes in every format."""
    report = document(audit())  # type: ignore[arg-type]
    again = read(write(to_json(report)))

    assert report == again
    assert {name: render(report) for name, render in FORMATS.items()} == {name: f(again) for name, f in FORMATS.items()}


@pytest.mark.parametrize("report", [busy_gate(), gate()])
def test_a_gate(report: Document, write: Callable[[bytes | str], Path]) -> None:
    """A stored gate reads back as it was written, and renders to the same bytes in every format of gates."""
    again = read(write(to_json(report)))

    assert report == again
    assert {name: f(report) for name, f in GATE_FORMATS.items()} == {name: f(again) for name, f in GATE_FORMATS.items()}


def test_nothing_acts() -> None:
    """No control or invisible character of a banner stands bare in the JSON."""
    assert [] == re.findall(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", to_json(document(hostile_audit()))
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a whole JSON file"),
        (WHOLE[: len(WHOLE) // 2], "not a whole JSON file"),
        (b"\xff\xfe\xfa", "not a whole JSON file"),
        ("[]", "not a report of the auditor"),
        ("{}", "not a report of the auditor"),
        ('{"schema": 1}', "not a report of the auditor"),
        ('{"schema": "auditor/report/v2"}', "version 'auditor/report/v2'; this auditor reads auditor/report/v1"),
        ('{"schema": "auditor/report/v1"}', "damaged report"),
        ('{"schema": "auditor/gate/v2"}', "version 'auditor/gate/v2'; this auditor reads auditor/gate/v1"),
        ('{"schema": "auditor/gate/v1"}', "damaged report"),
        ('{"schema": NaN}', "NaN is not JSON"),
        ('{"schema": ' + "9" * 5000 + "}", "not a whole JSON file"),
        ("[" * 100_000, "nested too deeply"),
        (WHOLE.replace('"ports": "1-65535"', '"ports": "1-99999"'), "not a port range"),
        (WHOLE.replace('"tcp": "1-65535"', '"tcp": "1-99999"'), "not a port range"),
        (WHOLE.replace("T02:01:02Z", "T23:59:60Z"), "damaged report"),
        (WHOLE.replace('"rank": 1', '"rank": "<script>"', 1), "damaged report: 'findings.0.rank'"),
    ],
)
def test_refused(content: bytes | str, complaint: str, write: Callable[[bytes | str], Path]) -> None:
    """What is no whole report of this version is refused with a message that says so and names the file."""
    path = write(content)

    with pytest.raises(EvidenceError, match=re.escape(complaint)) as raised:
        read(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert str(raised.value).isprintable()


def test_missing(tmp_path: Path) -> None:
    """A missing file and a folder are errors of their own, not tracebacks."""
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(EvidenceError, match="cannot be read"):
            read(path)


def test_unknown_keys_are_ignored(write: Callable[[bytes | str], Path]) -> None:
    """A report with keys of a later auditor still renders."""
    report = {**json.loads(WHOLE), "later": [None]}

    assert all(render(read(write(json.dumps(report)))) for render in FORMATS.values())


def test_lone_surrogates(write: Callable[[bytes | str], Path]) -> None:
    """JSON can hold half a character; every format can still be written as UTF-8."""
    report = read(write(WHOLE.replace("OpenSSH", "\\ud800OpenSSH")))

    assert all(render(report).encode() for render in FORMATS.values())


def test_a_port_of_number_zero(tmp_path: Path) -> None:
    """No inventory can declare it, but nmap can see it open: what is told of it can be rendered like any other."""
    case = Path(__file__).parents[2] / "cases" / "port-zero.exit1"
    path = tmp_path / "report.json"
    told = f"--nmap-xml={case / 'public.xml'}", "--max-age=36500d", f"--format=json={path}", "-o", str(tmp_path / "all")
    assert run(["compare", str(case / "inventory.yaml"), *told]) == 1

    assert run(["render", str(path), f"--format=html={tmp_path / 'report.html'}"]) == 0
