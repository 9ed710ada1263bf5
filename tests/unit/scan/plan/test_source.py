"""Asking the resolver: side by side, and never longer than there is patience."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from threading import Barrier, Event

import pytest

from auditor.transport.names import look_up


def test_addresses_of_both_families_are_sorted() -> None:
    """IPv4 first, each family by number."""
    found = look_up(["a.example"], ask=lambda _: ["2001:db8::1", "10.0.0.10", "10.0.0.9"])

    assert found == {"a.example": tuple(map(ip_address, ("10.0.0.9", "10.0.0.10", "2001:db8::1")))}


def test_names_are_asked_for_side_by_side() -> None:
    """Each of these answers only once all are asked for."""
    names = [f"{number}.example" for number in range(20)]
    all_asked = Barrier(len(names))

    def ask(_: str) -> list[str]:
        all_asked.wait(timeout=20)
        return ["10.0.0.1"]

    assert look_up(names, ask=ask, patience=20) == dict.fromkeys(names, (ip_address("10.0.0.1"),))


def test_more_names_than_are_asked_for_at_a_time() -> None:
    """None is forgotten."""
    names = [f"{number}.example" for number in range(1000)]

    assert set(look_up(names, ask=lambda _: ["10.0.0.1"])) == set(names)


def test_a_resolver_that_hangs_costs_only_its_own_name() -> None:
    """And no more than the time for all."""
    hanging = Event()

    def ask(name: str) -> list[str]:
        if name == "slow.example":
            hanging.wait()
        return ["10.0.0.1"]

    found = look_up(["slow.example", "a.example"], ask=ask, patience=0.5)
    hanging.set()

    assert found == {
        "slow.example": "the resolver gave no answer within 0.5 s",
        "a.example": (ip_address("10.0.0.1"),),
    }


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "the resolver says: Name or service not known",
        ),
        (OSError("broken"), "the resolver says: broken"),
        (
            UnicodeError("label too long"),
            "the resolver's answer cannot be read: label too long",
        ),
    ],
)
def test_a_failure_is_an_answer(error: Exception, said: str) -> None:
    """Whatever the C library may come up with."""

    def ask(_: str) -> list[str]:
        raise error

    assert look_up(["a.example"], ask=ask) == {"a.example": said}


def test_the_resolver_of_this_machine_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For both families, each address once."""
    asked = []

    def getaddrinfo(name: str, port: object, *, type: object) -> list[tuple[object, ...]]:  # noqa: A002
        asked.append((name, port, type))
        found = ("2001:db8::1", "10.0.0.1", "10.0.0.1")
        return [(None, None, None, "", (address, 0)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    assert look_up(["a.example"]) == {"a.example": (ip_address("10.0.0.1"), ip_address("2001:db8::1"))}
    assert asked == [("a.example", None, socket.SOCK_STREAM)]


def test_nothing_to_ask() -> None:
    """No name, no question."""
    assert look_up([]) == {}
