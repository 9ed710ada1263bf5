"""Inventories as they are at a revision: `git:REV:PATH`, in real repositories."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.main import run

ESTATE = """\
version: 1
name: shop
scope: {allow: [203.0.113.0/24]}
"""
HOSTS = """\
version: 1
hosts:
  db-1:
    interfaces: {public: [203.0.113.12]}
    services:
      postgres:
        ports: 5432/tcp
        class: data-store
        from: [203.0.113.0/28]
"""
OPEN = HOSTS.replace("203.0.113.0/28", "0.0.0.0/0")


class Repository:
    """A repository of its own, deaf to the configuration of who runs the tests."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, "-c", "protocol.file.allow=always", *arguments],
            cwd=self.path, check=True, capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        return done.stdout.strip()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.path / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def gate(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the document, which is written outside of the repository."""
        output = self.path.with_name("gate.json")
        code = run(["gate", *arguments, f"--format=json={output}"])
        return code, json.loads(output.read_text()) if code < 2 else {}

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """One commit of an inventory in a folder, then one that opens it on a branch, checked out."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    found = Repository(tmp_path / "repository")
    found.write(inv__estate_yaml=ESTATE, inv__hosts_yaml=HOSTS)
    found.commit()
    found.git("checkout", "--quiet", "-b", "change")
    found.write(inv__hosts_yaml=OPEN)
    found.commit()
    monkeypatch.chdir(found.path)
    return found


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What stderr says of a command line that gives no verdict."""
    capsys.readouterr()
    assert run(["gate", *arguments]) == 2
    return capsys.readouterr().err


def test_revision_and_working_tree(repository: Repository) -> None:
    """What is checked out is compared with the branch that it left; lines are those of the working tree."""
    code, document = repository.gate("git:main:inv", "inv")
    (finding,) = document["findings"]

    assert (1, "widened") == (code, finding["kind"])
    assert {"file": "inv/hosts.yaml", "line": 9} == finding["declared_at"]
    assert ["git:main:inv/estate.yaml", "git:main:inv/hosts.yaml"] == [
        file["path"] for file in document["gate"]["base"]["files"]
    ]


def test_two_revisions(repository: Repository) -> None:
    """Both sides may be revisions: a branch, a tag, a commit, an ancestor."""
    repository.git("tag", "v1", "main")
    commit = repository.git("rev-parse", "HEAD")
    forward, document = repository.gate("git:v1:inv", f"git:{commit}:inv")
    backward, _ = repository.gate("git:HEAD:inv", "git:HEAD~1:inv/")
    same, _ = repository.gate("git:main:inv", "git:v1:./inv")

    assert (1, 0, 0) == (forward, backward, same)
    assert f"git:{commit}:inv/hosts.yaml" == document["findings"][0]["declared_at"]["file"]


def test_one_file(repository: Repository) -> None:
    """A path may be the one file of an inventory."""
    repository.write(one_yaml=ESTATE + HOSTS.removeprefix("version: 1\n"))
    repository.commit()
    code, document = repository.gate("git:HEAD:one.yaml", "git:HEAD:one.yaml")

    assert (0, []) == (code, document["findings"])
    assert "git:HEAD:one.yaml" == document["gate"]["base"]["files"][0]["path"]


def test_from_a_folder_below(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is relative to where the command runs, as git takes it there."""
    monkeypatch.chdir(repository.path / "inv")
    here, _ = repository.gate("git:main:.", "git:HEAD:../inv")
    absolute, _ = repository.gate(f"git:main:{repository.path}/inv", ".")

    assert (1, 1) == (here, absolute)


@pytest.mark.parametrize(("here", "inventory"), [(".", "inv"), ("inv", "."), ("docs", "../inv"), ("docs", "{}/inv")])
@pytest.mark.parametrize("head", ["{}", "git:HEAD:{}"])
def test_places_from_the_root(
    here: str, inventory: str, head: str, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Annotations and SARIF name files from the repository's root."""
    (repository.path / "docs").mkdir()
    repository.git("rm", "--quiet", "inv/hosts.yaml")
    repository.write(inv__web_yaml=OPEN.replace("db-1", "web-1").replace(".12", ".13"))
    repository.commit()
    monkeypatch.chdir(repository.path / here)
    given = inventory.format(repository.path)
    annotations, log = repository.path / "annotations", repository.path / "log.sarif"
    run(["gate", f"git:main:{given}", head.format(given), f"--format=github={annotations}", f"--format=sarif={log}"])
    results = json.loads(log.read_text())["runs"][0]["results"]
    named = {each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in results}

    assert named == set(re.findall(r"^::\w+ file=(.*?),", annotations.read_text(), re.MULTILINE))
    assert {"inv/web.yaml"} == named


def test_a_new_inventory(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Where --new says that there was none, everything is added, and nothing can have been weakened."""
    repository.write(new__estate_yaml=ESTATE.replace("shop", "other"), new__hosts_yaml=OPEN)
    repository.commit()
    told = refused(capsys, "git:main:new", "new")
    code, document = repository.gate("git:main:new", "new", "--new")

    assert "auditor: git:main:new: there is no inventory; is the path right? Where it is new, say so by --new" in told
    assert (1, ["added"]) == (code, [finding["kind"] for finding in document["findings"]])
    assert {"path": "git:main:new", "files": []} == document["gate"]["base"]
    assert "\nThe inventory is new: at git:main:new there is none.\n" in capsys.readouterr().out


def test_new_and_there(repository: Repository) -> None:
    """--new takes nothing away from a BASE that is there, so that a hook may always say it."""
    assert repository.gate("git:main:inv", "inv") == repository.gate("git:main:inv", "inv", "--new")


def test_new_beside_other_files(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that had no inventory yet has none to compare with."""
    repository.write(docs__read_me="nothing")
    repository.commit()
    assert "holds no .yaml, .yml or .json file" in refused(capsys, "git:HEAD:docs", "inv")

    repository.write(docs__estate_yaml=ESTATE.replace("shop", "other"), docs__hosts_yaml=OPEN)
    code, document = repository.gate("git:HEAD:docs", "docs", "--new")

    assert (1, []) == (code, document["gate"]["base"]["files"])
    assert "holds no .yaml, .yml or .json file" in refused(capsys, "git:HEAD:docs", "docs")


@pytest.mark.parametrize("new", [(), ("--new",)])
def test_a_wrong_path(new: tuple[str, ...], repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A BASE that is spelled wrong would pass for ever; what is there at HEAD's path was meant, --new or not."""
    told = "there is no inventory, and git:main:inv is there; is the path right?"

    assert f"auditor: git:main:inventroy: {told}" in refused(capsys, "git:main:inventroy", "inv", *new)
    assert f"auditor: git:main:inventroy: {told}" in refused(capsys, "git:main:inventroy", "git:HEAD:inv", *new)


def test_new_in_files(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Two paths are as two revisions: what is not there is an error, or new."""
    code, document = repository.gate("old", "inv", "--new")

    assert (1, ["added"]) == (code, [finding["kind"] for finding in document["findings"]])
    assert "old: there is no such file or folder" in refused(capsys, "old", "inv")
    assert "inv2: there is no such file or folder" in refused(capsys, "git:main:inv", "inv2", "--new")


def test_absent_on_both_sides_is_not_new(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is compared with nothing, whatever is said."""
    assert "there is nothing to compare" in refused(capsys, "git:main:x", "git:HEAD:x", "--new")


def test_absent_head(repository: Repository) -> None:
    """An inventory that is gone: everything is removed, and nothing is looked at any more."""
    repository.git("rm", "--quiet", "-r", "inv")
    repository.commit()
    code, document = repository.gate("git:main:inv", "git:HEAD:inv")

    assert 1 == code
    assert ["hosts.db-1", "removed", "scope.allow"] == sorted(
        finding.get("rule", finding["kind"]) for finding in document["findings"]
    )


def test_absent_on_both_sides(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong path would pass for ever."""
    assert "neither git:main:inventory nor git:HEAD:inventory exists" in refused(
        capsys, "git:main:inventory", "git:HEAD:inventory"
    )


def test_unknown_revision(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A shallow clone has only its own branch: the message says how to fetch the other."""
    told = refused(capsys, "git:origin/main:inv", "inv")

    assert "no revision origin/main" in told
    assert "`git fetch --depth=1 origin main`" in told


def test_first_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first commit of a branch HEAD holds nothing; any other revision is unknown all the same."""
    repository = Repository(tmp_path / "new")
    repository.write(inv__estate_yaml=ESTATE, inv__hosts_yaml=OPEN)
    monkeypatch.chdir(repository.path)
    code, document = repository.gate("git:HEAD:inv", "inv", "--new")

    assert (1, ["added"]) == (code, [finding["kind"] for finding in document["findings"]])
    assert "git:HEAD:inv: there is no inventory; is the path right?" in refused(capsys, "git:HEAD:inv", "inv")
    assert "no revision main" in refused(capsys, "git:main:inv", "inv", "--new")


@pytest.mark.parametrize("rev", ["HEAD~9", "main@{9}", "main...HEAD", "main^2"])
def test_a_way_to_no_commit(rev: str, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no name of a branch cannot be fetched by that name: the message says what else to do."""
    told = refused(capsys, f"git:{rev}:inv", "inv")

    assert f"no one commit {rev}" in told
    assert "`git fetch --unshallow`" in told


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of a repository git's own words are told."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)

    assert "not a git repository" in refused(capsys, "git:main:inv", "inv")


def test_a_repository_of_somebody_else(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advice is git's own: it is the right place, and git has to be told that it is trusted."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    told = refused(capsys, "git:HEAD:inv", "inv")

    assert "detected dubious ownership in repository at" in told
    assert told.endswith(f"; if you trust it: `git config --global --add safe.directory {repository.path}`\n")


def test_no_git(repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without git the message says so."""
    monkeypatch.setenv("PATH", "/nonexistent")

    assert "git is not installed" in refused(capsys, "git:main:inv", "inv")


@pytest.mark.parametrize("text", ["git:", "git:main", "git:main:", "git::inv", "git:--output=x:inv", "git:-h:inv"])
def test_not_a_revision(text: str, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither half may lack, and no revision may be taken for an option."""
    told = refused(capsys, "--", text, "inv")

    assert told.startswith(f"auditor: {text}: ")
    assert not (repository.path / "x").exists()


def test_errors_name_the_revision(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong at a revision is told at its place there, and that of the other side beside it."""
    repository.write(inv__hosts_yaml=HOSTS.replace("5432/tcp", "5432"))
    repository.commit()
    repository.write(inv__hosts_yaml=HOSTS.replace("0/28", "1/28"))
    told = refused(capsys, "git:HEAD:inv", "inv")

    assert "git:HEAD:inv/hosts.yaml:7:9: hosts.db-1.services.postgres.ports: " in told
    assert "\ninv/hosts.yaml:9:16: hosts.db-1.services.postgres.from[0]: " in told


@pytest.mark.parametrize("target", ["../secret.yaml", "/etc/hostname", "sub/../../secret.yaml"])
def test_links_out_are_refused(target: str, repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in the repository reads nothing outside the inventory, neither there nor on this machine."""
    (repository.path / "inv" / "more.yaml").symlink_to(target)
    repository.commit()

    assert "git:HEAD:inv/more.yaml: is a link that leads out of the folder" in refused(capsys, "git:HEAD:inv", "inv")


def test_links_inside_are_followed(repository: Repository) -> None:
    """As in a folder: what a link leads to is read, once."""
    repository.git("mv", "inv/hosts.yaml", "inv/hosts.txt")
    (repository.path / "inv" / "hosts.yaml").symlink_to("hosts.txt")
    repository.commit()
    code, document = repository.gate("git:HEAD:inv", "inv")

    assert (0, []) == (code, document["findings"])


def test_a_link_as_the_path(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """It would lead out of what is read."""
    (repository.path / "current").symlink_to("inv")
    repository.commit()

    assert "git:HEAD:current: is a link; name what it leads to" in refused(capsys, "git:HEAD:current", "inv")


def test_submodules_are_refused(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their files are not in this repository, so what they declare cannot be told."""
    other = Repository(tmp_path / "other")
    other.write(hosts_yaml=HOSTS)
    other.commit()
    repository.git("submodule", "--quiet", "add", str(other.path), "inv/other")
    repository.commit()

    told = refused(capsys, "git:HEAD:inv", "inv")
    assert "git:HEAD:inv/other: is a submodule" in told
    assert "[submodule]" in told


@pytest.mark.parametrize("new", [(), ("--new",)])
def test_behind_a_submodule(
    new: tuple[str, ...], repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """git looks into no submodule and through no link: what is behind one is there, and cannot be told."""
    other = Repository(tmp_path / "other")
    other.write(inv__estate_yaml=ESTATE, inv__hosts_yaml=HOSTS)
    other.commit()
    repository.git("submodule", "--quiet", "add", str(other.path), "other")
    (repository.path / "link").symlink_to("inv")
    repository.commit()

    assert "git:HEAD:other: is a submodule" in refused(capsys, "git:HEAD:other/inv", "other/inv", *new)
    assert "git:HEAD:link: is a link; name what it leads to" in refused(capsys, "git:HEAD:link/x", "inv", *new)


def test_names_with_spaces_and_globs(repository: Repository) -> None:
    """A path is a path: nothing in it is a pattern."""
    repository.git("mv", "inv", "in [v]*")
    repository.commit()
    code, document = repository.gate("git:HEAD:in [v]*", "in [v]*")

    assert (0, []) == (code, document["findings"])


def test_a_folder_without_inventory(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is there and holds none is as wrong as it is on disk."""
    repository.write(docs__read_me="nothing")
    repository.commit()

    assert "git:HEAD:docs: holds no .yaml, .yml or .json file" in refused(capsys, "git:HEAD:docs", "inv")
