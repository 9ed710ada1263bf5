"""Address sets, and the scope."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest

from auditor.addresses import (
    Members,
    OutOfScopeError,
    contains,
    difference,
    in_scope,
    probe_target,
    trust_of,
)
from auditor.model.inventory import Scope
from auditor.model.words import Network, Trust

SCOPE = Scope((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")), (ip_network("10.9.0.0/16"),))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("10.0.0.1", True),
        ("10.9.0.1", False),
        ("11.0.0.1", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::a00:1", False),
    ],
)
def test_only_the_scope_makes_targets(text: str, allowed: bool) -> None:
    """An address becomes a probe target only where the scope allows it and does not deny it."""
    address = ip_address(text)

    assert allowed == in_scope(address, SCOPE)
    if allowed:
        assert address == probe_target(address, SCOPE).address
    else:
        with pytest.raises(OutOfScopeError, match=r"outside the inventory's scope"):
            probe_target(address, SCOPE)


def test_a_scope_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking of many addresses goes through the networks of a scope once, and another scope has its own answer."""
    made = []

    class Counted(Members):
        def __init__(self, networks: Iterable[Network]) -> None:
            made.append(networks)
            super().__init__(networks)

    monkeypatch.setattr("auditor.addresses.Members", Counted)
    scope, other = Scope((ip_network("10.0.0.0/25"),)), Scope((ip_network("10.0.0.128/25"),))

    assert [in_scope(ip_address(0x0A000000 + number), scope) for number in range(256)] == [True] * 128 + [False] * 128
    assert len(made) == 2
    assert in_scope(ip_address("10.0.0.200"), other)


def test_families_do_not_mix() -> None:
    """The same number in the other family is another address."""
    everything4 = [ip_network("0.0.0.0/0")]

    assert not contains(everything4, ip_address("::1"))
    assert ip_address("::1") not in Members(everything4)
    assert ip_network("::/0") not in Members(everything4)


def test_members_hold_whole_networks_only() -> None:
    """A network is in it where one of its networks holds all of it."""
    members = Members([ip_network("10.0.0.0/8"), ip_network("192.0.2.0/25")])

    assert ip_network("10.1.0.0/16") in members
    assert ip_network("10.0.0.0/8") in members
    assert ip_network("192.0.2.0/24") not in members
    assert ip_network("0.0.0.0/0") not in members


def test_difference_at_the_lowest_addresses() -> None:
    """A small number is no sign of IPv4, and neither family takes anything from the other."""
    both = [ip_network("0.0.0.0/0"), ip_network("::/0")]

    assert (ip_network("128.0.0.0/1"), ip_network("8000::/1")) == difference(
        both, [ip_network("0.0.0.0/1"), ip_network("::/1")]
    )
    assert (ip_network("::4/128"),) == difference([ip_network("::4/127")], [ip_network("::5/128"), both[0]])


def test_difference_is_the_fewest_networks() -> None:
    """What is left comes back merged, disjoint and sorted."""
    networks = [ip_network("10.0.1.0/24"), ip_network("10.0.0.0/24"), ip_network("10.0.0.0/25")]

    assert (ip_network("10.0.0.0/23"),) == difference(networks)
    assert (ip_network("10.0.1.0/24"),) == difference(networks, [ip_network("10.0.0.0/24")])
    assert difference(networks, [ip_network("0.0.0.0/0")]) == ()


@pytest.mark.parametrize(
    ("texts", "trust"),
    [
        ((), Trust.TRUSTED),
        (("198.51.100.0/24",), Trust.TRUSTED),
        (("198.51.100.0/24", "198.51.100.7/32"), Trust.TRUSTED),
        (("198.51.100.0/24", "203.0.113.7/32"), Trust.UNTRUSTED),
        (("198.51.100.0/23",), Trust.UNTRUSTED),
        (("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), Trust.TRUSTED),
        (("127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128"), Trust.TRUSTED),
        (("2001:db8::/48",), Trust.TRUSTED),
        (("2001:db8::/48", "2001:db8:1::/128"), Trust.UNTRUSTED),
        (("::/0",), Trust.UNTRUSTED),
        (("0.0.0.0/0",), Trust.UNTRUSTED),
    ],
)
def test_trust_follows_the_public_part(texts: tuple[str, ...], trust: Trust) -> None:
    """More than 256 public IPv4 addresses or one /48 of IPv6 cannot be trusted unnamed."""
    assert trust is trust_of(map(ip_network, texts))
