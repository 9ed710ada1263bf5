"""An inventory from its files: read, check, merge, resolve."""

from __future__ import annotations

from pathlib import Path

from auditor.errors import InventoryError
from auditor.inventory.reading.checking import check
from auditor.inventory.reading.cycles import no_cycles
from auditor.inventory.reading.files import Source, Tree, merge, read
from auditor.inventory.reading.later import refuse_later_keys
from auditor.inventory.reading.places import Places
from auditor.inventory.resolving.hosts import resolve_hosts
from auditor.inventory.resolving.interfaces import Machines, resolve_interfaces
from auditor.inventory.resolving.names import Lookup, resolve_names
from auditor.inventory.resolving.policy import resolve_policy
from auditor.inventory.resolving.sources import Sources, resolve_ranges
from auditor.inventory.resolving.viewpoints import resolve_scope, resolve_viewpoints
from auditor.inventory.resolving.waivers import resolve_waivers
from auditor.model.inventory import Inventory, InventoryFile, Scope


def load(path: Path, lookup: Lookup | None = None) -> Inventory:
    """Load the inventory in a file, or in all files below a folder.

    With `lookup`, DNS names are looked up once all is right; without it they stay names, and the network is left
    alone. Raises InventoryError with everything that is wrong with it.
    """
    inventory = load_with_places(path)[0]
    return resolve_names(inventory, lookup) if lookup else inventory


def load_with_places(path: Path, name: str | None = None) -> tuple[Inventory, Places]:
    """The same, and where each of its keys stands. `name` is what messages call the path, where it is a copy."""
    with no_cycles():
        return _load(path, name)


def absent(name: str) -> tuple[Inventory, Places]:
    """The inventory of a path at which there is none: nothing is declared."""
    return Inventory("", Scope(()), {}, {}, {}), Places(merge(Source(name)))


def _load(path: Path, name: str | None) -> tuple[Inventory, Places]:
    source = read(path, name)
    for document in source.documents:
        refuse_later_keys(document)  # before what is broken is taken out, and such keys with it
        check(document)
    tree = merge(source)
    inventory = _resolve(tree, tuple(source.files))
    if tree.problems:
        raise InventoryError(tree.problems)
    return inventory, Places(tree)


def _resolve(tree: Tree, files: tuple[InventoryFile, ...]) -> Inventory:
    for key in ("name", "scope"):
        if key not in tree.data and key not in tree.broken:
            tree.problem((key,), "missing-key", f"`{key}` is missing: exactly one file of an inventory has it")
    scope = resolve_scope(tree)
    ranges = resolve_ranges(tree)
    viewpoints = resolve_viewpoints(tree, scope, ranges)
    attached = resolve_interfaces(tree, scope)
    hosts = resolve_hosts(tree, attached, Sources(tree, ranges, Machines(tree, attached)))
    return Inventory(
        name=tree.data.get("name", ""),
        scope=scope or Scope(()),
        ranges=ranges,
        viewpoints=viewpoints,
        hosts=hosts,
        policy=resolve_policy(tree),
        waivers=resolve_waivers(tree),
        files=files,
    )
