"""The verdict and the exit code of an audit: the only place that decides either."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from auditor.model.audit import StageError, Verdict
from auditor.model.drift import Comparison
from auditor.model.failing import fails
from auditor.model.finding import Finding
from auditor.model.words import Kind, Result, Severity

CLEAN, DRIFT, NO_VERDICT, INCOMPLETE = 0, 1, 2, 3


def verdict(
    findings: Sequence[Finding],
    comparisons: Sequence[Comparison],
    errors: Sequence[StageError],
    *,
    fail_on: Collection[str] = (),
    allow_unverified: bool = False,
) -> Verdict:
    """Judge an audit by the findings that no waiver covers, as `fails` judges each.

    Notices are no part of the result. Drift outweighs incompleteness.
    """
    unverified = any(o.result is Result.UNVERIFIED for c in comparisons for o in c.outcomes)
    unseen = any(not c.outcomes for c in comparisons)  # a viewpoint with nothing to look at has verified nothing
    complete = not (unverified or unseen or errors)
    if any(fails(finding.kind, finding.severity, fail_on) for finding in findings):
        exit_code = DRIFT
    elif not complete and not allow_unverified:
        exit_code = INCOMPLETE
    else:
        exit_code = CLEAN
    drifted = any(not finding.notice for finding in findings)
    result = "drift" if drifted else "clean" if complete else "incomplete"
    return Verdict(result, complete, tuple(sorted(fail_on)), exit_code)


FAIL_ON_WORDS = ("none", *Severity, *Kind)
