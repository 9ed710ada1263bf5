"""The exit codes, as a shell sees them: only a verdict yields 1, whatever else goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands import AUDITOR, CASES, PATIENCE, FakeNmap, auditor, compare, environment, is_gone, start

CLEAN = CASES / "clean.exit0" / "inventory.yaml"
BAD = CASES / "bad-inventory.exit2" / "inventory.yaml"
TWO_VIEWPOINTS = CASES / "two-viewpoints.exit1" / "inventory.yaml"
SLEEPING = "exec sleep 60"
STUBBORN = "trap '' TERM INT HUP\nfor _ in $(seq 300); do sleep 0.2; done"  # a minute, whoever asks it to end
LOOPBACK = """
version: 1
name: loopback
scope: {allow: [127.0.0.2]}
viewpoints:
  inside: {kind: internal, addresses: [127.0.0.1], nat: true}
hosts:
  web-1:
    interfaces: {lan: [127.0.0.2]}
    services: {https: {ports: 443/tcp, from: [127.0.0.1], reason: web site}}
"""


@pytest.fixture
def loopback(tmp_path: Path) -> Path:
    path = tmp_path / "inventory.yaml"
    path.write_text(LOOPBACK)
    return path


@pytest.mark.parametrize("case", ["clean.exit0", "behind.exit1", "not-xml.exit2", "path-not-proved.exit3"])
def test_compare(case: str, tmp_path: Path) -> None:
    """As declared 0, drift 1, no verdict 2, something unverified 3."""
    assert compare(case, tmp_path).returncode == int(case[-1])


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nope",),
        ("--nope",),
        ("audit",),
        ("audit", "no-such-inventory"),
        ("audit", CLEAN, "--nope"),
        ("audit", CLEAN, "-V", "moon"),
        ("audit", CLEAN, "--profile", "compare"),
        ("audit", CLEAN, "--host", "moon"),
        ("audit", CLEAN, "--tag", "moon"),
        ("audit", CLEAN, "--fail-on", "moon"),
        ("audit", CLEAN, "--format", "moon"),
        ("audit", TWO_VIEWPOINTS),
        ("audit", BAD),
        ("compare", CLEAN),
        ("compare", CLEAN, "--nmap-xml"),
        ("compare", CLEAN, "--nmap-xml", "public=no-such-file.xml"),
        ("compare", CLEAN, "--nmap-xml", "moon=no-such-file.xml"),
        ("validate",),
        ("validate", BAD),
        ("validate", "no-such-inventory"),
        ("validate", CLEAN, "another"),
        ("expect", BAD),
        ("expect", CLEAN, "-V", "moon"),
        ("expect", CLEAN, "--host", "moon"),
        ("expect", TWO_VIEWPOINTS),
        ("plan", BAD),
        ("plan", CLEAN, "-V", "moon"),
        ("doctor", "no-such-inventory"),
        ("doctor", CLEAN, "-V", "moon"),
        ("render",),
        ("render", "no-such-report.json"),
        ("render", CLEAN),
        ("validate", CLEAN, "--color", "purple"),
        ("validate", CLEAN, "--config", "no-such-file.toml"),
    ],
    ids=lambda arguments: " ".join(Path(word).name if isinstance(word, Path) else word for word in arguments),
)
def test_bad_usage_and_bad_input_are_2(arguments: tuple[str | Path, ...], tmp_path: Path) -> None:
    """What cannot be done is no verdict: something on stderr says why, and no report appears."""
    ended = auditor(*arguments, cwd=tmp_path)

    assert (ended.returncode, ended.stdout, list(tmp_path.rglob("report.*"))) == (2, "", [])
    assert ended.stderr
    assert "Traceback" not in ended.stderr
    assert "internal error" not in ended.stderr


def test_a_crash_is_2(tmp_path: Path) -> None:
    """A defect in a stage says what it was and that there is no verdict; where it happened is shown on request."""
    tmp_path.joinpath("sitecustomize.py").write_text(
        "import auditor.drift.compare\n\ndef broken(*_):\n    raise ValueError('a stage broke \\x1b[2J')\n\n"
        "auditor.drift.compare.compare = broken\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    plain = compare("behind.exit1", tmp_path / "reports", env=env)
    traced = compare("behind.exit1", tmp_path / "reports", env={**env, "AUDITOR_TRACEBACK": "1"})

    assert (plain.returncode, traced.returncode) == (2, 2)
    assert "internal error, no verdict: ValueError: a stage broke [2J" in plain.stderr
    assert "Traceback" not in plain.stderr
    assert "Traceback" in traced.stderr
    assert "\x1b" not in plain.stderr + traced.stderr
    assert list((tmp_path / "reports").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "terminated")],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_an_audit_stopped_by_a_signal(
    number: signal.Signals, code: int, word: str, loopback: Path, tmp_path: Path
) -> None:
    """Its nmap is gone with it, and `latest` stays as it was."""
    fake = FakeNmap(tmp_path / "bin", SLEEPING)
    process = start("audit", loopback, "-o", tmp_path / "reports", "--profile", "quick", env=fake.env)
    fake.wait_until_started()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)

    assert (process.returncode, out) == (code, "")
    assert word in err
    assert "Traceback" not in err
    assert [pid for pid in fake.started() if not is_gone(pid)] == []
    assert not (tmp_path / "reports" / "latest").exists()


def test_an_nmap_that_ignores_terminate_is_killed(loopback: Path, tmp_path: Path) -> None:
    """It would go on probing after the auditor is gone."""
    fake = FakeNmap(tmp_path / "bin", STUBBORN)
    process = start("audit", loopback, "-o", tmp_path / "reports", "--profile", "quick", env=fake.env)
    fake.wait_until_started()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == 143
    assert [pid for pid in fake.started() if not is_gone(pid)] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_an_impatient_user(number: signal.Signals, code: int, loopback: Path, tmp_path: Path) -> None:
    """A second signal while nmap is being ended leaves no nmap behind either."""
    fake = FakeNmap(tmp_path / "bin", STUBBORN)
    process = start("audit", loopback, "-o", tmp_path / "reports", "--profile", "quick", env=fake.env)
    fake.wait_until_started()
    for _ in range(3):
        process.send_signal(number)
        time.sleep(0.3)
    process.communicate(timeout=PATIENCE)

    assert process.returncode == code
    assert [pid for pid in fake.started() if not is_gone(pid)] == []


def test_an_nmap_that_fails_is_3(loopback: Path, tmp_path: Path) -> None:
    """Nothing was seen, so everything is unverified, for the reason that nmap gave."""
    fake = FakeNmap(tmp_path / "bin", "echo 'Failed to open device' >&2; exit 1")
    ended = auditor("audit", loopback, "-o", tmp_path / "reports", "--profile", "quick", env=fake.env)
    report = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text())

    assert (ended.returncode, report["verdict"]["result"]) == (3, "incomplete")
    assert {row["reason"] for row in report["unverified"]} == {"nmap ended with exit status 1: Failed to open device"}


def test_an_nmap_that_is_too_old_is_3(loopback: Path, tmp_path: Path) -> None:
    """It cannot say which ports it collapsed, so it is not used."""
    fake = FakeNmap(tmp_path / "bin", version="7.91")
    ended = auditor("audit", loopback, "-o", tmp_path / "reports", "--profile", "quick", env=fake.env)

    assert (ended.returncode, fake.started()) == (3, [])
    assert "nmap 7.91 is too old" in ended.stdout


def test_no_nmap_anywhere_is_2(loopback: Path, tmp_path: Path) -> None:
    """No verdict without a scanner, and the message names the package."""
    (tmp_path / "bin").mkdir()
    ended = auditor("audit", loopback, "-o", tmp_path / "reports", env={"PATH": str(tmp_path / "bin")})

    assert (ended.returncode, list((tmp_path / "reports").iterdir())) == (2, [])
    assert "install the package nmap" in ended.stderr


@pytest.mark.parametrize(
    ("version", "code", "targets"), [("7.93", 0, {"127.0.0.1"}), ("7.80", 3, set())], ids=["recent", "old"]
)
def test_doctor(version: str, code: int, targets: set[str], loopback: Path, tmp_path: Path) -> None:
    """A failed check is 3; nothing is probed but the loopback interface of a namespace made for it."""
    fake = FakeNmap(tmp_path / "bin", version=version)
    ended = auditor("doctor", loopback, env={**fake.env, "NMAP_PRIVILEGED": "1"})

    assert (ended.returncode, fake.targets() - targets) == (code, set())
    assert f"nmap {version}" in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", CLEAN),
        ("expect", CLEAN),
        ("--help",),
        ("--version",),
        ("validate", BAD),
        ("--nope",),
    ],
    ids=lambda arguments: " ".join(Path(word).parent.name if isinstance(word, Path) else word for word in arguments),
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_went_away_is_141(arguments: tuple[str | Path, ...], stream: str) -> None:
    """As `… | head` does: 141 where the lost stream was written to, else the code as ever; and never 1."""
    reading, writing = os.pipe()
    os.close(reading)
    to_it = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: writing}
    ended = subprocess.run([AUDITOR, *arguments], **to_it, env=environment(), check=False, timeout=PATIENCE)
    os.close(writing)
    fails = arguments in (("validate", BAD), ("--nope",))
    code = 2 if fails else 0

    assert ended.returncode == (141 if fails == (stream == "stderr") else code)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(("case", "code"), [("clean.exit0", 0), ("bad-inventory.exit2", 2)])
def test_a_full_disk_behind_a_stream_is_2(stream: str, case: str, code: int) -> None:
    """What could not be written was not said, so it is no verdict; and never 1."""
    inventory = CASES / case / "inventory.yaml"
    with Path("/dev/full").open("w") as full:
        to_it = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full}
        ended = subprocess.run([AUDITOR, "validate", inventory], **to_it, check=False, timeout=PATIENCE)

    assert ended.returncode == (2 if stream == "stdout" else code)


@pytest.mark.parametrize("case", ["clean.exit0", "behind.exit1"])
def test_closed_streams_change_no_verdict(case: str, tmp_path: Path) -> None:
    """Nobody listens, and the report is written all the same."""
    line = (
        f'exec "{AUDITOR}" compare "$0/inventory.yaml" --nmap-xml "public=$0/public.xml" --max-age any -o "$1" >&- 2>&-'
    )
    ended = subprocess.run(["sh", "-c", line, CASES / case, tmp_path], check=False, timeout=PATIENCE)

    assert ended.returncode == int(case[-1])
    assert (tmp_path / "latest" / "report.json").exists()


def test_a_reports_folder_that_cannot_be_written_is_2(tmp_path: Path) -> None:
    """The verdict has nowhere to go."""
    tmp_path.joinpath("file").write_text("")
    ended = compare("behind.exit1", tmp_path / "file" / "reports")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot create" in ended.stderr
