"""The job for GitLab CI, its script run by bash as GitLab's runner runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import pytest
import yaml

from tests.ci.repository import CHANGES, ROOT, SECOND, Origin, run, shipped, told

pytestmark = pytest.mark.ci
JOB = yaml.safe_load((ROOT / ".gitlab" / "auditor-gate.gitlab-ci.yml").read_text())["auditor-gate"]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return Origin(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree, which pip installs once for all tests."""
    folder = tmp_path_factory.mktemp("package")
    done = run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", "dist", str(shipped(folder / "auditor"))], folder, {}
    )
    assert done.returncode == 0, told(done)
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel


def merge_request(
    origin: Origin, package: Path, folder: Path, change: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """A merge request's pipeline, on the branch, of which GitLab fetches no more than is asked for."""
    known = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": origin.forks[change], "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": ""}
    return job(
        origin, package, folder, origin.heads[change], CI_PIPELINE_SOURCE="merge_request_event", **known | variables
    )


def job(origin: Origin, package: Path, folder: Path, commit: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The job's script on a commit, with these of the variables that GitLab gives."""
    workspace = origin.checkout(folder / "builds", commit)
    venv = folder.parent / "auditor-venv"  # one for all, as the runner's cache would have it
    script = "\n".join(JOB["script"]).replace("/tmp/auditor-venv", str(venv))
    known = {"CI_DEFAULT_BRANCH": "main", "CI_COMMIT_BEFORE_SHA": "0" * 40, "HOME": str(folder)}
    env = {**JOB["variables"], "AUDITOR_PACKAGE": str(package), **known, **variables}
    return run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script], workspace, env)


@pytest.mark.parametrize(
    ("change", "expected"),
    [("opens-postgres", (1, True)), ("narrows-a-range", (0, False)), ("adds-a-site", (0, False))],
)
def test_merge_requests(origin: Origin, package: Path, tmp_path: Path, change: str, expected: tuple[int, bool]) -> None:
    """The job ends as the gate does, and its JUnit report is where GitLab looks for it."""
    done = merge_request(origin, package, tmp_path, change)
    report = tmp_path / "builds" / JOB["artifacts"]["reports"]["junit"]

    assert expected == (done.returncode, "failure" in {element.tag for element in parse(report).iter()}), told(done)
    assert (tmp_path / "builds" / JOB["artifacts"]["paths"][0] / "gate.md").exists()


def test_overruled(origin: Origin, package: Path, tmp_path: Path) -> None:
    """The label sets what the job's first rule says, and the change passes."""
    overruled = JOB["rules"][0]["variables"]
    done = merge_request(origin, package, tmp_path, "opens-postgres", **overruled)

    assert {"AUDITOR_FAIL_ON": "none"} == overruled
    assert done.returncode == 0, told(done)


def test_on_the_merged_result(origin: Origin, package: Path, tmp_path: Path) -> None:
    """Where the pipeline runs on the merged result, it is compared with the target branch."""
    done = merge_request(origin, package, tmp_path, "opens-postgres", CI_MERGE_REQUEST_TARGET_BRANCH_SHA=origin.base)

    assert done.returncode == 1, told(done)


def gate(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "builds" / "auditor-gate" / "gate.json").read_text())


def test_first_push(origin: Origin, package: Path, tmp_path: Path) -> None:
    """Where rules let pushes run it, the first of all is compared with nothing, not with itself."""
    done = job(origin, package, tmp_path, origin.base, CI_PIPELINE_SOURCE="push", CI_COMMIT_BRANCH="main")

    assert done.returncode == 0, told(done)
    assert ([], ["added"]) == (
        gate(tmp_path)["gate"]["base"]["files"],
        [finding["kind"] for finding in gate(tmp_path)["findings"]],
    )


def test_pushes(origin: Origin, package: Path, tmp_path: Path) -> None:
    """A new branch is compared with the default branch, another with what it was."""
    opened, more = origin.heads["opens-postgres"], {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "x"}
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    new = job(origin, package, tmp_path / "new", opened, **more)
    old = job(origin, package, tmp_path / "old", opened, **more, CI_COMMIT_BEFORE_SHA=opened)

    assert (1, 0) == (new.returncode, old.returncode), told(new) + told(old)


def test_no_commit_to_compare_with(origin: Origin, package: Path, tmp_path: Path) -> None:
    """A schedule on the default branch gives no verdict."""
    done = job(origin, package, tmp_path, origin.base, CI_PIPELINE_SOURCE="schedule", CI_COMMIT_BRANCH="main")

    assert done.returncode == 2, told(done)
    assert "names no commit to compare the default branch with" in done.stdout


def test_a_new_inventory(origin: Origin, package: Path, tmp_path: Path) -> None:
    """A merge request that brings an inventory is told what that opens."""
    known = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_DIFF_BASE_SHA": origin.base}
    commit = origin.branch("second", files=SECOND)
    done = job(origin, package, tmp_path, commit, **known, AUDITOR_INVENTORY="second")

    assert done.returncode == 1, told(done)
    assert ["added"] == [finding["kind"] for finding in gate(tmp_path)["findings"]]


def test_a_moved_inventory(origin: Origin, package: Path, tmp_path: Path) -> None:
    """One that moves the inventory is compared with what that was."""
    known = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_DIFF_BASE_SHA": origin.base}
    opened = {f"estates/{name}": text for name, text in CHANGES["opens-postgres"].items()}
    commit = origin.branch("moved", ["mv", "inventory", "estates"], files=opened)
    done = job(origin, package, tmp_path, commit, **known, AUDITOR_INVENTORY="estates")

    assert done.returncode == 1, told(done)
    assert ["widened"] == [finding["kind"] for finding in gate(tmp_path)["findings"]]
