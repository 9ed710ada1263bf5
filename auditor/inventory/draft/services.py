"""What was seen of one host → the services of its draft: what may stand as it is, and what a person must decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import product

from auditor.catalogue.contradiction import contradiction
from auditor.catalogue.lookup import Classification, classify
from auditor.inventory.draft.hosts import DraftHost
from auditor.model.inventory import LOOPBACK
from auditor.model.listener import Listener
from auditor.model.observation import Identity, Observation
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol, ServiceClass, Severity

_RECOGNISED = frozenset({"product", "protocol", "process"})  # what may decide a class beyond its port number
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,40}")
_LONGEST_LABEL = 80
_NONE = PortSet()
_FEW = 45  # open ports: with no more, the 90 % of at least 50 of that rule are not open

Severities = Callable[[Classification], tuple[Severity, ...]]
Seen = Mapping[tuple[Address, Protocol], Sequence[Observation]]
Endpoint = tuple[Protocol, int]


class Standing(StrEnum):
    """What becomes of a service in the draft."""

    DECLARED = "declared"
    TODO = "todo"  # reachable and risky, or not known what it is: a comment until somebody decides
    UNSEEN = "unseen"  # it listens, and the scan did not see it open: a comment too


@dataclass(frozen=True, slots=True)
class Entry:
    """One service of a draft. `families` is empty where it is in all of its interfaces' families.

    `classed` is its class in words. `label` is what it is by its own words, and `where` how it was seen; both may be
    hostile text.
    """

    standing: Standing
    name: str
    ports: tuple[Endpoint, ...]
    interfaces: tuple[str, ...]
    families: tuple[Family, ...]
    classed: str
    severity: Severity
    label: str
    where: str
    reason: str
    declared_class: ServiceClass | None = None
    protocol: str | None = None
    views: tuple[str, ...] = ()  # the viewpoints that saw it open


@dataclass(frozen=True, slots=True)
class View:
    """What was seen from one viewpoint, and how bad it is that something is reachable from there."""

    viewpoint: str
    seen: Seen
    severities: Severities


@dataclass(slots=True)
class DraftServices:
    """Entries in the order in which they are written; `notes` say in words what cannot be told."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Sighting:
    address: Address
    identity: Identity | None
    at: datetime
    view: View


def draft_services(host: DraftHost, views: Sequence[View]) -> DraftServices:
    """The services of a host: declared ones first, then those to decide, the worst first, then those unseen."""
    drafted = DraftServices()
    opened = _opened(host, views)
    heard: dict[Endpoint, list[Listener]] = {}
    for listener in host.listeners or ():
        heard.setdefault((listener.protocol, listener.port), []).append(listener)
    swallowed = {
        (one.viewpoint, *place): ports for one in views for place, ports in _answered_for(host, one, opened).items()
    }
    for address, protocol in sorted({(address, protocol) for _, address, protocol in swallowed}, key=str):
        drafted.notes.append(
            f"TODO nearly every {protocol} port of {address} looks open: something answers in place of the host, and "
            "what does not say what it is cannot be told, nor where nearly all say something; "
            "compare reports all-ports-open"
        )
    entries: list[Entry] = []
    for endpoint in sorted(opened.keys() | heard.keys()):
        told = [
            one
            for one in opened.get(endpoint, ())
            if endpoint[1] not in swallowed.get((one.view.viewpoint, one.address, endpoint[0]), _NONE)
        ]
        case = _Case(host, endpoint, told, heard.get(endpoint, []), views)
        if told:
            entries += case.open()
        elif case.listeners:
            entries += case.listening(drafted.notes)
    drafted.entries = _with_unique_names(_merged(sorted(entries, key=_order)))
    return drafted


def _probed(one: _Sighting | Observation) -> bool:
    return one.identity is not None and one.identity.probed


def _opened(host: DraftHost, views: Iterable[View]) -> dict[Endpoint, list[_Sighting]]:
    found: dict[Endpoint, list[_Sighting]] = {}
    for view, address, protocol in product(views, host.addresses, Protocol):
        for one in view.seen.get((address, protocol), ()):
            if one.state is PortState.OPEN:
                for port in one.ports:
                    found.setdefault((protocol, port), []).append(_Sighting(address, one.identity, one.at, view))
    return found


def _answered_for(
    host: DraftHost, view: View, opened: Mapping[Endpoint, Sequence[_Sighting]]
) -> dict[tuple[Address, Protocol], PortSet]:
    """Where `compare` will hold that a device answers in place of the host, and on which ports nothing can be told.

    It is its rule, with all that this draft may declare there taken as declared, which is what said what it is and is
    safe. Where most of the others say what they are too, that is the device's talk: no host has so many services.
    """
    found: dict[tuple[Address, Protocol], PortSet] = {}
    if len(opened) <= _FEW:
        return found
    declared = {
        endpoint
        for endpoint, sightings in opened.items()
        if all(map(_probed, sightings)) and _Case(host, endpoint, sightings, [], [view]).safe
    }
    for address in host.addresses:
        for protocol in Protocol:
            known = PortSet.of(*(port for over, port in declared if over is protocol))
            rest = [(one.ports - known, one) for one in view.seen.get((address, protocol), ())]
            asked = sum(len(ports) for ports, _ in rest)
            is_open = PortSet.union(ports for ports, one in rest if one.state is PortState.OPEN)
            probed = PortSet.union(ports & is_open for ports, one in rest if _probed(one))
            if asked >= 50 and len(is_open) > 0.9 * asked:
                found[address, protocol] = is_open if 2 * len(probed) > len(is_open) else is_open - probed
    return found


class _Case:
    """One port of one host, with all that is known of it."""

    def __init__(
        self,
        host: DraftHost,
        endpoint: Endpoint,
        sightings: Sequence[_Sighting],
        listeners: Sequence[Listener],
        views: Sequence[View],
    ) -> None:
        self._host = host
        self._views = views
        self._protocol, self._port = endpoint
        self._sightings = sightings
        self.listeners = listeners
        self._outward = [one for one in listeners if not one.loopback]
        self._local = len(self._outward) < len(listeners)
        processes = sorted({one.process for one in self._outward or listeners}) or [""]
        identities = [one.identity for one in sightings] or [None]
        ways = [
            (classify(self._protocol, self._port, identity, None, process), identity, process)
            for identity in identities
            for process in processes
        ]
        # The worst of them gives class and severity; of equals, the one that says most.
        whence = list({one.view.viewpoint: one.view for one in sightings}.values()) or views
        ways.sort(key=lambda way: (_severity(way[0], whence).rank, -len(_label(*way)), _label(*way)))
        self._found, self._identity, self._process = ways[0]
        self._severity = _severity(self._found, whence)
        self.safe = self._port > 0 and all(_is_safe(found) for found, _, _ in ways)

    def open(self) -> Iterator[Entry]:
        """What nmap saw open."""
        day = max(one.at for one in self._sightings)
        when = f" on {day:%Y-%m-%d}" if day.timestamp() > 0 else ""
        standing = Standing.DECLARED if self.safe else Standing.TODO
        seen_from: dict[Address, dict[str, None]] = {}
        for one in self._sightings:
            seen_from.setdefault(one.address, {})[one.view.viewpoint] = None
        alike: dict[tuple[str, ...], list[Address]] = {}
        for address, views in seen_from.items():
            alike.setdefault(tuple(sorted(views)), []).append(address)
        for index, (whence, addresses) in enumerate(sorted(alike.items())):
            local = self._local and index == 0
            for entry in self._entries(standing, addresses, "is reachable", f"found by nmap{when}", local=local):
                yield replace(entry, views=whence)

    def listening(self, notes: list[str]) -> Iterator[Entry]:
        """What listens, and nmap did not see open."""
        reason = "found listening"
        if not self._outward:
            yield self._entry(Standing.DECLARED, (LOOPBACK,), (), "listens on the loopback alone", reason)
            return
        addresses = [a for a in self._host.addresses if any(one.takes(a) for one in self._outward)]
        where = f"listens on {', '.join(sorted({_bind(one) for one in self._outward}))}"
        if not addresses:
            what = _label(self._found, self._identity, self._process) or "something unidentified"
            notes.append(f"{self._port}/{self._protocol} {where}, which is no address of this host here: {what}")
        elif self._host.scanned:
            where = f"{where}, and nmap {self._fate(addresses)}"
            yield from self._entries(Standing.UNSEEN, addresses, where, reason, local=self._local)
        else:
            # Over UDP many a client listens too, and nobody has seen it answer.
            safe = self.safe and self._protocol is Protocol.TCP
            standing = Standing.DECLARED if safe else Standing.TODO
            yield from self._entries(standing, addresses, where, reason, local=self._local)

    def _fate(self, addresses: Sequence[Address]) -> str:
        states = sorted(
            {
                one.state
                for view, address in product(self._views, addresses)
                for one in view.seen.get((address, self._protocol), ())
                if self._port in one.ports
            }
        )
        return f"saw it {' and '.join(states)}" if states else "was not asked about it"

    def _entries(
        self, standing: Standing, addresses: Sequence[Address], where: str, reason: str, *, local: bool = False
    ) -> Iterator[Entry]:
        """One entry for the interfaces on which it is in all families, and one for each family that it is in alone."""
        places: dict[tuple[Family, ...], list[str]] = {}
        for name, own in self._host.interfaces.items():
            families = tuple(Family.of(address) for address in own if address in addresses)
            if families:
                places.setdefault(() if len(families) == len(own) else families, []).append(name)
        for index, (families, interfaces) in enumerate(sorted(places.items())):
            more = [LOOPBACK] if local and index == 0 else []
            yield self._entry(standing, (*interfaces, *more), families, where, reason)

    def _entry(
        self, standing: Standing, interfaces: tuple[str, ...], families: tuple[Family, ...], where: str, reason: str
    ) -> Entry:
        declared = self._found.service_class
        identities = [one.identity for one in self._sightings]
        fits = not any(contradiction(self._protocol, self._port, one, declared, None) for one in identities)
        word = _protocol_word(self._identity)
        speaks = word and not any(contradiction(self._protocol, self._port, one, None, word) for one in identities)
        return Entry(
            standing=standing,
            name=_base_name(self._found, self._identity, self._process, self._port),
            ports=((self._protocol, self._port),),
            interfaces=interfaces,
            families=families,
            classed=_classed(self._found),
            severity=self._severity,
            label=_label(self._found, self._identity, self._process),
            where=where,
            reason=f"{reason}; TODO say why it is there",
            declared_class=declared if fits else None,
            protocol=word if speaks else None,
        )


def _severity(found: Classification, views: Iterable[View]) -> Severity:
    """The worst of what it is from the viewpoints."""
    return min((view.severities(found)[0] for view in views), key=lambda severity: severity.rank)


def _is_safe(found: Classification) -> bool:
    """Whether a service of this kind may be declared without anybody's decision."""
    entry = found.entry
    if entry is not None and entry.severity:
        return False  # the catalogue holds it to be worse than its class
    match found.graded_as:
        case ServiceClass.PUBLIC_WEB:
            return found.decided_by in _RECOGNISED
        case ServiceClass.UDP:
            return entry is not None
        case _:
            return False


def _classed(found: Classification) -> str:
    return f"{found.service_class} (graded as {found.as_class})" if found.as_class else str(found.service_class)


def _label(found: Classification, identity: Identity | None, process: str) -> str:
    """What it is, by its own words where it has any: hostile text."""
    if identity is not None and identity.probed:
        words = f"{identity.product} {identity.version}" if identity.product else identity.name
    else:
        words = process or (found.entry.id if found.entry is not None else "")
    words = words.strip()[:_LONGEST_LABEL]
    return f"{words} (judged by its port number alone)" if words and found.decided_by == "port" else words


def _bind(listener: Listener) -> str:
    bind = "every address" if listener.bind is None else str(listener.bind)
    return f"{bind}%{listener.device}" if listener.device else bind


def _protocol_word(identity: Identity | None) -> str | None:
    """The word for `protocol`, where something was recognised that has one."""
    if identity is None or not identity.probed:
        return None
    name = identity.name.removeprefix("ssl/")
    tls = identity.tunnel == "ssl" or name != identity.name
    if name in ("http", "https"):
        return "https" if tls or name == "https" else "http"
    return name if _WORD.fullmatch(name) and name not in ("ssl", "unknown") else None


def _base_name(found: Classification, identity: Identity | None, process: str, port: int) -> str:
    word = _protocol_word(identity)
    if found.graded_as is ServiceClass.PUBLIC_WEB and word in ("http", "https"):
        return word
    name = word or process
    if found.entry is not None and not (process and found.decided_by == "port"):
        name = {80: "http", 443: "https"}.get(port, "web") if found.entry.id == "web" else found.entry.id
    return name if _WORD.fullmatch(name) and not name.startswith("x-") else f"port-{port}"


def _order(entry: Entry) -> tuple[object, ...]:
    rank = entry.severity.rank if entry.standing is Standing.TODO else 0
    return list(Standing).index(entry.standing), rank, entry.ports, entry.families, entry.interfaces, entry.views


def _merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Declared entries that differ in their ports alone as one: the same thing, on several ports."""
    found: dict[object, Entry] = {}
    for entry in entries:
        key: object = replace(entry, ports=()) if entry.standing is Standing.DECLARED else (len(found), entry)
        first = found.get(key)
        found[key] = replace(first, ports=first.ports + entry.ports) if first else entry
    yield from found.values()


def _with_unique_names(entries: Iterable[Entry]) -> list[Entry]:
    taken: set[str] = set()
    named: list[Entry] = []
    for entry in entries:
        protocol, port = entry.ports[0]
        longer = (entry.name, f"{entry.name}-{port}", f"{entry.name}-{port}-{protocol}")
        name = next((name for name in longer if name not in taken), f"{longer[-1]}-{len(named)}")
        taken.add(name)
        named.append(replace(entry, name=name))
    return named
