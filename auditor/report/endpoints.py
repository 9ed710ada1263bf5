"""Outcomes → the report's lists of endpoints: unverified, silent, and the matrix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.model.drift import Comparison, Outcome
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import HERE, Address, Kind, PortState, Protocol, Result
from auditor.report.plain import Document, place, present


def fold(comparisons: Iterable[Comparison], result: Result) -> list[Document]:
    """The endpoints with this result, one row for each viewpoint, host, address, protocol and reason."""
    bits: dict[tuple[str, str, Address, Protocol, str], int] = {}
    for comparison in comparisons:
        for outcome in comparison.outcomes:
            if outcome.result is result:
                e = outcome.expectation
                key = e.viewpoint, e.host, e.address, e.protocol, outcome.reason
                bits[key] = bits.get(key, 0) | outcome.ports.bits
    rows = [
        {
            "viewpoint": viewpoint,
            "host": host,
            "address": str(address),
            "protocol": protocol.value,
            "ports": str(PortSet(ports)),
            "reason": reason,
        }
        for (viewpoint, host, address, protocol, reason), ports in bits.items()
    ]
    return sorted(
        rows, key=lambda row: (row["viewpoint"], row["host"], place(row["address"]), row["protocol"], row["reason"])
    )


def matrix_rows(comparisons: Iterable[Comparison]) -> list[Document]:
    """One row for each declared or open endpoint.

    Open ports that an `all-ports-open` or `answers-for-others` finding absorbs are in that finding alone: thousands of
    them say nothing.
    """
    rows = [
        _matrix_row(outcome, port)
        for comparison in comparisons
        for outcome in _telling(comparison)
        for port in outcome.ports
    ]
    return sorted(
        rows, key=lambda row: (row["viewpoint"], row["host"], place(row["address"]), row["protocol"], row["port"])
    )


def _telling(comparison: Comparison) -> Iterator[Outcome]:
    absorbed = {
        (outcome.expectation.address, outcome.expectation.protocol)
        for drift in comparison.drifts
        if drift.kind in (Kind.ALL_PORTS_OPEN, Kind.ANSWERS_FOR_OTHERS)
        for outcome in drift.outcomes
    }
    for outcome in comparison.outcomes:
        e = outcome.expectation
        opened = outcome.observation is not None and outcome.observation.state is PortState.OPEN
        hidden = (e.address, e.protocol) in absorbed and outcome.result is Result.UNVERIFIED
        if e.basis in HERE or (opened and not hidden):
            yield outcome


def _matrix_row(outcome: Outcome, port: int) -> Document:
    e, observation = outcome.expectation, outcome.observation
    return present(
        viewpoint=e.viewpoint,
        host=e.host,
        interface=e.interface,
        service=e.service.name if e.service else None,
        address=str(e.address),
        protocol=e.protocol.value,
        port=port,
        expected=e.state.value,
        observed=observation.state.value if observation else None,
        identity=_identity(observation.identity) if observation else None,
        outcome=outcome.result.value,
        kind=outcome.kind.value if outcome.kind else None,
    )


def _identity(identity: Identity | None) -> str | None:
    """What answers, in a few words; a guess from the port number is no identity."""
    if identity is None or not identity.probed:
        return None
    name = f"{identity.tunnel}/{identity.name}" if identity.tunnel else identity.name
    return " ".join(filter(None, (identity.product or name, identity.version)))
