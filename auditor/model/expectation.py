"""What each endpoint should be from one viewpoint."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.inventory import Service, Viewpoint
from auditor.model.ports import PortSet
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


@dataclass(frozen=True, slots=True)
class Expectations:
    """Everything expected from one viewpoint.

    The expectations partition the coverage: each (address, protocol, port) of it is in exactly one of them. They are
    sorted by host, interface, address, protocol and first port. `undeclared` are the addresses looked at that no host
    declares, those included of which the evidence tells no more than that they live.
    """

    viewpoint: Viewpoint
    profile: Profile
    expectations: tuple[Expectation, ...]
    left_out: tuple[LeftOut, ...] = ()
    undeclared: tuple[Address, ...] = ()

    def coverage(self) -> dict[tuple[Address, Protocol], PortSet]:
        """What this audit set out to look at."""
        bits: dict[tuple[Address, Protocol], int] = {}
        for expectation in self.expectations:
            key = expectation.address, expectation.protocol
            bits[key] = bits.get(key, 0) | expectation.ports.bits
        return {key: PortSet(value) for key, value in bits.items()}
