"""Several looks at one endpoint become one state."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from auditor.model.observation import Failure, Identity, Observation, Reply
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap.records import HostRecord, Seen, Sight

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ONE, TWO = ip_address("10.0.0.1"), ip_address("2001:db8::2")
PORTS = PortSet.parse
OPEN, CLOSED, FILTERED = PortState.OPEN, PortState.CLOSED, PortState.FILTERED
SSH = Identity("ssh", "probed", "OpenSSH")


def look(*seen: tuple[str, Sight], reply: str | None = None) -> HostRecord:
    return HostRecord(ONE, NOW, tuple(Seen(Protocol.TCP, PORTS(ports), sight) for ports, sight in seen), reply=reply)


def merged(*records: HostRecord) -> dict[str, Observation]:
    board = Board()
    for record in records:
        board.add(record)
    return {str(one.ports): one for one in board.observations(NOW)}


@pytest.mark.parametrize(
    ("one", "other", "state", "reason"),
    [
        (Sight(OPEN, "syn-ack"), Sight(FILTERED, "no-response"), OPEN, "syn-ack"),
        (Sight(OPEN, "syn-ack"), Sight(CLOSED, "reset"), OPEN, "syn-ack"),
        (Sight(CLOSED, "reset"), Sight(FILTERED, "admin-prohibited"), CLOSED, "reset"),
        (Sight(FILTERED, "admin-prohibited"), Sight(FILTERED, "no-response"), FILTERED, "admin-prohibited"),
        (Sight(CLOSED, "port-unreach"), Sight(PortState.OPEN_FILTERED, "no-response"), CLOSED, "port-unreach"),
        (Sight(FILTERED, "no-response"), Sight(PortState.OPEN_FILTERED, "no-response"), FILTERED, "no-response"),
    ],
)
def test_the_weightier_look_holds_in_either_order(one: Sight, other: Sight, state: PortState, reason: str) -> None:
    """Loss turns answers into silence, never the other way round: so answers hold, and order does not matter."""
    for first, second in ((one, other), (other, one)):
        found = merged(look(("22", first)), look(("22", second)))["22"]

        assert (state, reason) == (found.state, found.reason)


def test_looks_that_agree_are_counted_and_the_better_detailed_is_kept() -> None:
    """Seen open twice, recognised once: two attempts, with the identity and the TTL."""
    found = merged(look(("22", Sight(OPEN, "syn-ack", ttl=63))), look(("22", Sight(OPEN, "syn-ack", identity=SSH))))

    assert (2, SSH) == (found["22"].attempts, found["22"].identity)


@pytest.mark.parametrize(
    "other",
    [
        None,
        Identity("tcpwrapped", "probed"),
        Identity("tcpwrapped", "probed", tunnel="ssl"),
        Identity("https", "table", tunnel="ssl"),
        Identity("ssh", "probed"),
    ],
)
def test_a_look_that_recognises_less_unsays_nothing(other: Identity | None) -> None:
    """In either order: what one conversation told holds, however the other ended."""
    known, less = (look(("22", Sight(OPEN, "syn-ack", identity=one))) for one in (SSH, other))

    assert [SSH, SSH] == [merged(*looks)["22"].identity for looks in ((known, less), (less, known))]


def test_that_something_speaks_tls_is_kept() -> None:
    """It is a fact, also where nothing inside was recognised."""
    tls = Identity("unknown", "table", tunnel="ssl")
    known, less = (look(("443", Sight(OPEN, "syn-ack", identity=one))) for one in (tls, None))

    assert [tls, tls] == [merged(*looks)["443"].identity for looks in ((known, less), (less, known))]


@pytest.mark.parametrize(("reason", "ttl"), [("syn-ack", 63), ("other", 0)])
def test_the_distance_is_kept_beside_the_identity(reason: str, ttl: int) -> None:
    """A connection tells no TTL; another look with the same reply does."""
    near, told = Sight(OPEN, reason, ttl=63), Sight(OPEN, "syn-ack", ttl=0, identity=SSH)

    for looks in ((near, told), (told, near)):
        found = merged(*(look(("22", sight)) for sight in looks))["22"]

        assert (SSH, ttl) == (found.identity, found.ttl)


def test_looks_that_differ_count_once() -> None:
    """A sweep that lost a probe neither confirms nor refutes an answer."""
    assert (
        1 == merged(look(("22", Sight(OPEN, "syn-ack"))), look(("22", Sight(FILTERED, "no-response"))))["22"].attempts
    )


def test_observations_are_disjoint() -> None:
    """A look at some ports of a range splits it."""
    silence = Sight(FILTERED, "no-response")
    found = merged(look(("1-100", silence)), look(("50", Sight(OPEN, "syn-ack")), ("51-200", silence)))

    expected = {
        "1-49,101-200": (FILTERED, 1),
        "50": (OPEN, 1),
        "51-100": (FILTERED, 2),
    }
    assert expected == {ports: (one.state, one.attempts) for ports, one in found.items()}


def test_failures_count_only_where_no_pass_saw_anything() -> None:
    """What one pass lost and another found is found; what two lost is lost once, for the first reason."""
    board = Board()
    board.fail(ONE, Protocol.TCP, PORTS("1-10"), "killed")
    board.fail(ONE, Protocol.TCP, PORTS("5-20"), "cut off")
    board.add(look(("3", Sight(OPEN, "syn-ack"))))

    assert (
        Failure(ONE, Protocol.TCP, PORTS("1-2,4-10"), "killed"),
        Failure(ONE, Protocol.TCP, PORTS("11-20"), "cut off"),
    ) == board.failures()


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (look(("1", Sight(FILTERED, "admin-prohibited"))), False),
        (look(("1", Sight(CLOSED, "reset"))), True),
        (look(reply="echo-reply"), True),
        (look(reply="arp-response"), False),
        (look(), False),
    ],
)
def test_what_counts_as_an_answer(record: HostRecord, expected: bool) -> None:
    """An ICMP error may be a router's, and ARP proves no path; open, closed and echo are the address's own."""
    board = Board()
    board.add(record)

    assert expected == board.answered(ONE)


def test_everything_is_sorted() -> None:
    """Output does not depend on the order in which hosts came."""
    records = [
        HostRecord(TWO, NOW, (Seen(Protocol.TCP, PORTS("1"), Sight(CLOSED, "reset")),), reply="nd-response"),
        look(("9", Sight(CLOSED, "x")), ("2", Sight(OPEN, "y")), reply="arp-response"),
    ]
    boards = Board(), Board()
    for record in records:
        boards[0].add(record)
    for record in reversed(records):
        boards[1].add(record)

    assert boards[0].observations(NOW) == boards[1].observations(NOW)
    assert (Reply(ONE, "arp-response"), Reply(TWO, "nd-response")) == boards[0].replies() == boards[1].replies()


def test_sixty_five_thousand_open_ports_are_quick() -> None:
    """A middlebox that answers everywhere costs no more than a plain host: alike ports stay one set."""
    everything = look(("1-65535", Sight(OPEN, "syn-ack", ttl=63)))

    assert 3 == merged(everything, everything, everything)["1-65535"].attempts
