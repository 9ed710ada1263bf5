"""The gate → its document: plain data that every format of it is rendered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from auditor import catalogue
from auditor.model.finding import Finding
from auditor.model.gate import Gate, Side
from auditor.model.inventory import Host, Waiver
from auditor.model.words import ChangeKind, Kind, Severity
from auditor.report.entries import entry
from auditor.report.plain import Document, present

SCHEMA = "auditor/gate/v1"
KINDS = (*ChangeKind, Kind.POLICY_BREACH)


def gate_document(gate: Gate) -> Document:
    """The document of a gate, as `schemas/gate.schema.json` describes it.

    Keys come in the schema's order, lists are sorted, and what is not known is absent: the same change gives the same
    bytes.
    """
    every = sorted(gate.findings, key=lambda finding: finding.order)
    findings = [finding for finding in every if finding.waiver is None]
    waived = [(finding, finding.waiver) for finding in every if finding.waiver is not None]
    hosts = {**gate.base.inventory.hosts, **gate.head.inventory.hosts}
    kinds, playbooks = catalogue.kinds(), catalogue.playbooks()
    return {
        "schema": SCHEMA,
        "gate": {
            "auditor_version": gate.auditor_version,
            "date": gate.date.isoformat(),
            "base": _side(gate.base),
            "head": _side(gate.head),
        },
        "verdict": {
            "result": gate.verdict.result,
            "fail_on": list(gate.verdict.fail_on),
            "exit_code": gate.verdict.exit_code,
        },
        "summary": _summary(findings, len(waived)),
        "findings": [entry(finding, hosts) for finding in findings],
        "waived": [_waived(finding, waiver, hosts) for finding, waiver in waived],
        "kinds": {kind: kinds[kind] for kind in sorted({finding.kind.value for finding in every})},
        "playbooks": {name: dict(playbooks[name]) for name in sorted({finding.playbook.id for finding in every})},
    }


def _side(side: Side) -> Document:
    return present(
        path=side.path,
        name=side.inventory.name or None,
        files=[{"path": file.path, "sha256": file.sha256} for file in side.inventory.files],
    )


def _summary(findings: list[Finding], waived: int) -> Document:
    kinds = Counter(finding.kind for finding in findings)
    severities = Counter(finding.severity for finding in findings)
    return {
        "findings": len(findings),
        "waived": waived,
        "by_kind": {kind.value: kinds[kind] for kind in KINDS},
        "by_severity": {severity.value: severities[severity] for severity in Severity},
        "by_class": _count(finding.service_class.value for finding in findings if finding.service_class),
        "by_host": _count(finding.host for finding in findings if finding.host),
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _waived(finding: Finding, waiver: Waiver, hosts: dict[str, Host]) -> Document:
    at = waiver.location
    covering = present(
        match=waiver.match.written,
        severity=waiver.severity.value if waiver.severity else None,
        reason=waiver.reason,
        owner=waiver.owner,
        ticket=waiver.ticket,
        since=waiver.since.isoformat(),
        expires=waiver.expires.isoformat(),
        declared_at={"file": at.file, "line": at.line} if at else None,
    )
    return {**entry(finding, hosts), "waiver": covering}
