"""Two inventories → what the step from one to the other does to exposure, and to what audits see. Pure."""

from __future__ import annotations

from auditor.change.changing import changes

__all__ = ["changes"]
