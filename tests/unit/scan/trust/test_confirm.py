"""What two techniques say of one endpoint, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any, cast

import pytest

from auditor.model.expectation import Expectations
from auditor.model.inventory import Scope, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Profile, Protocol, ViewpointKind
from auditor.scan.board import Board
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import plan
from auditor.scan.runs.run import Run
from auditor.scan.trust.confirm import Confirmation

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ADDRESS, PORT = ip_address("10.0.0.1"), PortSet.of(80)
REJECTED, DROPPED = Sight(PortState.FILTERED, "port-unreach"), Sight(PortState.FILTERED, "no-response")
REFUSED, RESET = Sight(PortState.CLOSED, "conn-refused"), Sight(PortState.CLOSED, "reset")


def record(sight: Sight) -> HostRecord:
    return HostRecord(ADDRESS, NOW, (Seen(Protocol.TCP, PORT, sight),))


@dataclass
class FakeRunner:
    """Answers connect scans with one sight, SYN scans with another."""

    connect: Sight
    syn: Sight
    ran: list[str] = field(default_factory=list)

    async def run(self, _name: str, argv: Sequence[str]) -> Run:
        self.ran.append("connect" if "-sT" in argv else "syn")
        return Run(tuple(argv), (record(self.connect if "-sT" in argv else self.syn),), (), (0.0, 0.0))

    def tell(self, message: str) -> None:
        """Nobody listens."""


async def _stopped(_address: Address) -> bool:
    return False


@pytest.mark.parametrize(
    ("first", "connect", "syn", "state", "ran"),
    [
        (REJECTED, REFUSED, REJECTED, "filtered", ["connect"]),
        (DROPPED, REFUSED, REJECTED, "filtered", ["connect", "syn", "connect"]),
        (DROPPED, REFUSED, DROPPED, None, ["connect", "syn", "connect"]),
        (DROPPED, REFUSED, RESET, "closed", ["connect", "syn", "connect"]),
        (DROPPED, DROPPED, DROPPED, "filtered", ["connect"]),
        (RESET, REFUSED, RESET, "closed", ["connect"]),
    ],
)
def test_a_rejection_looks_like_a_reset_to_a_client(
    first: Sight, connect: Sight, syn: Sight, state: str | None, ran: list[str]
) -> None:
    """ "Port unreachable" is how many firewalls reject; where SYN probes saw it, both techniques agree on filtered."""
    board, runner = Board(), FakeRunner(connect, syn)
    board.add(record(first))
    here = Viewpoint("vp", ViewpointKind.INTERNAL, (ip_address("10.0.0.9"),), ())
    nothing = plan(
        Expectations(here, Profile.QUICK, ()), Scope((ip_network("10.0.0.0/8"),)), Abilities("7.93", raw=True)
    )
    asyncio.run(Confirmation(nothing, cast(Any, runner), board, 100.0, _stopped).ask({(ADDRESS, Protocol.TCP): PORT}))

    assert ([state] if state else []) == [str(one.state) for one in board.observations(NOW)]
    assert ran == runner.ran
