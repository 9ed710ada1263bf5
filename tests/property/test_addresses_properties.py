"""Address sets against brute force over a small space."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from auditor.addresses import Members, contains, difference, in_scope
from auditor.inventory.reading.literals import address, canary, network, ports
from auditor.model.inventory import Scope
from auditor.model.words import Network

# Networks within 198.51.100.0/26 and 2001:db8::/122: 64 addresses each, so that every one can be tried.
FIRST4, FIRST6 = 0xC6336400, 0x20010DB8 << 96
BITS, HOST = st.integers(0, 6), st.integers(0, 63)
V4 = st.builds(lambda bits, host: IPv4Network((FIRST4 | (host & (-1 << bits)), 32 - bits)), BITS, HOST)
V6 = st.builds(lambda bits, host: IPv6Network((FIRST6 | (host & (-1 << bits)), 128 - bits)), BITS, HOST)
NETWORKS = st.lists(V4 | V6, max_size=8)
EVERY = [ip_address(first + n) for first in (FIRST4, FIRST6) for n in range(64)]


def addresses(networks: Iterable[Network]) -> set[object]:
    return {one for network in networks for one in network}


@given(NETWORKS, NETWORKS)
def test_difference(networks: list[Network], without: list[Network]) -> None:
    """What is left is what sets of single addresses leave, in disjoint networks, sorted and merged."""
    left = difference(networks, without)

    assert addresses(left) == addresses(networks) - addresses(without)
    assert sum(network.num_addresses for network in left) == len(addresses(left))
    assert difference(left) == left


@given(NETWORKS, NETWORKS)
def test_members_and_scope(allow: list[Network], deny: list[Network]) -> None:
    """Membership by prefix is membership by looking, and a scope allows what is allowed and not denied."""
    members, scope = Members(allow), Scope(tuple(allow), tuple(deny))

    for one in EVERY:
        assert (one in members) == contains(allow, one) == (one in addresses(allow))
        assert in_scope(one, scope) == (one in addresses(allow) and one not in addresses(deny))


@given(V4 | V6, NETWORKS)
def test_members_of_whole_networks(inner: Network, networks: list[Network]) -> None:
    """A network is in it where a single one holds it."""
    assert (inner in Members(networks)) == any(
        inner.version == one.version and set(inner) <= set(one) for one in networks
    )


@given(V4 | V6)
def test_literals_round_trip(one: Network) -> None:
    """What `ipaddress` writes is read back the same."""
    assert network(str(one)) == one
    assert address(str(one.network_address)) == one.network_address
    assert canary(str(one.network_address)).address == one.network_address


@given(st.text(max_size=40) | st.text("0123456789abcdef:./%[]-tcpud", max_size=24))
def test_literals_of_any_text(text: str) -> None:
    """Whatever is written is read, or is a ValueError with words; never anything else, never an address with a zone."""
    for read in (address, network, canary, lambda one: ports((one,))):
        try:
            found = read(text)
        except ValueError as error:
            assert str(error).isprintable()
        else:
            assert "%" not in str(found)


def test_the_small_space_is_whole() -> None:
    """The brute force covers what the strategies can make."""
    assert addresses([ip_network("198.51.100.0/26"), ip_network("2001:db8::/122")]) == set(EVERY)
