"""Changes against brute force: who may reach what, client by client and port by port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from auditor.change.changing import changes
from auditor.model.change import Change, Written
from auditor.model.inventory import Host, Interface, Inventory, Location, Scope, Service, SourceRange
from auditor.model.ports import PortSet
from auditor.model.words import Address, ChangeKind, Family, Network, Protocol, Trust

NETWORKS = tuple(
    map(ip_network, ("0.0.0.0/0", "10.0.0.0/30", "10.0.0.2/31", "10.0.0.3/32", "10.0.1.0/31", "::/0", "fd00::/126",
                     "fd00::2/127", "fd00::1/128"))
)  # fmt: skip
CLIENTS = tuple(
    map(ip_address, ("10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.1.0", "10.0.1.1", "192.0.2.1", "fd00::",
                     "fd00::1", "fd00::2", "fd00::3", "2001:db8::1"))
)  # fmt: skip
ADDRESSES = tuple(map(ip_address, ("203.0.113.1", "203.0.113.2", "203.0.113.3", "2001:db8:1::1", "2001:db8:1::2")))
PORTS = range(1, 7)
SCOPE = Scope((ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64")))

ranges = st.builds(
    SourceRange,
    name=st.sampled_from(("a", "b", "c")),
    networks=st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3).map(tuple),
    trust=st.sampled_from(Trust),
)
port_sets = st.lists(st.sampled_from(PORTS), max_size=4).map(lambda ports: PortSet.of(*ports))
services = st.builds(
    Service,
    name=st.sampled_from(("s", "t", "u", "v")),
    tcp=port_sets,
    udp=port_sets,
    interfaces=st.lists(st.sampled_from(("i", "j", "loopback")), min_size=1, max_size=2, unique=True).map(tuple),
    sources=st.lists(ranges, max_size=3).map(tuple),
    families=st.sampled_from((frozenset(Family), frozenset({Family.IPV4}), frozenset({Family.IPV6}))),
)


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Up to three hosts with two interfaces, among which some of the addresses are spread."""
    where = {address: draw(st.sampled_from(("", "h i", "h j", "k i", "k j", "m i"))) for address in ADDRESSES}
    hosts = {}
    for name in "hkm":
        interfaces = {
            one: Interface(one, tuple(a for a, place in where.items() if place == f"{name} {one}")) for one in "ij"
        }
        found = draw(st.lists(services, max_size=4, unique_by=lambda service: service.name))
        hosts[name] = Host(name, interfaces, tuple(sorted(found, key=lambda service: service.name)))
    return Inventory("world", SCOPE, {}, {}, hosts)


class Nowhere:
    """Places of an inventory that nobody wrote down."""

    def at(self, path: Sequence[str | int]) -> Location:  # noqa: ARG002 -- the protocol names it
        return Location("inventory.yaml", 1)

    def file(self, path: Sequence[str | int]) -> str:  # noqa: ARG002
        return ""

    def beside(self, path: Sequence[str | int], file: str) -> Location:  # noqa: ARG002
        return self.at(path)

    def get(self, path: Sequence[str | int]) -> Any:  # noqa: ARG002
        return None

    def of_service(self, host: str, name: str, key: str | None = None) -> tuple[str | int, ...]:
        return ("hosts", host, "services", name, *((key,) if key else ()))

    def dotted(self, path: Sequence[str | int]) -> str:
        return ".".join(map(str, path))


def gate(base: Inventory, head: Inventory) -> tuple[Change, ...]:
    return changes(Written(base, Nowhere()), Written(head, Nowhere()))


def reached(inventory: Inventory) -> set[tuple[Address, Protocol, int, Address]]:
    """Every endpoint with every client that may reach it."""
    return {
        (address, protocol, port, client)
        for host in inventory.hosts.values()
        for service in host.services
        for name in service.interfaces
        if name in host.interfaces
        for address in host.interfaces[name].addresses
        if Family.of(address) in service.families
        for protocol in Protocol
        for port in service.ports(protocol)
        for client in CLIENTS
        if client.version == address.version and service.admits(client)
    }


def told(found: Sequence[Change], side: str) -> set[tuple[Address, Protocol, int, Address]]:
    """The same of what the changes say was gained or lost."""
    return {
        (endpoint.address, endpoint.protocol, port, client)  # type: ignore[misc]  # no names in this world
        for change in found
        for endpoint in change.endpoints
        for port in endpoint.ports
        for client in CLIENTS
        if _among(client, getattr(endpoint, side))
    }


def _among(client: Address, networks: Sequence[Network]) -> bool:
    return any(client in network for network in networks if network.version == client.version)


@given(inventories(), inventories())
def test_gained_and_lost_are_exact(base: Inventory, head: Inventory) -> None:
    """No client is told to gain or lose what it does not, and none is left out."""
    found = gate(base, head)

    assert reached(head) - reached(base) == told(found, "gained")
    assert reached(base) - reached(head) == told(found, "lost")


@given(inventories(), inventories())
def test_kinds_and_totals(base: Inventory, head: Inventory) -> None:
    """An endpoint changes once; its kind is that of what it was and is, and the totals are of all endpoints."""
    before, after = ({endpoint[:3] for endpoint in reached(side)} for side in (base, head))
    seen = set()
    for change in gate(base, head):
        for endpoint in change.endpoints:
            for port in endpoint.ports:
                key = endpoint.address, endpoint.protocol, port
                assert key not in seen
                seen.add(key)
                assert (change.kind is ChangeKind.ADDED) == (key not in before)
                assert (change.kind is ChangeKind.REMOVED) == (key not in after)
                assert (change.kind is ChangeKind.NARROWED) == (key in before & after and not endpoint.gained)
        for side in ("gained", "lost"):
            every = {c for e in change.endpoints for c in CLIENTS if _among(c, getattr(e, side))}
            assert every == {client for client in CLIENTS if _among(client, getattr(change, side))}


@given(inventories())
def test_nothing_changes_nothing(inventory: Inventory) -> None:
    """The same twice has no changes, even where nothing of it is the same object."""
    again = replace(inventory, hosts={name: _again(host, {}) for name, host in inventory.hosts.items()})

    assert () == gate(inventory, inventory) == gate(inventory, again)


@given(inventories(), inventories(), st.permutations(("s", "t", "u", "v")))
def test_names_and_order_are_of_no_account(base: Inventory, head: Inventory, names: Sequence[str]) -> None:
    """Hosts, services, interfaces and ranges may be called otherwise, and stand in any order."""
    mapping = dict(zip(("s", "t", "u", "v"), names, strict=True))
    hosts = {f"new-{name}": replace(_again(host, mapping), name=f"new-{name}") for name, host in head.hosts.items()}
    renamed = replace(head, hosts=dict(reversed(hosts.items())))
    plain, other = gate(base, head), gate(base, renamed)

    assert () == gate(head, renamed)
    assert (told(plain, "gained"), told(plain, "lost")) == (told(other, "gained"), told(other, "lost"))


def _again(host: Host, names: Mapping[str, str]) -> Host:
    """The host with other names of services, interfaces and ranges, and its services the other way round."""
    called = {"i": "x", "j": "y", "loopback": "loopback"} if names else {"i": "i", "j": "j", "loopback": "loopback"}
    interfaces = {
        called[name]: Interface(called[name], tuple(reversed(interface.addresses)))
        for name, interface in host.interfaces.items()
    }
    services = [
        replace(
            service,
            name=names.get(service.name, service.name),
            interfaces=tuple(called[name] for name in reversed(service.interfaces)),
            sources=tuple(
                replace(source, name=f"{source.name}2" if names else source.name, networks=tuple(source.networks[::-1]))
                for source in reversed(service.sources)
            ),
        )
        for service in host.services
    ]
    return replace(host, interfaces=interfaces, services=tuple(sorted(services, key=lambda service: service.name)))
