"""The verdict of a gate: the only place that decides it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditor.model.finding import Finding
from auditor.model.gate import GateVerdict
from auditor.model.words import ChangeKind, Kind, Severity

PASS, FAIL = 0, 1
DEFAULT_FAIL_ON = Severity.INTERNAL_RECON.value
FAILING = (ChangeKind.ADDED, ChangeKind.WIDENED, ChangeKind.WEAKENED, Kind.POLICY_BREACH)
GATE_FAIL_ON_WORDS = ("none", *Severity, *FAILING)


def gate_verdict(findings: Sequence[Finding], fail_on: Collection[str]) -> GateVerdict:
    """Judge a gate by what no waiver covers. `fail_on` is `none`, one severity (it and all above fail), or kinds.

    What closes never fails.
    """
    fails = any(_fails(finding, fail_on) for finding in findings)
    return GateVerdict("fail" if fails else "pass", tuple(sorted(fail_on)), FAIL if fails else PASS)


def _fails(finding: Finding, fail_on: Collection[str]) -> bool:
    if finding.kind not in FAILING:
        return False
    if finding.kind in fail_on:
        return True
    return any(finding.severity.rank <= Severity(word).rank for word in fail_on if word in set(Severity))
