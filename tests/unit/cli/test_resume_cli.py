"""`auditor audit --resume` as its users meet it, with a fake nmap: no packet is sent."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import PATIENCE, FakeNmap, auditor, start

INVENTORY = """
version: 1
name: loopback
scope: {allow: [127.0.0.2]}
viewpoints:
  inside: {kind: internal, addresses: [127.0.0.1], nat: true}
  outside: {kind: public, addresses: [127.0.0.3], nat: true}
hosts:
  web-1:
    interfaces: {lan: [127.0.0.2]}
    services: {https: {ports: 443/tcp, from: [127.0.0.1], reason: web site}}
"""
XML = (
    '<nmaprun args="nmap" version="7.93"><scaninfo type="syn" protocol="tcp" services="443"/>'
    '<host endtime="1"><status state="up" reason="user-set"/><address addr="127.0.0.2" addrtype="ipv4"/><ports>'
    '<port protocol="tcp" portid="443"><state state="closed" reason="reset" reason_ttl="64"/></port></ports></host>'
    '<runstats><finished time="1" exit="success"/></runstats></nmaprun>'
)
EVERYTHING = """
import sys
ports = sys.argv[sys.argv.index("-p") + 1] if "-p" in sys.argv else ""
protocol = "udp" if "-sU" in sys.argv else "tcp"
print(f'<nmaprun args="nmap" version="7.93"><scaninfo type="syn" protocol="{protocol}" services="{ports}"/>')
print('<host endtime="1"><status state="up" reason="echo-reply"/><address addr="127.0.0.2" addrtype="ipv4"/><ports>')
print(f'<extraports state="closed"><extrareasons reason="reset" proto="{protocol}" ports="{ports}"/></extraports>')
print('</ports></host><runstats><finished time="1" exit="success"/></runstats></nmaprun>')
"""
DECLARED = "-p 443 127.0.0.2"
ONE_RUN = f"case \"$*\" in *'{DECLARED}') echo '{XML}'; exit 0;; esac\n"


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(INVENTORY)
    return path


def interrupted(
    inventory: Path, tmp_path: Path, number: signal.Signals = signal.SIGTERM, behaviour: str = ONE_RUN
) -> tuple[int, str]:
    """The exit code and the words of an audit that is told to end once its second run of nmap, the sweep, has begun."""
    fake = FakeNmap(tmp_path / "slow", behaviour + "exec sleep 60")
    running = begun(inventory, tmp_path, fake)
    running.send_signal(number)
    _, err = running.communicate(timeout=PATIENCE)
    return running.returncode, err


def begun(inventory: Path, tmp_path: Path, fake: FakeNmap) -> subprocess.Popen[str]:
    more = ("--profile", "quick", "-V", "inside", "--fail-on", "none")
    running = start("audit", inventory, "-o", tmp_path / "reports", *more, env=fake.env)
    until_asked(fake, "--min-rate", running)
    return running


def until_asked(fake: FakeNmap, word: str, running: subprocess.Popen[str]) -> None:
    log = Path(fake.env["PATH"].partition(":")[0]) / "log"
    fake.wait_until_started()
    while word not in log.read_text():
        assert running.poll() is None, running.communicate()


def folder(tmp_path: Path) -> Path:
    (found,) = (path for path in (tmp_path / "reports").iterdir() if path.name != "latest")
    return found


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP", "kill -9"],
)
def test_what_was_seen_is_kept_and_not_asked_again(
    number: signal.Signals, code: int, inventory: Path, tmp_path: Path
) -> None:
    """The message says how to go on; the same run, with its id, comes to its end in its own folder."""
    ended, err = interrupted(inventory, tmp_path, number)
    run = folder(tmp_path)
    fast = FakeNmap(tmp_path / "fast")
    again = auditor("audit", "--resume", run.name, "-o", tmp_path / "reports", env=fast.env)
    report = json.loads((run / "report.json").read_text())
    hint = f"auditor: what was seen so far is kept; to go on: auditor audit --resume {run}"

    assert (ended, again.returncode) == (code, 3)
    assert (hint in err.splitlines()) == (number != signal.SIGKILL)
    assert fast.started()
    assert 1 == len(list(run.glob("evidence/*-declared-*")))
    assert report["audit"]["id"].startswith(run.name.rpartition("-")[2])
    assert report["audit"]["started_at"].replace("-", "").replace(":", "") == run.name.partition("-")[0]
    assert (1, ["none"], "quick") == (
        len(report["audit"]["resumed"]),
        report["verdict"]["fail_on"],
        report["audit"]["profile"],
    )
    assert [["inside", 443, "closed"]] == [
        [row["viewpoint"], row["port"], row["observed"]] for row in report["matrix"] if row["port"] == 443
    ]
    assert re.search(r"interrupted and resumed at \d\d:\d\d:\d\d", " ".join(again.stdout.split()))
    assert (tmp_path / "reports" / "latest").readlink().name == run.name


def test_the_report_so_far_needs_no_packet_and_is_not_the_end(inventory: Path, tmp_path: Path) -> None:
    """With `--max-duration 0s` what was seen is reported, the rest is unverified, and the audit can still go on."""
    interrupted(inventory, tmp_path)
    fast = FakeNmap(tmp_path / "fast")
    for attempt in (1, 2):
        ended = auditor("audit", "--resume", folder(tmp_path), "--max-duration", "0s", env=fast.env)
        report = json.loads((folder(tmp_path) / "report.json").read_text())

        assert (ended.returncode, fast.started(), len(report["audit"]["resumed"])) == (3, [], attempt)
        assert [(443, "closed")] == [(row["port"], row["observed"]) for row in report["matrix"] if row["port"] == 443]
        assert f"To go on with them: auditor audit --resume {folder(tmp_path)}" in ended.stdout
        assert {"the time that --max-duration gives was over"} == {one["reason"] for one in report["unverified"]}


def test_audits_side_by_side_have_folders_of_their_own(inventory: Path, tmp_path: Path) -> None:
    """In one reports folder: each has its report, and `latest` is one of them. They look from two places."""
    env = FakeNmap(tmp_path / "bad", ONE_RUN + "exit 1").env
    more = ("-V", "inside", "--profile", "quick", "-o", tmp_path / "reports")
    places = [tmp_path / "here", tmp_path / "there"]
    for place in places:
        place.mkdir()
    both = [start("audit", inventory, *more, env={**env, "AUDITOR_LOCKS": str(place)}) for place in places]
    for one in both:
        one.communicate(timeout=PATIENCE)
    folders = {path.name for path in (tmp_path / "reports").iterdir() if not path.is_symlink() and path.is_dir()}

    assert [1, 1] == [one.returncode for one in both]
    assert 2 == len([name for name in folders if (tmp_path / "reports" / name / "report.json").exists()])
    assert (tmp_path / "reports" / "latest").readlink().name in folders


def test_where_nothing_was_seen_nothing_is_kept(inventory: Path, tmp_path: Path) -> None:
    """There is nothing to go on with, and nothing is said of it."""
    fake = FakeNmap(tmp_path / "slow", "exec sleep 60")
    running = start("audit", inventory, "-V", "inside", "-o", tmp_path / "reports", env=fake.env)
    fake.wait_until_started()
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=PATIENCE)

    assert (running.returncode, list((tmp_path / "reports").iterdir())) == (143, [])
    assert "--resume" not in err


def test_an_audit_that_runs_cannot_be_resumed(inventory: Path, tmp_path: Path) -> None:
    """Nor one that is being resumed: each says which process it is."""
    running = begun(inventory, tmp_path, FakeNmap(tmp_path / "slow", ONE_RUN + "exec sleep 60"))
    ended = auditor("audit", "--resume", folder(tmp_path))
    running.kill()
    running.communicate(timeout=PATIENCE)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert f"is in use by process {running.pid} on " in ended.stderr


def test_a_failed_part_is_asked_again_and_a_whole_audit_is_finished(inventory: Path, tmp_path: Path) -> None:
    """The end of an audit in which nmap failed says how to ask again; one in which nothing failed cannot be resumed."""
    only = ("audit", inventory, "-V", "outside", "-o", tmp_path / "reports", "--profile", "quick")
    down = ONE_RUN + "exit 1"
    first = auditor(*only, env=FakeNmap(tmp_path / "bad", down).env)
    run = folder(tmp_path)
    line = re.search(r"To go on with them: auditor (.*)", first.stdout)
    assert line
    script = tmp_path / "everything.py"
    script.write_text(EVERYTHING)
    good = FakeNmap(tmp_path / "good", f'exec {sys.executable} -S {script} "$@"')
    second = auditor(*shlex.split(line[1]), env=good.env)
    third = auditor(*shlex.split(line[1]), env=good.env)
    report = json.loads((run / "report.json").read_text())

    assert (first.returncode, second.returncode, third.returncode) == (3, second.returncode, 2)
    assert [] == [one for one in report["errors"] if one["stage"] == "scan"]
    assert "To go on with them" not in second.stdout
    assert f"{run} is finished, there is nothing to go on with: `auditor render {run}/report.json`" in third.stderr


def test_options_that_would_change_what_is_looked_at(inventory: Path, tmp_path: Path) -> None:
    """What has been seen is part of the whole that was asked for, and of no other."""
    interrupted(inventory, tmp_path)
    for option, value, words in (
        ("-V", "outside", "-V: this audit began with inside; leave the option out"),
        ("-V", "all", "-V: this audit began with inside; leave the option out"),
        ("--profile", "full", "--profile: this audit began with quick; leave the option out"),
        ("--host", "web-1", "--host: this audit began with none; leave the option out"),
    ):
        ended = auditor("audit", "--resume", folder(tmp_path), option, value)

        assert (ended.returncode, ended.stderr) == (2, f"auditor: {words}\n")


def test_another_engine_would_look_from_elsewhere(inventory: Path, tmp_path: Path) -> None:
    """What two places see is never put together."""
    interrupted(inventory, tmp_path)
    more = ("--engine", "dask", "--scheduler", "tcp://127.0.0.1:1")
    ended = auditor("audit", "--resume", folder(tmp_path), *more)
    words = "this audit began with --engine local, which stands elsewhere: give the same options again"

    assert (ended.returncode, ended.stderr) == (2, f"auditor: {words}\n")


def test_an_inventory_that_has_changed(inventory: Path, tmp_path: Path) -> None:
    """Other expectations cannot judge what was asked for these; the same file elsewhere is the same inventory."""
    interrupted(inventory, tmp_path)
    moved = inventory.rename(tmp_path / "moved.yaml")
    gone = auditor("audit", "--resume", folder(tmp_path))
    same = auditor("audit", moved, "--resume", folder(tmp_path), "-V", "inside", env=FakeNmap(tmp_path / "bad").env)
    inventory.write_text(INVENTORY + "# a remark\n")
    changed = auditor("audit", "--resume", folder(tmp_path))

    assert (gone.returncode, same.returncode, changed.returncode) == (2, 3, 2)
    assert f"{inventory} is not what it was when this audit began" in changed.stderr


def test_an_audit_goes_on_from_the_address_where_it_began(inventory: Path, tmp_path: Path) -> None:
    """Without a fixed one it is what was found then: what another address sees is no part of it."""
    inventory.write_text(INVENTORY.replace("[127.0.0.1], nat: true", "auto, within: 127.0.0.0/8"))
    interrupted(inventory, tmp_path)
    path = folder(tmp_path) / "run.json"
    asked = json.loads(path.read_text())
    path.write_text(json.dumps({**asked, "sources": {"inside": ["127.0.0.9"]}}))
    moved = auditor("audit", "--resume", folder(tmp_path))
    path.write_text(json.dumps(asked))
    same = auditor("audit", "--resume", folder(tmp_path), env=FakeNmap(tmp_path / "bad").env)

    assert asked["sources"] == {"inside": ["127.0.0.1"]}
    assert moved.returncode == 2
    assert (
        "auditor: viewpoint inside: this audit began from 127.0.0.9, and the system there uses 127.0.0.1 now: "
        "start a new audit, or go on where it began\n"
    ) in moved.stderr
    assert same.returncode == 3


def test_a_request_that_somebody_wrote_in(inventory: Path, tmp_path: Path) -> None:
    """Then nobody knows what was asked for, and nothing is sent."""
    interrupted(inventory, tmp_path)
    path = folder(tmp_path) / "run.json"
    text = path.read_text()
    for harmed in ("", "[]", "[" * 100_000, text.replace('"quick"', '"moon"'), text[:100], "\0"):
        path.write_text(harmed)
        ended = auditor("audit", "--resume", folder(tmp_path))

        assert (ended.returncode, ended.stdout) == (2, "")
        assert "damaged" in ended.stderr
        assert "internal error" not in ended.stderr


@pytest.mark.parametrize("arguments", [("--resume", "nowhere"), ("--resume", "."), ()])
def test_folders_that_are_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Nor can an audit begin without an inventory."""
    ended = auditor("audit", *arguments, cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert re.search(r"there is no such folder|is no folder of an audit|INVENTORY is missing", ended.stderr)


def test_a_run_s_own_evidence_is_not_overwritten(inventory: Path, tmp_path: Path) -> None:
    """What the second attempt sees has names of its own."""
    interrupted(inventory, tmp_path)
    run = folder(tmp_path)
    before = {path.name: path.read_bytes() for path in run.glob("evidence/*")}
    auditor("audit", "--resume", run, env=FakeNmap(tmp_path / "bad").env)
    after = {path.name: path.read_bytes() for path in run.glob("evidence/*")}

    assert before
    assert before.items() < after.items()
