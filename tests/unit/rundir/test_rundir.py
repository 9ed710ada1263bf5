"""Run folders: whole files, private files, and a `latest` that moves last."""

from __future__ import annotations

import fcntl
import gzip
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditor.errors import RunError
from auditor.rundir.files import write_anywhere, write_new, write_whole
from auditor.rundir.folder import RunDir

STARTED = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)


def make(tmp_path, audit_id="0123456789abcdef"):
    return RunDir(tmp_path / "reports", "estate", audit_id, STARTED)


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_the_folder_is_named_by_time_inventory_and_id(tmp_path):
    """The name sorts by time and cannot collide with another run."""
    assert make(tmp_path).path.name == "20260101T020000Z-estate-01234567"


def test_files_are_private(tmp_path):
    """Reports say where a network is weak: only their owner reads them."""
    path = make(tmp_path).write("report.json", "{}")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    """Text that cannot be encoded stands in for a full disk: it fails inside the write."""
    path = tmp_path / "report.json"
    write_whole(path, "good")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")

    assert (path.read_text(), names(tmp_path)) == ("good", ["report.json"])


def test_a_place_that_cannot_be_written_is_a_clear_error():
    """The error names the file and says what the system said."""
    with pytest.raises(RunError, match=r"cannot write /dev/full/report\.json: Not a directory"):
        write_whole(Path("/dev/full/report.json"), "x")


def test_evidence_appears_when_its_writer_is_done(tmp_path):
    """Half a file is never taken for evidence."""
    run = make(tmp_path)
    with run.open("public.xml") as file:
        file.write(b"<nmaprun/>")
        during = [path.name for path in (run.path / "evidence").glob("public*")]

    assert during == []
    assert gzip.decompress((run.path / "evidence/public.xml.gz").read_bytes()) == b"<nmaprun/>"


def test_interrupted_evidence_leaves_nothing(tmp_path):
    """An interrupt inside the writer takes the part file with it."""
    run = make(tmp_path)
    with pytest.raises(KeyboardInterrupt), run.open("public.xml") as file:
        file.write(b"<nmaprun>")
        raise KeyboardInterrupt

    assert names(run.path) == ["evidence"]


def test_latest_moves_to_the_newest(tmp_path):
    """`latest` is a relative link, replaced in one step."""
    first, second = make(tmp_path, "a" * 32), make(tmp_path, "b" * 32)
    first.publish()
    second.publish()

    assert (tmp_path / "reports/latest").readlink().name == second.path.name
    assert not [path for path in (tmp_path / "reports").iterdir() if path.name.startswith(".latest")]


def test_latest_that_is_a_folder_is_left_alone(tmp_path):
    """Somebody's own folder named `latest` is not ours to replace."""
    run = make(tmp_path)
    (tmp_path / "reports/latest").mkdir()
    with pytest.raises(RunError, match="cannot move"):
        run.publish()

    assert names(tmp_path / "reports") == sorted([run.path.name, "latest"])


def test_a_run_that_saw_nothing_leaves_no_folder(tmp_path):
    """An error before the first packet leaves no empty folder behind."""
    run = make(tmp_path)
    with pytest.raises(ValueError, match="no"), run.discarded_on_error():
        raise ValueError("no")

    assert not run.path.exists()


def test_a_reports_folder_that_cannot_be_made(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "reports").write_text("")
    with pytest.raises(RunError, match="cannot create"):
        make(tmp_path)


def test_what_the_user_names_stays_what_it_is(tmp_path: Path) -> None:
    """A link leads on to its target, a pipe gets the text: neither is replaced by a file."""
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_text("old")
    link.symlink_to(real)
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_anywhere(link, "new")
    write_anywhere(pipe, "piped")
    write_anywhere(tmp_path / "fresh", "fresh")

    assert (link.is_symlink(), real.read_text(), os.read(reading, 99)) == (True, "new", b"piped")
    assert (tmp_path / "fresh").read_text() == "fresh"
    os.close(reading)


def test_devices_stay_devices() -> None:
    """Run as root, a replaced /dev/null would break the machine."""
    write_anywhere(Path("/dev/null"), "gone")

    assert Path("/dev/null").is_char_device()


def test_a_foreign_latest_is_left_alone(tmp_path: Path) -> None:
    """Only a link of ours is moved."""
    (tmp_path / "latest").write_text("precious")

    with pytest.raises(RunError, match="is no link"):
        RunDir(tmp_path, "estate", "0" * 32, STARTED)

    assert (tmp_path / "latest").read_text() == "precious"


def test_a_reports_folder_that_is_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    """The folder is what is wrong, and not the run in it."""
    (tmp_path / "reports").symlink_to(tmp_path / "nowhere")

    with pytest.raises(RunError, match=r"cannot create the folder .*reports: "):
        RunDir(tmp_path / "reports", "estate", "0" * 32, STARTED)


def test_a_new_file_takes_no_other_s_place(tmp_path: Path) -> None:
    """A name that is taken, be it by a link to nothing, stays what it is; a new file is whole, private and alone."""
    taken, link, new = tmp_path / "taken", tmp_path / "link", tmp_path / "new"
    taken.write_text("mine", encoding="utf-8")
    link.symlink_to(tmp_path / "nothing")
    for path in (taken, link):
        with pytest.raises(RunError, match=f"{path} is there already, and is never overwritten"):
            write_new(path, "yours")
    write_new(new, "yours")

    assert taken.read_text(encoding="utf-8") == "mine"
    assert new.read_text(encoding="utf-8") == "yours"
    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert names(tmp_path) == ["link", "new", "taken"]


def complete(reports: Path, began: datetime, number: int = 1) -> RunDir:
    run = RunDir(reports, "estate", f"{number:08x}", began)
    run.write("report.json", "{}")
    run.write("report.html", "")
    return run


@pytest.mark.parametrize(
    ("later", "lacking", "now", "moves"),
    [
        (timedelta(hours=1), "", timedelta(hours=2), False),
        (timedelta(0), "", timedelta(hours=2), True),
        (timedelta(hours=-1), "", timedelta(hours=2), True),
        (timedelta(hours=1), "report.html", timedelta(hours=2), True),
        (timedelta(hours=1), "report.json", timedelta(hours=2), True),
        (timedelta(days=365), "", timedelta(hours=2), True),
    ],
    ids=["later", "at once", "earlier", "no page", "no report", "in the future"],
)
def test_latest_never_goes_back(tmp_path: Path, later: timedelta, lacking: str, now: timedelta, moves: bool) -> None:
    """An older audit that ends after a newer one leaves it there, unless that is incomplete or its clock lied."""
    other = complete(tmp_path, STARTED + later, 1)
    other.publish()
    if lacking:
        (other.path / lacking).unlink()
    run = complete(tmp_path, STARTED, 2)
    newer = run.publish(STARTED + now)

    assert newer == (None if moves else other.path.name)
    assert (tmp_path / "latest").readlink().name == (run if moves else other).path.name


def test_latest_that_points_nowhere_moves(tmp_path: Path) -> None:
    """Whoever removed that run did not mean the link to stay."""
    (tmp_path / "latest").symlink_to("20990101T000000Z-estate-00000000")
    run = complete(tmp_path, STARTED)

    assert (run.publish(STARTED), (tmp_path / "latest").readlink().name) == (None, run.path.name)


@pytest.mark.parametrize(
    ("files", "kept"),
    [
        ({}, False),
        ({".lock": "process 1 on x\n", ".run.json.0123456789abcdef0123456789abcdef.part": "{"}, False),
        ({"run.json": "", "journal.jsonl": "", ".lock": ""}, False),
        ({"run.json": '{"schema": "auditor/r', "evidence/.a.xml.gz.0123456789abcdef0123456789abcdef.part": ""}, False),
        ({"run.json": "{}"}, True),
        ({"run.json": "", "evidence/public-sweep-001.xml.gz": "x"}, True),
        ({"report.json": "{}"}, True),
        ({"run.json": "", "notes.txt": "mine"}, True),
        ({"run.json": "", "evidence/notes.txt": "mine"}, True),
    ],
    ids=["empty", "killed", "request empty", "request cut", "whole", "seen", "told", "notes", "notes within"],
)
def test_what_never_began_is_cleaned_up(tmp_path: Path, files: dict[str, str], kept: bool) -> None:
    """The next audit removes what a killed one left before it had sent anything; and never more."""
    folder = tmp_path / "20260101T010000Z-estate-00000009"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / ".latest-0123").symlink_to("nowhere")
    before = names(folder)
    make_in(tmp_path)

    assert folder.exists() is kept
    assert not kept or before == names(folder)
    assert not (tmp_path / ".latest-0123").is_symlink()


def make_in(reports: Path) -> RunDir:
    return RunDir(reports, "estate", "0123456789abcdef", STARTED)


def test_what_somebody_is_at_is_no_leftover(tmp_path: Path) -> None:
    """An audit that has made its folder, and not come further yet; nor is what looks like a run and is none."""
    young = RunDir(tmp_path, "estate", "0" * 32, STARTED)
    other, link = tmp_path / "20260101T020000Z-notes", tmp_path / "20260101T020000Z-estate-0000000b"
    other.mkdir()
    link.symlink_to(other)
    file = tmp_path / "20260101T020000Z-estate-0000000c"
    file.write_text("")
    make_in(tmp_path)
    there = [path.exists() for path in (young.path, other, link, file)]
    young.close()
    RunDir(tmp_path, "estate", "f" * 32, STARTED)

    assert ([True] * 4, False) == (there, young.path.exists())


def test_a_held_reports_folder_stops_nobody(tmp_path: Path) -> None:
    """A job that runs audits under flock(1) on that very folder: nothing is cleaned up then, and all goes on."""
    leftover = tmp_path / "20260101T010000Z-estate-00000009"
    leftover.mkdir()
    file = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(file, fcntl.LOCK_EX)
    run = complete(tmp_path, STARTED)
    run.publish()
    os.close(file)

    assert ((tmp_path / "latest").readlink().name, True) == (run.path.name, leftover.exists())


def test_finished_is_the_last_line_alone(tmp_path: Path) -> None:
    """An audit that was resumed since, or whose line was torn off, is not; one that was never begun has no journal."""
    run = make(tmp_path)
    run.finish()

    assert not (run.path / "journal.jsonl").exists()

    run.begin({})
    states = []
    for step in (RunDir.finish, lambda one: one.resume(STARTED), RunDir.finish, tear):
        step(run)
        run.close()
        run = RunDir.reopen(run.path)
        states.append((run.finished, run.damaged, len(run.resumed)))

    assert states == [(True, 0, 0), (False, 0, 1), (True, 0, 1), (False, 0, 1)]


def tear(run: RunDir) -> None:
    path = run.path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-3])
