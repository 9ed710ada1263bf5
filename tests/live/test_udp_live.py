"""UDP with real nmap in a lab: services on their own and on odd ports, and hosts that limit how often they refuse."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from lab.estate import Estate

from auditor.model.context import Context
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import NetnsVia, Scope, Service, Viewpoint
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Address, Basis, ExpectedState, PortState, Profile, Protocol, ViewpointKind
from auditor.scan.nmap.abilities import probe_abilities
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from auditor.transport.system import SystemTransport

pytestmark = pytest.mark.live
TALKS, REFUSES, REFUSES_SIX = ip_address("10.78.0.3"), ip_address("10.78.0.4"), ip_address("2001:db8:78::4")
SCOPE = Scope((ip_network("10.78.0.0/24"), ip_network("2001:db8:78::/64")))
HERE = Viewpoint(
    "near",
    ViewpointKind.INTERNAL,
    (ip_address("10.78.0.2"), ip_address("2001:db8:78::2")),
    SCOPE.allow,
    via=NetnsVia("udp-near"),
)
DROP = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        udp dport { 53, 161, 5060, 5300, 16161 } accept
    }
}
"""
DNSMASQ = ("--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root", "--pid-file")


@pytest.fixture(scope="module")
def _estate(program: Callable[[str], str]) -> Iterator[Estate]:
    with Estate() as built:
        built.segment("udp-lan")
        for name, last in (("udp-near", 2), ("udp-talks", 3), ("udp-refuses", 4)):
            built.namespace(name)
            built.attach(name, "eth0", "udp-lan", [f"10.78.0.{last}/24", f"2001:db8:78::{last}/64"])
        built.firewall("udp-talks", DROP)
        for port in (53, 5300):
            built.start("udp-talks", [program("dnsmasq"), *DNSMASQ, f"--port={port}"], [f"{port}/udp"])
        built.respond("udp-talks", "snmp,0.0.0.0,161", "sip,0.0.0.0,5060", "snmp,0.0.0.0,16161")
        yield built


def asked(address: Address, ports: str, **service: object) -> Expectation:
    """What is asked of UDP ports: declared with such a service, or not at all."""
    members = PortSet.parse(ports)
    declared = Service("declared", PortSet(), members, ("lan",), (), **service) if service else None  # type: ignore[arg-type]
    state, basis = ExpectedState.BLOCKED, Basis.UNDECLARED
    if declared:
        state, basis = ExpectedState.REACHABLE, Basis.DECLARED
    return Expectation(HERE.name, "h", "lan", address, Protocol.UDP, members, state, basis, declared)


def looked(*each: Expectation) -> Scan:
    async def look() -> Scan:
        transport = SystemTransport()
        planned = plan(Expectations(HERE, Profile.STANDARD, each), SCOPE, await probe_abilities(transport, HERE.via))
        context = Context(lambda: datetime.now(UTC), random.Random(1), lambda _event: None)
        (found,) = await scan([planned], transport=transport, context=context)
        return found

    return asyncio.run(look())


def named(found: Scan) -> dict[str, str]:
    """What answers on the open ports."""
    return {
        str(one.ports): one.identity.name if one.identity else ""
        for one in found.observations
        if one.state is PortState.OPEN
    }


@pytest.mark.usefixtures("_estate")
def test_services_are_found_and_recognised() -> None:
    """On the usual port by nmap's payloads, on an odd one where declared; SIP, undeclared, by its version probe alone.

    Where nothing answers, silence stays silence, and no probe has failed.
    """
    found = looked(asked(TALKS, "53,88,161,1434,5060"), asked(TALKS, "5300", protocol="dns"))

    assert {"53": "domain", "161": "snmp", "5060": "sip-proxy", "5300": "domain"} == named(found)
    assert ["88,1434"] == [str(one.ports) for one in found.observations if one.state is PortState.OPEN_FILTERED]
    assert ((), (), ()) == (found.mute, found.probe_failures, found.failures)


@pytest.mark.usefixtures("_estate")
@pytest.mark.long
def test_snmp_is_recognised_on_an_odd_port() -> None:
    """nmap's probes that come before it take 45 seconds."""
    assert {"16161": "snmp"} == named(looked(asked(TALKS, "16161", protocol="snmp")))


def refused(ports: str) -> None:
    """Ask closed UDP ports in both families: Linux refuses with one ICMP error a second, after a burst of six."""
    found = looked(asked(REFUSES, ports), asked(REFUSES_SIX, ports))

    assert {(address, ports, "closed") for address in (REFUSES, REFUSES_SIX)} == {
        (address, str(PortSet.union(one.ports for one in found.observations if one.address == address)), state)
        for address, state in {(one.address, str(one.state)) for one in found.observations}
    }


@pytest.mark.usefixtures("_estate")
def test_no_closed_port_of_a_host_that_refuses_stays_silent() -> None:
    """In both families, whatever the host holds back at first."""
    refused("10-21")


@pytest.mark.usefixtures("_estate")
@pytest.mark.long
def test_nor_with_many_ports() -> None:
    """As many as the catalogue has, and more."""
    refused("2000-2099")
