"""What a scan should look at once more, before it is held against anybody."""

from __future__ import annotations

from auditor.drift.compare import compare
from auditor.model.expectation import Expectations
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Protocol


def disputed(expectations: Expectations, scan: Scan) -> dict[tuple[Address, Protocol], PortSet]:
    """The endpoints that some drift of this scan rests on."""
    bits: dict[tuple[Address, Protocol], int] = {}
    for drift in compare(expectations, scan).drifts:
        for outcome in drift.outcomes:
            key = outcome.expectation.address, outcome.expectation.protocol
            bits[key] = bits.get(key, 0) | outcome.ports.bits
    return {key: PortSet(value) for key, value in bits.items()}
