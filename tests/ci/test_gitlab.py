"""The job for GitLab CI, its script run by bash as GitLab's runner runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree.ElementTree import parse

import pytest
import yaml

from tests.ci.repository import ROOT, Origin, run, shipped, told

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
    workspace = origin.checkout(folder / "builds", origin.heads[change])
    known = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": origin.forks[change], "CI_MERGE_REQUEST_TARGET_BRANCH_SHA": ""}
    venv = folder.parent / "auditor-venv"  # one for all, as the runner's cache would have it
    script = "\n".join(JOB["script"]).replace("/tmp/auditor-venv", str(venv))
    env = {**JOB["variables"], "AUDITOR_PACKAGE": str(package), **known, "HOME": str(folder), **variables}
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
