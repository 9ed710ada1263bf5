"""Time a `standard` audit of the practice estate, and the nmap processes within it.

A shim called `nmap` comes first on the PATH and notes when each process starts and ends, so the figures do not depend
on what the auditor says of itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from lab import practice
from lab.estate import Estate

TARGET = 1.2
_SHIM = """#!/bin/sh
start=$(date +%s.%N)
{nmap} "$@"
code=$?
echo "$start $(date +%s.%N)" >>{spans}
exit $code
"""


def union(spans: list[tuple[float, float]]) -> float:
    """The seconds in which at least one of the spans ran."""
    total, reached = 0.0, 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def main() -> int:
    nmap = shutil.which("nmap")
    with tempfile.TemporaryDirectory() as folder, Estate() as estate:
        spans_file = Path(folder) / "spans"
        shim = Path(folder) / "nmap"
        shim.write_text(_SHIM.format(nmap=nmap, spans=spans_file), encoding="utf-8")
        shim.chmod(0o755)
        practice.build(estate)
        auditor = Path(sys.executable).with_name("auditor")
        argv = [str(auditor), "audit", "inventories/practice", "-V", "all", "-q", "-o", f"{folder}/reports"]
        started = monotonic()
        done = subprocess.run(
            argv,
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        wall = monotonic() - started
        lines = spans_file.read_text(encoding="utf-8").splitlines()
    if done.returncode != 1:
        print(f"bench: the audit ended with exit code {done.returncode} where 1 was due", file=sys.stderr)
        return 2
    spans = [(float(start), float(end)) for start, end in map(str.split, lines)]
    nmap_time = union(spans)
    print(f"audit of the practice estate, standard profile, three viewpoints: {wall:.1f} s")
    print(f"span of its {len(spans)} nmap processes: {nmap_time:.1f} s")
    print(f"ratio: {wall / nmap_time:.2f} (target: at most {TARGET})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
