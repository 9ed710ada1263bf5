"""`auditor schema`: what an editor, or who reads our JSON, needs of us."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auditor.cli.commands.schema import NAMES
from tests.commands import auditor

SCHEMAS = Path(__file__).parents[3] / "schemas"


def test_every_schema_has_a_name() -> None:
    """What is shipped can be asked for."""
    assert {path.name.partition(".")[0] for path in SCHEMAS.iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", ["", *NAMES])
def test_a_schema_is_printed_as_it_is_shipped(name: str) -> None:
    """Without a name it is that of inventories."""
    ended = auditor("schema", *filter(None, [name]))
    shipped = SCHEMAS / f"{name or 'inventory'}.schema.json"

    assert (0, shipped.read_text(encoding="utf-8"), "") == (ended.returncode, ended.stdout, ended.stderr)
    assert json.loads(ended.stdout)["$schema"].startswith("https://json-schema.org/")


def test_a_name_that_there_is_not() -> None:
    """It says which there are."""
    ended = auditor("schema", "waivers")

    assert (2, "") == (ended.returncode, ended.stdout)
    assert all(name in ended.stderr for name in NAMES)
