"""Running the real command line on an inventory, inside a lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.commands import AS_FROM_A_SHELL

AUDITOR = Path(sys.executable).with_name("auditor")
_LONGEST = 400  # seconds until an audit counts as hanging


@dataclass(frozen=True)
class Audited:
    """How a run of `auditor audit` ended, and the report that it wrote."""

    code: int
    stdout: str
    stderr: str
    report: dict[str, Any]

    def findings(self, *keys: str) -> list[tuple[Any, ...]]:
        """Some keys of every finding, sorted; a key that a finding lacks is None."""
        return sorted((tuple(finding.get(key) for key in keys) for finding in self.report["findings"]), key=repr)


def audit(inventory: Path, out: Path, *options: str, prefix: Sequence[str] = (), longest: float = _LONGEST) -> Audited:
    """Run `auditor audit INVENTORY -V all` and read its report."""
    return result(start(inventory, out, "-V", "all", *options, prefix=prefix), out, longest)


def start(
    inventory: Path, out: Path, *options: str, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Begin `auditor audit INVENTORY`."""
    argv = [*AS_FROM_A_SHELL, *prefix, str(AUDITOR), "audit", str(inventory), "-o", str(out), *options]
    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def result(running: subprocess.Popen[str], out: Path, longest: float = _LONGEST) -> Audited:
    """Wait for a run to end and read its report."""
    stdout, stderr = running.communicate(timeout=longest)
    path = out / "latest" / "report.json"
    assert path.exists(), f"exit code {running.returncode} and no report:\n{stdout}\n{stderr}"
    return Audited(running.returncode, stdout, stderr, json.loads(path.read_text(encoding="utf-8")))


def seeds(request: pytest.FixtureRequest) -> list[int]:
    """Those that this session asks of the file's tests."""
    return [item.callspec.params["seed"] for item in request.session.items if item.path == request.path]
