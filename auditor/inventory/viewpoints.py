"""The scope, and the viewpoints within it."""

from __future__ import annotations

from typing import Any

from auditor import addresses
from auditor.inventory.files import Tree
from auditor.inventory.literals import address, canary
from auditor.inventory.schema import BROKEN
from auditor.inventory.sources import networks
from auditor.inventory.text import Path, shown
from auditor.model.inventory import Canary, LocalVia, NetnsVia, Scope, Via, Viewpoint
from auditor.model.words import Address, Boundary, Family, Network, ViewpointKind


def resolve_scope(tree: Tree) -> Scope | None:
    """None where it is missing or wrong."""
    if "scope" not in tree.data:
        return None
    before = len(tree.problems)
    scope = tree.data["scope"]
    allow = networks(tree, ("scope", "allow"), scope["allow"])
    sound = len(tree.problems) == before
    deny = networks(tree, ("scope", "deny"), scope.get("deny", []), unicast=False)
    return Scope(allow, deny) if sound else None


def resolve_viewpoints(tree: Tree, scope: Scope | None) -> dict[str, Viewpoint]:
    viewpoints = {}
    for name, value in sorted(tree.data["viewpoints"].items()):
        if name == "all":
            tree.problem(("viewpoints", name), "`-V all` means every viewpoint; give this one another name")
        elif value is not BROKEN:
            viewpoints[name] = _viewpoint(tree, name, value, scope)
    return viewpoints


def _viewpoint(tree: Tree, name: str, value: dict[str, Any], scope: Scope | None) -> Viewpoint:
    path: Path = ("viewpoints", name)
    # What is wrong has been reported; as if internal, its targets are the whole scope, so that no other error follows.
    kind = ViewpointKind.INTERNAL if value["kind"] is BROKEN else ViewpointKind(value["kind"])
    targets = _targets(tree, path, value, kind, scope)
    return Viewpoint(
        name=name,
        kind=kind,
        addresses=_addresses(tree, (*path, "addresses"), value["addresses"]),
        targets=targets,
        nat=value.get("nat", False),
        canaries=_canaries(tree, (*path, "canaries"), value.get("canaries", []), scope, targets),
        boundary=Boundary(value.get("boundary", "any")),
        rate=int(value.get("limits", {}).get("rate", 5000)),
        via=_via(value.get("via", "local")),
        location=tree.at(path),
    )


def _addresses(tree: Tree, path: Path, texts: list[str]) -> tuple[Address, ...]:
    found: dict[Family, Address] = {}
    for index, text in enumerate(texts):
        try:
            one = address(text)
        except ValueError as error:
            tree.problem((*path, index), str(error))
            continue
        family = Family.of(one)
        if family in found:
            message = f"a viewpoint has at most one {_spelled(family)} address, and {found[family]} is one already"
            tree.problem((*path, index), f"{message}; keep the one that targets see")
        found.setdefault(family, one)
    return tuple(found.values())


def _targets(
    tree: Tree, path: Path, value: dict[str, Any], kind: ViewpointKind, scope: Scope | None
) -> tuple[Network, ...]:
    """As declared, else each entry of the scope; for a public viewpoint, what of that entry is not private."""
    if "targets" not in value:
        allow = scope.allow if scope else ()
        if kind is not ViewpointKind.PUBLIC:
            return allow
        return tuple(part for entry in allow for part in addresses.difference([entry], addresses.PRIVATE))
    before = len(tree.problems)
    targets = networks(tree, (*path, "targets"), value["targets"])
    if scope and len(tree.problems) == before:
        allowed = addresses.Members(addresses.difference(scope.allow))  # adjoining entries as one
        for index, target in enumerate(targets):
            if target not in allowed:
                message = f"{target} is not within `scope.allow`, and nothing outside it is ever probed"
                tree.problem((*path, "targets", index), f"{message}; narrow it, or allow it there")
    return targets


def _canaries(
    tree: Tree, path: Path, texts: list[str], scope: Scope | None, targets: tuple[Network, ...]
) -> tuple[Canary, ...]:
    found = []
    for index, text in enumerate(texts):
        try:
            one = canary(text)
        except ValueError as error:
            tree.problem((*path, index), str(error))
            continue
        if scope and not addresses.in_scope(one.address, scope):
            tree.problem((*path, index), f"{shown(text)} is outside the scope, and nothing outside it is ever probed")
        elif scope and targets and not addresses.contains(targets, one.address):
            tree.problem((*path, index), f"{shown(text)} is outside the viewpoint's targets, where it proves no path")
        found.append(one)
    return tuple(found)


def _via(value: Any) -> Via:
    return NetnsVia(value["netns"]) if isinstance(value, dict) and "netns" in value else LocalVia()


def _spelled(family: Family) -> str:
    return "IPv4" if family is Family.IPV4 else "IPv6"
