"""What one audit sets out to look at from one viewpoint, and what it leaves out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_network

from auditor import addresses, catalogue
from auditor.errors import UsageError
from auditor.inventory.reading.text import clean, suggest
from auditor.model.expectation import BEYOND, Carried, LeftOut, Unasked
from auditor.model.inventory import Host, Inventory, Viewpoint
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.rotation import Rotation, slices
from auditor.model.words import Address, Family, Profile, Protocol

_NONE = PortSet()
SWEEPING = frozenset({Profile.STANDARD, Profile.FULL})  # the profiles that look at all TCP ports
_LEFT_OUT_PORTS = {
    (Profile.QUICK, Protocol.TCP): "TCP ports other than the declared and the usual ones",
    (Profile.QUICK, Protocol.UDP): "UDP ports other than the declared and the usual ones",
    (Profile.STANDARD, Protocol.UDP): "UDP ports other than the declared and the usual ones",
    (Profile.FULL, Protocol.UDP): "UDP ports other than the declared, the usual and the top ones",
    (Profile.COMPARE, Protocol.TCP): "TCP ports that the evidence did not ask about, other than declared ones",
    (Profile.COMPARE, Protocol.UDP): "UDP ports that the evidence did not ask about, other than declared ones",
}

_MOST_NAMED = 16  # networks of one line
NOT_LOOKED_FOR = "not looked for; --discover does"

Asked = Mapping[tuple[Address, Protocol], PortSet]


@dataclass(frozen=True, slots=True)
class Place:
    """An address to look at. `interface` is empty where no host declares it; then `host` is None.

    `carried` says that the host was found to carry it, and that nothing declares that it may.
    """

    address: Address
    host: Host | None = None
    interface: str = ""
    carried: bool = False


@dataclass(slots=True)
class Coverage:
    """The addresses to look at, and the rest by what and why.

    `strangers` are those that no host declares or carries, `carried` those that one carries; not the ports of all of
    them need be looked at.
    """

    places: list[Place] = field(default_factory=list)
    left_out: set[LeftOut] = field(default_factory=set)
    strangers: list[Address] = field(default_factory=list)
    carried: list[Carried] = field(default_factory=list)


# The ports to look at, from an address, a protocol, the ports declared anywhere on its host and those declared there.
Ports = Callable[[Address, Protocol, PortSet, PortSet], PortSet]


def ports_asked(asked: Asked) -> Ports:
    """What the evidence asked about, and what is declared for the address."""
    return lambda address, protocol, _, here: asked.get((address, protocol), _NONE) | here


def ports_of(profile: Profile, rotation: Rotation | None = None) -> Ports:
    """What the profile probes; with `rotation`, of the undeclared TCP ports only the slice that is due."""
    usual = {protocol: catalogue.usual_ports(protocol) for protocol in Protocol}
    if profile is Profile.FULL:
        usual[Protocol.UDP] |= catalogue.top_udp_ports()
    if profile in SWEEPING:
        usual[Protocol.TCP] |= _swept(len(rotation.swept))[rotation.due] if rotation else ALL_PORTS
    return lambda _, protocol, declared, __: usual[protocol] | declared


def slices_left_out(rotation: Rotation) -> Iterator[LeftOut]:
    """The slices that are not due, with their age."""
    parts = _swept(len(rotation.swept))
    for index, reason in rotation.left():
        members = list(parts[index])
        if members:
            yield LeftOut(f"TCP {members[0]}-{members[-1]}", reason)


@cache
def _swept(count: int) -> tuple[PortSet, ...]:
    """The slices of the TCP ports that no service of the catalogue usually listens on."""
    return slices(ALL_PORTS - catalogue.usual_ports(Protocol.TCP), count)


def choose(inventory: Inventory, hosts: Collection[str], tags: Collection[str]) -> dict[str, Host]:
    """The hosts that have one of the names or one of the tags; all of them where neither is given.

    Raises UsageError for a name or tag that matches nothing.
    """
    known_tags = {tag for host in inventory.hosts.values() for tag in host.tags}
    for option, asked, known in (("host", hosts, set(inventory.hosts)), ("tag", tags, known_tags)):
        for word in asked:
            if word not in known:
                raise UsageError(f"--{option} {clean(word)} matches nothing{suggest(word, known)}")
    if not hosts and not tags:
        return dict(inventory.hosts)
    wanted = set(tags)
    return {name: host for name, host in inventory.hosts.items() if name in hosts or wanted.intersection(host.tags)}


def cover(
    inventory: Inventory,
    viewpoint: Viewpoint,
    profile: Profile,
    chosen: Mapping[str, Host],
    others: Collection[Address] | None,
    *,
    carried: Mapping[Address, Carried],
    narrowed: bool,
    most: int | None = None,
) -> Coverage:
    """The addresses to look at: those of the chosen hosts, and `others` that no host declares; None: nobody looked.

    `carried` tells which of the others a host carries. `narrowed` says that --host or --tag chose the hosts: then an
    address of no host was not chosen either. Of the others the ports of no more than `most` are looked at.
    """
    coverage = Coverage()
    judge = _Judge(inventory, viewpoint)
    for host in chosen.values():
        refused: dict[str, list[Address]] = {}
        for place in _places(host):
            reason = judge.refuses(place.address)
            if reason is None:
                coverage.places.append(place)
            else:
                refused.setdefault(reason, []).append(place.address)
        for reason, found in refused.items():
            if reason not in judge.families:
                coverage.left_out.add(LeftOut(f"{host.name}: {', '.join(map(str, found))}", reason))
    coverage.left_out.update(_unchosen(inventory, chosen))
    coverage.left_out.update(_ports_left_out(profile))
    if others is None:
        coverage.left_out.add(LeftOut("addresses that no host declares", NOT_LOOKED_FOR))
    else:
        _Others(coverage, inventory, judge, chosen, carried, narrowed=narrowed).add(others, most)
    coverage.left_out.update(_nothing_within(chosen, coverage, looked=others is not None))
    coverage.left_out.update(judge.canaries())
    coverage.left_out.update(judge.without_family())
    return coverage


class _Judge:
    """Whether an address is left out, and for what reason."""

    def __init__(self, inventory: Inventory, viewpoint: Viewpoint) -> None:
        self._viewpoint = viewpoint
        self._scope = inventory.scope
        self._targets = addresses.Members(viewpoint.targets)
        self._allow = addresses.Members(inventory.scope.allow)
        self._deny = addresses.Members(inventory.scope.deny)
        self._site = addresses.Members(inventory.scope.site)
        self._own = frozenset(viewpoint.addresses)
        self._missing = {
            family: f"the viewpoint {viewpoint.name} has no {family.spelled} address"
            for family in Family
            if family not in viewpoint.families
        }
        self.families = frozenset(self._missing.values())
        self._seen: set[Family] = {Family.of(network) for network in inventory.scope.allow}

    def refuses(self, address: Address) -> str | None:
        family = Family.of(address)
        if family in self._missing:
            self._seen.add(family)
            return self._missing[family]
        if address not in self._allow:
            return "outside the scope"
        if address in self._site:
            return "denied by --deny"
        if address in self._deny:
            return "in scope.deny"
        if address not in self._targets:
            return f"outside the targets of the viewpoint {self._viewpoint.name}"
        if address in self._own:
            return f"the viewpoint {self._viewpoint.name} itself"
        return None

    def canaries(self) -> Iterator[LeftOut]:
        """Those that the inventory's scope has, and whoever runs the audit denies."""
        for canary in self._viewpoint.canaries:
            if canary.address in self._site:
                yield LeftOut(f"canary {canary.address}", "denied by --deny")

    def without_family(self) -> Iterator[LeftOut]:
        """One line for each family that the viewpoint lacks, where the scope has it or an address of it was refused."""
        for family, reason in self._missing.items():
            if family in self._seen:
                yield LeftOut(family.spelled, reason)


def _places(host: Host) -> Iterator[Place]:
    for interface in sorted(host.interfaces):
        for address in sorted(host.interfaces[interface].addresses, key=addresses.by_address):
            yield Place(address, host, interface)


def _unchosen(inventory: Inventory, chosen: Mapping[str, Host]) -> Iterator[LeftOut]:
    rest = [name for name in inventory.hosts if name not in chosen]
    if rest:
        count = f"{len(rest)} host{'s' if len(rest) > 1 else ''}"
        yield LeftOut(f"{count}: {', '.join(rest)}", "not chosen by --host or --tag")


def _ports_left_out(profile: Profile) -> Iterator[LeftOut]:
    why = "the saved evidence" if profile is Profile.COMPARE else f"the profile {profile}"
    for (one, _), what in _LEFT_OUT_PORTS.items():
        if one is profile:
            yield LeftOut(what, f"outside {why}")
    yield LeftOut(BEYOND, f"outside {why}")


def unasked_left_out(inventory: Inventory, unasked: Iterable[Unasked]) -> Iterator[LeftOut]:
    """A line for each reason, of the addresses that no host declares; of a declared one it is unverified."""
    declared = {place.address for host in inventory.hosts.values() for place in _places(host)}
    for one in unasked:
        rest = one.addresses - declared
        if rest:
            networks = addresses.difference(map(ip_network, rest))
            named = [str(n.network_address if n.num_addresses == 1 else n) for n in networks[:_MOST_NAMED]]
            more = ", …" if len(networks) > _MOST_NAMED else ""
            count = f"{len(rest):,} addresses" if len(rest) > 1 else "1 address"
            yield LeftOut(f"{count} that no host declares: {', '.join(named)}{more}", one.reason)


class _Others:
    """Adds addresses that no host declares: of declared hosts that carry them, or of nobody."""

    def __init__(
        self,
        coverage: Coverage,
        inventory: Inventory,
        judge: _Judge,
        chosen: Mapping[str, Host],
        carried: Mapping[Address, Carried],
        *,
        narrowed: bool,
    ) -> None:
        self._coverage = coverage
        self._hosts = inventory.hosts
        self._judge = judge
        self._chosen = chosen
        self._carried = carried
        self._narrowed = narrowed
        self._declared = {place.address for host in inventory.hosts.values() for place in _places(host)}
        self._lost = sorted({one.host for one in inventory.unresolved if one.address is None})

    def add(self, others: Collection[Address], most: int | None) -> None:
        """Sort them in: to look at, to look at without their ports, or left out."""
        places = []
        for address in sorted(set(others) - self._declared, key=addresses.by_address):
            found = self._carried.get(address)
            reason = self._judge.refuses(address) or self._not_meant(found)
            if reason is None and found is None:
                self._coverage.strangers.append(address)
                places.append(Place(address))
            elif reason is None and found is not None:
                host = self._hosts[found.host]
                places.append(Place(address, host, found.interface, carried=not found.declared))
                self._coverage.carried.append(found)
            elif reason is not None and reason not in self._judge.families:
                self._coverage.left_out.add(LeftOut(str(address), reason))
        self._coverage.places += places[:most]
        if most is not None and (rest := places[most:]):
            what = f"ports of {len(rest):,} live addresses that no host declares, from {rest[0].address} on"
            self._coverage.left_out.add(LeftOut(what, f"those of no more than {most:,} are audited"))

    def _not_meant(self, found: Carried | None) -> str | None:
        if self._narrowed and (found is None or found.host not in self._chosen):
            return "not chosen by --host or --tag"
        if found is not None and (found.declared or found.host not in self._lost):
            return None
        lost = self._lost if found is None else [found.host]
        return f"perhaps that of {', '.join(lost)}, whose DNS name could not be resolved" if lost else None


def _nothing_within(chosen: Mapping[str, Host], coverage: Coverage, *, looked: bool) -> Iterator[LeftOut]:
    """`dynamic` prefixes in which the host has no address to look at."""
    reason = "no address of the host was found there" if looked else NOT_LOOKED_FOR
    found: dict[tuple[str, str], list[Address]] = defaultdict(list)
    for one in coverage.carried:
        found[one.host, one.interface].append(one.address)
    for host in chosen.values():
        for name, interface in sorted(host.interfaces.items()):
            for prefix in interface.dynamic:
                here = found[host.name, name]
                if not addresses.any_in(prefix, here):
                    yield LeftOut(f"{host.name}: addresses of {name} in {prefix}", reason)
