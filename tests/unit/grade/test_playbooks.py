"""The playbooks: one that fits, every placeholder filled, every command one that a shell can read."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network

import pytest

from auditor.catalogue.texts import PLAYBOOK_KEYS, playbooks
from auditor.grade.breaches import breach_finding, stale_finding
from auditor.grade.changes import change_finding
from auditor.grade.diagnosis import playbook
from auditor.model.breach import Breach, StaleWaiver
from auditor.model.change import Change, ChangedEndpoint
from auditor.model.drift import Drift, Outcome
from auditor.model.expectation import Expectation
from auditor.model.finding import Finding, Playbook
from auditor.model.inventory import Host, Location, Match, NetnsVia, Service, SourceRange, Viewpoint, Waiver
from auditor.model.observation import Identity, Observation
from auditor.model.ports import PortSet
from auditor.model.words import (
    Address,
    Basis,
    ChangeKind,
    ExpectedState,
    Family,
    Kind,
    PortState,
    Protocol,
    Result,
    ServiceClass,
    Trust,
    ViewpointKind,
)

AT = datetime(2026, 11, 22, tzinfo=UTC)
BOTH = (ip_network("203.0.113.7/32"), ip_network("2001:db8:1::7/128"))
BASTION = SourceRange("bastion", BOTH, Trust.TRUSTED)
PUBLIC = Viewpoint(
    "public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"), ip_address("2001:db8:f::20")), (),
    via=NetnsVia("internet"),
)  # fmt: skip
SSH = Service("ssh", PortSet.of(22), PortSet.of(22), ("public",), (BASTION,))
BACKEND = replace(SSH, name="app", behind="https")
HOSTILE = Identity("http", "probed", "`reboot`'; $(reboot) {x} {0}")
ADDRESSES: dict[Family, Address] = {
    Family.IPV4: ip_address("203.0.113.10"),
    Family.IPV6: ip_address("2001:db8:1::10"),
}
CLOSED, FILTERED, OPEN = PortState.CLOSED, PortState.FILTERED, PortState.OPEN
MEMBERS = Host("web-1", {}, (), members=("web-2", "web-3"))
UFW = Host("web-1", {}, (), firewall=("ufw",))

TOO_OPEN = ("too-open", Kind.OUTSIDE_SOURCE_RANGE, OPEN, "syn-ack", SSH, None, False)

Choice = tuple[str, Kind, PortState, str, Service | None, Host | None, bool]

# (playbook, kind, state, reason, service, host, family gap)
CHOICES: list[Choice] = [
    ("nothing-listens", Kind.SERVICE_REFUSED, CLOSED, "reset", SSH, None, False),
    ("nothing-listens-on-family", Kind.SERVICE_REFUSED, CLOSED, "reset", SSH, None, True),
    ("published-port-refused", Kind.SERVICE_REFUSED, CLOSED, "reset", SSH, MEMBERS, True),
    ("dropped", Kind.SERVICE_FILTERED, FILTERED, "no-response", SSH, None, False),
    ("dropped-on-family", Kind.SERVICE_FILTERED, FILTERED, "no-response", SSH, None, True),
    ("rejected", Kind.SERVICE_FILTERED, FILTERED, "admin-prohibited", SSH, None, True),
    ("no-route", Kind.SERVICE_FILTERED, FILTERED, "host-unreach", SSH, None, False),
    ("host-unreachable", Kind.HOST_UNREACHABLE, FILTERED, "no-response", None, None, False),
    ("all-ports-open", Kind.ALL_PORTS_OPEN, OPEN, "syn-ack", None, None, False),
    ("answers-for-others", Kind.ANSWERS_FOR_OTHERS, OPEN, "syn-ack", None, None, False),
    ("wrong-family", Kind.WRONG_FAMILY, OPEN, "syn-ack", SSH, UFW, True),
    ("family-hole", Kind.OUTSIDE_SOURCE_RANGE, OPEN, "syn-ack", SSH, UFW, True),
    ("family-hole", Kind.UNDECLARED_PORT, OPEN, "syn-ack", None, None, True),
    TOO_OPEN,
    ("backend-exposed", Kind.OUTSIDE_SOURCE_RANGE, OPEN, "syn-ack", BACKEND, UFW, False),
    ("wide-bind", Kind.WRONG_INTERFACE, OPEN, "syn-ack", SSH, None, False),
    ("published-container-port", Kind.UNDECLARED_PORT, OPEN, "syn-ack", None, UFW, False),
    ("published-container-port", Kind.WRONG_INTERFACE, OPEN, "syn-ack", SSH, UFW, False),
    ("translated-port-open", Kind.UNDECLARED_PORT, OPEN, "syn-ack", None, MEMBERS, False),
    ("undeclared-port", Kind.UNDECLARED_PORT, OPEN, "syn-ack", None, None, False),
    ("wrong-service", Kind.WRONG_SERVICE, OPEN, "syn-ack", SSH, None, False),
    ("boundary-leak", Kind.BOUNDARY_LEAK, CLOSED, "reset", None, None, False),
    ("unknown-host", Kind.UNKNOWN_HOST, OPEN, "syn-ack", None, None, False),
    ("undeclared-address", Kind.UNDECLARED_ADDRESS, OPEN, "syn-ack", None, None, False),
]  # fmt: skip


def make(choice: Choice, family: Family, protocol: Protocol = Protocol.TCP) -> Drift:
    _, kind, state, reason, service, _, gap = choice
    address = ADDRESSES[family]
    expectation = Expectation(
        "public", "web-1", "public", address, protocol, PortSet.of(22), ExpectedState.BLOCKED, Basis.DECLARED, service
    )
    seen = Observation(address, protocol, PortSet.of(22), state, reason, AT, identity=HOSTILE)
    outcome = Outcome(expectation, PortSet.of(22), Result.DRIFTED, "", kind, seen)
    return Drift(kind, PUBLIC, "web-1", "public", family, (outcome,), service, address, gap)


def of_inventory() -> list[Finding]:
    """A finding for each thing that the inventory alone gives."""
    at = Location("a folder/hosts; reboot.yaml", 12)
    match = Match(written='{"host":["web-1"],"kind":["undeclared-port"]}', hosts=("web-1",))
    waiver = Waiver(match, "`reboot`", "team-web", date(2026, 1, 1), date(2026, 12, 31), location=at)
    breach = Breach("forbid trust untrusted", "it is", "web-1", SSH, classes=(ServiceClass.REMOTE_ADMIN,), location=at)
    return [
        breach_finding(breach),
        breach_finding(replace(breach, location=None)),
        breach_finding(replace(breach, rule="require reason")),
        breach_finding(Breach("max_waiver_days", "the waiver runs for 364 days", waiver=waiver, location=at)),
        stale_finding(StaleWaiver(waiver), "2026-12-31"),
    ]


def of_changes() -> list[Finding]:
    """A finding for each kind of change."""
    at = Location("a folder/hosts; reboot.yaml", 12)
    here = (ChangedEndpoint(ADDRESSES[Family.IPV6], Protocol.TCP, PortSet.of(22), BOTH, BOTH),)
    change = Change(ChangeKind.ADDED, "web-1", SSH, here, BOTH, BOTH, trust=Trust.UNTRUSTED, location=at)
    weak = Change(ChangeKind.WEAKENED, rule="scope.allow", what="no longer has 10.0.0.0/8", location=at)
    return [
        *(change_finding(replace(change, kind=kind)) for kind in ChangeKind if kind is not ChangeKind.WEAKENED),
        change_finding(weak),
    ]


def render(book: Playbook) -> dict[str, str]:
    """Every text with its placeholders filled; KeyError where one is missing."""
    return {key: text.format_map(book.values) for key, text in playbooks()[book.id].items()}


def commands(texts: dict[str, str]) -> Iterator[str]:
    for text in texts.values():
        yield from re.findall(r"`([^`]*)`", text)


def assert_readable(command: str) -> None:
    """A shell can read the command; `bash -n` runs nothing."""
    checked = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)

    assert (0, "") == (checked.returncode, checked.stderr), command


def test_every_playbook_has_exactly_its_keys() -> None:
    """Eight texts each, none of them empty."""
    for name, texts in playbooks().items():
        assert PLAYBOOK_KEYS == tuple(texts), name
        assert all(texts.values()), name


def test_every_playbook_is_chosen_by_something() -> None:
    """A playbook that no drift leads to would be dead text."""
    about_inventory = {finding.playbook.id for finding in (*of_inventory(), *of_changes())}

    assert set(playbooks()) == {choice[0] for choice in CHOICES} | about_inventory


def test_every_kind_has_a_playbook() -> None:
    """No drift stays without a diagnosis."""
    about_inventory = {finding.kind for finding in of_inventory()}

    assert set(Kind) == {choice[1] for choice in CHOICES} | about_inventory


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: f"{choice[0]}:{choice[1]}")
def test_choice_and_commands(choice: Choice, family: Family) -> None:
    """The playbook fits the drift and its evidence, and is filled to the last placeholder with commands to run."""
    book = playbook(make(choice, family), choice[5])

    assert choice[0] == book.id
    texts = render(book)
    assert not re.search(r"\{\w*\}", " ".join(texts.values()))
    for command in commands(texts):
        assert_readable(command)


@pytest.mark.parametrize(
    "finding", [*of_inventory(), *of_changes()], ids=lambda finding: f"{finding.kind}:{finding.playbook.id}"
)
def test_playbooks_about_the_inventory(finding: Finding) -> None:
    """They are filled to the last placeholder too, and the names of files stay words of the command."""
    texts = render(finding.playbook)

    assert not re.search(r"\{\w*\}", " ".join(texts.values()))
    for text in playbooks()[finding.playbook.id].values():
        for command in re.findall(r"`([^`]*)`", text):
            assert_readable(command.format_map(finding.playbook.values))


def test_the_name_of_a_file_is_one_word() -> None:
    """A folder may have any name, and the command that shows who wrote a line is pasted into a shell."""
    (blame,) = {finding.playbook.values["blame"] for finding in of_inventory()} - {"git log -p"}

    assert ["git", "blame", "-L", "12,+8", "--", "a folder/hosts; reboot.yaml"] == shlex.split(blame)


def test_nothing_from_the_network_becomes_a_value() -> None:
    """Values stand inside commands that people paste; a banner must never get there."""
    for choice in CHOICES:
        values = playbook(make(choice, Family.IPV4), choice[5]).values

        assert not any("reboot" in value for value in values.values()), choice


def test_commands_suit_the_family_and_the_protocol() -> None:
    """IPv6 and UDP need other flags than IPv4 and TCP."""
    six = playbook(make(TOO_OPEN, Family.IPV6, Protocol.UDP), None).values
    four = playbook(make(TOO_OPEN, Family.IPV4), None).values

    assert "ip netns exec internet nc -6 -vzu -w 3 2001:db8:1::10 22" == six["probe"]
    assert "ip netns exec internet nmap -6 -Pn -n -sU -p 22 2001:db8:1::10" == six["scan"]
    assert "ip netns exec internet nc -4 -vz -w 3 203.0.113.10 22" == four["probe"]
    assert "ss -ltnp 'sport = :22'" == four["listeners"]
    assert "ss -lunp 'sport = :22'" == six["listeners"]
    assert "[2001:db8:1::10]:22" == six["bind"]
    assert "ip6 saddr != '{ 2001:db8:1::7/128 }'" in six["narrow"]
    assert "ip saddr != '{ 203.0.113.7/32 }'" in four["narrow"]


def test_a_fix_closes_what_no_source_may_reach() -> None:
    """Where nobody is meant to reach the port there, the narrowed rule admits nobody."""
    values = playbook(replace(make(TOO_OPEN, Family.IPV4), kind=Kind.WRONG_INTERFACE), None).values

    assert "nft insert rule inet filter input ip daddr 203.0.113.10 tcp dport 22 drop" == values["narrow"]


def test_a_router_that_denies_a_living_address_rejects() -> None:
    """The address answers elsewhere, so there is a way to it, whatever the router says about this port."""
    drift = make(next(choice for choice in CHOICES if choice[0] == "no-route"), Family.IPV4)

    assert "rejected" == playbook(drift, None, {ADDRESSES[Family.IPV4]}).id


def test_nobody_is_blamed_whom_nmap_did_not_name() -> None:
    """Of collapsed ports nmap keeps no sender: it may have been any device on the way, and not the target."""
    drift = make(next(choice for choice in CHOICES if choice[0] == "rejected"), Family.IPV4)

    assert "a device on the way" == playbook(drift, None).values["replier"]


def test_an_unknown_host_without_ports() -> None:
    """An address that only answered a ping has a playbook too."""
    address = ADDRESSES[Family.IPV6]
    stranger = Drift(Kind.UNKNOWN_HOST, PUBLIC, str(address), None, Family.IPV6, (), address=address)
    texts = render(playbook(stranger, None))

    assert "nmap -6 -Pn -n 2001:db8:1::10" in texts["immediate_check"]
