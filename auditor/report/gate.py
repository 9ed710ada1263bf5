"""The gate → its document: plain data that every format of it is rendered from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from auditor import catalogue
from auditor.model.finding import Finding
from auditor.model.gate import Gate, Side
from auditor.model.inventory import fewest_waiver_days
from auditor.model.words import ChangeKind, Kind, Severity
from auditor.report.entries import entry
from auditor.report.plain import Document, present
from auditor.report.waivers import Day

SCHEMA = "auditor/gate/v1"
KINDS = (*ChangeKind, Kind.POLICY_BREACH)


def gate_document(gate: Gate) -> Document:
    """The document of a gate, as `schemas/gate.schema.json` describes it.

    Keys come in the schema's order, lists are sorted, and what is not known is absent: the same change gives the same
    bytes.
    """
    every = [*gate.findings, *gate.waived]
    hosts = {**gate.base.inventory.hosts, **gate.head.inventory.hosts}
    day = Day(gate.date, fewest_waiver_days(gate.base.inventory.policy, gate.head.inventory.policy))
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
        "summary": _summary(gate.findings, len(gate.waived)),
        "findings": [entry(finding, hosts, day) for finding in gate.findings],
        "waived": [entry(finding, hosts, day) for finding in gate.waived],
        "kinds": {kind: kinds[kind] for kind in sorted({finding.kind.value for finding in every})},
        "playbooks": {name: dict(playbooks[name]) for name in sorted({finding.playbook.id for finding in every})},
    }


def _side(side: Side) -> Document:
    return present(
        path=side.path,
        asked=side.asked,
        name=side.inventory.name or None,
        files=[{"path": file.path, "sha256": file.sha256} for file in side.inventory.files],
    )


def _summary(findings: Collection[Finding], waived: int) -> Document:
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
