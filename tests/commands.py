"""Running the installed command `auditor` as its users do, with a fake nmap where one is needed: no packet is sent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

AUDITOR = Path(sys.executable).with_name("auditor")
CASES = Path(__file__).parent / "cases"
ANY_DAY = ("--max-age", "any")  # the evidence of the tests is of one day, and they are run on others
# What a background job or nohup around the tests has set to be ignored, the auditor would respect.
AS_FROM_A_SHELL = (shutil.which("env") or "/usr/bin/env", "--default-signal=INT", "--default-signal=HUP")
PATIENCE = 30.0  # seconds until a command that hangs is a failed test

# Tells its version, notes how else it was started, and then does what BEHAVIOUR says.
_FAKE_NMAP = """#!/bin/sh
case "$*" in *-V*) echo "Nmap version {version} ( https://nmap.org )"; exit 0;; esac
echo "$$ $*" >> "{log}"
{behaviour}
"""


class FakeNmap:
    """An nmap that stands first on PATH, and all that was started of it."""

    def __init__(self, folder: Path, behaviour: str = "exit 1", version: str = "7.93") -> None:
        folder.mkdir()
        self._log = folder / "log"
        program = folder / "nmap"
        program.write_text(_FAKE_NMAP.format(version=version, log=self._log, behaviour=behaviour))
        program.chmod(0o755)
        self.env = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def started(self) -> list[int]:
        """The process ids of the runs so far."""
        return [int(line.split()[0]) for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def targets(self) -> set[str]:
        """The last argument of each run so far."""
        return {line.split()[-1] for line in self._log.read_text().splitlines()} if self._log.exists() else set()

    def wait_until_started(self) -> list[int]:
        until = time.monotonic() + PATIENCE
        while not (pids := self.started()):
            assert time.monotonic() < until, "nmap was never started"
            time.sleep(0.02)
        return pids


def environment(env: Mapping[str, str] = {}) -> dict[str, str]:
    """This process's environment without what would change the output, and with `env`."""
    plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**plain, **env}


def auditor(
    *arguments: str | Path,
    env: Mapping[str, str] = {},
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end."""
    return subprocess.run(
        [AUDITOR, *map(str, arguments)],
        env=environment(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def start(*arguments: str | Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start one command line, for a test that will interrupt it."""
    return subprocess.Popen(
        [*AS_FROM_A_SHELL, AUDITOR, *map(str, arguments)],
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_gone(pid: int) -> bool:
    """Whether a process ended, within reason; one that nobody has reaped yet has ended too."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


def compare(
    case: str, output: Path, *more: str | Path, env: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """`auditor compare` with the inventory and the evidence of one case, whatever the day."""
    folder = CASES / case
    files = [f"--nmap-xml={path.name.partition('.')[0]}={path}" for path in sorted(folder.glob("*.xml"))]
    return auditor("compare", folder / "inventory.yaml", *files, *ANY_DAY, "-o", output, *more, env=env)
