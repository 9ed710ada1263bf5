"""The scan stage with real nmap in a lab: killed, cancelled, misplaced, and in front of silence."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from lab.estate import Estate

from auditor.model.context import Context
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import NetnsVia, Scope, Service, Via, Viewpoint
from auditor.model.observation import Scan
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import Basis, ExpectedState, Profile, Protocol, ViewpointKind
from auditor.scan.nmap.abilities import probe_abilities
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from auditor.transport.base import Process, Transport
from auditor.transport.system import SystemTransport

pytestmark = pytest.mark.live
DROPS, OPEN, DEAD = (ip_address(f"10.77.0.{n}") for n in (3, 4, 9))
SIX, DEAD_SIX = ip_address("2001:db8:77::4"), ip_address("2001:db8:77::9")
SCOPE = Scope((ip_network("10.77.0.0/24"), ip_network("2001:db8:77::/64")))
HERE = Viewpoint(
    "near",
    ViewpointKind.INTERNAL,
    (ip_address("10.77.0.2"), ip_address("2001:db8:77::2")),
    SCOPE.allow,
    via=NetnsVia("scan-near"),
)
SERVICE = Service("any", PortSet.of(7001), PortSet(), ("lan",), ())
DROP = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        icmp type echo-request accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
}
"""
SILENT = (
    "import socket,sys\ns=socket.create_server(('',7001))\nkept=[]\n"
    "while True: kept.append(s.accept())  # says nothing, and keeps the connection"
)


@pytest.fixture(scope="module")
def _estate() -> Iterator[Estate]:
    with Estate() as built:
        built.segment("scan-lan")
        for name, last in (("scan-near", 2), ("scan-drops", 3), ("scan-open", 4)):
            built.namespace(name)
            built.attach(name, "eth0", "scan-lan", [f"10.77.0.{last}/24", f"2001:db8:77::{last}/64"])
        built.firewall("scan-drops", DROP)
        built.start("scan-open", ["python3", "-c", SILENT], ["7001/tcp"])
        yield built


def expected(*each: tuple[object, PortSet, Protocol], viewpoint: Viewpoint = HERE) -> Expectations:
    found = []
    for address, ports, protocol in each:
        for part, declared in ((ports & SERVICE.tcp, True), (ports - SERVICE.tcp, False)):
            state = ExpectedState.REACHABLE if declared else ExpectedState.BLOCKED
            basis = Basis.DECLARED if declared else Basis.UNDECLARED
            service = SERVICE if declared else None
            if part:
                found.append(
                    Expectation(viewpoint.name, "h", "lan", address, protocol, part, state, basis, service)  # type: ignore[arg-type]
                )
    return Expectations(viewpoint, Profile.STANDARD, tuple(found))


class Watched(SystemTransport):
    """The real transport, that remembers which processes it started for a sweep."""

    def __init__(self) -> None:
        super().__init__()
        self.sweeps: list[int] = []

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], **how: bool) -> AsyncIterator[Process]:
        async with super().run(via, argv, **how) as process:
            if "1-65535" in argv:
                self.sweeps.append(process.pid)
            yield process

    async def sweeping(self) -> list[int]:
        while not self.sweeps:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1)  # into the middle of it
        return self.sweeps


async def looked(wanted: Expectations, transport: Transport | None = None) -> Scan:
    transport = transport or SystemTransport()
    planned = plan(wanted, SCOPE, await probe_abilities(transport, wanted.viewpoint.via))
    context = Context(lambda: datetime.now(UTC), random.Random(1), lambda _event: None)
    (found,) = await scan([planned], transport=transport, context=context)
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def states(found: Scan) -> set[tuple[str, str, str, str]]:
    ports: dict[tuple[str, str, str], PortSet] = {}
    for one in found.observations:
        key = str(one.address), str(one.state), one.reason
        ports[key] = ports.get(key, PortSet()) | one.ports
    return {(address, str(members), state, reason) for (address, state, reason), members in ports.items()}


@pytest.mark.usefixtures("_estate")
def test_silence_refusal_and_death_on_the_own_link() -> None:
    """Each is told apart, in both families, and nothing asked goes missing."""
    silence_refusal_and_death_are_told_apart()


@pytest.mark.newer
@pytest.mark.usefixtures("_estate")
def test_a_newer_nmap_tells_them_apart_too(newer_nmap_first: Path) -> None:
    """It prints no progress, and the same states."""
    found = silence_refusal_and_death_are_told_apart()

    assert (7, 95) <= tuple(map(int, found.nmap_version.split(".")))


def silence_refusal_and_death_are_told_apart() -> Scan:
    ports = PortSet.span(1, 50)
    asked = [(a, ports, Protocol.TCP) for a in (DROPS, OPEN, DEAD, SIX, DEAD_SIX)]
    found = asyncio.run(looked(expected(*asked)))

    assert {
        (str(DROPS), "1-50", "filtered", "no-response"),
        (str(OPEN), "1-50", "closed", "reset"),
        (str(DEAD), "1-50", "filtered", "no-response"),
        (str(SIX), "1-50", "closed", "reset"),
        (str(DEAD_SIX), "1-50", "filtered", "no-response"),
    } == states(found)
    assert {(DROPS, "arp-response"), (DROPS, "echo-reply")} <= {(r.address, r.reason) for r in found.replies}
    assert not [r for r in found.replies if r.address in (DEAD, DEAD_SIX)]
    assert ((), (), None) == (found.failures, found.errors, found.failure)
    return found


@pytest.mark.usefixtures("_estate")
def test_udp_refusals_that_are_held_back_are_waited_for() -> None:
    """Linux sends one ICMP error a second: at leisure, every closed port says so."""
    found = asyncio.run(looked(expected((OPEN, PortSet.span(10, 21), Protocol.UDP))))

    assert {(str(OPEN), "10-21", "closed", "port-unreach")} == states(found)


@pytest.mark.usefixtures("_estate")
def test_a_silent_service_costs_its_time_limit_once() -> None:
    """nmap alone would spend two minutes on it; it is open, unrecognised, and no failure."""
    found = asyncio.run(looked(expected((OPEN, SERVICE.tcp, Protocol.TCP))))
    asked = [one for one in found.commands if "-sV" in one]

    assert [True] == ["--host-timeout 45s" in one for one in asked]
    assert [("7001", "open", None)] == [(str(o.ports), o.state, o.identity) for o in found.observations]
    assert () == found.probe_failures


@pytest.mark.usefixtures("_estate")
def test_a_killed_nmap_leaves_its_ports_unverified() -> None:
    """What was not finished is a failure, with the signal; the scan itself comes to its end."""

    async def kill() -> Scan:
        watched = Watched()
        task = asyncio.create_task(looked(expected((DROPS, ALL_PORTS, Protocol.TCP)), watched))
        for pid in await watched.sweeping():
            os.kill(pid, signal.SIGKILL)
        return await task

    found = asyncio.run(kill())

    assert {"nmap was killed by signal 9 before it had finished"} == {f.reason for f in found.failures}
    assert 65535 == sum(len(f.ports) for f in found.failures) + sum(len(o.ports) for o in found.observations)
    assert found.errors


@pytest.mark.usefixtures("_estate")
def test_cancelling_leaves_no_nmap_behind() -> None:
    """Ctrl-C ends every nmap at once."""

    async def cancel() -> Sequence[int]:
        watched = Watched()
        task = asyncio.create_task(looked(expected((DROPS, ALL_PORTS, Protocol.TCP)), watched))
        running = await watched.sweeping()
        assert all(map(alive, running))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return running

    running = asyncio.run(cancel())

    assert running
    assert not any(map(alive, running))


@pytest.mark.usefixtures("_estate")
def test_a_misplaced_viewpoint_sends_nothing() -> None:
    """Where the system would use another source address than declared, the viewpoint has failed."""
    elsewhere = replace(HERE, addresses=(ip_address("10.77.0.77"),))
    found = asyncio.run(looked(expected((OPEN, PortSet.of(22), Protocol.TCP), viewpoint=elsewhere)))

    assert found.failure is not None
    assert "from 10.77.0.2, but viewpoint near is declared as 10.77.0.77" in found.failure
    assert ((), ()) == (found.commands, found.observations)
