"""An audit → the report document: plain data that every format is rendered from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from datetime import datetime
from typing import Any

from auditor import catalogue
from auditor.addresses import by_address
from auditor.model.audit import Audit
from auditor.model.drift import Comparison
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Inventory
from auditor.model.observation import UNDATED
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Protocol, Result, Severity
from auditor.report.endpoints import fold, matrix_rows
from auditor.report.entries import entry
from auditor.report.plain import Document, place, present, timestamp
from auditor.report.waivers import Day

SCHEMA = "auditor/report/v1"


def document(audit: Audit) -> Document:
    """The report document of an audit, as `schemas/report.schema.json` describes it.

    Keys come in the schema's order, lists are sorted, and what is not known is absent: the same audit gives the same
    bytes.
    """
    findings = sorted(audit.findings, key=lambda finding: finding.order)
    waived = sorted(audit.waived, key=_order_of_waived)
    reported = [*findings, *waived]
    hosts = audit.inventory.hosts
    day = Day(audit.finished_at.date(), audit.inventory.policy.max_waiver_days)
    kinds, playbooks = catalogue.kinds(), catalogue.playbooks()
    return {
        "schema": SCHEMA,
        "audit": _audit(audit),
        "verdict": {
            "result": audit.verdict.result,
            "complete": audit.verdict.complete,
            "fail_on": list(audit.verdict.fail_on),
            "exit_code": audit.verdict.exit_code,
        },
        "summary": _summary(audit.comparisons, findings, waived),
        "coverage": [row for comparison in _sorted(audit.comparisons) for row in _coverage(comparison)],
        **present(discovery=_discovery(audit.comparisons) or None),
        "left_out": _left_out(audit.comparisons),
        "findings": [entry(finding, hosts, day) for finding in findings],
        "waived": [entry(finding, hosts, day) for finding in waived],
        "unverified": fold(audit.comparisons, Result.UNVERIFIED),
        "silent": fold(audit.comparisons, Result.SILENT),
        "matrix": matrix_rows(audit.comparisons),
        "hosts": {name: _host(host, audit.inventory) for name, host in sorted(hosts.items())},
        "kinds": {kind: kinds[kind] for kind in sorted({finding.kind.value for finding in reported})},
        "playbooks": {name: dict(playbooks[name]) for name in sorted({f.playbook.id for f in reported})},
        "errors": [
            {"stage": stage, "message": message}
            for stage, message in sorted({(error.stage, error.message) for error in audit.errors})
        ],
    }


def _order_of_waived(finding: Finding) -> tuple[object, ...]:
    """Parts of one drift share its fingerprint, and each has its own waiver."""
    waiver = finding.waiver
    return (*finding.order, waiver.match.written if waiver else "", str(waiver.expires) if waiver else "")


def _sorted(comparisons: Iterable[Comparison]) -> list[Comparison]:
    return sorted(comparisons, key=lambda comparison: comparison.viewpoint.name)


def _audit(audit: Audit) -> Document:
    return present(
        id=audit.id,
        started_at=timestamp(audit.started_at),
        resumed=[timestamp(at) for at in audit.resumed] or None,
        finished_at=timestamp(audit.finished_at),
        auditor_version=audit.auditor_version,
        profile=audit.profile.value,
        options={name: _plain(value) for name, value in sorted(audit.options.items())},
        inventory={
            "name": audit.inventory.name,
            "files": [{"path": file.path, "sha256": file.sha256} for file in audit.inventory.files],
        },
        viewpoints=[_viewpoint(comparison) for comparison in _sorted(audit.comparisons)],
    )


def _plain(value: object) -> Any:
    match value:
        case bool() | int() | float() | str():
            return value
        case datetime():
            return timestamp(value)
        case Mapping():
            return {str(key): _plain(each) for key, each in sorted(value.items())}
        case list() | tuple():
            return [_plain(each) for each in value]
        case set() | frozenset():
            return sorted(str(each) for each in value)
        case _:
            return str(value)


def _viewpoint(comparison: Comparison) -> Document:
    viewpoint, scan = comparison.viewpoint, comparison.scan
    return present(
        name=viewpoint.name,
        kind=viewpoint.kind.value,
        addresses=[str(address) for address in viewpoint.addresses],
        within=list(map(str, viewpoint.within)) or None,
        boundary=viewpoint.boundary.value,
        via=str(viewpoint.via),
        nmap_version=scan.nmap_version or None,
        technique=scan.technique.value,
        failure=scan.failure,
        commands=list(scan.commands),
        notes=list(scan.notes) or None,
    )


def _summary(comparisons: Iterable[Comparison], findings: list[Finding], waived: list[Finding]) -> Document:
    endpoints = Counter(dict.fromkeys(Result, 0))
    for comparison in comparisons:
        for outcome in comparison.outcomes:
            endpoints[outcome.result] += len(outcome.ports)
    severities = Counter(finding.severity for finding in findings)
    return present(
        findings=len(findings),
        notices=sum(finding.notice for finding in findings) or None,
        waived=len(waived),
        endpoints={result.value: endpoints[result] for result in Result},
        by_severity={severity.value: severities[severity] for severity in Severity},
        by_class=_count(finding.service_class.value for finding in findings if finding.service_class),
        by_viewpoint=_count(finding.viewpoint for finding in findings if finding.viewpoint),
        by_host=_count(finding.host for finding in findings if finding.host),
    )


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _coverage(comparison: Comparison) -> list[Document]:
    """One row for each family and set of ports, so that every row is exact for each of its addresses."""
    bits: dict[Address, dict[Protocol, int]] = defaultdict(lambda: dict.fromkeys(Protocol, 0))
    times: dict[Address, set[datetime]] = defaultdict(set)
    for outcome in comparison.outcomes:
        bits[outcome.expectation.address][outcome.expectation.protocol] |= outcome.ports.bits
        if seen := outcome.observation:
            times[outcome.expectation.address] |= {seen.at, seen.since or seen.at}
    groups: dict[tuple[Family, int, int], list[Address]] = defaultdict(list)
    for address, ports in bits.items():
        groups[Family.of(address), ports[Protocol.TCP], ports[Protocol.UDP]].append(address)
    rows = [
        present(
            viewpoint=comparison.viewpoint.name,
            family=family.value,
            addresses=[str(address) for address in sorted(addresses, key=by_address)],
            tcp=str(PortSet(tcp)),
            udp=str(PortSet(udp)),
            technique=comparison.scan.technique.value,
            seen=_seen({at for address in addresses for at in times[address]}),
        )
        for (family, tcp, udp), addresses in groups.items()
    ]
    return sorted(rows, key=lambda row: (row["family"], place(row["addresses"][0])))


def _seen(times: Set[datetime]) -> Document | None:
    """When the first and the last look was of those that count; None where nothing was seen."""
    dated = times - {UNDATED}
    if not times:
        return None
    return present(
        **{"from": timestamp(min(dated)), "to": timestamp(max(dated))} if dated else {},
        undated=True if UNDATED in times else None,
    )


def _discovery(comparisons: Iterable[Comparison]) -> list[Document]:
    """Where live addresses that no host declares were searched, how, and how many of those there were."""
    return [
        present(
            viewpoint=comparison.viewpoint.name,
            networks=[str(network) for network in swept.networks],
            how=swept.how,
            asked=swept.asked,
            lived=swept.lived,
        )
        for comparison in _sorted(comparisons)
        for swept in comparison.scan.swept
    ]


def _left_out(comparisons: Iterable[Comparison]) -> list[Document]:
    """What several viewpoints leave out for the same reason stays one row each: they are different gaps."""
    return [
        {"viewpoint": comparison.viewpoint.name, "what": left_out.what, "reason": left_out.reason}
        for comparison in _sorted(comparisons)
        for left_out in sorted(comparison.left_out)
    ]


def _host(host: Host, inventory: Inventory) -> Document:
    names = sorted(name for interface in host.interfaces.values() for name in interface.names)
    return present(
        owner=host.owner,
        tags=list(host.tags),
        roles=list(host.roles),
        interfaces={
            name: [str(address) for address in interface.addresses]
            for name, interface in sorted(host.interfaces.items())
            if interface.addresses
        },
        names={name: [str(address) for address in inventory.resolved.get(name, ())] for name in names} or None,
    )
