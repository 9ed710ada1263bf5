"""The identity of a finding across audits."""

from __future__ import annotations

import hashlib
import json

from auditor.model.drift import Drift
from auditor.model.words import ABOUT_AN_ADDRESS, ChangeKind, Kind


def fingerprint(drift: Drift) -> str:
    """The fingerprint of a drift: it depends on what drifted and where, and on nothing that may change meanwhile."""
    service, address, protocol, port = _what(drift)
    return identity(
        drift.kind,
        viewpoint=drift.viewpoint.name,
        host=drift.host,
        interface=drift.interface or "",
        family=drift.family.value,
        service=service,
        address=address,
        protocol=protocol,
        port=port,
    )


def identity(
    kind: Kind | ChangeKind,
    *,
    viewpoint: str = "",
    host: str = "",
    interface: str = "",
    family: str = "",
    service: str = "",
    address: str = "",
    protocol: str = "",
    port: str = "",
    rule: str = "",
) -> str:
    """`v1:` and 32 hex digits of these parts, in this order; those that a kind does not have are empty."""
    parts = [kind.value, viewpoint, host, interface, family, service, address, protocol, port, rule]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return f"v1:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _what(drift: Drift) -> tuple[str, str, str, str]:
    if drift.kind in ABOUT_AN_ADDRESS:
        return "", str(drift.prefix or drift.address), "", ""
    if drift.kind is Kind.BOUNDARY_LEAK:
        return "", "", "", ""
    if drift.service is not None:
        return drift.service.name, "", "", ""
    first = drift.outcomes[0]
    return "", "", first.expectation.protocol.value, str(first.ports.first)
