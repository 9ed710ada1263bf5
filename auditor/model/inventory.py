"""The inventory after loading: names resolved, roles applied, every value typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from ipaddress import ip_network

from auditor.model.limits import NO_LIMITS, Limits
from auditor.model.ports import PortSet
from auditor.model.words import (
    Address,
    Boundary,
    Family,
    Kind,
    Network,
    Protocol,
    ServiceClass,
    Severity,
    Trust,
    ViewpointKind,
)

_NO_PORTS = PortSet()
Path = tuple[str | int, ...]  # the keys that lead to a place, such as ("hosts", "web-1", "tags", 0)
MACHINES = ("host:", "role:")  # what a source begins with that is a declared host, or all hosts of a role
SOON = 14  # days before its last one in which a waiver counts as about to expire
LOOPBACK = "loopback"  # the built-in interface: 127.0.0.0/8 and ::1 of the host itself, never probed


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in an inventory file; line and column count from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class InventoryFile:
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What may be probed. Deny wins. Only `addresses.probe_target` makes a probe target of it.

    `site` is the part of `deny` that is none of the inventory's: whoever runs the audit denies it everywhere.
    """

    allow: tuple[Network, ...]
    deny: tuple[Network, ...] = ()
    site: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceRange:
    """Client addresses that a service is meant for: disjoint networks, `except` already taken out.

    `name` is the range's name, or the literal CIDR or address, `host:NAME` or `role:NAME` as written; `named` is false
    for a literal. `declared_trust` is whether its trust was written, and not told from its size. `names` are the DNS
    names of declared hosts that belong to it and of which it is not known, or not fully, where they lead.
    """

    name: str
    networks: tuple[Network, ...]
    trust: Trust
    named: bool = True
    names: tuple[str, ...] = ()
    declared_trust: bool = False

    @property
    def machines(self) -> bool:
        """Whether it is a declared host or all hosts of a role: our own, however many they are."""
        return self.name.startswith(MACHINES)

    def __contains__(self, address: Address) -> bool:
        return any(address in network for network in self.networks if network.version == address.version)


@dataclass(frozen=True, slots=True)
class LocalVia:
    """Run commands on this machine."""

    def __str__(self) -> str:
        return "local"


@dataclass(frozen=True, slots=True)
class NetnsVia:
    """Run commands in a named network namespace of this machine (ip-netns(8))."""

    name: str

    def __str__(self) -> str:
        return f"netns {self.name}"


@dataclass(frozen=True, slots=True)
class SshVia:
    """Run commands on another machine by OpenSSH. What is None is as the user's SSH configuration has it."""

    host: str
    user: str | None = None
    port: int | None = None
    sudo: bool = False

    @property
    def login(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host

    def __str__(self) -> str:
        port = f" port {self.port}" if self.port else ""
        return f"ssh {self.login}{port}{' sudo' if self.sudo else ''}"


@dataclass(frozen=True, slots=True)
class DockerVia:
    """Run commands in a Docker container; with an image, in a container of it that shares the network of this one."""

    container: str
    image: str | None = None

    def __str__(self) -> str:
        return f"docker {self.container}{f' image {self.image}' if self.image else ''}"


@dataclass(frozen=True, slots=True)
class KubectlVia:
    """Run commands in a pod of Kubernetes; with an image, in an ephemeral container of it."""

    pod: str
    context: str | None = None
    namespace: str | None = None
    container: str | None = None
    image: str | None = None

    def __str__(self) -> str:
        pod = f"{self.namespace}/{self.pod}" if self.namespace else self.pod
        rest = (("container", self.container), ("image", self.image), ("context", self.context))
        return " ".join(("kubectl", pod, *(f"{key} {value}" for key, value in rest if value)))


@dataclass(frozen=True, slots=True)
class ClusterVia:
    """Run commands on a dask cluster: on whichever of the `workers` that stand at the viewpoint has a place free.

    `scheduler` and `workers` are addresses as dask writes them, such as `tls://192.0.2.1:8786`. Without workers nothing
    can be run. No inventory says so; `--engine dask` does.
    """

    viewpoint: str
    scheduler: str
    workers: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"dask {self.scheduler}"


@dataclass(frozen=True, slots=True)
class WorkerVia:
    """Run commands on one worker of a dask cluster, at once, whatever else it does."""

    worker: str

    def __str__(self) -> str:
        return f"worker {self.worker}"


Via = LocalVia | NetnsVia | SshVia | DockerVia | KubectlVia | ClusterVia | WorkerVia


def places(via: Via) -> tuple[Via, ...]:
    """Each place in which its commands may run, where each has to be asked for itself. A cluster may have none."""
    return tuple(map(WorkerVia, via.workers)) if isinstance(via, ClusterVia) else (via,)


@dataclass(frozen=True, slots=True)
class Canary:
    """An address, or one endpoint of it, that should answer: proof of the path. `protocol` and `port` come together."""

    address: Address
    protocol: Protocol | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Viewpoint:
    """A named place that probes leave from. `rate` is packets a second leaving it.

    `slices` is over how many audits the sweep of undeclared ports is spread. With `within` it has no fixed addresses:
    `addresses` are those that its system was found to use, one of a family that lies in these networks; none before.
    """

    name: str
    kind: ViewpointKind
    addresses: tuple[Address, ...]
    targets: tuple[Network, ...]
    nat: bool = False
    canaries: tuple[Canary, ...] = ()
    boundary: Boundary = Boundary.ANY
    rate: int = 5000
    via: Via = LocalVia()
    location: Location | None = None
    limits: Limits = NO_LIMITS
    slices: int = 1
    within: tuple[Network, ...] = ()

    @property
    def untrusted(self) -> bool:
        return self.kind is ViewpointKind.PUBLIC

    @property
    def families(self) -> frozenset[Family]:
        """Those over which it looks, whether or not its address is known."""
        return frozenset(map(Family.of, (*self.addresses, *self.within)))

    def address_of(self, family: Family) -> Address | None:
        return next((address for address in self.addresses if Family.of(address) is family), None)

    def stands(self, family: Family) -> tuple[Network, ...]:
        """Where it stands: its address as a network, or all that this may lie in as long as it is not known."""
        if address := self.address_of(family):
            return (ip_network(address),)
        return tuple(network for network in self.within if Family.of(network) is family)

    def may_be(self, address: Address) -> bool:
        """Whether the address is its own, for all that is known."""
        if address in self.addresses or not self.within:
            return address in self.addresses
        family = Family.of(address)
        return self.address_of(family) is None and any(address in one for one in self.stands(family))


@dataclass(frozen=True, slots=True)
class Interface:
    """A host's attachment. `names` are DNS names; what they lead to is in `addresses` once it has been looked up.

    `dynamic` are prefixes within which it may have more addresses, which change.
    """

    name: str
    addresses: tuple[Address, ...]
    names: tuple[str, ...] = ()
    dynamic: tuple[Network, ...] = ()

    @property
    def families(self) -> frozenset[Family]:
        """Those of the addresses that are known, and of the prefixes."""
        return frozenset(map(Family.of, (*self.addresses, *self.dynamic)))


@dataclass(frozen=True, slots=True)
class Service:
    """A declared listener. `interfaces` may include `loopback`; `behind` is another service, `NAME` or `HOST.NAME`."""

    name: str
    tcp: PortSet
    udp: PortSet
    interfaces: tuple[str, ...]
    sources: tuple[SourceRange, ...]
    families: frozenset[Family] = frozenset(Family)
    declared_class: ServiceClass | None = None
    protocol: str | None = None
    optional: bool = False
    answers: bool = True
    behind: str | None = None
    owner: str | None = None
    reason: str | None = None
    register: Mapping[str, str] = field(default_factory=dict)  # ticket, approved_by, patching, review_by
    location: Location | None = None

    def ports(self, protocol: Protocol) -> PortSet:
        return self.tcp if protocol is Protocol.TCP else self.udp

    def admits(self, address: Address) -> bool:
        return any(address in source for source in self.sources)


@dataclass(frozen=True, slots=True)
class Host:
    """A declared machine. `members` names the hosts behind a floating, load-balanced or translated address."""

    name: str
    interfaces: Mapping[str, Interface]
    services: tuple[Service, ...]
    owner: str | None = None
    tags: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    firewall: tuple[str, ...] = ()
    location: Location | None = None
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class Match:
    """What a waiver covers: of each key any of its values fits, and a key without values fits everything.

    In names `*` stands for any text. `written` is the match as compact JSON with sorted keys, the same for the same
    match however it was written.
    """

    written: str
    hosts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    addresses: tuple[Network, ...] = ()
    interfaces: tuple[str, ...] = ()
    families: tuple[Family, ...] = ()
    tcp: PortSet = _NO_PORTS
    udp: PortSet = _NO_PORTS
    protocols: tuple[Protocol, ...] = ()
    viewpoints: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    classes: tuple[ServiceClass, ...] = ()
    fingerprints: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`host web-1, ports 8080/tcp or 9090/tcp`."""
        return ", ".join(f"{key} {' or '.join(values)}" for key, values in json.loads(self.written).items())


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted finding. `since` and `expires` are the first and the last valid day, UTC.

    `severity` is what is accepted, and anything worse is not covered; None accepts any.
    """

    match: Match
    reason: str
    owner: str
    since: date
    expires: date
    severity: Severity | None = None
    ticket: str | None = None
    location: Location | None = None

    def last_day(self, most_days: int | None) -> date:
        """The last day on which it covers anything, where the policy lets no waiver run longer than `most_days`."""
        if most_days is None or (self.expires - self.since).days <= most_days:
            return self.expires
        return self.since + timedelta(days=most_days)


@dataclass(frozen=True, slots=True)
class Forbid:
    """What no inventory may declare: services of the class to sources of the trust; None is any.

    `exceptions` are `HOST.SERVICE`.
    """

    service_class: ServiceClass | None = None
    trust: Trust | None = None
    exceptions: tuple[str, ...] = ()
    location: Location | None = None

    def __str__(self) -> str:
        parts = [f"class {self.service_class}"] if self.service_class else []
        parts += [f"trust {self.trust}"] if self.trust else []
        return f"forbid {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Policy:
    """What no inventory may declare, which fields each service must have, and for how many days a waiver may run."""

    forbid: tuple[Forbid, ...] = ()
    require: tuple[str, ...] = ()
    max_waiver_days: int | None = None
    location: Location | None = None


def fewest_waiver_days(*policies: Policy) -> int | None:
    """For how many days all of the policies let a waiver run; None where none of them sets an end."""
    return min((one.max_waiver_days for one in policies if one.max_waiver_days is not None), default=None)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A DNS name of a host that leads to an `address` which is refused, or to none at all.

    `reason` goes on after the name.
    """

    host: str
    name: str
    reason: str
    address: Address | None = None

    def __str__(self) -> str:
        return f"{self.host}: {self.name} {self.reason}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything declared. Hosts and viewpoints are in sorted order of their names.

    `resolved` has the addresses taken on for each DNS name, and `unresolved` what could not be; both are empty until
    names are looked up.
    """

    name: str
    scope: Scope
    ranges: Mapping[str, SourceRange]
    viewpoints: Mapping[str, Viewpoint]
    hosts: Mapping[str, Host]
    waivers: tuple[Waiver, ...] = ()
    policy: Policy = Policy()
    files: tuple[InventoryFile, ...] = ()
    resolved: Mapping[str, tuple[Address, ...]] = field(default_factory=dict)
    unresolved: tuple[Unresolved, ...] = ()

    def source_sets(self) -> tuple[tuple[SourceRange, ...], ...]:
        """The source sets of services, each once: those that were written alike are one object."""
        sets = {id(service.sources): service.sources for host in self.hosts.values() for service in host.services}
        return tuple(sets.values())
