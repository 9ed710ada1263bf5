"""Two audits from one place, as their users meet it: the second is refused, or waits. With a fake nmap."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import PATIENCE, FakeNmap, auditor, start
from tests.unit.cli.test_resume_cli import INVENTORY, ONE_RUN, begun, folder, interrupted, until_asked

DECLARED = "-p 443"
OPTIONS = ("--profile", "quick", "-V", "inside")


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return path


@pytest.fixture
def running(inventory: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An audit whose second run of nmap ends when there is a file `go`."""
    go = f'until [ -e "{tmp_path}/go" ]; do sleep 0.1; done; exit 1'
    audit = begun(inventory, tmp_path, FakeNmap(tmp_path / "first", ONE_RUN + go))
    yield audit
    audit.kill()
    audit.communicate(timeout=PATIENCE)


def test_the_second_sends_nothing_and_says_who_runs(
    running: subprocess.Popen[str], inventory: Path, tmp_path: Path
) -> None:
    """Whatever viewpoint of its inventory looks from there; and it leaves no folder."""
    fake = FakeNmap(tmp_path / "second")
    ended = auditor("audit", inventory, "-V", "all", "-o", tmp_path / "others", env=fake.env)
    words = (
        rf"auditor: viewpoint inside is in use by another audit \(local\): process {running.pid} of \S+ on \S+ since "
        r"20\S+Z, inventory loopback, viewpoint inside\. Two at a time would send more than is allowed; --wait waits "
        r"for its end\n"
    )

    assert (2, "", []) == (ended.returncode, ended.stdout, fake.started())
    assert re.fullmatch(words, ended.stderr)
    assert not (tmp_path / "others").exists()


def test_it_waits_where_it_is_told_to(running: subprocess.Popen[str], inventory: Path, tmp_path: Path) -> None:
    """Nothing is sent before the first has ended, and its time begins then."""
    fake = FakeNmap(tmp_path / "second", "exit 1")
    more = (*OPTIONS, "-o", tmp_path / "others", "--wait", "--max-duration", "20s")
    waiting = start("audit", inventory, *more, env=fake.env)
    assert waiting.stderr is not None
    said = waiting.stderr.readline()
    before = fake.started()
    (tmp_path / "go").touch()
    running.communicate(timeout=PATIENCE)
    waiting.communicate(timeout=PATIENCE)

    assert f"auditor: waiting: viewpoint inside is in use by another audit (local): process {running.pid} of " in said
    assert ([], 3) == (before, waiting.returncode)
    assert fake.started()


def test_going_on_is_an_audit_too(inventory: Path, tmp_path: Path) -> None:
    """Refused, it is as it was: no attempt is noted."""
    interrupted(inventory, tmp_path)
    run = folder(tmp_path)
    before = (run / "journal.jsonl").read_bytes()
    fake = FakeNmap(tmp_path / "long", "exec sleep 60")
    other = start("audit", inventory, *OPTIONS, "-o", tmp_path / "others", env=fake.env)
    until_asked(fake, DECLARED, other)
    ended = auditor("audit", "--resume", run)
    other.kill()
    other.communicate(timeout=PATIENCE)

    assert (2, before) == (ended.returncode, (run / "journal.jsonl").read_bytes())
    assert f"process {other.pid} of " in ended.stderr


def test_what_sends_nothing_needs_no_place(running: subprocess.Popen[str], inventory: Path, tmp_path: Path) -> None:
    """`plan`, `expect` and `doctor` answer beside an audit."""
    env = FakeNmap(tmp_path / "other").env

    assert 0 == auditor("plan", inventory, "-V", "all", env=env).returncode
    assert 0 == auditor("expect", inventory, "-V", "all", env=env).returncode
    assert "in use" not in auditor("doctor", inventory, env=env).stderr


def test_a_killed_audit_holds_nothing(running: subprocess.Popen[str], inventory: Path, tmp_path: Path) -> None:
    """The next one goes on as if there had been none."""
    running.kill()
    running.communicate(timeout=PATIENCE)
    fake = FakeNmap(tmp_path / "second", "exit 1")
    ended = auditor("audit", inventory, *OPTIONS, "-o", tmp_path / "others", env=fake.env)

    assert (3, True) == (ended.returncode, bool(fake.started()))
