"""Build the practice estate, run a command that audits it, take it down: `python3 -m lab.demo [--repaired] COMMAND…`.

Inside a lab the estate is made of namespaces; with `--loopback` it is a few servers on loopback. The exit code is the
command's.
"""

from __future__ import annotations

import subprocess
import sys

from lab import enter, loopback, practice
from lab.estate import Estate, LabError


def main() -> int:
    arguments = sys.argv[1:]
    flags = set()
    while arguments and arguments[0] in ("--repaired", "--loopback"):
        flags.add(arguments.pop(0))
    repaired = "--repaired" in flags
    try:
        if "--loopback" in flags:
            with loopback.responders(repaired=repaired):
                return _run(arguments)
        with Estate() as estate:
            practice.build(estate, repaired=repaired)
            return _run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2


def _run(argv: list[str]) -> int:
    child = subprocess.Popen(argv)
    return enter.wait_for(child, lambda _number, _frame: child.terminate())


if __name__ == "__main__":
    sys.exit(main())
