"""Drifts → findings: class, severity, diagnosis, and the verdict over all of them. Pure."""

from __future__ import annotations

from auditor.grade.findings import grade

__all__ = ["grade"]
