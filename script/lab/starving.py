"""Ways to leave a scanner short of processor time, without any right that a lab does not have anyway.

    held      every nmap that is started gets a share of one processor, all of them together: a quota of the kernel's
              (a group of the cpu controller, cgroups v1); where none can be made, each is stopped and continued in turn
    crowded   the command shares one processor with processes that only spin, and comes after them

What is held is found by a program called `nmap` that stands first on PATH. `ip netns exec` mounts a /sys of its own,
in which there are no groups: so that program writes itself into its group through the lab's /proc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lab.estate import LabError
from lab.stop_and_go import PERIOD

LOWER = 5  # niceness that a crowded command is put below what spins: a third of the weight (sched(7))
CONTROLLER = Path("/sys/fs/cgroup/cpu")
_STOP_AND_GO = Path(__file__).with_name("stop_and_go.py")
_NAME = "auditor-lab-"
_SPIN = "while True: pass"
_GROUPED = 'echo 0 >{group}/cgroup.procs || exit 99\nexec {nmap} "$@"\n'
_STOPPED = '{python} -I -S {script} $$ {share} </dev/null >/dev/null 2>&1 &\nexec {nmap} "$@"\n'


@contextmanager
def held(share: float, folder: Path, *, spared: str = "", quota: bool | None = None) -> Iterator[Mapping[str, str]]:
    """The environment in which nmap gets `share` of one processor, but for runs that have the option `spared`.

    `folder` takes the program that stands before nmap. With `quota` a quota is a must, or none is tried.
    """
    why = why_no_quota() if quota is not False else "not wanted"
    if quota and why:
        raise LabError(f"no quota of processor time can be set here: {why}")
    nmap = shutil.which("nmap")
    if nmap is None:
        raise LabError("nmap is not installed")
    with _group(share) if why is None else _nothing() as group:
        hold = _GROUPED if group else _STOPPED
        words = {"group": group, "nmap": nmap, "python": sys.executable, "script": _STOP_AND_GO, "share": share}
        shim = folder / "nmap"
        folder.mkdir(parents=True, exist_ok=True)
        sparing = f'case " $* " in *" {spared} "*) exec {nmap} "$@" ;; esac\n' if spared else ""
        shim.write_text(f"#!/bin/sh\n{sparing}{hold.format(**words)}", encoding="utf-8")
        shim.chmod(0o755)
        yield {"PATH": f"{folder}:{os.environ['PATH']}"}


@contextmanager
def crowded(spinning: int, *, lower: int = LOWER, place: int = 0) -> Iterator[tuple[str, ...]]:
    """The words before a command that shall share one processor with so many processes that spin.

    Another `place` is another processor, where there is one. They are of one session with us, or niceness would count
    for nothing (autogroup, sched(7)): so must the command be.
    """
    usable = sorted(os.sched_getaffinity(0), reverse=True)
    processor = str(usable[place % len(usable)])
    spin = ["setpriv", "--pdeathsig", "KILL", "taskset", "-c", processor, sys.executable, "-I", "-S", "-c", _SPIN]
    crowd = [subprocess.Popen(spin, stdin=subprocess.DEVNULL) for _ in range(spinning)]
    try:
        yield ("taskset", "-c", processor, "nice", "-n", str(lower))
    finally:
        for one in crowd:
            one.kill()
            one.wait()


def why_no_quota() -> str | None:
    """Why no process can be given a quota here; None where one can."""
    if not (CONTROLLER / "cgroup.procs").exists():
        return f"{CONTROLLER} has no cpu controller of cgroups v1"
    if not os.access(CONTROLLER, os.W_OK):
        return f"{CONTROLLER} cannot be written"
    return None


@contextmanager
def _group(share: float) -> Iterator[Path]:
    """A group with that quota, named as every process of the lab can reach it.

    A process that ends with us stands in it all the time: a group without one is left over, and removed by the next.
    """
    for old in CONTROLLER.glob(f"{_NAME}*"):
        with suppress(OSError):
            old.rmdir()
    group = Path(tempfile.mkdtemp(prefix=_NAME, dir=CONTROLLER))
    anchor = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert anchor.stdin is not None
    try:
        (group / "cgroup.procs").write_text(str(anchor.pid), encoding="ascii")
        (group / "cpu.cfs_period_us").write_text(str(round(PERIOD * 1e6)), encoding="ascii")
        (group / "cpu.cfs_quota_us").write_text(str(round(share * PERIOD * 1e6)), encoding="ascii")
        yield Path(f"/proc/{os.getpid()}/root{group}")
    finally:
        anchor.stdin.close()
        anchor.wait()
        _remove(group)


def _remove(group: Path) -> None:
    """Once the last of its processes has ended; what is stuck there is left to the next."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            return


@contextmanager
def _nothing() -> Iterator[None]:
    yield None
