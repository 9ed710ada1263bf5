"""Whatever ends an audit once its report is written: `--resume` writes what is missing, and asks nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from auditor.inventory.loading import load
from auditor.model.context import Context
from auditor.model.words import Profile
from auditor.pipeline.comparing import compare_evidence
from auditor.pipeline.judging import Request
from tests.commands import CASES, PATIENCE, FakeNmap, auditor, environment
from tests.unit.cli.test_resume_cli import EVERYTHING, INVENTORY, folder

# Runs command lines, each in a process that is forked off: what is imported is so once. Something happens to it at the
# N-th change of the disk, for what is not BEGIN counted from when report.json is there.
FORKING = """
import errno, json, os, pathlib, signal, sys, tempfile
from auditor.cli import main

def changing(owner, name, what, number, report):
    plain = getattr(owner, name)
    def changed(*arguments, **more):
        global seen
        counts = what == "BEGIN" or pathlib.Path(report).exists()
        seen += counts
        if counts and seen == number and what in ("KILL", "BEGIN"):
            os.kill(os.getpid(), signal.SIGKILL)
        if counts and seen >= number and what == "full":
            raise OSError(errno.ENOSPC, "No space left on device")
        result = plain(*arguments, **more)
        if counts and seen == number and what == "TERM":
            os.kill(os.getpid(), signal.SIGTERM)
        return result
    setattr(owner, name, changed)

for line in sys.stdin:
    what, number, report, argv = json.loads(line)
    seen = 0
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    if not (pid := os.fork()):
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = ["auditor", *argv]
        for owner, names in ((os, "fsync write pwrite"), (pathlib.Path, "mkdir replace symlink_to")):
            for name in names.split():
                changing(owner, name, what, number, report)
        try:
            main.main()
        except SystemExit as end:
            os._exit(end.code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    err.seek(0)
    print(json.dumps([code, err.read().decode()]), flush=True)
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


class Ending:
    """Runs the command line, with no nmap that would tell anything, and ends it as it is told to."""

    def __init__(self, folder: Path) -> None:
        self.nmap = FakeNmap(folder)
        argv = [sys.executable, "-c", FORKING]
        self._running = subprocess.Popen(
            argv, env=environment(self.nmap.env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *arguments: str | Path, what: str = "", number: int = 0, run: Path = Path()) -> tuple[int, str]:
        """The exit code, and what was said on stderr."""
        assert self._running.stdin is not None
        assert self._running.stdout is not None
        line = [what, number, str(run / "report.json"), ["audit", *map(str, arguments)]]
        print(json.dumps(line), file=self._running.stdin, flush=True)
        code, err = json.loads(self._running.stdout.readline())
        return code, err

    def close(self) -> None:
        assert self._running.stdout is not None
        self._running.communicate(timeout=PATIENCE)


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Ending]:
    made = Ending(tmp_path / "deaf")
    yield made
    made.close()


@pytest.mark.parametrize("what", ["KILL", "full", "TERM"])
def test_ended_anywhere_after_its_report_it_is_completed(
    what: str, judged: tuple[Path, int], tmp_path: Path, ending: Ending
) -> None:
    """At each step on the way: with the verdict's exit code, the page, `latest`, and nothing left to do."""
    original, code = judged
    for number in range(1, 50):
        reports = shutil.copytree(original, tmp_path / str(number), symlinks=True)
        run = next(reports.iterdir())
        ended, err = ending("--resume", run, what=what, number=number, run=run)
        if ended == code:
            break
        finished = '{"finished":true}' in (run / "journal.jsonl").read_text()
        again, said = ending("--resume", run)
        journal = (run / "journal.jsonl").read_text().splitlines()
        report = json.loads((run / "report.json").read_text())

        assert CODES[what] == ended, err
        assert ("to go on: auditor audit --resume" in err) == (what in ("full", "TERM")), err
        assert (2 if finished else code, []) == (again, ending.nmap.started()), said
        assert finished != ("what is missing beside its report is written now" in said)
        assert finished == ("is finished, there is nothing to go on with" in said)
        assert ('{"finished":true}', 1) == (journal[-1], len(report["audit"]["resumed"]))
        assert report["audit"]["id"] in (run / "report.html").read_text()
        assert run.name == (reports / "latest").readlink().name
        assert {"report.html", "report.json", "run.json", "journal.jsonl", "evidence", ".lock"} == {
            path.name for path in run.iterdir()
        }
    else:
        pytest.fail("it never came to its end")

    assert number > 5
    assert 2 == ending("--resume", run)[0]


def test_killed_while_it_begins_it_leaves_nothing_for_long(tmp_path: Path, ending: Ending) -> None:
    """At each step until its first run of nmap: the next audit removes the folder, unless one can go on from there."""
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(INVENTORY)
    more = (inventory, "-V", "inside", "--profile", "quick", "--max-duration", "0s", "-o")
    left: list[Path] = []
    for number in range(1, 30):
        reports = tmp_path / str(number)
        ended, err = ending(*more, reports, what="BEGIN", number=number)
        left = list(reports.glob("2*"))
        if any((path / "report.json").exists() for path in left):
            break
        ending(*more, reports)

        assert -signal.SIGKILL == ended, err
        assert all(path.exists() == (path / "run.json").exists() for path in left)
        assert all(3 == ending("--resume", path, "--max-duration", "0s")[0] for path in left if path.exists())

    assert 5 < number < 29


def test_an_older_audit_that_goes_on_leaves_latest_to_a_newer_one(
    judged: tuple[Path, int], tmp_path: Path, ending: Ending
) -> None:
    """And says so; its own reports are written."""
    original, code = judged
    reports = shutil.copytree(original, tmp_path / "reports", symlinks=True)
    run = next(reports.iterdir())
    newer = reports / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-loopback-ffffffff"
    newer.mkdir()
    for name in ("report.json", "report.html"):
        (newer / name).touch()
    (reports / "latest").symlink_to(newer.name)
    ended, err = ending("--resume", run)

    assert (code, newer.name) == (ended, (reports / "latest").readlink().name)
    assert f"auditor: `latest` stays at {newer.name}, which began later\n" in err
    assert (run / "report.html").exists()


def test_the_report_of_an_earlier_attempt_is_not_the_last_one(
    judged: tuple[Path, int], tmp_path: Path, ending: Ending
) -> None:
    """An attempt that was ended before its report goes on with what it asked; nor does a damaged report count."""
    original, code = judged
    for harm in ("resumed since", "damaged", "another's"):
        reports = shutil.copytree(original, tmp_path / harm, symlinks=True)
        run = next(reports.iterdir())
        ending("--resume", run)
        lines = (run / "journal.jsonl").read_text().splitlines(keepends=True)[:-1]
        report = json.loads((run / "report.json").read_text())
        if harm == "resumed since":
            lines.append('{"resumed":"2026-01-01T02:00:00+00:00"}\n')
        elif harm == "another's":
            report["audit"]["id"] = "0" * 32
        (run / "report.json").write_text("{" if harm == "damaged" else json.dumps(report))
        (run / "journal.jsonl").write_text("".join(lines))
        again, said = ending("--resume", run)
        whole = json.loads((run / "report.json").read_text())["audit"]

        assert (code, []) == (again, ending.nmap.started()), said
        assert "is written now" not in said
        assert (run.name[-8:], 3 if harm == "resumed since" else 2) == (whole["id"][:8], len(whole["resumed"]))


def test_options_that_would_judge_otherwise_come_too_late(
    judged: tuple[Path, int], tmp_path: Path, ending: Ending
) -> None:
    """The verdict was given, and is told as it was."""
    original, code = judged
    reports = shutil.copytree(original, tmp_path / "reports", symlinks=True)
    run = next(reports.iterdir())
    ending("--resume", run, what="KILL", number=3, run=run)
    ended, err = ending("--resume", run, "--fail-on", "none", "--format", f"json={tmp_path}/copy.json")

    assert (code, True) == (ended, (tmp_path / "copy.json").exists())
    assert "--fail-on and --allow-unverified change nothing any more: the verdict was given" in err


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
