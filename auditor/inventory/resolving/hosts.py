"""Hosts: their keys, roles and services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.inventory.reading.broken import MISNAMED, Broken, items, sound, told
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import is_literal
from auditor.inventory.reading.text import shown
from auditor.inventory.resolving.interfaces import Attached
from auditor.inventory.resolving.limits import host_limits
from auditor.inventory.resolving.services import Attachment, Services, check_roles, role_is_sound
from auditor.inventory.resolving.sources import Sources
from auditor.model.inventory import Host, Interface, Path


def resolve_hosts(tree: Tree, attached: Mapping[str, Attached], sources: Sources) -> dict[str, Host]:
    """Every host that is not broken as a whole, by its name. `attached` has the interfaces of each."""
    check_roles(tree, sources)
    services = Services(tree, sources)
    hosts = {}
    for name, value in sorted(tree.data["hosts"].items()):
        if isinstance(value, Broken):
            continue
        if is_literal(name):  # an address that nobody declares is reported under its own text
            message = f"the name {shown(name)} reads as an address; give the host another name"
            tree.problem(("hosts", name), "name-like-address", message)
        hosts[name] = _host(tree, attached[name].interfaces, services, name, value)
    if not tree.data["hosts"] and "hosts" not in tree.broken:
        tree.problem(("hosts",), "no-hosts", "nothing is declared at all: add at least one host")
    return hosts


def _host(tree: Tree, interfaces: dict[str, Interface], services: Services, name: str, value: dict[str, Any]) -> Host:
    path: Path = ("hosts", name)
    written = value.get("roles", [])
    roles = _roles(tree, path, written)
    owner = told(value, "owner") or _last(tree, roles, "owner")
    attachment = Attachment(
        host=name,
        roles=roles,
        services=value.get("services", {}),
        interfaces=tuple(interfaces),
        owner=owner,
        complete=not isinstance(value["interfaces"], Broken) and MISNAMED not in value["interfaces"].values(),
        settled=sound(written) and all(role_is_sound(tree, role) for role in roles),
    )
    tags, firewall = (value[key] if key in value else _last(tree, roles, key) for key in ("tags", "firewall"))
    return Host(
        name=name,
        interfaces=interfaces,
        services=services.of(attachment),
        owner=owner,
        tags=tuple(sorted(_sound_items(tags or []))),
        roles=roles,
        members=_members(tree, name, value.get("members", [])),
        firewall=_sound_items(firewall or []),
        location=tree.at(path),
        limits=host_limits(tree, (*path, "limits"), told(value, "limits", {})),
    )


def _sound_items(value: Any) -> tuple[str, ...]:
    return tuple(one for one in items(value) if not isinstance(one, Broken))


def _roles(tree: Tree, path: Path, names: Any) -> tuple[str, ...]:
    for index, role in enumerate(items(names)):
        if not isinstance(role, Broken) and role not in tree.data["roles"] and "roles" not in tree.broken:
            message = f"no role is named {shown(role)}{tree.suggestions.of(role, tree.data['roles'])}"
            tree.problem((*path, "roles", index), "unknown-name", message)
    return _sound_items(names)


def _last(tree: Tree, roles: tuple[str, ...], key: str) -> Any:
    """What the last of the roles that has the key says."""
    values = (tree.data["roles"].get(role) for role in reversed(roles))
    return next((value[key] for value in values if isinstance(value, dict) and told(value, key) is not None), None)


def _members(tree: Tree, name: str, members: Any) -> tuple[str, ...]:
    path: Path = ("hosts", name, "members")
    for index, member in enumerate(items(members)):
        if isinstance(member, Broken):
            continue
        if member == name:
            message = "a host is no member of itself; name the hosts behind its address"
            tree.problem((*path, index), "self-reference", message)
        elif member not in tree.data["hosts"] and "hosts" not in tree.broken:
            message = f"no host is named {shown(member)}{tree.suggestions.of(member, tree.data['hosts'])}"
            tree.problem((*path, index), "unknown-name", message)
    return _sound_items(members)
