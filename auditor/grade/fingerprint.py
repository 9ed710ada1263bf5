"""The identity of a finding across audits."""

from __future__ import annotations

import hashlib
import json

from auditor.model.drift import Drift
from auditor.model.words import Kind

_ABOUT_AN_ADDRESS = frozenset({Kind.HOST_UNREACHABLE, Kind.ALL_PORTS_OPEN, Kind.UNKNOWN_HOST})


def fingerprint(drift: Drift) -> str:
    """`v1:` and 32 hex digits that depend on what drifted and where, and on nothing that may change meanwhile.

    The parts are kind, viewpoint, host, interface, family, service, address, protocol, port and rule; those that the
    kind does not have are empty.
    """
    service, address, protocol, port = _what(drift)
    parts = [
        drift.kind.value,
        drift.viewpoint.name,
        drift.host,
        drift.interface or "",
        drift.family.value,
        service,
        address,
        protocol,
        port,
        "",  # rule: no kind that a scan can give has one
    ]
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return f"v1:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _what(drift: Drift) -> tuple[str, str, str, str]:
    if drift.kind in _ABOUT_AN_ADDRESS:
        return "", str(drift.address), "", ""
    if drift.kind is Kind.BOUNDARY_LEAK:
        return "", "", "", ""
    if drift.service is not None:
        return drift.service.name, "", "", ""
    first = drift.outcomes[0]
    return "", "", first.expectation.protocol.value, str(first.ports.first)
