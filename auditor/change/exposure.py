"""What each address exposes, and to whom: the two sides laid over each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.addresses import by_address
from auditor.change.sources import Sources, SourceSets
from auditor.model.inventory import Host, Inventory, Service
from auditor.model.ports import PortSet, partition
from auditor.model.words import Address, Family, Protocol


@dataclass(frozen=True, slots=True)
class Spot:
    """An address of a host, or what stands for some: a DNS name, whose family is None, or all within its prefixes."""

    host: Host
    interface: str
    address: Address | str

    @property
    def family(self) -> Family | None:
        return family_of(self.address)

    def services(self) -> tuple[Service, ...]:
        """Those that are declared here, in order of their names."""
        family = self.family
        return tuple(
            service
            for service in self.host.services
            if self.interface in service.interfaces and (family is None or family in service.families)
        )


@dataclass(frozen=True, slots=True)
class Overlay:
    """Ports of one address that the same services of BASE and the same services of HEAD declare.

    `before` and `after` are the sources that reach them. A side without the address has no spot.
    """

    address: Address | str
    protocol: Protocol
    ports: PortSet
    base: Spot | None
    head: Spot | None
    old: tuple[Service, ...]
    new: tuple[Service, ...]
    before: Sources
    after: Sources


def family_of(address: Address | str) -> Family | None:
    """None of a DNS name, which may lead to addresses of both."""
    if not isinstance(address, str):
        return Family.of(address)
    return next((family for family in Family if address.startswith(f"{family} ")), None)


def spots(inventory: Inventory) -> dict[Address | str, Spot]:
    """Every declared address and DNS name with its place, and each family of an interface's `dynamic` addresses."""
    found: dict[Address | str, Spot] = {}
    for host in inventory.hosts.values():
        for interface in host.interfaces.values():
            for address in (*interface.addresses, *interface.names):
                found[address] = Spot(host, interface.name, address)
            for family in {Family.of(prefix) for prefix in interface.dynamic}:
                dynamic = f"{family} of {host.name}.{interface.name}, dynamic"
                found[dynamic] = Spot(host, interface.name, dynamic)
    return found


def overlays(base: Inventory, head: Inventory, sets: SourceSets) -> Iterator[Overlay]:
    """What is declared at the addresses where the two differ in anything that counts, by address."""
    old, new = spots(base), spots(head)
    for address in sorted(old.keys() | new.keys(), key=by_place):
        before, after = old.get(address), new.get(address)
        if _declared(before, sets) != _declared(after, sets):
            yield from _overlaid(address, before, after, sets)


def by_place(address: Address | str) -> tuple[int, bytes]:
    """A sort key that puts DNS names after addresses."""
    return (9, address.encode()) if isinstance(address, str) else by_address(address)


def _declared(spot: Spot | None, sets: SourceSets) -> frozenset[tuple[object, ...]]:
    """All that counts of what is declared at an address, whatever it is called."""
    if spot is None:
        return frozenset()
    family = spot.family
    return frozenset(
        (
            service.tcp.bits,
            service.udp.bits,
            id(sets.of((service,), family)),
            service.optional,
            service.answers,
            service.protocol,
            service.declared_class,
            service.behind,
        )
        for service in spot.services()
    )


def _overlaid(address: Address | str, base: Spot | None, head: Spot | None, sets: SourceSets) -> Iterator[Overlay]:
    old = base.services() if base else ()
    new = head.services() if head else ()
    family = family_of(address)
    for protocol in Protocol:
        for ports, owners in partition([service.ports(protocol) for service in (*old, *new)]):
            here = _chosen(old, owners, 0), _chosen(new, owners, len(old))
            before, after = (sets.of(services, family) for services in here)
            yield Overlay(address, protocol, ports, base, head, *here, before, after)


def _chosen(services: Sequence[Service], owners: tuple[int, ...], first: int) -> tuple[Service, ...]:
    return tuple(services[owner - first] for owner in owners if first <= owner < first + len(services))


def renamed(base: Inventory, head: Inventory) -> dict[str, str]:
    """What services of BASE are called in HEAD, where host or service has another name, by an endpoint of both."""
    names = {}
    after = spots(head)
    for address, spot in spots(base).items():
        if address not in after:
            continue
        for old in spot.services():
            for new in after[address].services():
                if (old.tcp, old.udp) == (new.tcp, new.udp):
                    names[f"{spot.host.name}.{old.name}"] = f"{after[address].host.name}.{new.name}"
    return names
