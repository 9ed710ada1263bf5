"""Hosts: their interfaces, and to whom each address belongs."""

from __future__ import annotations

from typing import Any

from auditor import addresses
from auditor.inventory.files import Tree
from auditor.inventory.literals import address, is_literal
from auditor.inventory.schema import MISNAMED, Broken, items, sound, told
from auditor.inventory.services import Attachment, Services, check_roles, role_is_sound
from auditor.inventory.sources import Sources
from auditor.inventory.text import Path, shown
from auditor.model.inventory import LOOPBACK, Host, Interface, Scope
from auditor.model.words import Address


class _Addresses:
    """Where each address was declared first, and whether the scope allows it."""

    def __init__(self, tree: Tree, scope: Scope | None) -> None:
        self._tree = tree
        self._allowed = addresses.Members(scope.allow) if scope else None
        self._first: dict[Address, Path] = {}

    def take(self, path: Path, text: str) -> Address | None:
        try:
            found = address(text)
        except ValueError as error:
            self._tree.problem(path, str(error))
            return None
        if self._allowed is not None and found not in self._allowed:
            message = f"{found} is outside `scope.allow`, so it can never be audited"
            self._tree.problem(path, f"{message}; allow it there, or remove it here")
        first = self._first.setdefault(found, path)
        if first != path:
            self._tree.problem(path, self._twice(found, first, path))
        return found

    def _twice(self, found: Address, first: Path, path: Path) -> str:
        if first[1] == path[1]:
            return f"{found} is already on the interface `{first[3]}` of this host; keep one"
        message = f"{found} already belongs to the host `{first[1]}` ({self._tree.at(first)})"
        return f"{message}; a floating or shared address is a host of its own, with `members`"


def resolve_hosts(tree: Tree, scope: Scope | None, sources: Sources) -> dict[str, Host]:
    check_roles(tree, sources)
    taken = _Addresses(tree, scope)
    services = Services(tree, sources)
    hosts = {}
    for name, value in sorted(tree.data["hosts"].items()):
        if isinstance(value, Broken):
            continue
        if is_literal(name):  # an address that nobody declares is reported under its own text
            message = f"the name {shown(name)} reads as an address; give the host another name"
            tree.problem(("hosts", name), message)
        hosts[name] = _host(tree, taken, services, name, value)
    if not tree.data["hosts"] and "hosts" not in tree.broken:
        tree.problem(("hosts",), "nothing is declared at all: add at least one host")
    return hosts


def _host(tree: Tree, taken: _Addresses, services: Services, name: str, value: dict[str, Any]) -> Host:
    path: Path = ("hosts", name)
    written = value.get("roles", [])
    roles = _roles(tree, path, written)
    interfaces = _interfaces(tree, taken, (*path, "interfaces"), value["interfaces"])
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
    tags = value["tags"] if "tags" in value else _last(tree, roles, "tags")
    return Host(
        name=name,
        interfaces=interfaces,
        services=services.of(attachment),
        owner=owner,
        tags=tuple(sorted(_sound_items(tags or []))),
        roles=roles,
        members=_members(tree, name, value.get("members", [])),
        firewall=_sound_items(value.get("firewall", [])),
        location=tree.at(path),
    )


def _sound_items(value: Any) -> tuple[str, ...]:
    return tuple(one for one in items(value) if not isinstance(one, Broken))


def _roles(tree: Tree, path: Path, names: Any) -> tuple[str, ...]:
    for index, role in enumerate(items(names)):
        if not isinstance(role, Broken) and role not in tree.data["roles"] and "roles" not in tree.broken:
            message = f"no role is named {shown(role)}{tree.suggestions.of(role, tree.data['roles'])}"
            tree.problem((*path, "roles", index), message)
    return _sound_items(names)


def _last(tree: Tree, roles: tuple[str, ...], key: str) -> Any:
    """What the last of the roles that has the key says."""
    values = (tree.data["roles"].get(role) for role in reversed(roles))
    return next((value[key] for value in values if isinstance(value, dict) and told(value, key) is not None), None)


def _interfaces(tree: Tree, taken: _Addresses, path: Path, declared: Any) -> dict[str, Interface]:
    interfaces = {}
    for name, value in sorted(declared.items()) if isinstance(declared, dict) else ():
        if value is MISNAMED:
            continue
        if name == LOOPBACK:
            message = "`loopback` is built in, 127.0.0.0/8 and ::1 of the host itself, and never probed"
            tree.problem((*path, name), f"{message}; give this interface another name")
            continue
        short = not isinstance(value, dict)
        where = (*path, name) if short else (*path, name, "addresses")
        texts = items(value if short else value.get("addresses", []))
        if not texts and not (value.get("dynamic") or value.get("bind")):
            tree.problem(where[:-1], "`addresses` is missing; write them, such as `[203.0.113.10]`")
        found = [taken.take((*where, index), text) for index, text in enumerate(texts) if not isinstance(text, Broken)]
        interfaces[name] = Interface(name, tuple(one for one in found if one is not None))
    return interfaces


def _members(tree: Tree, name: str, members: Any) -> tuple[str, ...]:
    path: Path = ("hosts", name, "members")
    for index, member in enumerate(items(members)):
        if isinstance(member, Broken):
            continue
        if member == name:
            tree.problem((*path, index), "a host is no member of itself; name the hosts behind its address")
        elif member not in tree.data["hosts"] and "hosts" not in tree.broken:
            message = f"no host is named {shown(member)}{tree.suggestions.of(member, tree.data['hosts'])}"
            tree.problem((*path, index), message)
    return _sound_items(members)
