"""The GitHub Action, its steps run by bash as the runner runs them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.repository import CHANGES, ESTATE, OPENED_LINE, ROOT, SECOND, Origin, git, run, shipped, told

pytestmark = pytest.mark.ci
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
INSTALL, GATE = ACTION["runs"]["steps"]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Runner:
    """What GitHub gives to a job: folders, files to write to, and variables."""

    def __init__(self, folder: Path, action: Path) -> None:
        self.temp = folder / "temp"
        self.temp.mkdir()
        self._action = action

    def step(
        self,
        step: Mapping[str, Any],
        workspace: Path,
        inputs: Mapping[str, str] = {},
        event: Mapping[str, str] = {},
        ref: str = "",
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str], str]:
        """Run one step; what it printed, its outputs and the job's summary."""
        script, output, summary = (self.temp / name for name in ("step.sh", "output", "summary"))
        script.write_text(step["run"])
        output.write_text("")
        summary.write_text("")
        done = run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            workspace,
            {
                "HOME": str(self.temp),
                "GITHUB_WORKSPACE": str(workspace),
                "GITHUB_ACTION_PATH": str(self._action),
                "GITHUB_SHA": git(workspace, "rev-parse", "HEAD"),
                "GITHUB_REF": ref,
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(summary),
                "RUNNER_TEMP": str(self.temp),
                **{name: resolve(value, inputs, event) for name, value in step.get("env", {}).items()},
            },
        )
        outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return done, outputs, summary.read_text()


def resolve(text: str, inputs: Mapping[str, str], event: Mapping[str, str]) -> str:
    """The expressions of a value, as GitHub fills them in."""
    given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()} | dict(inputs)

    def value(found: re.Match[str]) -> str:
        for term in found[1].split(" || "):
            context, _, name = term.partition(".")
            text = given[name] if context == "inputs" else event.get(term.removeprefix("github.event."), "")
            if text:
                return text
        return ""

    return EXPRESSION.sub(value, text)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner on which the action's own first step has installed the auditor."""
    folder = tmp_path_factory.mktemp("runner")
    found = Runner(folder, shipped(folder / "action"))
    workspace = folder / "empty"
    workspace.mkdir()
    git(workspace, "init", "--quiet")
    git(workspace, "commit", "--quiet", "--allow-empty", "--message=empty")
    done, _, _ = found.step(INSTALL, workspace)
    assert done.returncode == 0, told(done)
    return found


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    return Origin(tmp_path_factory.mktemp("origin"))


def pull_request(
    runner: Runner, origin: Origin, change: str, folder: Path, **inputs: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str], str]:
    workspace = origin.checkout(folder / "workspace", f"refs/pull/{change}/merge")
    given = {"inventory": origin.inventory, **inputs}
    event = {"pull_request.base.sha": origin.base, "repository.default_branch": "main"}
    return runner.step(GATE, workspace, given, event, f"refs/pull/{change}/merge")


def test_no_input_is_part_of_a_script() -> None:
    """What a pull request may choose reaches the scripts as variables alone."""
    assert [] == [expression for step in (INSTALL, GATE) for expression in EXPRESSION.findall(step["run"])]


def test_opens_postgres(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """A pull request that opens postgres to the whole internet fails, and its line is annotated."""
    done, outputs, summary = pull_request(runner, origin, "opens-postgres", tmp_path)

    assert done.returncode == 1, told(done)
    assert "fail" == outputs["result"]
    assert re.search(
        rf"^::error file=inventory/hosts/db\.yaml,line={OPENED_LINE},title=widened db-1\.postgres",
        done.stdout,
        re.MULTILINE,
    )
    assert "gained `0.0.0.0/5, 8.0.0.0/7, 10.0.0.0/12, " in summary  # all but the office's
    assert "### Exposure gate: failed" in summary
    assert "fail" == json.loads(Path(outputs["json"]).read_text())["verdict"]["result"]
    (log,) = json.loads(Path(outputs["sarif"]).read_text())["runs"]
    assert {"inventory/hosts/db.yaml"} == {
        each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in log["results"]
    }


def test_narrows_a_range(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """One that narrows a range passes, and the CIDRs lost are named."""
    done, outputs, summary = pull_request(runner, origin, "narrows-a-range", tmp_path)

    assert done.returncode == 0, told(done)
    assert "pass" == outputs["result"]
    assert "::error" not in done.stdout
    assert "10.20.128.0/17" in summary


def test_adds_a_site(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """One that adds an ordinary public site passes, and says so."""
    done, outputs, summary = pull_request(runner, origin, "adds-a-site", tmp_path)

    assert done.returncode == 0, told(done)
    assert "pass" == outputs["result"]
    assert "`web-1.https`" in summary


def test_no_verdict(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """An inventory that cannot be used is no pass: the step fails and says why."""
    done, outputs, summary = pull_request(runner, origin, "is-broken", tmp_path)

    assert done.returncode == 2, told(done)
    assert {"result": "error"} == outputs
    assert "hosts.db-1.services.postgres.ports" in done.stderr
    assert "" == summary


def test_overruled(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """With fail-on none the change is told and passes; without annotations and summary only the files have it."""
    options = {"fail-on": "none", "annotations": "false", "summary": "false", "sarif": "out.sarif"}
    done, outputs, summary = pull_request(runner, origin, "opens-postgres", tmp_path, **options)

    assert done.returncode == 0, told(done)
    assert ("pass", "out.sarif", "") == (outputs["result"], outputs["sarif"], summary)
    assert (tmp_path / "workspace" / "out.sarif").exists()
    assert "::warning" not in done.stdout


def pushed(
    runner: Runner, origin: Origin, commit: str, folder: Path, *, inventory: str, before: str, branch: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, str], dict[str, Any]]:
    """The push of a commit to a branch, and the gate's document where there is a verdict."""
    workspace = origin.checkout(folder / "workspace", commit)
    event = {"before": before, "repository.default_branch": "main"}
    done, outputs, _ = runner.step(GATE, workspace, {"inventory": inventory}, event, f"refs/heads/{branch}")
    return done, outputs, json.loads(Path(outputs["json"]).read_text()) if "json" in outputs else {}


def test_first_push(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """Before the first push of the default branch there was nothing: it is not compared with itself."""
    done, outputs, doc = pushed(
        runner, origin, origin.base, tmp_path, inventory="inventory", before="0" * 40, branch="main"
    )

    assert done.returncode == 0, told(done)
    assert ("pass", ["added"]) == (outputs["result"], [finding["kind"] for finding in doc["findings"]])
    assert [] == doc["gate"]["base"]["files"]


def test_no_commit_to_compare_with(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """An event such as a schedule, which no commit comes before, gives no verdict on the default branch."""
    done, outputs, _ = pushed(runner, origin, origin.base, tmp_path, inventory="inventory", before="", branch="main")

    assert (2, {"result": "error"}) == (done.returncode, outputs)
    assert "::error title=auditor::this event names no commit to compare the default branch with" in done.stdout


def test_the_base_checked_out(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """The base compared with itself would pass for ever, as with the checkout of `pull_request_target`."""
    workspace = origin.checkout(tmp_path / "workspace", origin.base)
    event = {"pull_request.number": "7", "pull_request.base.sha": origin.base, "repository.default_branch": "main"}
    done, outputs, _ = runner.step(GATE, workspace, {"inventory": "inventory"}, event, "refs/heads/main")

    assert (2, {"result": "error"}) == (done.returncode, outputs)
    assert "::error title=auditor::what is checked out is the base itself" in done.stdout


def test_a_new_inventory(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """A change that brings a first inventory, or one more, is told what it opens."""
    commit = origin.branch("second", files=SECOND)
    done, outputs, doc = pushed(
        runner, origin, commit, tmp_path, inventory="second", before=origin.base, branch="second"
    )

    assert done.returncode == 1, told(done)
    assert ("fail", ["added"]) == (outputs["result"], [finding["kind"] for finding in doc["findings"]])
    assert {"path": f"git:{origin.base}:second", "files": []} == doc["gate"]["base"]


def test_a_moved_inventory(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """One that moves the inventory is compared with what that was, though the checkout has no history."""
    opened = {f"estates/{name}": text for name, text in CHANGES["opens-postgres"].items()}
    commit = origin.branch("moved", ["mv", "inventory", "estates"], files=opened)
    done, outputs, doc = pushed(
        runner, origin, commit, tmp_path, inventory="estates", before=origin.base, branch="moved"
    )

    assert done.returncode == 1, told(done)
    assert ("fail", ["widened"]) == (outputs["result"], [finding["kind"] for finding in doc["findings"]])
    assert f"git:{origin.base}:inventory" == doc["gate"]["base"]["path"]


def test_a_replaced_inventory(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """Where the inventory went and another came, nothing tells whether it was moved: no verdict, and no pass."""
    hosts = "hosts: {x: {interfaces: {lan: [10.0.0.1]}}}"
    other = {"second.yaml": f"version: 1\nname: second\nscope: {{allow: [10.0.0.1]}}\n{hosts}\n"}
    commit = origin.branch("replaced", ["rm", "-r", "--quiet", "inventory"], files=other)
    done, outputs, _ = pushed(
        runner, origin, commit, tmp_path, inventory="second.yaml", before=origin.base, branch="replaced"
    )

    assert (2, {"result": "error"}) == (done.returncode, outputs), told(done)
    assert f"gone since are git:{origin.base}:inventory (`shop`)" in done.stderr


@pytest.mark.parametrize("before", ["base", "0" * 40])
def test_pushed(runner: Runner, origin: Origin, tmp_path: Path, before: str) -> None:
    """A push is compared with what was there before it, a new branch with the default branch."""
    workspace = origin.checkout(tmp_path / "workspace", origin.heads["opens-postgres"])
    event = {"before": origin.base if before == "base" else before, "repository.default_branch": "main"}
    done, outputs, _ = runner.step(GATE, workspace, {"inventory": "./inventory/"}, event, "refs/heads/opens-postgres")

    assert done.returncode == 1, told(done)
    assert "fail" == outputs["result"]


def test_base_given(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """The base may be any path."""
    base = tmp_path / "base.yaml"
    base.write_text(ESTATE + "hosts: {db-1: {interfaces: {public: [203.0.113.12]}}}\n")
    done, _, _ = pull_request(runner, origin, "adds-a-site", tmp_path, base=str(base))

    assert "added" in done.stdout, told(done)


def test_a_base_that_cannot_be_fetched(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """There is no verdict, and what to do about it is said."""
    workspace = origin.checkout(tmp_path / "workspace", origin.heads["adds-a-site"])
    event = {"before": "1234567890" * 4}
    done, outputs, _ = runner.step(GATE, workspace, {"inventory": "inventory"}, event, "refs/heads/adds-a-site")

    assert (2, {"result": "error"}) == (done.returncode, outputs)
    assert "::error title=auditor::the commit to compare with cannot be fetched; " in done.stdout


def test_hostile_inputs(runner: Runner, origin: Origin, tmp_path: Path) -> None:
    """Inputs are names of files and nothing else, whatever stands in them."""
    workspace = origin.checkout(tmp_path / "workspace", "refs/pull/adds-a-site/merge")
    marker = tmp_path / "owned"
    inventory = f'$(touch {marker});`touch {marker}`";touch {marker};"'
    event = {"pull_request.base.sha": origin.base}
    done, outputs, _ = runner.step(GATE, workspace, {"inventory": inventory}, event, "refs/pull/adds-a-site/merge")

    assert done.returncode == 2, told(done)
    assert ({"result": "error"}, False) == (outputs, marker.exists())


def test_hostile_names(runner: Runner, tmp_path: Path) -> None:
    """No name in a pull request can speak to the runner: the auditor's own output stands where commands are off."""
    origin = Origin(tmp_path, "inventory")
    done, _, _ = pull_request(runner, origin, "is-broken", tmp_path)
    start, end = (
        re.search(r"^::stop-commands::(\w+)$", done.stdout, re.MULTILINE),
        re.search(r"^::(\w{32})::$", done.stdout, re.MULTILINE),
    )

    assert start is not None
    assert end is not None
    assert start[1] == end[1]
