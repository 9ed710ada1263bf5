"""The formats for CI as their users get them: from an audit, and again from what it stored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest

from auditor.report.formats import FORMATS, GATE_FORMATS
from auditor.report.plain import to_json
from auditor.report.sarif import MOST_RESULTS
from tests.commands import ANY_DAY, CASES, auditor
from tests.gates import FILE, OPENED, change, gate

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


def places(sarif: Path) -> set[str]:
    """The files that a SARIF log names, of results and of the inventory."""
    (only,) = json.loads(sarif.read_text())["runs"]
    found = [each["locations"][0]["physicalLocation"]["artifactLocation"] for each in only["results"]]
    return {each["uri"] for each in (*found, *(each["location"] for each in only["artifacts"]))}


@pytest.mark.parametrize(
    ("here", "inventory"),
    [
        (".", "inventories/shop.yaml"),
        ("inventories", "shop.yaml"),
        ("inventories", "../inventories/./shop.yaml"),
        ("docs/deep", "../../inventories/shop.yaml"),
        ("docs", "{}/inventories/shop.yaml"),
        ("..", "{}/inventories/shop.yaml"),  # in no repository, with an inventory that is in one
        ("..", "repository/inventories/shop.yaml"),
        ("..", "linked/inventories/shop.yaml"),
        ("../other", "../repository/inventories/shop.yaml"),  # in another repository
        ("/", "{}/inventories/shop.yaml"),
    ],
)
def test_named_from_the_root(here: str, inventory: str, tmp_path: Path) -> None:
    """Files are named from the repository's root, wherever the command runs and however the inventory is given."""
    repository = tmp_path / "repository"
    for folder in ("inventories", "docs/deep", ".git", "../other/.git"):
        (repository / folder).mkdir(parents=True)
    (tmp_path / "linked").symlink_to(repository)
    shutil.copy(CASE / "inventory.yaml", repository / "inventories" / "shop.yaml")
    evidence = f"--nmap-xml=public={CASE / 'public.xml'}"
    log, markdown = tmp_path / "log.sarif", tmp_path / "report.md"
    formats = (f"--format=sarif={log}", f"--format=markdown={markdown}", "-o", tmp_path / "reports")
    ended = auditor("compare", inventory.format(repository), evidence, *formats, cwd=repository / here)

    assert ended.returncode == 1, ended.stderr
    assert {"inventories/shop.yaml"} == places(log)
    assert "`inventories/shop.yaml:" in markdown.read_text()


def test_outside_of_every_repository(repository: Path) -> None:
    """Without a repository files are named from here, and whole where they are not below."""
    (repository / "docs").mkdir()
    evidence, log = f"--nmap-xml=public={CASE / 'public.xml'}", repository / "log.sarif"
    named = {}
    for here in (".", "docs"):
        inventory = "inventories/shop.yaml" if here == "." else "../inventories/shop.yaml"
        auditor("compare", inventory, evidence, f"--format=sarif={log}", cwd=repository / here)
        named[here] = places(log)

    assert {".": {"inventories/shop.yaml"}, "docs": {f"file://{repository}/inventories/shop.yaml"}} == named


def test_rendered_elsewhere(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What was named from the root when it was stored is so wherever it is rendered."""
    (repository / ".git").mkdir()
    auditor("compare", "inventories/shop.yaml", f"--nmap-xml=public={CASE / 'public.xml'}", cwd=repository)
    report, log = repository / "reports" / "latest" / "report.json", repository / "log.sarif"
    named = []
    for folder in (repository, repository / "inventories", tmp_path_factory.mktemp("elsewhere")):
        auditor("render", report, f"--format=sarif={log}", cwd=folder)
        named.append(places(log))

    assert [{"inventories/shop.yaml"}] * 3 == named


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


def test_results_left_out(tmp_path: Path) -> None:
    """Where a file for code scanning has not all results, who writes it is told too."""
    stored = tmp_path / "gate.json"
    stored.write_text(to_json(gate(*(change("added", service=f"s{number}") for number in range(MOST_RESULTS + 2)))))
    ended = auditor("render", stored, f"--format=sarif={tmp_path / 'log.sarif'}")

    assert (0, "") == (ended.returncode, ended.stdout)
    assert ended.stderr.startswith(
        "auditor: sarif: 2 of 5,002 results are left out, the least severe (2 operational-drift)"
    )


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
