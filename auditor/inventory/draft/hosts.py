"""Addresses that live, and files of listeners → the hosts of a draft."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

from auditor.addresses import PRIVATE, by_address, contains
from auditor.errors import UsageError
from auditor.hardware import folded, identifies, names_of
from auditor.inventory.reading.literals import is_literal
from auditor.model.listener import Listener
from auditor.model.observation import ICMP_ERRORS, Label, Observation, Scan
from auditor.model.words import Address, Family, PortState

_ANSWERS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.UNFILTERED})
_BROADCAST = ip_address("255.255.255.255")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 63
_MOST_TOLD = 8  # addresses of a host that it has and nobody has seen
_PLACEHOLDERS = {Family.IPV4: ip_address("192.0.2.10"), Family.IPV6: ip_address("2001:db8::10")}  # RFC 5737, RFC 3849

Listeners = Mapping[str, Sequence[Listener]]  # by the host that a file is about


@dataclass(slots=True)
class DraftHost:
    """A host to be: its addresses by interface, and what is known of it.

    `listeners` is None where no file is about it. `placeholder` says that its addresses are made up, `scanned` that
    nmap saw it. `notes` say in words what made it one host, and what was left out; they may be hostile text.
    """

    name: str
    interfaces: dict[str, tuple[Address, ...]]
    listeners: Sequence[Listener] | None = None
    scanned: bool = False
    placeholder: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(address for addresses in self.interfaces.values() for address in addresses)


@dataclass(slots=True, eq=False)
class _Group:
    """Addresses held to be one machine's."""

    addresses: set[Address]
    names: list[str] = field(default_factory=list)
    macs: set[str] = field(default_factory=set)
    heard: str | None = None  # the host of a listeners file
    given: bool = False  # the user says where it is
    scanned: bool = True
    notes: list[str] = field(default_factory=list)


def usable(address: Address) -> bool:
    """Whether an inventory can declare the address as a machine's."""
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None
    zoned = isinstance(address, IPv6Address) and address.scope_id is not None
    return not (address.is_unspecified or address.is_multicast or address == _BROADCAST or mapped or zoned)


def living(scan: Scan, asked: Iterable[Address]) -> set[Address]:
    """The addresses that anything shows to live, of those that can be declared."""
    found = {reply.address for reply in scan.replies}
    found |= {one.address for one in scan.observations if _answered(one)}
    routers = {one.reply_from for one in scan.observations if one.reply_from}
    return {address for address in found | (routers & set(asked)) if usable(address)}


def _answered(one: Observation) -> bool:
    refused = one.reason in ICMP_ERRORS and one.reply_from is None and bool(one.ttl)
    return one.state in _ANSWERS or refused


def draft_hosts(
    alive: set[Address],
    labels: Iterable[Label],
    listeners: Listeners,
    known: Mapping[str, Sequence[Address]],
    said: Mapping[str, Sequence[Address]],
) -> list[DraftHost]:
    """The hosts, sorted by name. Addresses become one host's by what identifies it, and by nothing else.

    That is a name, a hardware address of that host alone, and what is known of the host: the addresses that the user
    gives for it (`known`), that it tells of itself (`said`), and that its processes are bound to. Raises UsageError
    where the user's contradict one another.
    """
    claims = _claims(listeners, known, said)
    owners = {address: host for host, claim in claims.items() for address in claim.own | claim.said}
    groups = _by_label(alive, [label for label in labels if label.address in alive], owners)
    for host, claim in claims.items():
        _hear(groups, host, claim)
    for group in groups:
        host = group.heard or ""
        group.given = bool(known.get(host) or said.get(host) or is_literal(host))
    _note_doubts(groups, listeners)
    return _named(groups, listeners)


def _by_label(alive: set[Address], labels: Sequence[Label], owners: Mapping[Address, str]) -> list[_Group]:
    """One group for the addresses that share a name, or a hardware address that identifies."""
    group_of = {address: _Group({address}) for address in alive}
    holders: dict[str, Address] = {}
    sharing: dict[str, dict[Address, None]] = {}
    labels = sorted(labels, key=lambda label: by_address(label.address))
    for label in labels:
        group = group_of[label.address]
        group.names += [name for name in label.names if name not in group.names]
        for name in label.names:
            _join(group_of, holders.setdefault(folded(name), label.address), label.address)
        if label.mac:
            sharing.setdefault(label.mac, {})[label.address] = None
    names = names_of(labels)
    for mac, addresses in sorted(sharing.items()):
        owned = {address for address in addresses if address in owners}
        if len({owners[address] for address in owned}) > 1 or not identifies(addresses, owned, names):
            note = f"hardware address {mac} answers for {len(addresses)} addresses, and is not held to be one host's"
            for group in {id(group_of[address]): group_of[address] for address in addresses}.values():
                group.notes.append(note)
            continue
        first = next(iter(addresses))
        group_of[first].macs.add(mac)
        for address in addresses:
            _join(group_of, first, address)
    return list({id(group): group for _, group in sorted(group_of.items(), key=lambda p: by_address(p[0]))}.values())


def _join(group_of: dict[Address, _Group], one: Address, other: Address) -> None:
    first, group = group_of[one], group_of[other]
    if first is not group:
        first.addresses |= group.addresses
        first.names += [name for name in group.names if name not in first.names]
        first.macs |= group.macs
        first.notes += [note for note in group.notes if note not in first.notes]
        group_of.update(dict.fromkeys(group.addresses, first))


@dataclass(frozen=True, slots=True)
class _Claim:
    """The addresses of a host that evidence or the user tells of: `own` for sure, `said` by the host itself."""

    own: set[Address]
    said: set[Address]
    notes: list[str]


def _claims(
    listeners: Listeners, known: Mapping[str, Sequence[Address]], said: Mapping[str, Sequence[Address]]
) -> dict[str, _Claim]:
    """By host, the addresses given for it, those that its processes are bound to, and those that it tells.

    An address that two hosts have, such as that of a bridge for containers, is neither's.
    """
    hosts = sorted(listeners.keys() | said.keys())
    strangers = sorted(known.keys() - hosts)
    if strangers:
        raise UsageError(
            f"--host-address {strangers[0]}=…: no --listeners file is about a host of that name, nor --addresses"
        )
    given: dict[Address, str] = {}
    for host in hosts:
        for address in (*known.get(host, ()), *_literal(host)):
            if given.setdefault(address, host) != host:
                raise UsageError(f"{address} is given to two hosts, {given[address]} and {host}; it belongs to one")
    bound = {host: _bound(listeners.get(host, ())) for host in hosts}
    told = {host: {address for address in said.get(host, ()) if usable(address)} for host in hosts}
    claims: dict[str, _Claim] = {}
    for host in hosts:
        others = {a for other in hosts if other != host for a in bound[other] | told[other]} | set(given)
        own = {address for address, owner in given.items() if owner == host}
        notes = [
            f"{what} {address}; it is left out"
            for what, these in (
                ("processes here and on another host are bound to", bound[host]),
                ("this host and another have the address", told[host] - bound[host]),
            )
            for address in sorted(these & others - own, key=by_address)
        ]
        claims[host] = _Claim(own | (bound[host] - others), told[host] - others - own, notes)
    return claims


def _literal(host: str) -> Iterator[Address]:
    try:
        address = ip_address(host)
    except ValueError:
        return
    if usable(address):
        yield address


def _bound(listeners: Iterable[Listener]) -> set[Address]:
    binds = {one.bind for one in listeners if not (one.loopback or one.wildcard)}
    return {bind for bind in binds if bind is not None and usable(bind) and not bind.is_link_local}


def _hear(groups: list[_Group], host: str, claim: _Claim) -> None:
    """Give a host that is known of its group: all that hold an address or the name of it, as one.

    What it says of itself beyond them is only noted where a scan has seen the host: a draft allows to probe what is in
    it, and a private address may well be another machine's where the scan was made.
    """
    short, own = folded(host), claim.own | claim.said
    mine = [
        group
        for group in groups
        if group.heard is None
        and (group.addresses & own or any(short in (folded(n), folded(n).partition(".")[0]) for n in group.names))
    ]
    taken = {address: group.heard for group in groups if group not in mine for address in group.addresses}
    lost = [f"TODO {one} is left out: it went to {taken[one]}" for one in sorted(own & taken.keys(), key=by_address)]
    found = {address for group in mine for address in group.addresses}
    rest = sorted(claim.said - claim.own - found - taken.keys(), key=by_address) if mine else []
    if rest:
        lost.append(f"it has {', '.join(map(str, rest[:_MOST_TOLD]))} too, of which the scan saw no sign of life")
    merged = _Group(own - taken.keys() - set(rest), heard=host, scanned=bool(mine), notes=[*claim.notes, *lost])
    for group in mine:
        groups.remove(group)
        merged.addresses |= group.addresses
        merged.names += group.names
        merged.macs |= group.macs
        merged.notes += group.notes
    groups.append(merged)


def _note_doubts(groups: Sequence[_Group], listeners: Listeners) -> None:
    """Say what is not known of the hosts that listeners files alone tell of."""
    scanned = any(group.scanned for group in groups)
    for group in groups:
        if group.heard is None or group.scanned or group.given:
            continue
        if scanned:
            how = "--addresses HOST=FILE or --host-address HOST=ADDRESS"
            group.notes.append(f"TODO no host of the scan is known to be this one; {how} tells it")
        if group.addresses and any(one.wildcard and not one.loopback for one in listeners.get(group.heard, ())):
            group.notes.append("TODO it listens on all its addresses, and only those below are known; add the others")


def _named(groups: list[_Group], listeners: Listeners) -> list[DraftHost]:
    taken: set[str] = set()
    used = {address for group in groups for address in group.addresses}
    hosts = []
    for group in sorted(groups, key=lambda group: (group.heard is None, _first(group), group.heard or "")):
        heard = listeners.get(group.heard or "")
        placeholder = not group.addresses
        if placeholder:
            group.addresses |= _placeholders(heard or (), used)
            used |= group.addresses
        name = _unique(_name(group), taken)
        taken.add(name)
        hosts.append(
            DraftHost(name, _interfaces(group.addresses), heard, group.scanned, placeholder, list(_notes(group)))
        )
    return sorted(hosts, key=lambda host: host.name)


def _first(group: _Group) -> tuple[int, bytes]:
    return min(map(by_address, group.addresses), default=(9, b""))


def _notes(group: _Group) -> Iterator[str]:
    if group.names:
        yield f"known to DNS or to the scan as {', '.join(group.names)}"
    if len(group.addresses) > 1 and group.macs:
        yield f"hardware address {', '.join(sorted(group.macs))}"
    yield from group.notes


def _placeholders(listeners: Iterable[Listener], used: set[Address]) -> set[Address]:
    """Addresses for documentation, of the families that something listens in."""
    binds = [one.bind for one in listeners if not one.loopback]
    families = {Family.of(bind) for bind in binds if bind is not None}
    if None in binds:
        families = set(Family)
    return {unused(_PLACEHOLDERS[family], used) for family in families or {Family.IPV4}}


def unused(address: Address, used: Iterable[Address]) -> Address:
    """The address, or the next one that is not used."""
    taken = set(used)
    while address in taken:
        address += 1
    return address


def _name(group: _Group) -> str:
    first = min(group.addresses, key=by_address)
    if group.heard is not None and not is_literal(group.heard):
        return fit_name(group.heard, first)
    return next((fitted for name in group.names if (fitted := _fitted(name))), _of_address(first))


def fit_name(text: str, address: Address | None = None) -> str:
    """The text as a name of the inventory; one made of the address where nothing of it can be used."""
    return _fitted(text) or (_of_address(address) if address else "host")


def _fitted(text: str) -> str:
    """The text as a name: in the grammar of names, nothing that reads as an address or has a meaning of its own."""
    name = _UNFIT.sub("-", text).strip(".-")[:_LONGEST_NAME].rstrip(".-")
    special = name.startswith("x-") or name in ("all", "loopback") or is_literal(name)
    return f"host-{name}"[:_LONGEST_NAME].rstrip(".-") if name and special else name


def _of_address(address: Address) -> str:
    return f"host-{str(address).replace('.', '-').replace('::', '-0-').replace(':', '-').strip('-')}"


def _unique(name: str, taken: Iterable[str]) -> str:
    count, unique = 1, name
    while unique in taken:
        count += 1
        unique = f"{name[: _LONGEST_NAME - 1 - len(str(count))]}-{count}"
    return unique


def _interfaces(addresses: Iterable[Address]) -> dict[str, tuple[Address, ...]]:
    """Interfaces with at most one address of each family, so that what a service declares holds for every address."""
    kinds: dict[str, dict[int, list[Address]]] = {}
    for address in sorted(addresses, key=by_address):
        kinds.setdefault(_kind(address), {4: [], 6: []})[address.version].append(address)
    interfaces: dict[str, tuple[Address, ...]] = {}
    for kind, found in sorted(kinds.items(), key=lambda pair: ("public", "private", "local").index(pair[0])):
        for index in range(max(map(len, found.values()))):
            name = kind if index == 0 else f"{kind}-{index + 1}"
            interfaces[name] = tuple(each[index] for each in found.values() if index < len(each))
    return interfaces


def _kind(address: Address) -> str:
    if address.is_loopback or address.is_link_local:
        return "local"
    return "private" if contains(PRIVATE, address) else "public"
