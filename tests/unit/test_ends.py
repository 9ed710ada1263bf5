"""Whatever ends an audit once its report is written: `--resume` writes what is missing, and asks nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from auditor.inventory import load
from auditor.model.context import Context
from auditor.model.words import Profile
from auditor.pipeline import Request, compare_evidence
from tests.commands import CASES, PATIENCE, FakeNmap, auditor, environment
from tests.unit.test_resume_cli import EVERYTHING, INVENTORY, folder

# The command line, but that something happens at the N-th change of the disk once report.json is there.
DYING = """
import errno, os, pathlib, signal, sys
from auditor.cli import main
what, number = sys.argv.pop(1), int(sys.argv.pop(1))
seen = 0

def changing(owner, name):
    plain = getattr(owner, name)
    def changed(*arguments, **more):
        global seen
        after = pathlib.Path(sys.argv[-1], "report.json").exists()
        seen += after
        if after and seen == number and what == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        if after and seen >= number and what == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        result = plain(*arguments, **more)
        if after and seen == number and what == "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        return result
    setattr(owner, name, changed)

for owner, name in ((os, "fsync"), (os, "write"), (pathlib.Path, "replace"), (pathlib.Path, "symlink_to")):
    changing(owner, name)
main.main()
"""
CODES = {"KILL": -signal.SIGKILL, "full": 2, "TERM": 143}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The reports of an audit that has asked everything, less its report; and what its exit code would be."""
    tmp_path = tmp_path_factory.mktemp("judged")
    inventory, script = tmp_path / "inventory.yaml", tmp_path / "everything.py"
    inventory.write_text(INVENTORY)
    script.write_text(EVERYTHING)
    good = FakeNmap(tmp_path / "good", f'exec {sys.executable} -S {script} "$@"')
    ended = auditor("audit", inventory, "-V", "outside", "-o", tmp_path / "reports", "--profile", "quick", env=good.env)
    run = folder(tmp_path)
    lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)

    assert ['{"finished":true}\n'] == lines[-1:]

    (run / "journal.jsonl").write_text("".join(lines[:-1]))
    for path in (run / "report.json", run / "report.html", tmp_path / "reports" / "latest"):
        path.unlink()
    return tmp_path / "reports", ended.returncode


def dying(what: str, number: int, run: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", DYING, what, str(number), "audit", "--resume", str(run)]
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.mark.parametrize("what", ["KILL", "full", "TERM"])
def test_ended_anywhere_after_its_report_it_is_completed(what: str, judged: tuple[Path, int], tmp_path: Path) -> None:
    """At each step on the way: with the verdict's exit code, the page, `latest`, and nothing left to do."""
    original, code = judged
    deaf = FakeNmap(tmp_path / "deaf")
    for number in range(1, 50):
        reports = shutil.copytree(original, tmp_path / str(number), symlinks=True)
        run = next(reports.iterdir())
        ended = dying(what, number, run)
        if ended.returncode == code:
            break
        finished = '{"finished":true}' in (run / "journal.jsonl").read_text()
        again = auditor("audit", "--resume", run, env=deaf.env)
        journal = (run / "journal.jsonl").read_text().splitlines()
        report = json.loads((run / "report.json").read_text())

        assert CODES[what] == ended.returncode, ended.stderr
        assert ("to go on: auditor audit --resume" in ended.stderr) == (what in ("full", "TERM")), ended.stderr
        assert (2 if finished else code, []) == (again.returncode, deaf.started()), again.stderr
        assert finished != ("what is missing beside its report is written now" in again.stderr)
        assert ('{"finished":true}', 1) == (journal[-1], len(report["audit"]["resumed"]))
        assert report["audit"]["id"] in (run / "report.html").read_text()
        assert run.name == (reports / "latest").readlink().name
        assert {"report.html", "report.json", "run.json", "journal.jsonl", "evidence", ".lock"} == {
            path.name for path in run.iterdir()
        }
    else:
        pytest.fail("it never came to its end")

    assert number > 5
    assert 2 == auditor("audit", "--resume", run, env=deaf.env).returncode


def test_an_older_audit_that_goes_on_leaves_latest_to_a_newer_one(judged: tuple[Path, int], tmp_path: Path) -> None:
    """And says so; its own reports are written."""
    original, code = judged
    reports = shutil.copytree(original, tmp_path / "reports", symlinks=True)
    run = next(reports.iterdir())
    newer = reports / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-loopback-ffffffff"
    newer.mkdir()
    for name in ("report.json", "report.html"):
        (newer / name).touch()
    (reports / "latest").symlink_to(newer.name)
    ended = auditor("audit", "--resume", run, env=FakeNmap(tmp_path / "deaf").env)

    assert (code, newer.name) == (ended.returncode, (reports / "latest").readlink().name)
    assert f"auditor: `latest` stays at {newer.name}, which began later\n" in ended.stderr
    assert (run / "report.html").exists()


def test_the_report_of_an_earlier_attempt_is_not_the_last_one(judged: tuple[Path, int], tmp_path: Path) -> None:
    """An attempt that was ended before its report goes on with what it asked; nor does a damaged report count."""
    original, code = judged
    deaf = FakeNmap(tmp_path / "deaf")
    for harm in ("resumed since", "damaged", "another's"):
        reports = shutil.copytree(original, tmp_path / harm, symlinks=True)
        run = next(reports.iterdir())
        auditor("audit", "--resume", run, env=deaf.env)
        lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)[:-1]
        report = json.loads((run / "report.json").read_text())
        if harm == "resumed since":
            lines.append('{"resumed":"2026-01-01T02:00:00+00:00"}\n')
        elif harm == "another's":
            report["audit"]["id"] = "0" * 32
        (run / "report.json").write_text("{" if harm == "damaged" else json.dumps(report))
        (run / "journal.jsonl").write_text("".join(lines))
        again = auditor("audit", "--resume", run, env=deaf.env)
        whole = json.loads((run / "report.json").read_text())["audit"]

        assert (code, []) == (again.returncode, deaf.started()), again.stderr
        assert "is written now" not in again.stderr
        assert (run.name[-8:], 3 if harm == "resumed since" else 2) == (whole["id"][:8], len(whole["resumed"]))


def test_options_that_would_judge_otherwise_come_too_late(judged: tuple[Path, int], tmp_path: Path) -> None:
    """The verdict was given, and is told as it was."""
    original, code = judged
    reports = shutil.copytree(original, tmp_path / "reports", symlinks=True)
    run = next(reports.iterdir())
    dying("KILL", 3, run)
    ended = auditor("audit", "--resume", run, "--fail-on", "none", "--format", f"json={tmp_path}/copy.json")

    assert (code, True) == (ended.returncode, (tmp_path / "copy.json").exists())
    assert "--fail-on and --allow-unverified change nothing any more: the verdict was given" in ended.stderr


@pytest.mark.parametrize(("resumed", "told"), [(-60, False), (0, False), (3600, True)])
def test_a_clock_that_was_set_back_is_told(resumed: int, told: bool) -> None:
    """An audit that ended before it began, or went on, by its clock has no time that can be relied on: incomplete."""
    case = CASES / "clean.exit0"
    inventory = load(case / "inventory.yaml")
    files = {inventory.viewpoints[path.name.partition(".")[0]]: [path] for path in sorted(case.glob("*.xml"))}
    now = datetime(2026, 11, 22, 2, tzinfo=UTC)
    for request in (
        Request("0" * 32, now + timedelta(seconds=resumed), Profile.COMPARE),
        Request("0" * 32, now - timedelta(days=1), Profile.COMPARE, resumed=(now + timedelta(seconds=resumed),)),
    ):
        audit = compare_evidence(inventory, files, request, Context(lambda: now, Random(1), lambda _: None))
        said = [error.message for error in audit.errors if error.stage == "clock"]

        assert told == (audit.verdict.exit_code == 3) == (not audit.verdict.complete)
        assert told == any("the clock was set back" in message for message in said)
