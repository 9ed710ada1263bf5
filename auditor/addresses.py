"""Address sets, and the scope: the only maker of probe targets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network

from netaddr import IPNetwork, IPRange, IPSet

from auditor.errors import AuditorError
from auditor.model.inventory import Scope, SourceRange
from auditor.model.words import Address, Network, Source, Trust

# RFC 1918, RFC 6598, RFC 4193; loopback and link-local of RFC 1122, 3927, 4291.
PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
_LOCAL = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))
_NETWORK: dict[int, type[Network]] = {4: IPv4Network, 6: IPv6Network}
_MOST_TRUSTED = {4: 256, 6: 2**80}  # addresses: 256 of IPv4, one /48 of IPv6


class OutOfScopeError(AuditorError):
    """Something asked to probe an address that the inventory's scope does not allow."""


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """An address that may be probed. Only `probe_target` makes one; commands that send packets accept nothing else."""

    address: Address


def probe_target(address: Address, scope: Scope) -> ProbeTarget:
    """The probe target for an address that the scope allows. Raises OutOfScopeError for any other."""
    if not in_scope(address, scope):
        raise OutOfScopeError(f"{address} is outside the inventory's scope; nothing outside it is ever probed")
    return ProbeTarget(address)


@dataclass(frozen=True, slots=True)
class ProbeNetwork:
    """A network of which every address may be probed. Only `probe_network` makes one, as with `ProbeTarget`."""

    network: Network


def probe_network(network: Network, scope: Scope) -> ProbeNetwork:
    """The probe network for one that the scope allows as a whole. Raises OutOfScopeError for any other."""
    if IPNetwork(str(network)) not in _allowed(_Same(scope)):
        raise OutOfScopeError(f"not all of {network} is in the inventory's scope; nothing outside it is ever probed")
    return ProbeNetwork(network)


def in_scope(address: Address, scope: Scope) -> bool:
    """Whether the scope allows the address. Deny wins."""
    allowed, denied = _members(_Same(scope))
    return address in allowed and address not in denied


def contains(networks: Iterable[Network], address: Address) -> bool:
    return any(address in network for network in networks if network.version == address.version)


class Members:
    """Networks by prefix length: whether they hold an address takes one look-up a length, however many there are."""

    __slots__ = ("_prefixes",)

    def __init__(self, networks: Iterable[Network]) -> None:
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}  # version, bits of the host part, prefixes
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            self._prefixes[network.version].setdefault(shift, set()).add(int(network.network_address) >> shift)

    def __contains__(self, item: Address | Network) -> bool:
        """Whether one of the networks holds the address, or the whole of the network."""
        first = item if isinstance(item, Address) else item.network_address
        bits = 0 if isinstance(item, Address) else item.max_prefixlen - item.prefixlen
        number = int(first)
        prefixes = self._prefixes[first.version].items()
        return any(number >> shift in known for shift, known in prefixes if shift >= bits)


_NEAR = {4: 24, 6: 120}  # the bits of a network that one device on the way answers for as a whole, if for any of it


class Neighbourhoods:
    """Where addresses stand in a viewpoint's `targets`: in which entry, and in what part of it.

    A device on the way that answers for others does so for a network, seldom for all that a large entry holds.
    """

    __slots__ = ("_lengths", "_prefixes")

    def __init__(self, entries: Iterable[Network]) -> None:
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}
        for entry in entries:
            shift = entry.max_prefixlen - entry.prefixlen
            self._prefixes[entry.version].setdefault(shift, set()).add(int(entry.network_address) >> shift)
        self._lengths = {version: sorted(by_shift) for version, by_shift in self._prefixes.items()}

    def entry(self, address: Address) -> Network | None:
        """The narrowest entry that holds the address."""
        number, prefixes = int(address), self._prefixes[address.version]
        for shift in self._lengths[address.version]:
            if number >> shift in prefixes[shift]:
                return ip_network((address, address.max_prefixlen - shift), strict=False)
        return None

    def of(self, address: Address) -> Network | None:
        """The entry, or within a larger one the /24 of IPv4 or the /120 of IPv6 around the address."""
        entry = self.entry(address)
        near = _NEAR[address.version]
        return entry if entry is None or entry.prefixlen >= near else ip_network((address, near), strict=False)


def hosts_of(network: Network) -> Iterator[Address]:
    """The addresses of a network that a host may have: not the first and last, which mean the whole of it."""
    return iter(network if network.prefixlen >= network.max_prefixlen - 1 else network.hosts())


class _Same:
    """A scope as a key that costs nothing to hash, however many networks it has: equal only to itself."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def __hash__(self) -> int:
        return id(self.scope)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.scope is self.scope


@lru_cache(maxsize=4)
def _members(key: _Same) -> tuple[Members, Members]:
    return Members(key.scope.allow), Members(key.scope.deny)


@lru_cache(maxsize=4)
def _allowed(key: _Same) -> IPSet:
    return _set(key.scope.allow) - _set(key.scope.deny)


def any_in(network: Network, addresses: Iterable[Address]) -> bool:
    return any(address in network for address in addresses if address.version == network.version)


def by_address(address: Address) -> tuple[int, bytes]:
    """A sort key that puts IPv4 before IPv6 and 10.0.0.9 before 10.0.0.10."""
    return address.version, address.packed


def difference(networks: Iterable[Network], without: Iterable[Network] = ()) -> tuple[Network, ...]:
    """The addresses of `networks` that are not in `without`, as the fewest disjoint networks, sorted."""
    networks, without = tuple(networks), tuple(without)
    if not without and len(networks) == len({network.version for network in networks}):
        return tuple(sorted(networks, key=lambda network: network.version))  # one of each family: a host, as a rule
    remaining = _set(networks)
    return _networks(remaining - _set(without) if without else remaining)


def sources_less(sources: Iterable[Source], without: Iterable[Source] = ()) -> tuple[Source, ...]:
    """The same of sources with DNS names among them: the networks, and then the names, sorted."""
    sources, without = tuple(sources), tuple(without)
    names = {one for one in sources if isinstance(one, str)}.difference(without)
    networks = difference(
        [one for one in sources if not isinstance(one, str)], [one for one in without if not isinstance(one, str)]
    )
    return *networks, *sorted(names)


def intersection(networks: Iterable[Network], others: Iterable[Network]) -> tuple[Network, ...]:
    """The addresses that are in both, as the fewest disjoint networks, sorted."""
    return _networks(_set(networks) & _set(others))


def first_of(networks: Iterable[Network], most: int) -> tuple[Network, ...]:
    """The first so many addresses of disjoint networks, as disjoint networks, in order of the networks."""
    taken: list[Network] = []
    for network in networks:
        if network.num_addresses > most:
            first = network.network_address
            taken += _networks(IPSet(IPRange(str(first), str(first + (most - 1)))) if most else IPSet())
            break
        taken.append(network)
        most -= network.num_addresses
    return tuple(taken)


def overlap(networks: Collection[Network], others: Collection[Network]) -> bool:
    """Whether some address is in both."""
    if len(networks) * len(others) > 64:
        return bool(_set(networks) & _set(others))
    return any(one.version == other.version and one.overlaps(other) for one in networks for other in others)


def trust_of(networks: Iterable[Network]) -> Trust:
    """Untrusted where the public part of a source set exceeds 256 IPv4 addresses or one IPv6 /48."""
    networks = tuple(networks)
    if all(
        sum(network.num_addresses for network in networks if network.version == version) <= most
        for version, most in _MOST_TRUSTED.items()
    ):
        return Trust.TRUSTED  # too few whatever they are; spares most source sets the arithmetic below
    public = _set(networks) - _set(PRIVATE) - _set(_LOCAL)
    sizes = {4: 0, 6: 0}
    for cidr in public.iter_cidrs():
        sizes[cidr.version] += cidr.size
    wide = any(size > _MOST_TRUSTED[version] for version, size in sizes.items())
    return Trust.UNTRUSTED if wide else Trust.TRUSTED


def trust_of_sources(sources: Collection[SourceRange]) -> Trust:
    """Untrusted where any of the sources is, or all literals of the set together are."""
    if any(source.trust is Trust.UNTRUSTED for source in sources):
        return Trust.UNTRUSTED
    literals = [network for source in sources if not source.named for network in source.networks]
    return trust_of(literals) if len(literals) > 1 else Trust.TRUSTED


def _set(networks: Iterable[Network]) -> IPSet:
    return IPSet(IPNetwork((int(one.network_address), one.prefixlen), version=one.version) for one in networks)


def _networks(addresses: IPSet) -> tuple[Network, ...]:
    return tuple(_NETWORK[cidr.version]((cidr.first, cidr.prefixlen)) for cidr in addresses.iter_cidrs())
