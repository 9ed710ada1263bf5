"""What each endpoint should be from one viewpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from auditor.model.inventory import Inventory, Service, Viewpoint
from auditor.model.limits import NO_LIMITS, Window
from auditor.model.ports import PortSet
from auditor.model.rotation import Rotation
from auditor.model.words import Address, Basis, ExpectedState, Profile, Protocol


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the `ports` of one address should be, and on what ground.

    `service` is the declaration that the basis speaks of; None where the port is declared nowhere. Where several names
    declare one endpoint it is the first in sorted order, with their sources united. `other_services` names the rest.
    `source` is the name of the range that admits the viewpoint, where one does. `interface` is None and `host` is the
    address itself where no host declares the address.
    """

    viewpoint: str
    host: str
    interface: str | None
    address: Address
    protocol: Protocol
    ports: PortSet
    state: ExpectedState
    basis: Basis
    service: Service | None = None
    other_services: tuple[str, ...] = ()
    source: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class LeftOut:
    """Something that this audit did not set out to look at, and why. No effect on the exit code."""

    what: str
    reason: str


BEYOND = "protocols other than TCP and UDP"


@dataclass(frozen=True, slots=True)
class Unasked:
    """Addresses that the scans of saved evidence were given, and whose ports they did not ask, and why."""

    addresses: frozenset[Address]
    reason: str


@dataclass(frozen=True, slots=True)
class HostLimits:
    """How hard and when a host may be probed: packets a second to all of its addresses together."""

    host: str
    rate: int | None = None
    windows: tuple[Window, ...] = ()


def host_limits(inventory: Inventory, viewpoint: Viewpoint) -> Iterator[tuple[Address, HostLimits]]:
    """Of every declared address; where nothing is limited, none. A canary may be of a host that is not looked at."""
    for host in inventory.hosts.values():
        limits = host.limits
        if limits != NO_LIMITS or viewpoint.limits.host_rate is not None:
            for interface in host.interfaces.values():
                for address in interface.addresses:
                    yield address, HostLimits(host.name, limits.host_rate, limits.windows)


@dataclass(frozen=True, slots=True)
class Carried:
    """An address that a host was found to carry, on one of its interfaces.

    `declared` says that it lies in one of the interface's `dynamic` prefixes, so that it may be there.
    """

    host: str
    interface: str
    address: Address
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Expectations:
    """Everything expected from one viewpoint.

    The expectations partition the coverage: each (address, protocol, port) of it is in exactly one of them. They are
    sorted by host, interface, address, protocol and first port. `undeclared` are the addresses looked at that no host
    declares, those included of which the evidence tells no more than that they live. `limits` has every address, looked
    at or not, of which it matters for limits which host has it. `rotation` tells which slice of the undeclared ports it
    sweeps, where that is one of several, on all hosts. `carried` are addresses that declared hosts carry beyond what is
    declared. `controls` are addresses in scope that nobody declares and nobody carries, near those looked at: whatever
    answers there too is a device on the way.
    """

    viewpoint: Viewpoint
    profile: Profile
    expectations: tuple[Expectation, ...]
    left_out: tuple[LeftOut, ...] = ()
    undeclared: tuple[Address, ...] = ()
    limits: Mapping[Address, HostLimits] = field(default_factory=dict)
    rotation: Rotation | None = None
    carried: tuple[Carried, ...] = ()
    controls: tuple[Address, ...] = ()

    def coverage(self) -> dict[tuple[Address, Protocol], PortSet]:
        """What this audit set out to look at."""
        bits: dict[tuple[Address, Protocol], int] = {}
        for expectation in self.expectations:
            key = expectation.address, expectation.protocol
            bits[key] = bits.get(key, 0) | expectation.ports.bits
        return {key: PortSet(value) for key, value in bits.items()}
