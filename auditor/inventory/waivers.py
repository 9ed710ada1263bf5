"""Waivers and the policy: what is accepted, and what no inventory may declare."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from auditor.inventory.files import Tree
from auditor.inventory.literals import is_literal, network, ports
from auditor.inventory.schema import Broken, items, told
from auditor.inventory.text import Path, shown
from auditor.model.inventory import LOOPBACK, Forbid, Host, Location, Match, Policy, Viewpoint, Waiver
from auditor.model.ports import PortSet
from auditor.model.words import Family, Kind, Network, Protocol, ServiceClass, Severity, Trust

_WHERE = ("host", "address", "tag")  # one of these is required in a match, and one more key
_DATE = "no date of the calendar; write one such as `2026-12-31`"


def resolve_waivers(tree: Tree, hosts: Mapping[str, Host], viewpoints: Mapping[str, Viewpoint]) -> tuple[Waiver, ...]:
    """Those that are sound, in the order of files and lines; the rest are problems."""
    if not tree.waivers:
        return ()
    known = _Known.of(tree, hosts, viewpoints)
    found = (_Reader(tree, known, *one).waiver() for one in tree.waivers if not isinstance(one[2], Broken))
    return tuple(waiver for waiver in found if waiver)


@dataclass(frozen=True, slots=True)
class _Known:
    """The names that a match may give, by key; a key of which some may be missing is not there."""

    names: Mapping[str, Collection[str]]

    @classmethod
    def of(cls, tree: Tree, hosts: Mapping[str, Host], viewpoints: Mapping[str, Viewpoint]) -> _Known:
        names: dict[str, Collection[str]] = {}
        if "viewpoints" not in tree.broken:
            names["viewpoint"] = set(viewpoints)
        if not tree.broken & {"hosts", "roles"} and not tree.problems:  # a broken host hides its names
            every = hosts.values()
            names["host"] = set(hosts)
            names["tag"] = {tag for host in every for tag in host.tags}
            names["service"] = {service.name for host in every for service in host.services}
            names["interface"] = {LOOPBACK, *(name for host in every for name in host.interfaces)}
        return cls(names)


class _Reader:
    """Reads one waiver. Problems go to the document that it stands in."""

    def __init__(self, tree: Tree, known: _Known, document: Any, index: int, value: dict[str, Any]) -> None:
        self._tree = tree
        self._known = known
        self._document = document
        self._path: Path = ("waivers", index)
        self._value = value
        self._sound = True

    def waiver(self) -> Waiver | None:
        since, expires = self._date("since"), self._date("expires")
        if since and expires and since > expires:
            self._problem(("expires",), f"it expires before it begins on {since}; give a later day")
        match = self._match(self._value["match"])
        severity = told(self._value, "severity")
        reason, owner = told(self._value, "reason"), told(self._value, "owner")
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
        if len(value) < 2 or not any(key in value for key in _WHERE):
            message = "is too wide; give one of `host`, `address` and `tag`, and at least one more key"
            self._problem(("match",), message)
        tcp, udp = self._ports(value)
        match = Match(
            written=_written(value),
            hosts=self._names(value, "host"),
            tags=self._names(value, "tag"),
            services=self._names(value, "service"),
            addresses=self._networks(value),
            interfaces=self._names(value, "interface"),
            families=tuple(map(Family, self._sound_items(value, "family"))),
            tcp=tcp,
            udp=udp,
            protocols=tuple(map(Protocol, self._sound_items(value, "protocol"))),
            viewpoints=self._names(value, "viewpoint"),
            kinds=tuple(map(Kind, self._sound_items(value, "kind"))),
            classes=tuple(map(ServiceClass, self._sound_items(value, "class"))),
            fingerprints=tuple(self._sound_items(value, "fingerprint")),
        )
        return match if self._sound else None

    def _names(self, value: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """Patterns and names; a name without `*` must be one that there is."""
        found = self._sound_items(value, key)
        known = self._known.names.get(key)
        for name in found if known is not None else ():
            undeclared = key == "host" and is_literal(name)  # findings at addresses of no host go by the address
            if "*" not in name and name not in (known or ()) and not undeclared:
                self._problem(("match", key), f"no {key} is named {shown(name)}{self._suggest(name, known or ())}")
        return tuple(found)

    def _suggest(self, name: str, known: Collection[str]) -> str:
        return self._tree.suggestions.of(name, known)

    def _networks(self, value: Mapping[str, Any]) -> tuple[Network, ...]:
        return tuple(
            filter(None, (self._read(network, text, "address") for text in self._sound_items(value, "address")))
        )

    def _ports(self, value: Mapping[str, Any]) -> tuple[PortSet, PortSet]:
        found = [self._read(lambda text: ports((text,)), text, "ports") for text in self._sound_items(value, "ports")]
        sound = [one for one in found if one]
        return PortSet.union(tcp for tcp, _ in sound), PortSet.union(udp for _, udp in sound)

    def _read(self, read: Callable[[str], Any], text: str, key: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            self._problem(("match", key), str(error))
            return None

    def _sound_items(self, value: Mapping[str, Any], key: str) -> list[str]:
        """The values of a key, of which one may stand alone."""
        written = value.get(key, [])
        every = items(written if isinstance(written, list) else [written])
        sound = [one for one in every if not isinstance(one, Broken)]
        self._sound = self._sound and len(sound) == len(every)
        return sound

    def _date(self, key: str) -> date | None:
        text = told(self._value, key)
        if text is None:
            self._sound = False
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self._problem((key,), f"{shown(text)} is {_DATE}")
            return None

    def _problem(self, path: Path, message: str) -> None:
        self._sound = False
        self._document.problem((*self._path, *path), message)
        self._tree.problems.append(self._document.problems[-1])


def _written(match: Mapping[str, Any]) -> str:
    """Compact JSON with sorted keys, in which a value alone is a list of one, and lists are sorted."""
    plain = {
        key: sorted(str(one) for one in items(value if isinstance(value, list) else [value]))
        for key, value in sorted(match.items())
    }
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def resolve_policy(tree: Tree, hosts: Mapping[str, Host]) -> Policy:
    value = tree.data.get("policy")
    if not isinstance(value, dict):
        return Policy()
    rules = enumerate(items(value.get("forbid", [])))
    days = told(value, "max_waiver_days")
    return Policy(
        forbid=tuple(_forbid(tree, hosts, index, rule) for index, rule in rules if not isinstance(rule, Broken)),
        require=tuple(one for one in items(value.get("require", [])) if not isinstance(one, Broken)),
        max_waiver_days=int(days) if days is not None else None,
        location=tree.at(("policy",)),
    )


def _forbid(tree: Tree, hosts: Mapping[str, Host], index: int, value: Mapping[str, Any]) -> Forbid:
    path: Path = ("policy", "forbid", index)
    service_class, trust = told(value, "class"), told(value, "trust")
    exceptions = [(at, one) for at, one in enumerate(items(value.get("except", []))) if not isinstance(one, Broken)]
    if not service_class and not trust and not any(isinstance(one, Broken) for one in value.values()):
        tree.problem(path, "forbids every service; give a `class`, a `trust` or both")
    known = (
        {f"{host.name}.{service.name}" for host in hosts.values() for service in host.services} if exceptions else ()
    )
    for at, one in exceptions:
        if one not in known and not tree.problems and not tree.broken:
            message = f"no service is {shown(one)}, written as HOST.SERVICE{tree.suggestions.of(one, known)}"
            tree.problem((*path, "except", at), message)
    return Forbid(
        service_class=ServiceClass(service_class) if service_class else None,
        trust=Trust(trust) if trust else None,
        exceptions=tuple(one for _, one in exceptions),
        location=tree.at(path),
    )
