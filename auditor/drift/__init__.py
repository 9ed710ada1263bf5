"""Expected × observed → drifts. Pure: no clock, no I/O, no order of input shows in the output."""

from auditor.drift.compare import compare
from auditor.drift.disputed import disputed

__all__ = ["compare", "disputed"]
