"""What a hostile or broken network does to an audit: never a false finding, never a missed exposure, and it is told."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from lab.estate import Estate

from auditor.drift.compare import compare
from auditor.drift.disputed import disputed
from auditor.model.context import Context, Event
from auditor.model.drift import Comparison
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import NetnsVia, Scope, Service, Viewpoint
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, Boundary, ExpectedState, Profile, Protocol, Result, ViewpointKind
from auditor.scan.nmap.abilities import probe_abilities
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from auditor.transport.system import SystemTransport

pytestmark = pytest.mark.live
DROPS, OPEN, QUIET, MORE = (ip_address(f"10.78.2.{n}") for n in (3, 4, 5, 6))
SCOPE = Scope((ip_network("10.78.2.0/24"),))
SERVICE = Service("any", PortSet.of(7001), PortSet(), ("lan",), ())
HIDDEN = (7010, 7100, 7500, 7900)  # open, and declared nowhere
SPAN = PortSet.span(7000, 7999)
KNOWN = "{ 7001, 7010, 7100, 7500, 7900 }"


def chain(*rules: str, hook: str = "input", policy: str = "accept", sets: str = "") -> str:
    """One nftables chain."""
    body = "\n".join(rules)
    return f"table inet t {{\n{sets}\nchain c {{\ntype filter hook {hook} priority 0; policy {policy}\n{body}\n}}\n}}\n"


DROP = chain(f"tcp dport {KNOWN} accept", "icmp type echo-request accept", policy="drop")


@pytest.fixture(scope="module")
def built() -> Iterator[Estate]:
    with Estate() as estate:
        for segment in ("t-out", "t-in"):
            estate.segment(segment)
        estate.namespace("t-near")
        estate.namespace("t-gw", forwarding=True)
        estate.attach("t-near", "eth0", "t-out", ["10.78.1.2/24"])
        estate.attach("t-gw", "out", "t-out", ["10.78.1.1/24"])
        estate.attach("t-gw", "in", "t-in", ["10.78.2.1/24"])
        estate.segment("t-back")
        estate.attach("t-near", "eth1", "t-back", ["10.78.3.2/24"])
        estate.attach("t-gw", "back", "t-back", ["10.78.3.1/24"])
        estate.settings("t-near", {"ipv4/conf/eth1/rp_filter": 1, "ipv4/conf/all/rp_filter": 1})
        estate.route("t-near", "default", "10.78.1.1")
        for name, address in (("t-drops", DROPS), ("t-open", OPEN), ("t-quiet", QUIET), ("t-more", MORE)):
            estate.namespace(name)
            estate.attach(name, "eth0", "t-in", [f"{address}/24"], via=["10.78.2.1"])
            estate.respond(name, *(f"ssh,0.0.0.0,{port}" for port in (7001, *HIDDEN)))
        yield estate


@pytest.fixture
def lab(built: Estate) -> Iterator[Estate]:
    """The estate with the firewalls that most tests start from."""
    for name in ("t-drops", "t-quiet", "t-more"):
        built.firewall(name, DROP)
    yield built
    for name in ("t-near", "t-gw", "t-drops", "t-open", "t-quiet", "t-more"):
        built.firewall(name, "")


@dataclass(frozen=True)
class Judged:
    """A scan, and what it was held to be."""

    scan: Scan
    comparison: Comparison

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """Kind, address and ports of every drift."""
        return sorted(
            (str(drift.kind), str(outcome.expectation.address), str(outcome.ports))
            for drift in self.comparison.drifts
            for outcome in drift.outcomes
        )

    def unverified(self, address: Address) -> dict[str, PortSet]:
        found: dict[str, PortSet] = {}
        for one in self.comparison.outcomes:
            if one.result is Result.UNVERIFIED and one.expectation.address == address:
                found[one.reason] = found.get(one.reason, PortSet()) | one.ports
        return found

    def confirmed(self) -> bool:
        """Whether every observation that makes a drift was made twice."""
        seen = [outcome.observation for drift in self.comparison.drifts for outcome in drift.outcomes]
        return all(one is not None and one.attempts >= 2 for one in seen)


def judged(
    *addresses: Address,
    ports: PortSet = SPAN,
    declared: Sequence[int] = (7001,),
    meanwhile: Callable[[], Awaitable[None]] | None = None,
    **viewpoint: object,
) -> Judged:
    options = {"boundary": Boundary.ANY, "rate": 5000, **viewpoint}
    here = Viewpoint(
        "near", ViewpointKind.INTERNAL, (ip_address("10.78.1.2"),), SCOPE.allow, via=NetnsVia("t-near"), **options
    )
    each = []
    for address in addresses:
        reachable = PortSet.of(*declared)
        for part, known in ((ports & reachable, True), (ports - reachable, False)):
            state = ExpectedState.REACHABLE if known else ExpectedState.BLOCKED
            basis = Basis.DECLARED if known else Basis.UNDECLARED
            if part:
                service = SERVICE if known else None
                host = str(address)
                each.append(Expectation("near", host, "lan", address, Protocol.TCP, part, state, basis, service))
    wanted = Expectations(here, Profile.STANDARD, tuple(each))
    found = asyncio.run(_looked(wanted, meanwhile))
    return Judged(found, compare(wanted, found))


async def _looked(wanted: Expectations, meanwhile: Callable[[], Awaitable[None]] | None) -> Scan:
    """Scan; `meanwhile` begins with the first sweep."""
    transport, sweeping = SystemTransport(), asyncio.Event()

    def emit(event: Event) -> None:
        sys.stderr.write(f"{event.level}: {event.message}\n")
        if "--min-rate" in event.message:
            sweeping.set()

    async def beside() -> None:
        await sweeping.wait()
        if meanwhile is not None:
            await meanwhile()

    planned = plan(wanted, SCOPE, await probe_abilities(transport, wanted.viewpoint.via))
    context = Context(lambda: datetime.now(UTC), random.Random(1), emit)
    (found,), _ = await asyncio.gather(
        scan([planned], transport=transport, context=context, disputed=disputed), beside()
    )
    return found


def exposures(*addresses: Address) -> list[tuple[str, str, str]]:
    return sorted(("undeclared-port", str(address), str(port)) for address in addresses for port in HIDDEN)


@pytest.mark.parametrize(("per_cent", "rate"), [(1, 5000), (5, 5000)])
def test_a_lossy_path(lab: Estate, per_cent: int, rate: int) -> None:
    """Every exposure is found, no service is held to be down, and the loss is told where it was seen."""
    drop = chain(f"numgen random mod 100 < {per_cent} drop", hook="forward")
    lab.firewall("t-gw", drop)
    found = judged(DROPS, OPEN, QUIET, MORE, rate=rate)

    assert exposures(DROPS, OPEN, QUIET, MORE) == found.findings
    assert per_cent == 1 or any("lost" in note or "missed" in note for note in found.scan.notes)
    assert {} == found.unverified(DROPS)


def test_a_bottleneck(lab: Estate) -> None:
    """A sweep that is too fast for the path slows down until nothing is missed, and the report says so."""
    narrow = "limit rate over 8000/second burst 50 packets counter name lost drop"
    limit = chain(narrow, hook="forward", sets="counter lost {}")
    lab.firewall("t-gw", limit)
    found = judged(DROPS, OPEN, QUIET, MORE, ports=PortSet.span(4000, 7999), rate=20000)

    assert exposures(DROPS, OPEN, QUIET, MORE) == found.findings
    assert any("slowed down" in note for note in found.scan.notes) or not lab.packets("t-gw", "lost", "inet t")
    assert {} == found.unverified(DROPS)


BAN = chain(  # whoever touches port 7500 is shut out
    "ip saddr @banned drop",
    "tcp dport 7500 tcp flags & (syn | ack) == syn add @banned { ip saddr timeout 1h }",
    f"tcp dport {KNOWN} accept",
    "icmp type echo-request accept",
    policy="drop",
    sets="set banned {\ntype ipv4_addr\nflags dynamic,timeout\n}",
)


def test_a_ban_midway(lab: Estate) -> None:
    """What a host did not say after it had shut the scanner out is unverified, and nobody else suffers."""
    lab.firewall("t-drops", BAN)
    found = judged(DROPS, OPEN, QUIET, rate=1000)
    mine = [one for one in found.findings if one[1] == str(DROPS)]

    assert exposures(OPEN, QUIET) == [one for one in found.findings if one[1] != str(DROPS)]
    assert set(mine) <= set(exposures(DROPS))
    assert any("stopped answering at" in reason for reason in found.unverified(DROPS))
    assert not [
        o
        for o in found.comparison.outcomes
        if o.expectation.address == DROPS and o.result is Result.VERIFIED and o.observation.state == "filtered"
    ]
    assert any("the scanner looks banned there" in note for note in found.scan.notes)


def test_a_ban_for_a_time(lab: Estate) -> None:
    """A host that shuts the scanner out for seconds is asked again: no exposure hides in the gap, and it is told."""

    async def shut_out() -> None:
        await asyncio.sleep(1.5)
        lab.firewall("t-drops", chain(policy="drop"))
        await asyncio.sleep(3)
        lab.firewall("t-drops", DROP)

    found = judged(DROPS, OPEN, QUIET, rate=800, meanwhile=shut_out)

    assert exposures(DROPS, OPEN, QUIET) == found.findings
    assert any(str(DROPS) in note or "asked again" in note for note in found.scan.notes)  # as the ban meets the sweep


def test_a_path_that_is_lost_midway(lab: Estate) -> None:
    """A link that goes down in the middle leaves no silence that counts, and is told with the time."""

    async def cut() -> None:
        await asyncio.sleep(2)
        lab.run("t-gw", "ip", "link", "set", "in", "down")

    try:
        found = judged(DROPS, OPEN, QUIET, rate=500, meanwhile=cut)
    finally:
        lab.run("t-gw", "ip", "link", "set", "in", "up")

    assert set(found.findings) <= set(exposures(DROPS, OPEN, QUIET))
    assert not [o for o in found.comparison.outcomes if o.observation and o.observation.state == "filtered"]
    assert any("the path to 10.78.2.0/24 was lost at" in note for note in found.scan.notes)


@pytest.mark.parametrize("boundary", Boundary)
def test_limited_refusals(lab: Estate, boundary: Boundary) -> None:
    """Where a host limits its resets, closed and filtered look alike; that matters where blocked means filtered."""
    lab.firewall(
        "t-open",
        chain(
            f"tcp dport {KNOWN} accept",
            "tcp flags syn limit rate 100/second burst 20 packets reject with tcp reset",
            "tcp flags syn drop",
        ),
    )
    found = judged(OPEN, QUIET, boundary=boundary)
    leaks = {one for one in found.findings if one[0] == "boundary-leak"}
    silent = [
        o
        for o in found.comparison.outcomes
        if o.expectation.address == OPEN and o.observation and o.observation.state == "filtered"
    ]

    assert exposures(OPEN, QUIET) == [one for one in found.findings if one not in leaks]
    assert any(f"{OPEN} limits how often it refuses" in note for note in found.scan.notes)
    assert (boundary is Boundary.FILTERED) == bool(leaks)
    assert (boundary is Boundary.ANY) == bool(silent)
    assert (boundary is Boundary.FILTERED) == any(
        "closed and filtered look the same" in r for r in found.unverified(OPEN)
    )


def test_limited_icmp(lab: Estate) -> None:
    """A host that rejects by ICMP, and by limits, is filtered throughout."""
    lab.firewall("t-quiet", chain(f"tcp dport {KNOWN} accept", "reject with icmp admin-prohibited"))
    found = judged(QUIET, boundary=Boundary.FILTERED)

    assert exposures(QUIET) == found.findings
    assert {} == found.unverified(QUIET)


def test_all_ports_open(lab: Estate) -> None:
    """One listener behind every port is a device, not a thousand services."""
    lab.firewall(
        "t-open",
        "table ip n {\nchain p {\ntype nat hook prerouting priority -100\ntcp dport 1-65535 redirect to :7001\n}\n}",
    )
    found = judged(OPEN, QUIET)

    assert ("all-ports-open", str(OPEN)) in {one[:2] for one in found.findings}
    assert not [
        one for one in found.findings if one[1] == str(OPEN) and one[0] not in ("all-ports-open", "undeclared-port")
    ]
    assert exposures(QUIET) == [one for one in found.findings if one[1] == str(QUIET)]


def test_a_syn_proxy(lab: Estate) -> None:
    """A device that completes every handshake for hosts that drop what it lets through is told as such."""
    lab.firewall("t-drops", chain(f"tcp dport {KNOWN} accept", "tcp flags syn reject with tcp reset"))
    lab.firewall(
        "t-gw",
        "table ip s {\n"
        "chain p {\ntype filter hook prerouting priority raw\nip daddr 10.78.2.3 tcp flags syn notrack\n}\n"
        "chain f {\ntype filter hook forward priority 0\n"
        "ip daddr 10.78.2.3 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm\n"
        "ct state invalid drop\n}\n}",
    )
    found = judged(DROPS, QUIET)

    assert exposures(QUIET) == [one for one in found.findings if one[1] == str(QUIET)]
    assert "all-ports-open" in {kind for kind, address, _ in found.findings if address == str(DROPS)}
    assert not [one for one in found.findings if one[0] == "service-filtered"]


def test_answers_that_no_client_would_get(lab: Estate) -> None:
    """A SYN scan sees on the wire what the kernel of the same machine throws away: that is not known to be open."""
    lab.firewall("t-near", chain(f"ip saddr {DROPS} tcp flags & (syn | ack) == (syn | ack) drop"))
    found = judged(DROPS, QUIET)

    assert exposures(QUIET) == found.findings
    assert any(
        reason.startswith("unstable: open by SYN") and "asymmetric" in reason for reason in found.unverified(DROPS)
    )


def test_an_asymmetric_route(lab: Estate) -> None:
    """Replies that come back by another interface reach no client here: nothing there is an exposure, or a pass."""
    lab.run("t-gw", "ip", "route", "add", "10.78.1.2/32", "via", "10.78.3.2", "dev", "back", "table", "100")
    lab.run("t-gw", "ip", "rule", "add", "from", str(DROPS), "lookup", "100")
    try:
        found = judged(DROPS, QUIET)
    finally:
        lab.run("t-gw", "ip", "rule", "del", "from", str(DROPS), "lookup", "100")
        lab.run("t-gw", "ip", "route", "flush", "table", "100")
    mine = [o for o in found.comparison.outcomes if o.expectation.address == DROPS]

    assert exposures(QUIET) == [one for one in found.findings if one[1] == str(QUIET)]
    assert [("host-unreachable", str(DROPS), "7001")] == [one for one in found.findings if one[1] == str(DROPS)]
    assert not [o for o in mine if o.result is Result.VERIFIED]


def test_up_but_silent(lab: Estate) -> None:
    """A host that answers pings and no port is there: its service is filtered, not unreachable."""
    lab.firewall("t-drops", chain("icmp type echo-request accept", policy="drop"))
    found = judged(DROPS, QUIET)

    assert sorted([("service-filtered", str(DROPS), "7001"), *exposures(QUIET)]) == found.findings
    assert found.confirmed()
