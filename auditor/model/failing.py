"""Which findings fail an audit or a gate: decided here for the verdict, and for every format that marks them."""

from __future__ import annotations

from collections.abc import Collection

from auditor.model.words import NOTICES, ChangeKind, Kind, Severity

MAY_FAIL_A_GATE = (ChangeKind.ADDED, ChangeKind.WIDENED, ChangeKind.WEAKENED, Kind.POLICY_BREACH)


def fails(kind: str, severity: str, fail_on: Collection[str]) -> bool:
    """Whether an unwaived finding fails an audit.

    `fail_on` is empty (any finding fails), or `none`, or one severity (it and all above it fail), or kinds. Notices
    fail only where their kind is named.
    """
    if kind in fail_on or kind in NOTICES:
        return kind in fail_on
    rank = Severity(severity).rank
    return not fail_on or any(rank <= Severity(word).rank for word in fail_on if word in set(Severity))


def fails_gate(kind: str, severity: str, fail_on: Collection[str]) -> bool:
    """The same of a gate, where only what opens, what weakens audits and what breaks the policy can fail."""
    return kind in MAY_FAIL_A_GATE and fails(kind, severity, fail_on)
