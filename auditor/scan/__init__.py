"""Looks at the network through nmap: what to send, what came back, and what could not be told."""

from auditor.scan.abilities import Abilities, probe_abilities
from auditor.scan.discover import discover, searches, with_found
from auditor.scan.doctor import Check, examine
from auditor.scan.estimate import estimate
from auditor.scan.evidence import Evidence, read_evidence
from auditor.scan.plan import Job, Lane, Plan, Purpose, plan
from auditor.scan.run import EvidenceStore
from auditor.scan.scan import scan
from auditor.scan.searching import Search
from auditor.scan.source import Sources, check_sources

__all__ = [
    "Abilities",
    "Check",
    "Evidence",
    "EvidenceStore",
    "Job",
    "Lane",
    "Plan",
    "Purpose",
    "Search",
    "Sources",
    "check_sources",
    "discover",
    "estimate",
    "examine",
    "plan",
    "probe_abilities",
    "read_evidence",
    "scan",
    "searches",
    "with_found",
]
