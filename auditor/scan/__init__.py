"""Looks at the network through nmap: what to send, what came back, and what could not be told."""

from auditor.scan.abilities import Abilities, probe_abilities
from auditor.scan.doctor import Check, examine
from auditor.scan.evidence import Evidence, read_evidence
from auditor.scan.plan import Job, Lane, Plan, Purpose, plan
from auditor.scan.run import EvidenceStore
from auditor.scan.scan import scan
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
    "Sources",
    "check_sources",
    "examine",
    "plan",
    "probe_abilities",
    "read_evidence",
    "scan",
]
