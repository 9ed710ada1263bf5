"""Differences between what was expected and what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.expectation import Expectation, LeftOut
from auditor.model.inventory import Service, Viewpoint
from auditor.model.observation import Observation, Scan
from auditor.model.ports import PortSet
from auditor.model.rotation import Rotation
from auditor.model.words import Address, Family, Kind, Network, Profile, Result


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some ports of one expectation that were all observed alike.

    `kind` is set where the result is `drifted`; `reason` always says why in words. `observation` is None where there is
    none.
    """

    expectation: Expectation
    ports: PortSet
    result: Result
    reason: str
    kind: Kind | None = None
    observation: Observation | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One drift before grading: everything of one (kind, viewpoint, host, interface, family, service or port).

    `outcomes` are its endpoints; for `all-ports-open` they are evidence only and counted as unverified. `address` is
    set for the kinds that are about a whole address. `undeclared-address` may be about several: `addresses` are all of
    them, `address` the first, and `prefix` is what holds them in IPv6. `answers-for-others` is about a network:
    `prefix` is the `targets` entry, for which `host` stands, and `outcomes` are evidence as with `all-ports-open`.
    """

    kind: Kind
    viewpoint: Viewpoint
    host: str
    interface: str | None
    family: Family
    outcomes: tuple[Outcome, ...]
    service: Service | None = None
    address: Address | None = None
    family_gap: bool = False
    addresses: tuple[Address, ...] = ()
    prefix: Network | None = None

    @property
    def places(self) -> tuple[Address, ...]:
        """The addresses that it is about as a whole, of a network the first and the last; none for most kinds."""
        if self.kind is Kind.ANSWERS_FOR_OTHERS and self.prefix is not None:
            return self.prefix[0], self.prefix[-1]
        return self.addresses or ((self.address,) if self.address else ())


@dataclass(frozen=True, slots=True)
class Comparison:
    """One viewpoint compared. `outcomes` has every endpoint of the coverage exactly once.

    `rotation` tells which slice of the undeclared ports was swept, where that is one of several, on all hosts.
    """

    viewpoint: Viewpoint
    profile: Profile
    scan: Scan
    outcomes: tuple[Outcome, ...]
    drifts: tuple[Drift, ...]
    left_out: tuple[LeftOut, ...] = ()
    rotation: Rotation | None = None

    @property
    def swept(self) -> bool:
        """Whether the slice of a rotation was swept to its end."""
        return self.rotation is not None and self.scan.failure is None and not self.scan.errors
