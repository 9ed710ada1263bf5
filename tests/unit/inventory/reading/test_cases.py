"""Bad inventories, each a folder with exactly the messages it gives. `UPDATE=1` rewrites those.

`inventory.yaml`, `inventory.json` or the folder `inventory` is what is loaded. `make.yaml` says, step by step, what
else the test makes there, since it is too big for the repository or since git cannot keep it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.inventory.reading.events import parse
from auditor.inventory.reading.schema import decider
from auditor.inventory.reading.wording import wording

FOLDER = Path(__file__).parents[3] / "bad_inventories"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
UPDATE = os.environ.get("UPDATE") == "1"
LOAD = """
import sys
from pathlib import Path
from auditor.errors import InventoryError
from auditor.inventory.loading import load
try:
    load(Path(sys.argv[1]))
except InventoryError as error:
    print(error)
"""


def made(case: Path, folder: Path) -> Path:
    """The case's inventory in a folder of its own, with what its `make.yaml` adds."""
    shutil.copytree(case, folder, dirs_exist_ok=True)
    for step in steps(case):
        make(folder, step)
    (found,) = folder.glob("inventory*")
    return found


def steps(case: Path) -> list[dict[str, Any]]:
    file = case / "make.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else []


def make(folder: Path, step: dict[str, Any]) -> None:
    match step:
        case {"file": name, "text": text, "encoding": encoding}:
            write(folder / name, text.encode(encoding))
        case {"file": name, "hex": digits}:
            write(folder / name, bytes.fromhex(digits))
        case {"file": name, "size": size}:
            write(folder / name, b"")
            os.truncate(folder / name, size)
        case {"file": name, "head": head, "line": line, "times": times, "foot": foot}:  # `@` is the line's number
            middle = "".join(line.replace("@", str(number)) for number in range(times))
            write(folder / name, f"{head}{middle}{foot}".encode())
        case {"link": name, "to": target}:
            (folder / name).symlink_to(target)
        case {"pipe": name}:
            os.mkfifo(folder / name)
        case {"folder": name}:
            (folder / name).mkdir()
        case {"closed": name, "to": mode}:
            (folder / name).chmod(mode)
        case _:
            raise AssertionError(step)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def messages(inventory: Path, *, without_rights: bool) -> str:
    """What loading says; if `without_rights`, to one who may not read everything."""
    if without_rights:
        dropped = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 else []
        command = [*dropped, sys.executable, "-c", LOAD, inventory.name]
        return subprocess.run(command, cwd=inventory.parent, capture_output=True, text=True, check=True).stdout
    with pytest.raises(InventoryError) as caught:
        load(Path(inventory.name))
    return f"{caught.value}\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_messages(case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every problem is reported, with its place, its path and what would be right; each is one line fit to be shown."""
    inventory = made(case, tmp_path / "case")
    monkeypatch.chdir(inventory.parent)
    closed = any("closed" in step for step in steps(case))

    told = messages(inventory, without_rights=closed)

    golden = case / "expected.txt"
    if UPDATE:
        golden.write_text(told, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == told
    assert all(line.isprintable() for line in told.split("\n"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_validators_agree(case: Path) -> None:
    """jsonschema-rs, which decides, and jsonschema, which words, object to the same places."""
    for file in sorted(path for path in [*case.glob("inventory.*"), *case.rglob("inventory/*")] if path.is_file()):
        data = parse(file.read_text(encoding="utf-8"), file.name).data

        fast = {tuple(error.instance_path) for error in decider().iter_errors(data)}

        assert fast == {tuple(error.absolute_path) for error in wording().iter_errors(data)}
        assert decider().is_valid(data) == wording().is_valid(data)


def test_every_case_is_whole() -> None:
    """Each folder has an inventory, or makes one, and its messages; there are as many as were asked for."""
    assert [case.name for case in CASES if not steps(case) and not list(case.glob("inventory*"))] == []
    assert [case.name for case in CASES if not (case / "expected.txt").read_text(encoding="utf-8").strip()] == []
    assert len(CASES) >= 150
