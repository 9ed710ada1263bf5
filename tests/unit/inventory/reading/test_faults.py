"""The ids of errors: each is in the table, and each of the table is used and shown by a case."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.catalogue import kinds
from auditor.inventory.lint import RULES
from auditor.inventory.reading.faults import FAULTS
from auditor.model.words import ServiceClass, Severity

ROOT = Path(__file__).parents[4]
CASES = ROOT / "tests" / "bad_inventories"
# Which argument of each call is the id.
CALLS = {
    "problem": 1,
    "_problem": 1,
    "problem_in": 2,
    "Problem": -1,
    "report": 1,
    "wrong": 1,
    "Wrong": 0,
    "stop": 0,
    "_stop": 1,
    "_read": 1,
}
NO_CASE = {"no-such-file": "test_files", "too-many-errors": "test_bounds", "submodule": "test_revisions"}


def calls() -> Iterator[tuple[str, ast.expr]]:
    """Each call that reports a problem, and its id as it is written."""
    for file in sorted((ROOT / "auditor" / "inventory").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = next(iter(node.args), None)
                if name in CALLS and not (name == "report" and isinstance(first, ast.Name) and first.id == "document"):
                    yield f"{file.name}:{node.lineno}", node.args[CALLS[name]]


def test_every_call_has_an_id_of_the_table() -> None:
    """Written where the problem is found, or handed on under the name `fault`."""
    found = list(calls())
    written = {where: node.value for where, node in found if isinstance(node, ast.Constant)}
    handed_on = {where: ast.unparse(node) for where, node in found if not isinstance(node, ast.Constant)}

    assert len(found) > 75
    assert {where: name for where, name in written.items() if name not in FAULTS} == {}
    assert {where: name for where, name in handed_on.items() if name not in ("fault", "found.fault")} == {}


def test_every_id_is_used() -> None:
    """What no error has is not explained."""
    files = [file for file in (ROOT / "auditor" / "inventory").rglob("*.py") if file.name != "faults.py"]
    sources = "\n".join(file.read_text(encoding="utf-8") for file in files)

    assert [name for name in FAULTS if f'"{name}"' not in sources] == []


def test_every_id_has_a_case() -> None:
    """A folder of bad inventories shows it, or another test where no folder can."""
    shown = {
        line.rpartition("[")[2].removesuffix("]")
        for file in CASES.glob("*/expected.txt")
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    for name, module in NO_CASE.items():
        assert name in (Path(__file__).parent / f"{module}.py").read_text(encoding="utf-8")

    assert shown | set(NO_CASE) == set(FAULTS)


@pytest.mark.parametrize("name", [*FAULTS, *RULES])
def test_each_says_why_and_what_would_be_right(name: str) -> None:
    """Short sentences, without their full stop, since they stand in lists too."""
    rule = FAULTS.get(name) or RULES[name]

    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert rule.why
    assert rule.right
    assert not rule.why.endswith(".")
    assert not rule.right.endswith(".")
    assert max(map(len, (rule.why, rule.right))) <= 110


def test_no_id_means_two_things() -> None:
    """Errors, lint, kinds, severities and classes share one space of names."""
    every = [*FAULTS, *RULES, *kinds(), *Severity, *ServiceClass]

    assert len(every) == len(set(every))
