"""Bad inventories, each with exactly the messages it gives. `UPDATE=1` rewrites those."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.errors import InventoryError
from auditor.inventory import load
from auditor.inventory.events import parse
from auditor.inventory.schema import decider, wording

CASES = sorted((Path(__file__).parent.parent / "cases_inventory").glob("*.yaml"))
UPDATE = os.environ.get("UPDATE") == "1"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_messages(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem is reported, with its place, its path and what would be right."""
    monkeypatch.chdir(case.parent)
    golden = case.with_suffix(".errors")

    with pytest.raises(InventoryError) as caught:
        load(Path(case.name))

    if UPDATE:
        golden.write_text(f"{caught.value}\n", encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == f"{caught.value}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_both_validators_agree(case: Path) -> None:
    """jsonschema-rs, which decides, and jsonschema, which words, object to the same places."""
    data = parse(case.read_text(encoding="utf-8"), case.name).data

    fast = {tuple(error.instance_path) for error in decider().iter_errors(data)}

    assert fast == {tuple(error.absolute_path) for error in wording().iter_errors(data)}
    assert decider().is_valid(data) == wording().is_valid(data)


def test_no_case_is_forgotten() -> None:
    """Each golden file belongs to a case."""
    assert [case.stem for case in CASES] == sorted(path.stem for path in CASES[0].parent.glob("*.errors"))
