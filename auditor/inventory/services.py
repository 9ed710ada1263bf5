"""The services of one host: its roles' and its own, key by key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from auditor.inventory.files import Tree
from auditor.inventory.literals import Ports, ports
from auditor.inventory.schema import BROKEN
from auditor.inventory.sources import Sources
from auditor.inventory.text import Path, listed, shown, suggest
from auditor.model.inventory import LOOPBACK, Service, SourceRange
from auditor.model.ports import PortSet
from auditor.model.words import Family, ServiceClass

_REGISTER = ("ticket", "approved_by", "patching", "review_by")
_NO_PORTS: Ports = PortSet(), PortSet()


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a host's services are resolved against. `owner` is the host's; `interfaces` leave out the loopback.

    `complete` is false where an interface was wrong and has been reported, so that names may be missing; `settled`
    likewise where a role was.
    """

    host: str
    roles: tuple[str, ...]
    services: Mapping[str, Any]
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
        value = self.values.get(key)
        return default if value is None else value

    @property
    def broken(self) -> bool:
        return any(value is BROKEN for value in self.values.values())

    def at(self, key: str) -> Path:
        return (*self.origins[key], key) if key in self.origins else self.path


def resolve_services(tree: Tree, sources: Sources, host: Attachment) -> tuple[Service, ...]:
    """The services that could be resolved, by name; the rest are problems."""
    names = set(host.services).union(*(services_of(tree, role) or () for role in host.roles))
    found = []
    for name in sorted(names):
        fields = _combined(tree, host, name)
        service = _service(tree, sources, host, name, fields) if fields else None
        if service:
            found.append(service)
    _agree(tree, host, found)
    return tuple(found)


def check_roles(tree: Tree, sources: Sources) -> None:
    """Report what is wrong in roles whether or not a host has them."""
    for role, value in tree.data["roles"].items():
        for name, service in value.get("services", {}).items() if isinstance(value, dict) else ():
            if isinstance(service, dict):
                fields = _Fields(("roles", role, "services", name))
                fields.layer(service, fields.path)
                _ports(tree, fields)
                _sources(sources, fields)  # a key that is BROKEN has been reported
                _register(tree, fields)


def services_of(tree: Tree, role: str) -> Mapping[str, Any] | None:
    """A role's services; None where they cannot be told."""
    value = tree.data["roles"].get(role)
    services = value.get("services", {}) if isinstance(value, dict) else None
    return services if isinstance(services, dict) else None


def _combined(tree: Tree, host: Attachment, name: str) -> _Fields | None:
    """The roles' keys under the host's own; None where the host drops the service or a part of it is broken."""
    own = host.services.get(name, {})
    roles = [(role, services_of(tree, role) or {}) for role in host.roles]
    layers = [(role, services[name]) for role, services in roles if name in services]
    if own is None or own is BROKEN or any(layer is BROKEN for _, layer in layers):
        return None
    layers = [(role, layer) for role, layer in layers if layer is not None]
    path: Path = ("hosts", host.host, "services", name)
    if not layers and name not in host.services:
        return None
    for role, layer in layers[1:]:
        first, base = layers[0]
        differ = sorted(key for key in base.keys() | layer.keys() if _differ(base, layer, key) and key not in own)
        if differ:
            where = path if name in host.services else ("hosts", host.host, "roles")
            message = f"the roles `{first}` and `{role}` differ on the service `{name}` in {listed(differ)}"
            tree.problem(where, f"{message}; give those keys in hosts.{host.host}.services.{name}, or null to drop it")
            return None
    fields = _Fields(path if name in host.services else ("roles", layers[0][0], "services", name))
    for role, layer in layers:
        fields.layer(layer, ("roles", role, "services", name))
    fields.layer(own, path)
    return fields


def _service(tree: Tree, sources: Sources, host: Attachment, name: str, fields: _Fields) -> Service | None:
    before = len(tree.problems)
    tcp, udp = _ports(tree, fields, required=host.settled)
    interfaces = _interfaces(tree, host, name, fields)
    ranges = _sources(sources, fields)
    local = interfaces == (LOOPBACK,) or fields.get("interfaces") in ([LOOPBACK], BROKEN)
    if not fields.get("from") and host.settled and not local:
        known = f"; known: {listed(tree.data['ranges'])}" if tree.data["ranges"] else ""
        tree.problem(fields.path, f"`from` is missing: name the source ranges that it is meant for{known}")
    register = _register(tree, fields)
    _behind(tree, host, name, fields)
    if len(tree.problems) > before or interfaces is None or ranges is None or not (tcp or udp) or fields.broken:
        return None
    declared = fields.get("class")
    return Service(
        name=name,
        tcp=tcp,
        udp=udp,
        interfaces=interfaces,
        sources=() if local else ranges,
        families=_FAMILIES[tuple(sorted(fields.get("families", ("ipv4", "ipv6"))))],
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
    value = fields.get("ports")
    if value is None and required:
        tree.problem(fields.path, "`ports` is missing: write them, such as `443/tcp`")
    if value is None or value is BROKEN:
        return _NO_PORTS
    tcp, udp = _NO_PORTS
    for index, text in enumerate([value] if isinstance(value, str) else value):
        try:
            more = ports((text,))
        except ValueError as error:
            at = fields.at("ports")
            tree.problem(at if isinstance(value, str) else (*at, index), str(error))
        else:
            tcp, udp = tcp | more[0], udp | more[1]
    return tcp, udp


def _interfaces(tree: Tree, host: Attachment, name: str, fields: _Fields) -> tuple[str, ...] | None:
    """None where they cannot be told."""
    known = {*host.interfaces, LOOPBACK}
    wanted = fields.get("interfaces")
    if wanted is BROKEN:
        return None
    if wanted is None:
        if len(host.interfaces) == 1 and host.complete:
            return host.interfaces
        if host.complete and host.settled:
            message = f"`interfaces` is missing, and the host has {listed(host.interfaces) or 'none'}"
            tree.problem(fields.path, f"{message}; name those it listens on")
        return None
    kept = tuple(dict.fromkeys(one for one in wanted if one in known))
    if not host.complete:
        return None
    path = fields.at("interfaces")
    if path[0] == "hosts":
        for index, one in enumerate(wanted):
            if one not in known:
                message = f"the host has no interface {shown(one)}{suggest(one, known)}"
                tree.problem((*path, index), message)
    elif not kept:
        message = f"none of the interfaces {listed(wanted)} of the role's service `{name}` is on this host"
        where: Path = ("hosts", host.host, "services" if name in host.services else "roles")
        where = (*where, name) if name in host.services else where
        tree.problem(where, f"{message}, which has {listed(sorted(known))}; give its `interfaces`, or null to drop it")
    return kept or None


def _sources(sources: Sources, fields: _Fields) -> tuple[SourceRange, ...] | None:
    written = fields.get("from")
    if written is BROKEN:
        return None
    return sources.of(fields.at("from"), written) if written else ()


def _register(tree: Tree, fields: _Fields) -> dict[str, str]:
    register = {key: fields.values[key] for key in _REGISTER if fields.get(key) is not None}
    if "review_by" in register:
        try:
            date.fromisoformat(register["review_by"])
        except ValueError:
            message = f"{shown(register['review_by'])} is no date of the calendar; write one such as `2026-12-31`"
            tree.problem(fields.at("review_by"), message)
    return register


def _behind(tree: Tree, host: Attachment, name: str, fields: _Fields) -> None:
    written = fields.get("behind")
    if written is None:
        return
    own = _names(tree, host.services, host.roles)
    meant = []
    if written in own:
        meant.append((host.host, written))
    for at, char in enumerate(written):
        other = tree.data["hosts"].get(written[:at]) if char == "." else None
        if other is BROKEN:
            return
        if isinstance(other, dict):
            services, roles = other.get("services", {}), other.get("roles", [])
            if any(services_of(tree, role) is None for role in roles):
                return
            if written[at + 1 :] in _names(tree, services, roles):
                meant.append((written[:at], written[at + 1 :]))
    if not meant and host.settled and "hosts" not in tree.broken:
        message = f"no service is named {shown(written)}, and one of another host is `HOST.SERVICE`"
        tree.problem(fields.at("behind"), f"{message}{suggest(written, own - {name})}")
    elif len(meant) > 1:
        every = listed(f"{one} of {where}" for where, one in meant)
        tree.problem(fields.at("behind"), f"{shown(written)} can mean {every}; rename one of them")
    elif meant == [(host.host, name)]:
        tree.problem(fields.at("behind"), "a service cannot be behind itself; name the one that clients come through")


def _names(tree: Tree, services: Mapping[str, Any], roles: Iterable[str]) -> set[str]:
    """The services that a host has after its roles; what it drops by null it has not."""
    names = {name for role in roles for name, one in (services_of(tree, role) or {}).items() if one is not None}
    names.update(name for name, one in services.items() if one is not None)
    return {name for name in names if services.get(name, True) is not None}


def _agree(tree: Tree, host: Attachment, services: list[Service]) -> None:
    """Two names on one endpoint are one declaration: one class, and no two protocols or fronts."""
    taken = _NO_PORTS
    shared = False
    for service in services:
        shared = shared or bool(taken[0].bits & service.tcp.bits or taken[1].bits & service.udp.bits)
        taken = taken[0] | service.tcp, taken[1] | service.udp
    if not shared:
        return
    for index, one in enumerate(services):
        for other in services[index + 1 :]:
            for key, *values in _differences(host.host, one, other) if _overlap(one, other) else ():
                both = " and ".join(f"`{value}`" if value else "none" for value in values)
                path: Path = ("hosts", host.host, "services", other.name)
                message = f"declares an endpoint of the service `{one.name}` too, with another {key} ({both})"
                tree.problem(path, f"{message}; give both the same `{key}`, or separate their ports")


def _differ(base: Mapping[str, Any], layer: Mapping[str, Any], key: str) -> bool:
    one, other = base.get(key), layer.get(key)
    return one != other and BROKEN not in (one, other)


def _differences(host: str, one: Service, other: Service) -> Iterator[tuple[str, str | None, str | None]]:
    if one.declared_class is not other.declared_class:
        yield "class", one.declared_class, other.declared_class
    if one.protocol and other.protocol and one.protocol.lower() != other.protocol.lower():
        yield "protocol", one.protocol, other.protocol
    fronts = {service.behind.removeprefix(f"{host}.") for service in (one, other) if service.behind}
    if len(fronts) == 2:
        yield "behind", one.behind, other.behind


def _overlap(one: Service, other: Service) -> bool:
    ports_met = one.tcp.bits & other.tcp.bits or one.udp.bits & other.udp.bits
    return bool(ports_met and set(one.interfaces) & set(other.interfaces) and one.families & other.families)
