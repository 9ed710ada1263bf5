"""The hooks for pre-commit, run by pre-commit itself from a clone of this tree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.ci.repository import CHANGES, FILES, git, run, shipped, told

pytestmark = pytest.mark.ci
PRE_COMMIT = Path(sys.executable).with_name("pre-commit")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """The repository of the hooks, its commit, and pre-commit's own folder, installed into once for all tests."""
    folder = tmp_path_factory.mktemp("hooks")
    repository = shipped(folder / "auditor")
    return repository, git(repository, "rev-parse", "HEAD"), folder / "cache"


@pytest.fixture
def workspace(tmp_path: Path, hooks: tuple[Path, str, Path]) -> Path:
    """A repository whose first commit has an inventory, and a configuration as the README has it."""
    repository, revision, _ = hooks
    wanted = [{"id": "auditor-validate"}, {"id": "auditor-gate"}]
    config = {"repos": [{"repo": repository.as_uri(), "rev": revision, "hooks": wanted}]}
    folder = tmp_path / "workspace"
    folder.mkdir()
    git(folder, "init", "--quiet")
    folder.joinpath(".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    write(folder, FILES)
    git(folder, "commit", "--quiet", "--message=the inventory")
    return folder


def write(folder: Path, files: dict[str, str], inventory: str = "inventory") -> None:
    for name, text in files.items():
        path = folder / inventory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "--all")


def pre_commit(folder: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"HOME": str(folder.parent), "PRE_COMMIT_HOME": str(cache), "PRE_COMMIT_COLOR": "never"}
    return run([str(PRE_COMMIT), "run", *arguments], folder, env)


@pytest.mark.parametrize(
    ("change", "validate", "gate"),
    [
        ("opens-postgres", "Passed", "exit code: 1"),
        ("narrows-a-range", "Passed", "Passed"),
        ("adds-a-site", "Passed", "Passed"),
        ("is-broken", "exit code: 2", "exit code: 2"),
    ],
)
def test_commits(workspace: Path, hooks: tuple[Path, str, Path], change: str, validate: str, gate: str) -> None:
    """A commit is stopped where it opens exposure or breaks the inventory, and nowhere else."""
    write(workspace, CHANGES[change])
    done = pre_commit(workspace, hooks[2])

    assert [validate, gate] == outcomes(done), told(done)
    assert ([validate, gate] != ["Passed", "Passed"]) == (done.returncode != 0)


def outcomes(done: subprocess.CompletedProcess[str]) -> list[str]:
    """How each hook ended, in the order of the hooks."""
    return re.findall(r"(Passed|Skipped|exit code: \d)", done.stdout)


def test_another_place(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """`args` say where the inventory is."""
    config = yaml.safe_load((workspace / ".pre-commit-config.yaml").read_text())
    places = [["inventories/shop"], ["git:HEAD:inventories/shop", "inventories/shop"]]
    for hook, place in zip(config["repos"][0]["hooks"], places, strict=True):
        hook["args"] = place
    (workspace / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    (workspace / "inventories").mkdir()
    git(workspace, "mv", "inventory", "inventories/shop")
    git(workspace, "add", "--all")
    git(workspace, "commit", "--quiet", "--message=moved")
    write(workspace, CHANGES["opens-postgres"], "inventories/shop")
    done = pre_commit(workspace, hooks[2])

    assert ["Passed", "exit code: 1"] == outcomes(done), told(done)
    assert "db-1" in done.stdout


def test_other_files(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """A commit without inventories is left alone."""
    workspace.joinpath("README.md").write_text("nothing\n")
    git(workspace, "add", "--all")
    done = pre_commit(workspace, hooks[2])

    assert ["Skipped", "Skipped"] == outcomes(done), told(done)
