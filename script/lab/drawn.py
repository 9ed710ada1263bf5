"""What a drawn estate is made of: machines as they stand, and hosts and viewpoints as somebody has declared them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from lab.firewall import Address, Chain, Network, Ports

NETWORKS: dict[str, tuple[Network, Network]] = {
    "dmz": (ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64")),
    "lan": (ip_network("10.20.1.0/24"), ip_network("2001:db8:20:1::/64")),
    "uplink": (ip_network("198.51.100.0/24"), ip_network("2001:db8:f::/64")),
}
ANYTHING = 7999  # where a middlebox sends whatever it does not know


@dataclass(frozen=True, slots=True)
class Listener:
    """A responder of `responders.py` on one address, or on `::` or `0.0.0.0`."""

    what: str
    protocol: str
    bind: str
    port: int


@dataclass(frozen=True, slots=True)
class Machine:
    """What really stands there; its addresses by segment. `alive` is False where only the inventory has it.

    A `middlebox` answers on every TCP port in the name of a host, saying nothing where none of its listeners is.
    """

    name: str
    addresses: Mapping[str, tuple[Address, ...]]
    chain: Chain
    listeners: tuple[Listener, ...]
    alive: bool = True
    stateful: bool = False
    few_resets: bool = False
    middlebox: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """A named source range, or the addresses of a host under `host:NAME`."""

    cidrs: tuple[Network, ...]
    excluded: tuple[Network, ...] = ()

    def __contains__(self, address: Address) -> bool:
        return any(address in n for n in self.cidrs) and not any(address in n for n in self.excluded)


@dataclass(frozen=True, slots=True)
class Service:
    """A declared service, its role's part included. `sources` are names of ranges, `interfaces` also `loopback`."""

    name: str
    protocol: str
    ports: Ports
    interfaces: tuple[str, ...]
    sources: tuple[str, ...]
    versions: tuple[int, ...] = (4, 6)
    optional: bool = False
    answers: bool = True
    service_class: str | None = None
    speaks: str | None = None
    from_role: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """A declared host; its interfaces are called as the segments. `member` is set for a floating address."""

    name: str
    addresses: Mapping[str, tuple[Address, ...]]
    services: tuple[Service, ...]
    member: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A viewpoint. `targets` are None where the inventory leaves them to the default, `unrouted` families that it has
    no way for beyond its own link.
    """

    name: str
    kind: str
    segment: str
    addresses: tuple[Address, ...]
    targets: tuple[Network, ...] | None
    boundary: str
    canaries: tuple[str, ...]
    unrouted: tuple[int, ...] = ()

    def address(self, version: int) -> Address | None:
        return next((one for one in self.addresses if one.version == version), None)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An estate with the inventory of it. Everything that is true about it follows from this."""

    seed: int
    profile: str
    rate: int
    segments: tuple[str, ...]
    ranges: Mapping[str, Range]
    views: tuple[View, ...]
    machines: tuple[Machine, ...]
    hosts: tuple[Host, ...]
    router: Chain  # for what the viewpoints send; everything else passes
    denied: tuple[Address, ...]
    loss: bool
    bottleneck: bool
    free_icmp: bool  # machines answer with every ICMP error that is due, not with one a second

    @property
    def allowed(self) -> tuple[Network, ...]:
        return tuple(network for segment in self.segments for network in NETWORKS[segment])

    @property
    def prefix(self) -> str:
        return f"s{self.seed}-"


def router_address(segment: str, version: int) -> Address:
    return next(network for network in NETWORKS[segment] if network.version == version)[1]
