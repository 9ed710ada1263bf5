"""The formats for CI as their users get them: from an audit, and again from what it stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from auditor.report import FORMATS, GATE_FORMATS, to_json
from tests.commands import ANY_DAY, CASES, auditor
from tests.gates import FILE, OPENED, gate

CASE = CASES / "behind.exit1"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder to work in, with an inventory below it."""
    (tmp_path / "inventories").mkdir()
    shutil.copy(CASE / "inventory.yaml", tmp_path / "inventories" / "shop.yaml")
    return tmp_path


def test_an_audit(repository: Path) -> None:
    """Each format goes to its file; files are named from here even where the inventory was given by its full name."""
    formats = [f"--format={name}=out.{name}" for name in ("sarif", "junit", "markdown")]
    inventory = repository / "inventories" / "shop.yaml"
    ended = auditor(
        "compare", inventory, f"--nmap-xml=public={CASE / 'public.xml'}", *ANY_DAY, *formats, cwd=repository
    )
    results = json.loads((repository / "out.sarif").read_text())["runs"][0]["results"]
    stored = json.loads((repository / "reports" / "latest" / "report.json").read_text())

    assert ended.returncode == 1, ended.stderr
    assert {"inventories/shop.yaml"} == {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results
    }
    assert len(results) == len(parse(repository / "out.junit").findall(".//failure"))
    assert "`inventories/shop.yaml:" in (repository / "out.markdown").read_text()
    assert str(inventory) == stored["audit"]["inventory"]["files"][0]["path"]


@pytest.mark.parametrize("name", ["sarif", "junit", "markdown"])
def test_an_audit_again(name: str, repository: Path) -> None:
    """What was stored renders to what the run wrote."""
    arguments = ("inventories/shop.yaml", f"--nmap-xml=public={CASE / 'public.xml'}", f"--format={name}=first")
    auditor("compare", *arguments, *ANY_DAY, cwd=repository)
    again = auditor("render", "reports/latest/report.json", f"--format={name}", cwd=repository)

    assert (again.returncode, again.stdout) == (0, (repository / "first").read_text())


@pytest.fixture
def stored_gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate.json"
    path.write_text(to_json(gate(OPENED)))
    return path


@pytest.mark.parametrize("name", GATE_FORMATS)
def test_a_gate_again(name: str, stored_gate: Path) -> None:
    """A stored gate renders in every format of gates, and rendering gives no verdict."""
    ended = auditor("render", stored_gate, f"--format={name}")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert FILE in ended.stdout or name == "text"


@pytest.mark.parametrize(("name", "known"), [("html", GATE_FORMATS), ("pdf", GATE_FORMATS)])
def test_no_such_format_of_a_gate(name: str, known: dict[str, object], stored_gate: Path) -> None:
    """What only audits have is refused, with the formats that there are."""
    ended = auditor("render", stored_gate, f"--format={name}")

    assert ended.returncode == 2
    assert f"no format is named {name}; there are {', '.join(known)}" in ended.stderr


def test_no_annotations_of_an_audit(repository: Path) -> None:
    """Annotations are for changed lines, which an audit has none of."""
    auditor("compare", "inventories/shop.yaml", f"--nmap-xml=public={CASE / 'public.xml'}", *ANY_DAY, cwd=repository)
    ended = auditor("render", "reports/latest/report.json", "--format=github", cwd=repository)

    assert ended.returncode == 2
    assert f"no format is named github; there are {', '.join(FORMATS)}" in ended.stderr
