"""`auditor demo`: what somebody runs first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import environment

pytestmark = pytest.mark.live
MOST = 1_800.0  # seconds, on a machine that does much else


def test_the_demo_finds_its_mistakes(tmp_path: Path) -> None:
    """From wherever it is called, and whatever options a configuration there has for audits."""
    (tmp_path / "auditor.toml").write_text('[audit]\nprofile = "quick"\n', encoding="utf-8")
    command = [sys.executable, "-m", "auditor", "demo", "-o", "mine"]
    env = environment({"AUDITOR_AUDIT_FAIL_ON": "none"})
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=MOST, check=False)
    report = json.loads((tmp_path / "mine" / "latest" / "report.json").read_text(encoding="utf-8"))

    assert 0 == ended.returncode, ended.stderr
    assert f"The report: {tmp_path / 'mine' / 'latest' / 'report.html'}\n" in ended.stdout
    assert (1, "standard") == (report["verdict"]["exit_code"], report["audit"]["profile"])
    assert {"cache-1", "web-1", "git-1", "api-1", "web-2"} == {finding["host"] for finding in report["findings"]}
    assert not Path("/run/netns/internet").exists()  # nothing of it stays behind
