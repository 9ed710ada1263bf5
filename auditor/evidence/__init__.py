"""Files that hosts have written of themselves → nouns."""

from auditor.evidence.addresses import read_addresses
from auditor.evidence.listeners import read_listeners

__all__ = ["read_addresses", "read_listeners"]
