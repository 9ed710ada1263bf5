"""What it costs to come in: processor time and peak memory of short commands, each beside what it is measured by.

Every run is a process of its own, and they take turns, so that what else the machine does counts for all alike.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
_COMMAND = "import sys; from auditor.cli.main import main; sys.argv[0] = 'auditor'; main()"
_DOOR, _VALIDATE, _MEMORY = 3.0, 0.45, 0.7
_INVENTORY = str(ROOT / "inventories" / "practice")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: seconds of processor time, and KiB that it had at most."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Run:
    """A command of ours in the checkout, and the exit code that it is to have."""

    argv: Sequence[str]
    checkout: Path = ROOT
    env: Mapping[str, str] | None = None
    code: int = 0

    def cost(self) -> Cost:
        null = os.open(os.devnull, os.O_RDWR)
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, *self.argv],
            {**env, "PYTHONPATH": str(self.checkout), **(self.env or {})},
            file_actions=[(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)],
        )
        os.close(null)
        _, status, used = os.wait4(pid, 0)
        if os.waitstatus_to_exitcode(status) != self.code:
            sys.exit(f"bench: {' '.join(self.argv)}: exit code {os.waitstatus_to_exitcode(status)}, not {self.code}")
        return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss)


def auditor(*arguments: str, checkout: Path = ROOT, code: int = 0) -> Run:
    return Run(("-c", _COMMAND, *arguments), checkout, code=code)


def completion(*words: str) -> Run:
    line = {"COMP_WORDS": " ".join(("auditor", *words)), "COMP_CWORD": str(len(words))}
    return Run(("-c", _COMMAND), env={"_AUDITOR_COMPLETE": "bash_complete", **line})


def measured(runs: Mapping[str, Run], times: int) -> dict[str, Cost]:
    """The medians of each, once all have been run for nothing, so that their bytecode is there."""
    for run in runs.values():
        run.cost()
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(times):
        for name, run in runs.items():
            costs[name].append(run.cost())
    return {
        name: Cost(median(one.seconds for one in each), round(median(one.memory for one in each)))
        for name, each in costs.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="script/bench door", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="of each command")
    parser.add_argument("--auditor", type=Path, metavar="CHECKOUT", help="another build, to validate beside ours")
    given = parser.parse_args(argv)
    click = "python -c 'import click'"
    runs = {
        click: Run(("-c", "import click")),
        "auditor --help": auditor("--help"),
        "auditor --version": auditor("--version"),
        "a bad option": auditor("validate", "--nosuch", code=2),
        "completion of a viewpoint": completion("audit", _INVENTORY, "-V", "p"),
        "validate": auditor("validate", _INVENTORY),
    }
    other = f"validate, {given.auditor}"
    if given.auditor:
        runs[other] = auditor("validate", _INVENTORY, checkout=given.auditor.resolve())
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # where no auditor.toml is
        costs = measured(runs, given.runs)
    base = costs[click]
    print(f"medians of {given.runs} runs, taken in turns")
    for name, cost in costs.items():
        print(
            f"  {name:<28} {cost.seconds * 1000:6.0f} ms  {cost.memory / 1024:5.1f} MiB"
            f"  {cost.seconds / base.seconds:4.1f} times click"
        )
    if given.auditor:
        ours, theirs = costs["validate"], costs[other]
        print(
            f"validate beside that build: {ours.seconds / theirs.seconds:.2f} of its time (goal: at most {_VALIDATE})"
        )
        print(f"                            {ours.memory / theirs.memory:.2f} of its memory (goal: at most {_MEMORY})")
    print(f"goal of all but validate: at most {_DOOR:.0f} times click")
    return 0


if __name__ == "__main__":
    sys.exit(main())
