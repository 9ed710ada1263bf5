"""What a newer nmap writes, just now, is read like what the installed one writes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from lab.estate import Estate

from auditor.addresses import probe_target
from auditor.model.inventory import Scope
from auditor.model.ports import PortSet
from auditor.model.words import Protocol, Technique
from auditor.scan.nmap import command
from auditor.scan.nmap.records import HostRecord
from auditor.scan.nmap.xml import NmapXmlReader

pytestmark = [pytest.mark.live, pytest.mark.newer]
SCOPE = Scope((ip_network("10.78.0.0/24"), ip_network("2001:db8:78::/64")))
RULES = """
table inet filter {
    chain input {
        type filter hook input priority filter
        tcp dport 81 drop
        tcp dport 82 reject
        tcp dport 83 reject with icmpx admin-prohibited
    }
}
"""
SYN, CONNECT = Technique.SYN, Technique.CONNECT
TCP, UDP = Protocol.TCP, Protocol.UDP


@pytest.fixture(scope="module")
def _estate() -> Iterator[Estate]:
    with Estate() as built:
        built.segment("newer-lan")
        for name, last in (("newer-scan", 2), ("newer-host", 3)):
            built.namespace(name)
            built.attach(name, "eth0", "newer-lan", [f"10.78.0.{last}/24", f"2001:db8:78::{last}/64"])
        built.firewall("newer-host", RULES)
        built.settings("newer-host", {"ipv4/icmp_ratelimit": 0})
        built.respond("newer-host", "ssh,::,22", "silent,::,79")
        yield built


HOST, SIX = ip_address("10.78.0.3"), ip_address("2001:db8:78::3")
DEAD, DEAD_SIX = ip_address("10.78.0.9"), ip_address("2001:db8:78::9")
FOUR = [probe_target(address, SCOPE) for address in (HOST, DEAD)]
BOTH_SIX = [probe_target(address, SCOPE) for address in (SIX, DEAD_SIX)]
PORTS = PortSet.parse("20-24,79-83")
COMMANDS = {
    "syn": command.probe(SYN, TCP, PORTS, FOUR, rate=500),
    "syn, IPv6": command.probe(SYN, TCP, PORTS, BOTH_SIX, rate=500),
    "connect": command.probe(CONNECT, TCP, PORTS, FOUR, rate=500),
    "udp": command.probe(SYN, UDP, PortSet.parse("10-14,53,161"), FOUR[:1], rate=50),
    "collapsed ports": command.probe(SYN, TCP, PortSet.span(1, 1000), FOUR[:1], rate=1000),
    "ping": command.ping(SYN, FOUR, link=True, rate=100),
    "what answers": command.versions(SYN, TCP, PortSet.of(22), FOUR[:1], rate=100),
    "what answers on several": command.versions(SYN, TCP, PortSet.parse("22,80-83"), BOTH_SIX[:1], rate=100),
}


def read(program: str, argv: Sequence[str]) -> tuple[NmapXmlReader, list[HostRecord]]:
    """What a run of an nmap in the scanner's namespace gives."""
    inside = ["ip", "netns", "exec", "newer-scan", program, *argv[1:]]
    ended = subprocess.run(inside, capture_output=True, check=False, timeout=120)
    reader = NmapXmlReader()
    items = [*reader.feed(ended.stdout), *reader.end()]
    assert (0, None) == (ended.returncode, reader.problem), ended.stderr
    return reader, [item for item in items if isinstance(item, HostRecord)]


def without_time(record: HostRecord) -> HostRecord:
    """The record less its time, and less what names the nmap: the text of what it did not recognise."""
    seen = [
        replace(one, sight=replace(one.sight, identity=replace(one.sight.identity, banner="")))
        if one.sight.identity
        else one
        for one in record.seen
    ]
    return replace(record, at=None, began=None, seen=tuple(sorted(seen, key=lambda one: one.ports.first)))


@pytest.mark.usefixtures("_estate")
@pytest.mark.parametrize("argv", COMMANDS.values(), ids=COMMANDS)
def test_the_xml_of_a_newer_nmap_is_read_alike(argv: Sequence[str], newer_nmap: Path) -> None:
    """The same hosts, states, reasons, distances and identities, from documents that are whole."""
    (old, records), (new, records_of_newer) = (read(program, argv) for program in ("nmap", str(newer_nmap)))

    assert [*map(without_time, records)] == [*map(without_time, records_of_newer)] != []
    assert (old.asked, "success") == (new.asked, new.finish and new.finish.exit)
    assert new.start is not None
    assert old.start is not None
    assert old.start.version != new.start.version
