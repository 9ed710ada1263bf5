"""Who is asked once more over UDP, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from auditor.addresses import probe_target
from auditor.model.inventory import Scope
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol, Technique
from auditor.scan.board import Board
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import Job, Purpose
from auditor.scan.trust.refusals import second_looks

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HOSTS = {"10.0.0.1": "web", "10.0.0.2": "web", "10.0.0.3": "db", "10.0.0.4": "wall"}
CLOSED, SILENT = Sight(PortState.CLOSED, "port-unreach"), Sight(PortState.OPEN_FILTERED, "no-response")


def looks(**seen: tuple[str, str]) -> list[tuple[list[str], str]]:
    """The addresses and ports of each look, from the last parts of addresses to their closed and their silent ports."""
    board = Board()
    for last, (closed, silent) in seen.items():
        ports = [(PortSet.parse(text), sight) for text, sight in ((closed, CLOSED), (silent, SILENT)) if text]
        address = ip_address(f"10.0.0.{last[1:]}")
        board.add(HostRecord(address, NOW, tuple(Seen(Protocol.UDP, part, sight) for part, sight in ports)))
    targets = tuple(probe_target(ip_address(text), Scope((ip_network("10.0.0.0/24"),))) for text in HOSTS)
    job = Job(Purpose.UDP, Protocol.UDP, PortSet.span(1, 20), targets, Technique.SYN, 100.0)
    found = second_looks(job, board, {ip_address(text): name for text, name in HOSTS.items()})
    assert all(look.patient for look in found)
    return [(list(map(str, look.addresses)), str(look.ports)) for look in found]


def test_hosts_that_refuse_are_asked_side_by_side() -> None:
    """One run for all of them, about what any of them was silent on; a host that refuses nothing is left alone."""

    assert [(["10.0.0.1", "10.0.0.3"], "6-9")] == looks(_1=("1-5", "6-8"), _3=("1-6", "7-9"), _4=("", "1-9"))


def test_addresses_of_one_host_are_asked_in_turn() -> None:
    """They share what the host sends, so one of them may have had no answer at all."""
    found = looks(_1=("1-5", "6-8"), _2=("", "1-8"), _3=("1-2", "3-4"))

    assert [(["10.0.0.1", "10.0.0.3"], "3-4,6-8"), (["10.0.0.2"], "1-8")] == found


def test_where_nothing_is_refused_nothing_is_asked_again() -> None:
    """Silence everywhere is a firewall that drops, and waiting for it would take a second a port."""

    assert [] == looks(_1=("", "1-9"), _3=("1-9", ""), _4=("", "1-9"))
