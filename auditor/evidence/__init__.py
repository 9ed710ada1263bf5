"""What hosts themselves tell: their listeners."""

from auditor.evidence.listeners import read_listeners

__all__ = ["read_listeners"]
