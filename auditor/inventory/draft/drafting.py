"""A first inventory from what was seen: nouns in, YAML text out.

What is reachable and risky is written as a comment with its class and severity. Taking the comment away declares
nothing yet: `from` then names a range that does not exist, until somebody has decided.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from types import MappingProxyType

from auditor.addresses import PRIVATE, by_address, contains, difference
from auditor.errors import EvidenceError
from auditor.inventory.draft.hosts import DraftHost, Listeners, draft_hosts, fit_name, living, unused, usable
from auditor.inventory.draft.services import DraftServices, Entry, Severities, Standing, View, draft_services
from auditor.inventory.draft.text import comment, commented, indented, listing, row, scalar
from auditor.inventory.reading.text import counted
from auditor.model.inventory import LOOPBACK
from auditor.model.observation import Label, Observation, Scan
from auditor.model.words import Address, Family, Network, Protocol, ViewpointKind

_DOCUMENTATION = {Family.IPV4: ip_address("192.0.2.1"), Family.IPV6: ip_address("2001:db8::1")}  # RFC 5737, RFC 3849
_NOTHING: Mapping[str, Sequence[Address]] = MappingProxyType({})
_INTERNET = "internet"
_UNDECIDED = "TODO"  # a range that is never declared, so that what names it is invalid


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user says of the inventory to be. `addresses` are those that targets see the viewpoint as, and
    `host_addresses` those of the hosts that listeners files are about. `schema` is where an editor finds the schema.
    """

    name: str
    viewpoint: str
    kind: ViewpointKind
    addresses: Sequence[Address] = ()
    host_addresses: Mapping[str, Sequence[Address]] = field(default_factory=dict)
    schema: str = "https://…/schemas/inventory.schema.json"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was seen from a viewpoint. `addresses` are as in `Wanted`, and `sources` those that the scan was told to
    send from. `severities` say how bad it is that something is reachable from there.
    """

    viewpoint: str
    kind: ViewpointKind
    scan: Scan
    severities: Severities
    asked: Collection[Address] = ()
    labels: Sequence[Label] = ()
    sources: Sequence[Address] = ()
    addresses: Sequence[Address] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of an inventory, and how much is in it."""

    text: str
    hosts: int
    services: int
    todo: int


def draft(
    wanted: Wanted,
    scan: Scan,
    *,
    asked: Iterable[Address],
    labels: Iterable[Label],
    sources: Iterable[Address],
    listeners: Listeners,
    severities: Severities,
    said: Mapping[str, Sequence[Address]] = _NOTHING,
    others: Sequence[Outlook] = (),
) -> Draft:
    """The first inventory. `sources` are the addresses that the scan was told to send from, `said` those that hosts
    tell of themselves; `others` is what was seen from further viewpoints.

    Raises EvidenceError where nothing in the evidence shows a host, UsageError where `wanted` contradicts itself.
    """
    first = Outlook(
        wanted.viewpoint, wanted.kind, scan, severities, set(asked), [*labels], [*sources], wanted.addresses
    )
    outlooks = [first, *others]
    alive = {address for one in outlooks for address in living(one.scan, one.asked)}
    hosts = draft_hosts(
        alive, [label for one in outlooks for label in one.labels], listeners, wanted.host_addresses, said
    )
    if not hosts:
        raise EvidenceError("nothing in the evidence shows that a host lives, so there is no host to declare")
    views = [View(one.viewpoint, _by_place(one.scan), one.severities) for one in outlooks]
    services = [draft_services(host, views) for host in hosts]
    return _Page(wanted, hosts, services, alive, outlooks).draft()


def _by_place(scan: Scan) -> dict[tuple[Address, Protocol], list[Observation]]:
    seen: dict[tuple[Address, Protocol], list[Observation]] = {}
    for one in scan.observations:
        seen.setdefault((one.address, one.protocol), []).append(one)
    return seen


class _Page:
    """Writes the inventory."""

    def __init__(
        self,
        wanted: Wanted,
        hosts: Sequence[DraftHost],
        services: Sequence[DraftServices],
        alive: set[Address],
        outlooks: Sequence[Outlook],
    ) -> None:
        self._wanted = wanted
        self._hosts = hosts
        self._services = services
        self._alive = alive
        self._outlooks = outlooks
        self._addresses = {address for host in hosts for address in host.addresses}
        self._own, self._made_up = self._viewpoint_addresses()
        self._ranges_of = {
            one.viewpoint: _INTERNET if _is_public(one) else f"{fit_name(one.viewpoint)[:55]}-clients"
            for one in outlooks
        }

    def _viewpoint_addresses(self) -> tuple[dict[str, list[Address]], set[str]]:
        """By viewpoint, at most one for each family that the hosts have; and the viewpoints where one is made up."""
        own: dict[str, list[Address]] = {}
        made_up: set[str] = set()
        for one in self._outlooks:
            found = {Family.of(address): address for address in reversed(one.sources) if self._fits(address)}
            found |= {Family.of(address): address for address in one.addresses}
            needed = sorted({Family.of(address) for address in self._addresses})
            missing = [family for family in needed if family not in found]
            used = self._addresses.union(*own.values())
            found |= {family: unused(_DOCUMENTATION[family], used) for family in missing}
            own[one.viewpoint] = sorted(found.values(), key=by_address)
            made_up |= {one.viewpoint} if missing else set()
        return own, made_up

    def _fits(self, source: Address) -> bool:
        return usable(source) and source not in self._addresses

    def draft(self) -> Draft:
        entries = [entry for drafted in self._services for entry in drafted.entries]
        todo = sum(entry.standing is Standing.TODO for entry in entries)
        declared = sum(entry.standing is Standing.DECLARED for entry in entries)
        sections = [
            self._head(todo, declared),
            self._scope(),
            self._ranges(),
            ["viewpoints:", *(line for one in self._outlooks for line in indented(self._viewpoint(one)))],
            ["hosts:"],
        ]
        lines = [line for section in sections for line in (*section, "")][:-1]
        for host, drafted in zip(self._hosts, self._services, strict=True):
            lines += [*indented(self._host(host, drafted)), ""]
        return Draft("\n".join(lines[:-1]) + "\n", len(self._hosts), declared, todo)

    def _head(self, todo: int, declared: int) -> list[str]:
        silent = len({address for one in self._outlooks for address in one.asked} - self._alive)
        errors = [error for one in self._outlooks for error in one.scan.errors]
        lines = [
            f"# yaml-language-server: $schema={self._wanted.schema}",
            comment("A first inventory, drafted by `auditor init`. Every TODO is yours to decide or to replace."),
            comment(f"Left to do: {'; '.join(self._left(todo, declared, errors))}."),
        ]
        if todo:
            found = counted(todo, "exposure")
            lines += [
                comment(f"Left in comments: {found} that nobody should bless unseen, each with severity and class."),
                comment("Close it; or take the `# ` away, and name in `from` who may reach it."),
            ]
        if silent:
            found = counted(silent, "address", "addresses")
            lines.append(comment(f"{found} in the evidence gave no sign of life: not here."))
        lines += [comment(f"TODO the evidence is incomplete, and so is this: {error}") for error in errors]
        return [*lines, "version: 1", f"name: {scalar(self._wanted.name)}"]

    def _left(self, todo: int, declared: int, errors: Sequence[str]) -> Iterator[str]:
        if errors:
            yield "complete the evidence and draft again"
        made_up = sum(host.placeholder for host in self._hosts)
        if made_up:
            yield f"replace the made-up addresses of {counted(made_up, 'host')}"
        if self._made_up:
            yield f"replace the made-up addresses of {counted(len(self._made_up), 'viewpoint')}"
        if todo:
            yield f"decide about {counted(todo, 'exposure')}"
        if declared:
            yield f"say why {counted(declared, 'service')} {'is' if declared == 1 else 'are'} there"
        yield "widen the scope to where new hosts should be found; then run `auditor validate`"

    def _scope(self) -> list[str]:
        lines = [comment("TODO just the hosts below; widen it to the networks where new hosts should be found")]
        if any(host.placeholder for host in self._hosts):
            lines.append(comment("TODO some addresses are made up, see below: replace them here too"))
        return ["scope:", *indented([*lines, *listing("allow", _collapsed(self._addresses))])]

    def _ranges(self) -> list[str]:
        lines = []
        if any(map(_is_public, self._outlooks)):
            lines.append(f'{_INTERNET}: {{cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}}')
        for one in self._outlooks:
            if not _is_public(one):
                lines.append(comment(f"TODO the clients that look as {one.viewpoint} does"))
                lines += listing(self._ranges_of[one.viewpoint], self._own[one.viewpoint])
        return ["ranges:", *indented(lines)]

    def _viewpoint(self, one: Outlook) -> list[str]:
        lines = [f"kind: {one.kind}"]
        if one.viewpoint in self._made_up:
            lines.append(
                comment("TODO an address for documentation stands for the scanner's own, which the evidence does")
            )
            lines.append(comment("not tell: write what the targets see, at most one for each family"))
        lines += listing("addresses", self._own[one.viewpoint])
        targets = living(one.scan, one.asked) & self._addresses
        if _is_public(one) and any(contains(PRIVATE, address) for address in targets):
            lines.append(comment("private addresses too, which a public viewpoint has no path to unless it is said"))
            lines += listing("targets", _collapsed(targets))
        elif targets and len(self._outlooks) > 1:
            lines.append(comment("TODO just what was seen from there; widen it to the networks that it has a path to"))
            lines += listing("targets", _collapsed(targets))
        if _is_public(one):
            lines.append(comment("boundary: filtered   # where a firewall should drop what is blocked"))
        return [f"{scalar(one.viewpoint)}:", *indented(lines)]

    def _host(self, host: DraftHost, drafted: DraftServices) -> Iterator[str]:
        yield f"{scalar(host.name)}:"
        yield from indented(map(comment, host.notes))
        if host.placeholder:
            what = "TODO an address for documentation stands for the host's own, which the listeners do not tell"
            yield from indented([comment(f"{what}; replace it before any audit")])
        yield from indented(["interfaces:"])
        yield from indented((f"{name}: {row(own)}" for name, own in host.interfaces.items()), 2)
        if drafted.entries:
            # A key with nothing but comments below it would be null.
            empty = not any(entry.standing is Standing.DECLARED for entry in drafted.entries)
            yield from indented(commented(["services:"]) if empty else ["services:"])
        for entry in drafted.entries:
            yield from indented(self._entry(host, entry), 2)
        yield from indented(map(comment, drafted.notes))

    def _entry(self, host: DraftHost, entry: Entry) -> list[str]:
        lines = self._service(host, entry)
        # Hostile text never begins a comment, where it could pose as a key to uncomment.
        label = entry.label or "something unidentified"
        ports = ", ".join(_ports(entry))
        match entry.standing:
            case Standing.DECLARED:
                return [comment(f"{ports} {entry.where}: {label}"), *lines]
            case Standing.TODO:
                who = f" from {', '.join(entry.views)}" if entry.views else ", and nothing tells who reaches it"
                told = f"TODO {entry.severity} {entry.classed}: {label} on {ports} {entry.where}{who}"
                if any(port == 0 for _, port in entry.ports):
                    return [comment(f"{told}; close it: no inventory can declare port 0")]
                return [comment(f"{told}; decide who may, then uncomment"), *commented(lines)]
            case Standing.UNSEEN:
                told = f"{entry.severity} {entry.classed} where it is reachable: {label} on {ports} {entry.where}"
                return [comment(f"{told}; if somebody should reach it, uncomment"), *commented(lines)]

    def _service(self, host: DraftHost, entry: Entry) -> list[str]:
        ports = _ports(entry)
        lines = [f"ports: {scalar(ports[0]) if len(ports) == 1 else row(ports)}"]
        if entry.interfaces != tuple(host.interfaces) or len(host.interfaces) > 1:
            lines.append(f"interfaces: {row(entry.interfaces)}")
        if entry.families:
            lines.append(f"families: {row(entry.families)}")
        if entry.interfaces != (LOOPBACK,):
            decided = entry.standing is Standing.DECLARED
            views = entry.views or (self._wanted.viewpoint,)
            ranges = dict.fromkeys(self._ranges_of[view] for view in views)
            lines.append(f"from: {row(ranges if decided else [_UNDECIDED])}")
        if entry.declared_class:
            lines.append(f"class: {entry.declared_class}")
        if entry.protocol:
            lines.append(f"protocol: {scalar(entry.protocol)}")
        return [f"{scalar(entry.name)}:", *indented([*lines, f"reason: {scalar(entry.reason)}"])]


def _is_public(one: Outlook) -> bool:
    return one.kind is ViewpointKind.PUBLIC


def _ports(entry: Entry) -> list[str]:
    return [f"{port}/{protocol}" for protocol, port in entry.ports]


def _collapsed(addresses: Iterable[Address]) -> tuple[Network | Address, ...]:
    """Just these addresses, as few networks; one alone is written as an address."""
    networks = difference(ip_network(address) for address in addresses)
    return tuple(one.network_address if one.prefixlen == one.max_prefixlen else one for one in networks)
