"""The manual pages say what the commands say of themselves, and are shipped."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import manuals
import pytest

from auditor.cli.main import COMMANDS

WRITTEN = manuals.pages()


def test_they_are_current() -> None:
    """What is in the repository is what script/manuals writes."""
    there = {path.name: path.read_text(encoding="utf-8") for path in manuals.FOLDER.iterdir()}

    assert WRITTEN == there, "run script/manuals"
    assert set(WRITTEN) == {"auditor.1", *(f"auditor-{name}.1" for name in COMMANDS)}


def test_the_wheel_has_them() -> None:
    """Where `man` looks in every prefix."""
    project = tomllib.loads((manuals.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    targets = project["tool"]["hatch"]["build"]["targets"]

    assert targets["wheel"]["shared-data"] == {"docs/man": "share/man/man1"}
    assert "docs/man" in targets["sdist"]["include"]


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_they_can_be_read(name: str, tmp_path: Path) -> None:
    """groff has nothing to say of any, and the options, examples and their lines are there."""
    path = tmp_path / name
    path.write_text(WRITTEN[name], encoding="utf-8")
    told = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", "-P-cbou", str(path)], capture_output=True, text=True, check=True
    )

    assert told.stderr == ""
    assert "--help" in told.stdout
    assert re.search(r"^ +auditor [a-z]+", told.stdout, re.MULTILINE)
