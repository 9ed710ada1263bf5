"""`auditor demo`, as far as it goes without packets."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from auditor import resources
from auditor.cli.acts import demo
from auditor.cli.main import run

ROOT = Path(__file__).parents[3]
NAMESPACES = "lab: network namespaces cannot be made here: Operation not permitted"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Mapping[str, str]]]:
    """The command lines that it would run, each with its environment; every program is there."""
    found: list[tuple[list[str], Mapping[str, str]]] = []

    def ended(argv: list[str], env: Mapping[str, str]) -> int:
        found.append((argv, env))
        return 1

    monkeypatch.setattr(demo.shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setattr(demo, "_why_not", lambda _env: None)
    monkeypatch.setattr(demo, "_ended", ended)
    return found


def modules(argv: Sequence[str]) -> list[str]:
    return [argv[index + 1] for index, word in enumerate(argv) if word == "-m"]


def test_what_is_missing_is_named_with_its_package(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    """All at once, and nothing is built."""
    monkeypatch.setattr(demo.shutil, "which", lambda name, **_: None if name in ("nmap", "nft", "unshare") else name)

    assert 2 == run(["demo", "-o", str(tmp_path / "reports")])
    assert capfd.readouterr().err == (
        "auditor: the demo needs what is not installed here: nmap, nft, unshare\n"
        "auditor: on Debian and Ubuntu: sudo apt-get install --no-install-recommends nmap nftables util-linux\n"
    )
    assert [] == list(tmp_path.iterdir())


def test_everything_runs_cut_off_from_the_network(
    calls: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The namespaces come first, in them the estate, in that the audit, which writes to where the user is."""
    assert 0 == run(["demo", "-q", "-o", str(tmp_path)])
    ((argv, env),) = calls

    assert ["lab.enter", "lab.demo", "auditor"] == modules(argv)
    assert ["audit", "inventories/practice", "-V", "all", "-o", str(tmp_path)] == argv[-9:-3]
    assert ["--color", "auto", "--quiet"] == argv[-3:]
    assert str(resources.lab()) == env["PYTHONPATH"].split(os.pathsep)[0]
    assert f"The report: {tmp_path / 'latest' / 'report.html'}\n" in capfd.readouterr().out


def test_where_no_namespaces_can_be_made(calls: Any, tmp_path: Path, capfd: Any, monkeypatch: Any) -> None:
    """It says why, and takes loopback."""
    monkeypatch.setattr(demo, "_why_not", lambda _env: NAMESPACES)

    assert 0 == run(["demo", "-o", str(tmp_path)])
    ((argv, _),) = calls
    assert ["lab.demo", "auditor"] == modules(argv)
    assert "--loopback" in argv
    assert "inventories/practice-loopback.yaml" in argv
    assert f"auditor: {NAMESPACES}\n" in capfd.readouterr().err


@pytest.mark.parametrize("code", [0, 2, 3, 143])
def test_an_audit_that_ends_otherwise_is_a_demo_that_did_not_work(
    code: int, calls: Any, tmp_path: Path, capfd: Any, monkeypatch: Any
) -> None:
    """Exit 2, and no word that all is well."""
    monkeypatch.setattr(demo, "_ended", lambda *_: code)

    assert 2 == run(["demo", "-o", str(tmp_path)])
    told = capfd.readouterr()
    assert f"the audit ended with exit code {code} where 1 was due" in told.err
    assert "" == told.out


def test_options_of_audits_do_not_reach_it(calls: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """What somebody has set for audits of an own estate would make another demo."""
    monkeypatch.setenv("AUDITOR_AUDIT_DENY", "203.0.113.0/24")
    monkeypatch.setenv("AUDITOR_LOCKS", "/tmp")
    run(["demo", "-o", str(tmp_path)])
    ((_, env),) = calls

    assert "AUDITOR_AUDIT_DENY" not in env
    assert "/tmp" == env["AUDITOR_LOCKS"]


def test_all_that_it_imports_is_shipped() -> None:
    """The wheel has the modules of the lab that the demo needs: each runs from a folder that has no other."""
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    lab = {Path(name).name for name in shipped["wheel"]["force-include"] if name.startswith("script/lab/")}
    script = "import sys; from lab import demo; print(*(n for n in sys.modules if n.startswith('lab.')))"
    env = {**os.environ, "PYTHONPATH": str(resources.lab())}
    imported = subprocess.run(["python3", "-c", script], env=env, capture_output=True, text=True, check=True).stdout

    assert {f"{name.partition('.')[2]}.py" for name in imported.split()} | {"__init__.py"} == lab - {
        "responders.py",
        "tls",
    }
    assert {"responders.py", "tls"} <= lab
    assert (resources.practice() / "inventories" / "practice" / "estate.yaml").is_file()
