"""Waivers: what is accepted, for how long, and of what."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import date
from functools import cached_property
from typing import Any

from auditor.inventory.reading.broken import MISNAMED, Broken, items, sound, told
from auditor.inventory.reading.events import Document
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import is_literal, network, ports
from auditor.inventory.reading.text import shown
from auditor.inventory.resolving.services import ServiceNames
from auditor.model.inventory import LOOPBACK, Location, Match, Path, Waiver
from auditor.model.ports import PortSet
from auditor.model.words import Family, Kind, Network, Protocol, ServiceClass, Severity

_WHERE = frozenset({"host", "address", "tag"})  # one of these is required in a match, and one more key
_KEYS = _WHERE | {"service", "interface", "family", "ports", "protocol", "viewpoint", "kind", "class", "fingerprint"}
_DATE = "no date of the calendar; write one such as `2026-12-31`"


def resolve_waivers(tree: Tree) -> tuple[Waiver, ...]:
    """Those that are sound, in the order of files and lines; the rest are problems."""
    known = _Known(tree)
    found = (_Reader(tree, known, *one).waiver() for one in tree.waivers if not isinstance(one[2], Broken))
    return tuple(waiver for waiver in found if waiver)


class _Known:
    """The names that a match may give; None where what is wrong elsewhere may hide some of them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def of(self, key: str) -> Collection[str] | None:
        match key:
            case "host":
                return self._section("hosts")
            case "viewpoint":
                return self._section("viewpoints")
            case "tag":
                return self._tags
            case "service":
                return self._services
            case _:
                return self._interfaces

    def _section(self, section: str) -> Collection[str] | None:
        names: Collection[str] = self._tree.data[section]
        return None if section in self._tree.broken else names

    @cached_property
    def _tags(self) -> Collection[str] | None:
        return self._united(lambda host: _tags(self._tree, self._tree.data["hosts"][host]))

    @cached_property
    def _services(self) -> Collection[str] | None:
        return self._united(ServiceNames(self._tree).of)

    @cached_property
    def _interfaces(self) -> Collection[str] | None:
        return self._united(lambda host: _interfaces(self._tree.data["hosts"][host]))

    def _united(self, of: Callable[[str], Collection[str] | None]) -> Collection[str] | None:
        names: set[str] = set()
        for host in self._section("hosts") or ():
            here = of(host)
            if here is None:
                return None
            names.update(here)
        return None if "hosts" in self._tree.broken else names


def _tags(tree: Tree, host: Any) -> Collection[str] | None:
    """A host's tags, its own or the last role's; None where they cannot be told."""
    if isinstance(host, Broken):
        return None
    layers = [host, *(tree.data["roles"].get(role) for role in reversed(items(host.get("roles", []))))]
    for layer in layers:
        if not isinstance(layer, dict):
            return None
        if "tags" in layer:
            return items(layer["tags"]) if sound(layer["tags"]) else None
    return ()


def _interfaces(host: Any) -> Collection[str] | None:
    interfaces = None if isinstance(host, Broken) else host["interfaces"]
    if not isinstance(interfaces, dict) or MISNAMED in interfaces.values():
        return None
    return (*interfaces, LOOPBACK)


class _Reader:
    """Reads one waiver. Problems go to the document that it stands in."""

    def __init__(self, tree: Tree, known: _Known, document: Document, index: int, value: dict[str, Any]) -> None:
        self._tree = tree
        self._known = known
        self._document = document
        self._path: Path = ("waivers", index)
        self._value = value
        self._sound = True

    def waiver(self) -> Waiver | None:
        since, expires = self._date("since"), self._date("expires")
        if since and expires and since > expires:
            message = f"it expires before it begins on {since}; give a later day"
            self._problem(("expires",), "waiver-never-holds", message)
        match = self._match(self._value["match"])
        severity = told(self._value, "severity")
        reason, owner = self._text("reason"), self._text("owner")
        if match is None or since is None or expires is None or not (self._sound and reason and owner):
            return None
        return Waiver(
            match=match,
            reason=reason,
            owner=owner,
            since=since,
            expires=expires,
            severity=Severity(severity) if severity else None,
            ticket=told(self._value, "ticket"),
            location=Location(self._document.file, *self._document.place(self._path)),
        )

    def _match(self, value: Any) -> Match | None:
        if isinstance(value, Broken):
            return None
        self._check_width(value)
        tcp, udp = self._ports(value)
        networks = self._networks(value)
        match = Match(
            written=_written(value, networks, tcp, udp),
            hosts=self._names(value, "host"),
            tags=self._names(value, "tag"),
            services=self._names(value, "service"),
            addresses=networks,
            interfaces=self._names(value, "interface"),
            families=tuple(map(Family, self._words(value, "family"))),
            tcp=tcp,
            udp=udp,
            protocols=tuple(map(Protocol, self._words(value, "protocol"))),
            viewpoints=self._names(value, "viewpoint"),
            kinds=tuple(map(Kind, self._words(value, "kind"))),
            classes=tuple(map(ServiceClass, self._words(value, "class"))),
            fingerprints=self._words(value, "fingerprint"),
        )
        return match if self._sound else None

    def _check_width(self, value: Mapping[str, Any]) -> None:
        """One of `host`, `address` and `tag` is required, and one more key; an unknown one may be meant for either."""
        if value.keys() - _KEYS:
            return
        if not value.keys() & _WHERE:
            message = "may cover any host; say where, with one of `host`, `address` and `tag`"
            self._problem(("match",), "waiver-too-wide", message)
        elif len(value) < 2:
            message = "covers all that is found there; say what, with one more key such as `ports`"
            self._problem(("match",), "waiver-too-wide", message)

    def _names(self, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Patterns and names; a name without `*` must be one that there is."""
        found = self._sound_items(value, key)
        for path, name in found:
            undeclared = key == "host" and is_literal(name)  # findings at addresses of no host go by the address
            known = None if "*" in name or undeclared else self._known.of(key)
            if known is not None and name not in known:
                message = f"no {key} is named {shown(name)}{self._tree.suggestions.of(name, known)}"
                self._problem(path, "unknown-name", message)
        return tuple(name for _, name in found)

    def _networks(self, value: Mapping[str, Any]) -> tuple[Network, ...]:
        found = (self._read(network, "bad-network", text, path) for path, text in self._sound_items(value, "address"))
        return tuple(one for one in found if one is not None)

    def _ports(self, value: Mapping[str, Any]) -> tuple[PortSet, PortSet]:
        written = self._sound_items(value, "ports")
        found = [self._read(lambda text: ports((text,)), "bad-ports", text, path) for path, text in written]
        readable = [one for one in found if one is not None]
        return PortSet.union(tcp for tcp, _ in readable), PortSet.union(udp for _, udp in readable)

    def _read(self, read: Callable[[str], Any], fault: str, text: str, path: Path) -> Any:
        try:
            return read(text)
        except ValueError as error:
            self._problem(path, fault, str(error))
            return None

    def _words(self, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
        return tuple(text for _, text in self._sound_items(value, key))

    def _sound_items(self, value: Mapping[str, Any], key: str) -> list[tuple[Path, str]]:
        """The values of a key, of which one may stand alone, with their paths."""
        written = value.get(key, [])
        path: Path = ("match", key)
        alone = not isinstance(written, list)
        every = [(path, written)] if alone else [((*path, index), one) for index, one in enumerate(written)]
        found = [(at, one) for at, one in every if not isinstance(one, Broken)]
        self._sound = self._sound and len(found) == len(every)
        return found

    def _text(self, key: str) -> str | None:
        text: str | None = told(self._value, key)
        if text is not None and not text.strip():
            self._problem((key,), "empty-value", "is blank; write why it is accepted and who answers for it")
        return text

    def _date(self, key: str) -> date | None:
        text = told(self._value, key)
        if text is None:
            self._sound = False
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._problem((key,), "bad-date", f"{shown(text)} is {_DATE}")
            return None

    def _problem(self, path: Path, fault: str, message: str) -> None:
        self._sound = False
        self._tree.problem_in(self._document, (*self._path, *path), fault, message)


def _written(match: Mapping[str, Any], networks: Collection[Network], tcp: PortSet, udp: PortSet) -> str:
    """Compact JSON with sorted keys; each value is a sorted list of words, ports in the fewest ranges."""
    plain = {
        key: sorted({str(one) for one in (value if isinstance(value, list) else [value])})
        for key, value in sorted(match.items())
        if key in _KEYS
    }
    if "address" in plain:
        plain["address"] = sorted({str(one).removesuffix(f"/{one.max_prefixlen}") for one in networks})
    if "ports" in plain:
        plain["ports"] = [
            f"{first}-{last}/{protocol}" if first < last else f"{first}/{protocol}"
            for protocol, ports in ((Protocol.TCP, tcp), (Protocol.UDP, udp))
            for first, last in ports.ranges()
        ]
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
