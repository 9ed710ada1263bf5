"""The services of one host: its roles' and its own, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from auditor.inventory.reading.broken import BROKEN, MISNAMED, Broken, items, sound
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import Ports, ports
from auditor.inventory.reading.text import listed, shown
from auditor.inventory.resolving.agreement import check_agreement
from auditor.inventory.resolving.sources import Sources
from auditor.model.inventory import LOOPBACK, Path, Service, SourceRange
from auditor.model.ports import PortSet
from auditor.model.words import Family, ServiceClass

_REGISTER = ("ticket", "approved_by", "patching", "review_by")
_NO_PORTS: Ports = PortSet(), PortSet()
MAX_SERVICES = 1_000_000  # in all, each role's once for each host that has it: a few roles could make billions


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a host's services are resolved against. `owner` is the host's; `interfaces` leave out the loopback.

    `complete` is false where the interfaces or a name of one were wrong and have been reported, so that names may be
    missing; `settled` likewise where a role was.
    """

    host: str
    roles: tuple[str, ...]
    services: Any
    interfaces: tuple[str, ...]
    owner: str | None
    complete: bool
    settled: bool


class _Fields:
    """A service's keys after overriding, each with the path of the declaration that it came from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, Any] = {}
        self.origins: dict[str, Path] = {}

    def layer(self, values: Mapping[str, Any], path: Path) -> None:
        for key, value in values.items():
            self.values[key] = value
            self.origins[key] = path

    def get(self, key: str, default: Any = None) -> Any:
        """The value; the default where it is null, not there or broken."""
        value = self.values.get(key)
        return default if value is None or isinstance(value, Broken) else value

    def items(self, key: str) -> list[Any]:
        """The items of a list, some of which may be broken."""
        value = self.values.get(key)
        return [] if value is None else items(value)

    def sound(self, key: str) -> bool:
        return sound(self.values.get(key))

    def at(self, key: str) -> Path:
        return (*self.origins[key], key) if key in self.origins else self.path


class ServiceNames:
    """Which services each host has after its roles; what it drops by null it has not."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names: dict[str, frozenset[str] | None] = {}

    def of(self, host: str) -> frozenset[str] | None:
        """None where they cannot be told."""
        if host not in self._names:
            self._names[host] = self._of(self._tree.data["hosts"][host])
        return self._names[host]

    def _of(self, host: Any) -> frozenset[str] | None:
        if isinstance(host, Broken):
            return None
        roles = [
            None if isinstance(role, Broken) else services_of(self._tree, role) for role in items(host.get("roles", []))
        ]
        own = host.get("services", {})
        layers = [own, *roles]
        if any(not isinstance(layer, dict) or MISNAMED in layer.values() for layer in layers):
            return None
        names = {name for layer in layers for name, one in layer.items() if one is not None}
        return frozenset(name for name in names if own.get(name, True) is not None)


class Services:
    """Resolves the services of each host."""

    def __init__(self, tree: Tree, sources: Sources) -> None:
        self._tree = tree
        self._sources = sources
        self._names = ServiceNames(tree)
        self._left = MAX_SERVICES

    def of(self, host: Attachment) -> tuple[Service, ...]:
        """The services as far as they could be resolved, by name; the rest are problems."""
        if isinstance(host.services, Broken):  # what the roles say may be overridden there
            return ()
        found = []
        fronts = {}
        names = set(host.services)
        if MISNAMED not in host.services.values():  # which may be meant to override any of a role's
            names.update(*(services_of(self._tree, role) or () for role in host.roles))
        self._left -= len(names)
        if self._left < 0:
            message = f"declares more than {MAX_SERVICES} services on its hosts; split it into several inventories"
            self._tree.stop("over-a-limit", message)
        for name in sorted(names):
            fields = _combined(self._tree, host, name)
            if fields:
                fronts[name] = _behind(self._tree, self._names, host, name, fields)
                service = _service(self._tree, self._sources, host, name, fields)
                if service:
                    found.append(service)
        check_agreement(self._tree, host.host, found, fronts)
        return tuple(found)


def check_roles(tree: Tree, sources: Sources) -> None:
    """Report what is wrong in roles whether or not a host has them."""
    for role in tree.data["roles"]:
        for name, service in (services_of(tree, role) or {}).items():
            if isinstance(service, dict):
                fields = _Fields(("roles", role, "services", name))
                fields.layer(service, fields.path)
                _ports(tree, fields)
                _sources(sources, fields)
                _register(tree, fields)


def role_is_sound(tree: Tree, role: str) -> bool:
    """Whether it is known which services the role has."""
    services = services_of(tree, role)
    return services is not None and MISNAMED not in services.values()


def services_of(tree: Tree, role: str) -> Mapping[str, Any] | None:
    """A role's services; None where they cannot be told."""
    value = tree.data["roles"].get(role)
    services = value.get("services", {}) if isinstance(value, dict) else None
    return services if isinstance(services, dict) else None


def _combined(tree: Tree, host: Attachment, name: str) -> _Fields | None:
    """The roles' keys under the host's own; None where the host drops the service or a part of it is broken.

    A key in which roles differ, which is a problem, is broken then.
    """
    own = host.services.get(name, {})
    roles = [(role, services_of(tree, role) or {}) for role in host.roles]
    layers = [(role, services[name]) for role, services in roles if name in services]
    if own is None or any(isinstance(layer, Broken) for layer in (own, *(layer for _, layer in layers))):
        return None
    layers = [(role, layer) for role, layer in layers if layer is not None]
    path: Path = ("hosts", host.host, "services", name)
    if not layers and name not in host.services:
        return None
    fields = _Fields(path if name in host.services else ("roles", layers[0][0], "services", name))
    for role, layer in layers:
        fields.layer(layer, ("roles", role, "services", name))
    for role, layer in layers[1:]:
        first, base = layers[0]
        differ = sorted(key for key in base.keys() | layer.keys() if _differ(base, layer, key) and key not in own)
        if differ:
            where = path if name in host.services else ("hosts", host.host, "roles")
            message = f"the roles `{first}` and `{role}` differ on the service `{name}` in {listed(differ)}"
            right = f"give those keys in hosts.{host.host}.services.{name}, or null to drop it"
            tree.problem(where, "roles-differ", f"{message}; {right}")
            fields.layer(dict.fromkeys(differ, BROKEN), fields.path)
    fields.layer(own, path)
    return fields


def _differ(base: Mapping[str, Any], layer: Mapping[str, Any], key: str) -> bool:
    one, other = base.get(key), layer.get(key)
    return one != other and sound(one) and sound(other)


def _service(tree: Tree, sources: Sources, host: Attachment, name: str, fields: _Fields) -> Service | None:
    """The service as far as it can be told; None where it is not even clear which endpoints it declares as what."""
    tcp, udp = _ports(tree, fields, required=host.settled)
    interfaces = _interfaces(tree, host, name, fields)
    ranges = _sources(sources, fields)
    local = _only_loopback(fields, interfaces)
    if ranges == () and host.settled and local is False:
        known = f"; known: {listed(tree.data['ranges'])}" if tree.data["ranges"] else ""
        message = f"`from` is missing: name the source ranges that it is meant for{known}"
        tree.problem(fields.path, "missing-key", message)
    register = _register(tree, fields)
    if interfaces is None or not (tcp or udp) or not (fields.sound("class") and fields.sound("families")):
        return None
    declared = fields.get("class")
    return Service(
        name=name,
        tcp=tcp,
        udp=udp,
        interfaces=interfaces,
        sources=() if local else ranges or (),
        families=_FAMILIES[tuple(sorted(set(fields.get("families", ("ipv4", "ipv6")))))],
        declared_class=ServiceClass(declared) if declared else None,
        protocol=fields.get("protocol"),
        optional=fields.get("optional", False),
        answers=fields.get("answers", True),
        behind=fields.get("behind"),
        owner=fields.get("owner", host.owner),
        reason=fields.get("reason"),
        register=register,
        location=tree.at(fields.path),
    )


_FAMILIES = {
    ("ipv4",): frozenset({Family.IPV4}),
    ("ipv6",): frozenset({Family.IPV6}),
    ("ipv4", "ipv6"): frozenset(Family),
}


def _ports(tree: Tree, fields: _Fields, *, required: bool = False) -> Ports:
    """Those that can be read; each of the others is a problem."""
    value = fields.values.get("ports")
    if value is None:
        if required:
            tree.problem(fields.path, "missing-key", "`ports` is missing: write them, such as `443/tcp`")
        return _NO_PORTS
    texts = [value] if isinstance(value, str) else items(value)
    readable = []
    for index, text in enumerate(texts):
        if isinstance(text, Broken):
            continue
        try:
            ports((text,))
        except ValueError as error:
            at = fields.at("ports")
            tree.problem(at if isinstance(value, str) else (*at, index), "bad-ports", str(error))
        else:
            readable.append(text)
    return ports(tuple(readable))


def _interfaces(tree: Tree, host: Attachment, name: str, fields: _Fields) -> tuple[str, ...] | None:
    """Those that the host has; None where they cannot be told."""
    known = {*host.interfaces, LOOPBACK}
    if fields.values.get("interfaces") is None:
        if len(host.interfaces) == 1 and host.complete:
            return host.interfaces
        if host.complete and host.settled:
            message = f"`interfaces` is missing, and the host has {listed(host.interfaces) or 'none'}"
            tree.problem(fields.path, "missing-key", f"{message}; name those it listens on")
        return None
    if not host.complete:
        return None
    wanted = fields.items("interfaces")
    kept = tuple(dict.fromkeys(one for one in wanted if one in known))
    path = fields.at("interfaces")
    if path[0] == "hosts":
        for index, one in enumerate(wanted):
            if one not in known and not isinstance(one, Broken):
                message = f"the host has no interface {shown(one)}{tree.suggestions.of(one, known)}"
                tree.problem((*path, index), "unknown-name", message)
    elif not kept and sound(wanted):
        message = f"none of the interfaces {listed(wanted)} of the role's service `{name}` is on this host"
        where: Path = ("hosts", host.host, "services" if name in host.services else "roles")
        where = (*where, name) if name in host.services else where
        message = f"{message}, which has {listed(sorted(known))}; give its `interfaces`, or null to drop it"
        tree.problem(where, "no-interface", message)
    return kept or None


def _only_loopback(fields: _Fields, interfaces: tuple[str, ...] | None) -> bool | None:
    """Whether the service is on the loopback alone; None where a broken interface leaves that open."""
    wanted = fields.items("interfaces")
    named = {one for one in (wanted if interfaces is None else interfaces) if not isinstance(one, Broken)}
    if named - {LOOPBACK}:
        return False
    return bool(named) if sound(wanted) else None


def _sources(sources: Sources, fields: _Fields) -> tuple[SourceRange, ...] | None:
    """None where they cannot all be told."""
    written = fields.values.get("from")
    return () if written is None else sources.of(fields.at("from"), written)


def _register(tree: Tree, fields: _Fields) -> dict[str, str]:
    register = {key: fields.values[key] for key in _REGISTER if fields.get(key) is not None}
    if "review_by" in register:
        try:
            date.fromisoformat(register["review_by"])
        except ValueError:
            message = f"{shown(register['review_by'])} is no date of the calendar; write one such as `2026-12-31`"
            tree.problem(fields.at("review_by"), "bad-date", message)
    return register


def _behind(tree: Tree, names: ServiceNames, host: Attachment, name: str, fields: _Fields) -> tuple[str, str] | None:
    """Host and name of the service that this one is behind; None where there is none or it cannot be told."""
    written = fields.get("behind")
    if written is None:
        return None
    readings = {(host.host, written): None}  # in order, each once
    for at, char in enumerate(written):
        if char == "." and written[:at] in tree.data["hosts"]:
            readings[written[:at], written[at + 1 :]] = None
    complete = all(names.of(one) is not None for one, _ in readings)
    own = names.of(host.host) or frozenset({name})
    meant = [
        (one, service) for one, service in readings if service in (own if one == host.host else names.of(one) or ())
    ]
    path = fields.at("behind")
    if not meant and complete and "hosts" not in tree.broken:
        message = f"no service is named {shown(written)}, and one of another host is `HOST.SERVICE`"
        tree.problem(path, "unknown-name", f"{message}{tree.suggestions.of(written, own - {name})}")
    elif len(meant) > 1:
        every = listed([f"{one} of {where}" for where, one in meant])
        tree.problem(path, "ambiguous-name", f"{shown(written)} can mean {every}; rename one of them")
    elif meant == [(host.host, name)]:
        message = "a service cannot be behind itself; name the one that clients come through"
        tree.problem(path, "self-reference", message)
    return meant[0] if len(meant) == 1 and complete else None
