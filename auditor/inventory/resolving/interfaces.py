"""Interfaces of hosts, to whom each address belongs, and hosts and roles as sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_network
from typing import Any

from auditor import addresses
from auditor.inventory.reading.broken import MISNAMED, Broken, Wrong, items
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import address_or_name, network
from auditor.inventory.reading.text import shown
from auditor.model.inventory import LOOPBACK, Interface, Path, Scope, SourceRange
from auditor.model.words import Address, Network, Trust


@dataclass(frozen=True, slots=True)
class Attached:
    """A host's interfaces by name. `whole` is false where one of them, or an address, was wrong and is reported."""

    interfaces: dict[str, Interface]
    whole: bool


def resolve_interfaces(tree: Tree, scope: Scope | None) -> dict[str, Attached]:
    """The interfaces of every host that is not broken as a whole, by its name."""
    taken = _Taken(tree, scope)
    return {
        name: _attached(tree, taken, ("hosts", name, "interfaces"), value["interfaces"])
        for name, value in sorted(tree.data["hosts"].items())
        if not isinstance(value, Broken)
    }


class _Taken:
    """Where each address was declared first, and whether the scope allows it."""

    def __init__(self, tree: Tree, scope: Scope | None) -> None:
        self._tree = tree
        self._scope = scope
        self._allowed = addresses.Members(scope.allow) if scope else None
        self._first: dict[Address | str, Path] = {}

    def take(self, path: Path, text: str) -> Address | str | None:
        """An address, or a DNS name; None, and a problem, where it is neither."""
        try:
            found = address_or_name(text)
        except ValueError as error:
            self._tree.problem(path, "bad-address", str(error))
            return None
        if self._allowed is not None and not isinstance(found, str) and found not in self._allowed:
            message = f"{found} is outside `scope.allow`, so it can never be audited"
            self._tree.problem(path, "outside-scope", f"{message}; allow it there, or remove it here")
        first = self._first.setdefault(found, path)
        if first != path:
            self._tree.problem(path, "address-twice", self._twice(found, first, path))
        return found

    def prefix(self, path: Path, text: str) -> Network | None:
        """A prefix within which addresses change, maybe those of other hosts too; None, and a problem, where wrong."""
        try:
            found = network(text)
        except ValueError as error:
            self._tree.problem(path, "bad-network", str(error))
            return None
        if self._scope and (rest := addresses.difference((found,), self._scope.allow)):
            message = f"{', '.join(map(str, rest[:3]))} is outside `scope.allow`, so it can never be audited"
            self._tree.problem(path, "outside-scope", f"{message}; allow it there, or write a smaller prefix")
        return found

    def _twice(self, found: Address | str, first: Path, path: Path) -> str:
        if first[1] == path[1]:
            return f"{found} is already on the interface `{first[3]}` of this host; keep one"
        message = f"{found} already belongs to the host `{first[1]}` ({self._tree.at(first)})"
        return f"{message}; a floating or shared address is a host of its own, with `members`"


def _attached(tree: Tree, taken: _Taken, path: Path, declared: Any) -> Attached:
    interfaces = {}
    whole = not isinstance(declared, Broken)
    for name, value in sorted(declared.items()) if isinstance(declared, dict) else ():
        if value is MISNAMED:
            whole = False
            continue
        if name == LOOPBACK:
            message = "`loopback` is built in, 127.0.0.0/8 and ::1 of the host itself, and never probed"
            tree.problem((*path, name), "reserved-name", f"{message}; give this interface another name")
            whole = False
            continue
        short = not isinstance(value, dict)
        where = (*path, name) if short else (*path, name, "addresses")
        texts = items(value if short else value.get("addresses", []))
        if not texts and not (value.get("dynamic") or value.get("bind")):
            tree.problem(where[:-1], "missing-key", "`addresses` is missing; write them, such as `[203.0.113.10]`")
        found = [
            None if isinstance(text, Broken) else taken.take((*where, index), text) for index, text in enumerate(texts)
        ]
        names = tuple(one for one in found if isinstance(one, str))
        prefixes = [] if short else items(value.get("dynamic", []))
        within = [
            None if isinstance(text, Broken) else taken.prefix((*path, name, "dynamic", index), text)
            for index, text in enumerate(prefixes)
        ]
        fixed = tuple(one for one in found if one and not isinstance(one, str))
        interfaces[name] = Interface(name, fixed, names, tuple(one for one in within if one))
        whole = whole and bool(found or within) and None not in found and None not in within
    return Attached(interfaces, whole)


class Machines:
    """Declared hosts as sources: one host, or all that have a role. They are our own, so they are trusted."""

    def __init__(self, tree: Tree, attached: Mapping[str, Attached]) -> None:
        self._tree = tree
        self._attached = attached

    def source(self, entry: str) -> SourceRange | Wrong | None:
        """What `host:NAME` or `role:NAME` names; else what is wrong; None where that is reported elsewhere."""
        what, _, name = entry.partition(":")
        section = f"{what}s"
        if name not in self._tree.data[section]:
            if section in self._tree.broken:
                return None
            meant = self._tree.suggestions.of(name, self._tree.data[section])
            return Wrong("unknown-name", f"no {what} is named {shown(name)}{meant}")
        if what == "host":
            return self._range(entry, [name])
        if not self._roles_are_whole:
            return None
        members = self._by_role.get(name, ())
        if not members:
            message = f"no host has the role {shown(name)}, so that nobody is meant"
            return Wrong("nobody-meant", f"{message}; give it to a host, or remove it here")
        return self._range(entry, members)

    def _range(self, entry: str, hosts: Iterable[str]) -> SourceRange | Wrong | None:
        """Their declared addresses. Those within `dynamic` prefixes may be others' at another time."""
        found = [self._attached.get(host) for host in hosts]
        if not all(one is not None and one.whole for one in found):
            return None
        interfaces = [each for one in found if one for each in one.interfaces.values()]
        networks = (ip_network(address) for interface in interfaces for address in interface.addresses)
        names = tuple(name for interface in interfaces for name in interface.names)
        if not names and not any(interface.addresses for interface in interfaces):
            message = f"{shown(entry)} has only addresses that change, and others may have those at another time"
            return Wrong("nobody-meant", f"{message}; write the `dynamic` prefix here, if all of it is meant")
        return SourceRange(entry, addresses.difference(networks), Trust.TRUSTED, names=names)

    @cached_property
    def _by_role(self) -> dict[str, list[str]]:
        members: dict[str, list[str]] = {}
        for name, host in self._tree.data["hosts"].items():
            for role in items(host.get("roles", [])):
                members.setdefault(role, []).append(name)
        return members

    @cached_property
    def _roles_are_whole(self) -> bool:
        """Whether it is known of every host which roles it has."""
        hosts = self._tree.data["hosts"].values()
        return "hosts" not in self._tree.broken and not any(
            isinstance(host, Broken) or any(isinstance(role, Broken) for role in items(host.get("roles", [])))
            for host in hosts
        )
