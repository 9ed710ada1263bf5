"""What is shipped for CI, and what the README says of it, by the schemas of those services."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci.repository import CHANGES, FILES, ROOT, git
from tests.commands import auditor

SECTION = (ROOT / "README.md").read_text().partition("\n## In CI\n")[2].partition("\n## ")[0]
SNIPPETS = {found[1]: found[2] for found in re.finditer(r"```yaml\n# (\S+)\n(.*?)```", SECTION, re.DOTALL)}
COMMANDS = re.findall(r"^auditor .*$", SECTION, re.MULTILINE)
CHECKER, PRE_COMMIT = (Path(sys.executable).with_name(name) for name in ("check-jsonschema", "pre-commit"))


def snippet(name: str) -> Any:
    return yaml.safe_load(SNIPPETS[name])


def accepted(*command: str | Path) -> str:
    """What a checker complains of; empty where it is content."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}" or f"exit {done.returncode}"


@pytest.mark.parametrize(
    ("schema", "name"), [("github-actions", "action.yml"), ("gitlab-ci", ".gitlab/auditor-gate.gitlab-ci.yml")]
)
def test_files(schema: str, name: str) -> None:
    """The files for GitHub and GitLab are as those services' own schemas want them."""
    assert "" == accepted(CHECKER, "--builtin-schema", f"vendor.{schema}", ROOT / name)


def test_hooks() -> None:
    """pre-commit takes the hooks."""
    assert "" == accepted(PRE_COMMIT, "validate-manifest", ROOT / ".pre-commit-hooks.yaml")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ((CHECKER, "--builtin-schema", "vendor.github-workflows"), ".github/workflows/exposure.yml"),
        ((CHECKER, "--builtin-schema", "vendor.gitlab-ci"), ".gitlab-ci.yml"),
        ((PRE_COMMIT, "validate-config"), ".pre-commit-config.yaml"),
    ],
)
def test_snippets(command: tuple[str | Path, ...], name: str, tmp_path: Path) -> None:
    """The README's snippets are valid files as they stand."""
    path = tmp_path / Path(name).name
    path.write_text(SNIPPETS[name])

    assert "" == accepted(*command, path)


def test_the_checker_finds_faults(tmp_path: Path) -> None:
    """A snippet that is wrong would not pass."""
    path = tmp_path / "action.yml"
    path.write_text((ROOT / "action.yml").read_text().replace("using: composite", "using: nothing"))

    assert "" != accepted(CHECKER, "--builtin-schema", "vendor.github-actions", path)


def test_the_workflow_uses_the_action() -> None:
    """Inputs and outputs that the workflow names are the action's."""
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = snippet(".github/workflows/exposure.yml")["jobs"]["gate"]["steps"]
    (gate,) = [step for step in steps if "exposure-drift-auditor" in step["uses"]]
    outputs = set(re.findall(rf"steps\.{gate['id']}\.outputs\.([a-z]+)", str(steps)))

    assert set(gate["with"]) <= set(action["inputs"])
    assert {name for name, each in action["inputs"].items() if each.get("required")} <= set(gate["with"])
    assert {"sarif"} == outputs & set(action["outputs"]) == outputs


def test_the_pipeline_includes_the_job() -> None:
    """The file that the pipeline includes is there, and what it sets are variables of the job."""
    pipeline = snippet(".gitlab-ci.yml")
    (included,) = pipeline.pop("include")
    template = yaml.safe_load((ROOT / included["file"].lstrip("/")).read_text())

    assert {"auditor-gate"} == set(pipeline) == set(template)
    assert set(pipeline["auditor-gate"]["variables"]) <= set(template["auditor-gate"]["variables"])


def test_the_hooks_are_there() -> None:
    """The configuration names hooks that are shipped, and each command that they run exists."""
    shipped = {hook["id"]: hook["entry"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    (repository,) = snippet(".pre-commit-config.yaml")["repos"]

    assert set(shipped) == {hook["id"] for hook in repository["hooks"]}
    assert {0} == {auditor(entry.split()[1], "--help").returncode for entry in shipped.values()}


def test_every_commit() -> None:
    """The hooks run on every commit: pre-commit leaves out what a commit deletes, and would skip them."""
    shipped = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())

    assert {(True, False)} == {(hook["always_run"], hook["pass_filenames"]) for hook in shipped}


def test_the_commands_run(tmp_path: Path) -> None:
    """The README's commands run as they are pasted."""
    shop = tmp_path / "inventories" / "practice"
    for name, text in FILES.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message=the inventory")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    for name, text in CHANGES["narrows-a-range"].items():
        (shop / name).write_text(text)
    ran = [auditor(*command.partition("#")[0].split()[1:], cwd=tmp_path) for command in COMMANDS]

    assert [0, 0] == [done.returncode for done in ran], [done.stderr for done in ran]
    assert "10.20.128.0/17" in (tmp_path / "gate.md").read_text()
    assert (tmp_path / "gate.sarif").exists()


@pytest.mark.parametrize("name", ["action.yml", ".gitlab/auditor-gate.gitlab-ci.yml"])
def test_scripts(name: str, tmp_path: Path, program: Any) -> None:
    """shellcheck has nothing against the scripts in them, other than that their variables come from outside."""
    whole = yaml.safe_load((ROOT / name).read_text())
    steps = whole["runs"]["steps"] if "runs" in whole else []
    texts = [step["run"] for step in steps] or ["\n".join(job["script"]) for job in whole.values()]
    for number, text in enumerate(texts):
        script = tmp_path / f"{number}.sh"
        script.write_text(f"#!/bin/bash\n{text}")

        assert "" == accepted(program("shellcheck"), "--exclude=SC2153,SC2154", script)
