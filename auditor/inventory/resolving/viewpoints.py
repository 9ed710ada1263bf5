"""The scope, and the viewpoints within it."""

from __future__ import annotations

from typing import Any

from auditor import addresses
from auditor.inventory.reading.broken import Broken, items, told
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import address, canary
from auditor.inventory.reading.text import shown
from auditor.inventory.resolving.limits import viewpoint_limits
from auditor.inventory.resolving.sources import named, networks
from auditor.model.inventory import (
    Canary,
    DockerVia,
    KubectlVia,
    LocalVia,
    NetnsVia,
    Path,
    Scope,
    SourceRange,
    SshVia,
    Via,
    Viewpoint,
)
from auditor.model.words import Address, Boundary, Family, Network, ViewpointKind

AUTO = "auto"  # in place of addresses: those that the system there uses


def resolve_scope(tree: Tree) -> Scope | None:
    """None where what it allows is missing or wrong. What it denies may lack entries that are wrong."""
    if "scope" not in tree.data:
        return None
    scope = tree.data["scope"]
    allow = networks(tree, ("scope", "allow"), scope["allow"])
    deny = networks(tree, ("scope", "deny"), scope.get("deny", []), unicast=False)
    if None in allow:
        return None
    return Scope(tuple(one for one in allow if one), tuple(one for one in deny if one))


def resolve_viewpoints(tree: Tree, scope: Scope | None, ranges: dict[str, SourceRange]) -> dict[str, Viewpoint]:
    viewpoints = {}
    allowed = addresses.Members(addresses.difference(scope.allow)) if scope else None  # adjoining entries as one
    for name, value in sorted(tree.data["viewpoints"].items()):
        if isinstance(value, Broken):
            continue
        if name == "all":
            message = "`-V all` means every viewpoint; give this one another name"
            tree.problem(("viewpoints", name), "reserved-name", message)
        viewpoints[name] = _viewpoint(tree, name, value, scope, allowed, ranges=ranges)
    return viewpoints


def _viewpoint(
    tree: Tree,
    name: str,
    value: dict[str, Any],
    scope: Scope | None,
    allowed: addresses.Members | None,
    *,
    ranges: dict[str, SourceRange],
) -> Viewpoint:
    path: Path = ("viewpoints", name)
    # What is wrong has been reported; as if internal, its targets are the whole scope, so that no other error follows.
    kind = ViewpointKind(told(value, "kind", ViewpointKind.INTERNAL))
    declared = "targets" in value
    targets = (
        _targets(tree, (*path, "targets"), value["targets"], allowed) if declared else _default_targets(kind, scope)
    )
    return Viewpoint(
        name=name,
        kind=kind,
        addresses=_addresses(tree, (*path, "addresses"), value["addresses"]),
        targets=targets or (),
        nat=told(value, "nat", False),
        canaries=_canaries(tree, (*path, "canaries"), value.get("canaries", []), scope, targets),
        boundary=Boundary(told(value, "boundary", Boundary.ANY)),
        rate=int(told(told(value, "limits", {}), "rate", 5000)),
        via=_via(told(value, "via", "local")),
        location=tree.at(path),
        limits=viewpoint_limits(tree, (*path, "limits"), told(value, "limits", {})),
        slices=int(told(told(value, "sweep", {}), "slices", 1)),
        within=_within(tree, path, value, ranges),
    )


def _within(tree: Tree, path: Path, value: dict[str, Any], ranges: dict[str, SourceRange]) -> tuple[Network, ...]:
    """Where the address of a viewpoint lies that has no fixed one."""
    within: list[Network] = []
    entries = value.get("within", [])
    for index, entry in enumerate([entries] if isinstance(entries, str) else items(entries)):
        found = None if isinstance(entry, Broken) else named(tree, ranges, entry, machines=False)
        if isinstance(found, SourceRange):
            within += found.networks
        elif found:
            at = (*path, "within") if isinstance(entries, str) else (*path, "within", index)
            tree.problem(at, found.fault, found.message)
    if value["addresses"] != AUTO:
        if "within" in value and not isinstance(value["addresses"], Broken):
            tree.problem(
                (*path, "within"), "not-with-auto", "goes with `addresses: auto`, and these are fixed; leave it out"
            )
        return ()
    if "within" not in value:
        message = "`auto` is whatever the system there uses, and needs `within`: the range that this has to lie in"
        tree.problem((*path, "addresses"), "missing-key", f"{message}, such as `within: 10.20.0.0/16`")
    if told(value, "nat", False):
        message = "true says that targets see another address than the system there uses: `auto` cannot find that one"
        tree.problem((*path, "nat"), "not-with-auto", f"{message}; write it under `addresses`")
    return addresses.difference(within)


def _addresses(tree: Tree, path: Path, texts: Any) -> tuple[Address, ...]:
    found: dict[Family, Address] = {}
    for index, text in enumerate(items(texts) if texts != AUTO else ()):
        if isinstance(text, Broken):
            continue
        try:
            one = address(text)
        except ValueError as error:
            tree.problem((*path, index), "bad-address", str(error))
            continue
        family = Family.of(one)
        if family in found:
            message = f"a viewpoint has at most one {family.spelled} address, and {found[family]} is one already"
            tree.problem((*path, index), "family-twice", f"{message}; keep the one that targets see")
        found.setdefault(family, one)
    return tuple(found.values())


def _default_targets(kind: ViewpointKind, scope: Scope | None) -> tuple[Network, ...]:
    """Each entry of the scope; for a public viewpoint, what of that entry is not private."""
    allow = scope.allow if scope else ()
    if kind is not ViewpointKind.PUBLIC:
        return allow
    return tuple(part for entry in allow for part in addresses.difference([entry], addresses.PRIVATE))


def _targets(tree: Tree, path: Path, texts: Any, allowed: addresses.Members | None) -> tuple[Network, ...] | None:
    """As declared; None where they cannot all be told."""
    targets = networks(tree, path, texts)
    for index, target in enumerate(targets):
        if target and allowed is not None and target not in allowed:
            message = f"{target} is not within `scope.allow`, and nothing outside it is ever probed"
            tree.problem((*path, index), "outside-scope", f"{message}; narrow it, or allow it there")
    known = tuple(one for one in targets if one)
    return known if len(known) == len(targets) else None


def _canaries(
    tree: Tree, path: Path, texts: Any, scope: Scope | None, targets: tuple[Network, ...] | None
) -> tuple[Canary, ...]:
    """Whether they are within the targets is asked only where those can be told."""
    found = []
    within = None if targets is None else addresses.Members(targets)
    for index, text in enumerate(items(texts)):
        if isinstance(text, Broken):
            continue
        try:
            one = canary(text)
        except ValueError as error:
            tree.problem((*path, index), "bad-canary", str(error))
            continue
        if scope and not addresses.in_scope(one.address, scope):
            message = f"{shown(text)} is outside the scope, and nothing outside it is ever probed"
            tree.problem((*path, index), "outside-scope", message)
        elif scope and within is not None and one.address not in within:
            message = f"{shown(text)} is outside the viewpoint's targets, where it proves no path"
            tree.problem((*path, index), "outside-targets", message)
        found.append(one)
    return tuple(found)


def _via(value: Any) -> Via:
    """What is wrong has been reported, and is local here."""
    if not isinstance(value, dict):
        return LocalVia()
    if netns := told(value, "netns"):
        return NetnsVia(netns)
    if (ssh := told(value, "ssh", {})) and (host := told(ssh, "host")):
        port = told(ssh, "port")
        return SshVia(host, told(ssh, "user"), None if port is None else int(port), told(ssh, "sudo", False))
    if (docker := told(value, "docker", {})) and (container := told(docker, "container")):
        return DockerVia(container, told(docker, "image"))
    if (kubectl := told(value, "kubectl", {})) and (pod := told(kubectl, "pod")):
        keys = ("context", "namespace", "container", "image")
        return KubectlVia(pod, **{key: told(kubectl, key) for key in keys})
    return LocalVia()
