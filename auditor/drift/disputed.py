"""What a scan should look at once more, before it is held against anybody."""

from __future__ import annotations

from itertools import groupby, islice

from auditor.drift.compare import compare
from auditor.model.expectation import Expectations
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Kind, Protocol


def disputed(expectations: Expectations, scan: Scan) -> dict[tuple[Address, Protocol], PortSet]:
    """The endpoints that some drift of this scan rests on.

    That an address lives rests on any answer of it: one is asked again, and not all of up to 65,535.
    """
    bits: dict[tuple[Address, Protocol], int] = {}
    for drift in compare(expectations, scan).drifts:
        lives = drift.kind in (Kind.UNKNOWN_HOST, Kind.UNDECLARED_ADDRESS)
        for address, outcomes in groupby(drift.outcomes, key=lambda outcome: outcome.expectation.address):
            for outcome in islice(outcomes, 1 if lives else None):
                key = address, outcome.expectation.protocol
                bits[key] = bits.get(key, 0) | (1 << outcome.ports.first if lives else outcome.ports.bits)
    return {key: PortSet(value) for key, value in bits.items()}
