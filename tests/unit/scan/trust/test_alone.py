"""What is asked again where replies were lost: beside whom, of whom, and what a round of it proves."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from auditor.model.context import Context
from auditor.model.expectation import HostLimits
from auditor.model.inventory import Via
from auditor.model.words import PortState
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from tests.unit.scan.test_scan import NOW, ONE, SCOPE, TWO, FakeProcess, Said, document, expectations, failures, host
from tests.unit.scan.trust.test_lost import Machine, looked, network, ports, sweep, told


@dataclass
class Talkative(Machine):
    """Version probes take a while there."""

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[FakeProcess]:
        if "-sV" in argv:
            await asyncio.sleep(0.3)
        async with Machine.run(self, via, argv, nice=nice) as process:
            yield process


def test_being_alone_waits_for_nobody_who_waits_for_it() -> None:
    """A version probe of a host with a limit has its host and waits to talk; who wants to be alone needs that host."""

    def state(_argv: Sequence[str], _address: str, number: int) -> str:
        return "open" if number in (30, 31) else "filtered"

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        return segments + 2000, resets + 100 * sweep(argv)

    transport = Talkative(network(state), arrives=arrives)
    wanted = expectations(ONE, TWO, ports="1-450", rate=1000)
    limits = {ONE: HostLimits("one", 900), TWO: HostLimits("two", 900)}
    planned = plan(replace(wanted, limits=limits), SCOPE, Abilities("7.93", raw=True))
    context = Context(lambda: NOW, random.Random(1), lambda _: None)

    async def both() -> None:
        await asyncio.wait_for(scan([planned], transport=transport, context=context), 30)

    asyncio.run(both())
    assert any("-sV" in argv for argv in transport.ran)


def test_silence_beside_lost_replies_is_sampled_where_nothing_refused() -> None:
    """Every refusal of a host may be lost, and then it does not look like one that refuses; the kernel counted them."""
    sweeps = Counter[str]()

    def state(argv: Sequence[str], _address: str, number: int) -> str:
        if sweep(argv) and sweeps["all"] == 1 and number != 30:
            return "filtered"
        return "open" if number in (30, 300) else "closed"

    def answer(argv: Sequence[str]) -> Said:
        sweeps["all"] += sweep(argv)
        return network(state)(argv)

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        return segments + (xml.count('state="filtered"') if sweep(argv) else 0), resets

    found = looked(Machine(answer, arrives=arrives), ONE, ports="1-2000")

    assert "30,300" == ports(found, ONE, PortState.OPEN)


def test_a_canary_vouches_for_its_own_sweep() -> None:
    """That one host's open port was met in the middle of its sweep says nothing of another's, at another time."""

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        return segments + 2000 * sweep(argv), resets + 100 * sweep(argv)

    def state(_argv: Sequence[str], address: str, number: int) -> str:
        if address == str(ONE):
            return "open" if number in range(30, 240) else "filtered"
        return "open" if number == 443 else "filtered"

    found = looked(Machine(network(state), arrives=arrives), ONE, TWO, ports="1-450")

    assert ports(found, ONE, PortState.FILTERED)
    assert "" == ports(found, TWO, PortState.FILTERED)
    assert {str(TWO)} == {address for address, *_ in failures(found)}


def test_absent_neighbours_have_lost_no_replies() -> None:
    """The viewpoint's kernel finds nobody there, so that what is sent is held back: they are not asked again."""

    def arrives(argv: Sequence[str], xml: str) -> tuple[int, int]:
        segments, resets = told(argv, xml)
        return segments + 2000 * sweep(argv), resets + 100 * sweep(argv)

    def answer(argv: Sequence[str]) -> Said:
        if str(TWO) in argv and "-p" in argv and "--disable-arp-ping" not in argv:
            return Said(document(argv, host(TWO, status='state="down" reason="no-response"')))
        return network(lambda _argv, _address, number: "open" if number in (30, 300) else "filtered")(argv)

    def route(what: str) -> Said:
        found = '[{"dst":"10.0.0.1","lladdr":"02:00:00:00:00:01","state":["REACHABLE"]}]'
        return Said(found if what == "show" else '[{"dst":"x","prefsrc":"10.0.0.99"}]')

    transport = Machine(answer, route=route, arrives=arrives)
    looked(transport, ONE, TWO)
    swept = [argv for argv in transport.ran if sweep(argv)]

    assert 1 == len([argv for argv in swept if str(TWO) in argv])
    assert 1 < len([argv for argv in swept if str(ONE) in argv])
