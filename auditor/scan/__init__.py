"""Looks at the network through nmap: what to send, what came back, and what could not be told."""

from auditor.scan.discover import discover, searches, with_found
from auditor.scan.doctor import Check, examine
from auditor.scan.nmap.abilities import Abilities, probe_abilities
from auditor.scan.plan.estimate import estimate
from auditor.scan.plan.plan import Job, Lane, Plan, Purpose, plan
from auditor.scan.plan.searching import Search
from auditor.scan.plan.source import Sources, check_sources
from auditor.scan.runs.run import EvidenceStore
from auditor.scan.saved import Evidence, read_evidence
from auditor.scan.scan import scan

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
