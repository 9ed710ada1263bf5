"""Drifts → findings: class, severity, diagnosis, and the verdict over all of them. Pure."""

from __future__ import annotations

from auditor.grade.findings import grade
from auditor.grade.gains import grade_changes
from auditor.grade.gate import gate_verdict
from auditor.grade.severity import exposed

__all__ = ["exposed", "gate_verdict", "grade", "grade_changes"]
