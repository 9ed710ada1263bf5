"""What a change of the inventory does to exposure: the differences between BASE and HEAD."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any

from auditor.model.inventory import Inventory, Location, Path, Service
from auditor.model.ports import PortSet
from auditor.model.words import Address, ChangeKind, Network, Protocol, ServiceClass, Source, Trust


@dataclass(frozen=True, slots=True)
class ChangedEndpoint:
    """Ports of one address whose sources changed alike. `address` is a DNS name where the inventory gives a name."""

    address: Address | str
    protocol: Protocol
    ports: PortSet
    gained: tuple[Source, ...] = ()
    lost: tuple[Source, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, of a (kind, host, service); or with `weakened` of one key, whose path is `rule`.

    `service` is HEAD's, or BASE's where HEAD has none. `gained` and `lost` are those of all endpoints together.
    `everybody` has the default routes of the families in which some endpoint that gains is open to all in HEAD.
    `trust` is that of what is gained, by the stricter of BASE and HEAD; `classes` are those that BASE and HEAD declare
    for it, and `behind` is the service that it stands behind in either. `what` says in words what a weakened key was
    and is. `location` is the changed line in HEAD.
    """

    kind: ChangeKind
    host: str | None = None
    service: Service | None = None
    endpoints: tuple[ChangedEndpoint, ...] = ()
    gained: tuple[Source, ...] = ()
    lost: tuple[Source, ...] = ()
    everybody: tuple[Network, ...] = ()
    trust: Trust | None = None
    classes: tuple[ServiceClass, ...] = ()
    behind: str | None = None
    rule: str = ""
    what: str = ""
    location: Location | None = None


class Where(typing.Protocol):
    """Where the keys of an inventory stand, by their paths such as `("hosts", "web-1", "services", "https")`."""

    def at(self, path: Path) -> Location:
        """Where the path stands, or its nearest ancestor that is there."""

    def file(self, path: Path) -> str:
        """The name of the file that the path stands in, below that of the inventory."""

    def beside(self, path: Path, file: str) -> Location:
        """Where the path, which is gone, would stand: in the file of that name, if it is still there."""

    def get(self, path: Path) -> Any:
        """What is written at the path; None where nothing is."""

    def of_service(self, host: str, name: str, key: str | None = None) -> Path:
        """The path of a service's declaration, or of one of its keys: the host's own, else the last role's."""

    def dotted(self, path: Path) -> str:
        """The path as messages and rules write it."""


@dataclass(frozen=True, slots=True)
class Written:
    """An inventory, and where its keys stand."""

    inventory: Inventory
    where: Where
