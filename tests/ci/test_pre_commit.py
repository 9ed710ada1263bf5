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
    place(workspace, "inventories/shop", "git:HEAD:inventories/shop", "inventories/shop")
    (workspace / "inventories").mkdir()
    git(workspace, "mv", "inventory", "inventories/shop")
    git(workspace, "add", "--all")
    git(workspace, "commit", "--quiet", "--message=moved")
    write(workspace, CHANGES["opens-postgres"], "inventories/shop")
    done = pre_commit(workspace, hooks[2])

    assert ["Passed", "exit code: 1"] == outcomes(done), told(done)
    assert "db-1" in done.stdout


def place(folder: Path, inventory: str, *gate: str) -> None:
    """Set where the hooks look for the inventory."""
    config = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text())
    for hook, arguments in zip(config["repos"][0]["hooks"], ([inventory], gate), strict=True):
        hook["args"] = list(arguments)
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("command", "validate", "gate"),
    [
        ("rm inventory/hosts/web.yaml", "Passed", "exit code: 1"),
        ("mv inventory/hosts/web.yaml web.yaml", "Passed", "exit code: 1"),
        ("mv inventory/hosts/web.yaml inventory/web.yaml", "Passed", "Passed"),
        ("rm inventory/estate.yaml", "exit code: 2", "exit code: 2"),
        ("rm -r inventory", "exit code: 2", "exit code: 2"),
        ("mv inventory elsewhere", "exit code: 2", "exit code: 2"),
    ],
)
def test_what_goes(workspace: Path, hooks: tuple[Path, str, Path], command: str, validate: str, gate: str) -> None:
    """A commit that only deletes or moves away is looked at, though pre-commit sees no file to check in it."""
    write(workspace, CHANGES["adds-a-site"])
    git(workspace, "commit", "--quiet", "--message=a site")
    git(workspace, *command.split())
    done = pre_commit(workspace, hooks[2])

    assert [validate, gate] == outcomes(done), told(done)


def test_what_goes_in_a_real_commit(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """git itself runs the hooks, and makes no such commit."""
    write(workspace, CHANGES["adds-a-site"])
    git(workspace, "commit", "--quiet", "--message=a site")
    env = {"HOME": str(workspace.parent), "PRE_COMMIT_HOME": str(hooks[2]), "PRE_COMMIT_COLOR": "never"}
    who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    installed = run([str(PRE_COMMIT), "install"], workspace, env)
    before = git(workspace, "rev-parse", "HEAD")
    git(workspace, "rm", "--quiet", "inventory/hosts/web.yaml")
    done = run(["git", "commit", "--message=a host less"], workspace, env | who)

    assert installed.returncode == 0, told(installed)
    assert done.returncode == 1, told(done)
    assert "hosts.web-1" in told(done)
    assert before == git(workspace, "rev-parse", "HEAD")


def test_a_moved_inventory(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """A commit that moves the inventory, and the hooks with it, is compared with what that was."""
    place(workspace, "estate", "git:HEAD:estate", "estate")
    git(workspace, "mv", "inventory", "estate")
    git(workspace, "add", "--all")
    moved = pre_commit(workspace, hooks[2])
    git(workspace, "mv", "estate/hosts/db.yaml", "db.yaml")
    write(workspace, CHANGES["adds-a-site"], "estate")
    less = pre_commit(workspace, hooks[2])

    assert ["Passed", "Passed"] == outcomes(moved), told(moved)
    assert ["Passed", "exit code: 1"] == outcomes(less), told(less)


def test_a_wrong_path(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """A path to compare with that is spelled wrong would pass for ever."""
    place(workspace, "inventory", "git:HEAD:inventroy", "inventory")
    git(workspace, "add", "--all")
    done = pre_commit(workspace, hooks[2])

    assert ["Passed", "exit code: 2"] == outcomes(done), told(done)
    assert "git:HEAD:inventory is there; is the path right?" in done.stdout


def test_first_commit(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """Before the first commit there is nothing to compare with: what the inventory opens is told, and may fail."""
    git(workspace, "checkout", "--quiet", "--orphan", "fresh")
    first = pre_commit(workspace, hooks[2])
    write(workspace, CHANGES["opens-postgres"])
    opened = pre_commit(workspace, hooks[2])

    assert ["Passed", "Passed"] == outcomes(first), told(first)
    assert ["Passed", "exit code: 1"] == outcomes(opened), told(opened)


def test_other_files(workspace: Path, hooks: tuple[Path, str, Path]) -> None:
    """A commit of other files is as good as the inventory is."""
    workspace.joinpath("README.md").write_text("nothing\n")
    git(workspace, "add", "--all")
    done = pre_commit(workspace, hooks[2])

    assert ["Passed", "Passed"] == outcomes(done), told(done)
