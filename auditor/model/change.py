"""What a change of the inventory does to exposure: the differences between BASE and HEAD."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.inventory import Location, Service
from auditor.model.ports import PortSet
from auditor.model.words import Address, ChangeKind, Network, Protocol, ServiceClass, Trust


@dataclass(frozen=True, slots=True)
class ChangedEndpoint:
    """Ports of one address whose sources changed alike. `address` is a DNS name where the inventory gives a name."""

    address: Address | str
    protocol: Protocol
    ports: PortSet
    gained: tuple[Network, ...] = ()
    lost: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, of a (kind, host, service); or with `weakened` of one key, whose path is `rule`.

    `service` is HEAD's, or BASE's where HEAD has none. `gained` and `lost` are those of all endpoints together.
    `trust` is that of what is gained and `classes` are what it may be, each by the stricter of BASE, HEAD and the
    catalogue; `behind` is the service that it stands behind in BASE or HEAD. `what` says in words what a weakened key
    was and is. `location` is the changed line in HEAD.
    """

    kind: ChangeKind
    host: str | None = None
    service: Service | None = None
    endpoints: tuple[ChangedEndpoint, ...] = ()
    gained: tuple[Network, ...] = ()
    lost: tuple[Network, ...] = ()
    trust: Trust | None = None
    classes: tuple[ServiceClass, ...] = ()
    behind: str | None = None
    rule: str = ""
    what: str = ""
    location: Location | None = None
