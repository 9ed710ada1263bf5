"""Drifts → findings: class, severity, diagnosis, and the verdict over all of them. Pure."""

from __future__ import annotations

from auditor.grade.findings import grade
from auditor.grade.severity import exposed

__all__ = ["exposed", "grade"]
