"""Two inventories → what the step from one to the other does to exposure, and to what audits see. Pure."""

from __future__ import annotations

from auditor.change.changing import changes
from auditor.change.stricter import new_breaches, readings, united

__all__ = ["changes", "new_breaches", "readings", "united"]
