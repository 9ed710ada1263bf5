"""The verdict of a gate: the only place that decides it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditor.model.failing import MAY_FAIL_A_GATE, fails_gate
from auditor.model.finding import Finding
from auditor.model.gate import GateVerdict
from auditor.model.words import Severity

PASS, FAIL = 0, 1
GATE_FAIL_ON_WORDS = ("none", *Severity, *MAY_FAIL_A_GATE)


def gate_verdict(findings: Sequence[Finding], fail_on: Collection[str]) -> GateVerdict:
    """Judge a gate by what no waiver covers, as `fails_gate` judges each."""
    failed = any(fails_gate(finding.kind, finding.severity, fail_on) for finding in findings)
    return GateVerdict("fail" if failed else "pass", tuple(sorted(fail_on)), FAIL if failed else PASS)
