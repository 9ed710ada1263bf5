"""Named ranges and the source sets of services."""

from __future__ import annotations

from typing import Any

from auditor import addresses
from auditor.inventory.reading.broken import Broken, Wrong, items, sound, told
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.literals import is_literal, network
from auditor.inventory.reading.text import shown
from auditor.inventory.resolving.interfaces import Machines
from auditor.model.inventory import MACHINES, Path, SourceRange
from auditor.model.words import Network, Trust


def networks(tree: Tree, path: Path, texts: Any, *, unicast: bool = True) -> list[Network | None]:
    """Each as written; None, and a problem, where it cannot be read. What only takes away need not be `unicast`."""
    found: list[Network | None] = []
    for index, text in enumerate(items(texts)):
        one = None
        if not isinstance(text, Broken):
            try:
                one = network(text, unicast=unicast)
            except ValueError as error:
                tree.problem((*path, index), "bad-network", str(error))
        found.append(one)
    return found


def resolve_ranges(tree: Tree) -> dict[str, SourceRange]:
    ranges = {}
    for name, value in sorted(tree.data["ranges"].items()):
        path = "ranges", name
        if isinstance(value, Broken):
            continue
        found = _range(tree, path, name, value)
        if is_literal(name):
            message = f"the name {shown(name)} reads as an address; give the range another name"
            tree.problem(path, "name-like-address", message)
        elif found:
            ranges[name] = found
    return ranges


def _range(tree: Tree, path: Path, name: str, value: Any) -> SourceRange | None:
    short = isinstance(value, list)
    cidrs = networks(tree, path if short else (*path, "cidrs"), value if short else value["cidrs"])
    without = [] if short else networks(tree, (*path, "except"), value.get("except", []), unicast=False)
    trust = None if short else told(value, "trust")
    written = [one for one in cidrs if one]
    if trust == Trust.TRUSTED and any(one.prefixlen == 0 for one in addresses.difference(written)):
        message = "a default route cannot be trusted: it is everybody; name the networks that are"
        tree.problem((*path, "trust"), "trusted-everybody", message)
    remaining = addresses.difference(written, [one for one in without if one])
    if not remaining and None not in cidrs:
        tree.problem(path, "empty-range", "`except` leaves nothing of the range; narrow it")
    if not remaining or None in (*cidrs, *without):
        return None
    if trust:
        return SourceRange(name, remaining, Trust(trust), declared_trust=True)
    return SourceRange(name, remaining, addresses.trust_of(remaining))


class Sources:
    """Source sets by what is written in `from`: each distinct set and entry is resolved once and shared."""

    def __init__(self, tree: Tree, ranges: dict[str, SourceRange], machines: Machines) -> None:
        self._tree = tree
        self._machines = machines
        self._ranges = ranges
        self._entries: dict[str, SourceRange | Wrong | None] = {}
        self._sets: dict[tuple[str, ...], tuple[SourceRange, ...]] = {}

    def of(self, path: Path, entries: Any) -> tuple[SourceRange, ...] | None:
        """The ranges that a `from` at `path` names; None where one of them is wrong, which is a problem there."""
        if not sound(entries):
            for index, entry in enumerate(items(entries)):
                if not isinstance(entry, Broken):
                    self._checked((*path, index), entry)
            return None
        key = tuple(entries)
        if key not in self._sets:
            found = [self._checked((*path, index), entry) for index, entry in enumerate(entries)]
            ranges = tuple(one for one in found if one)
            if len(ranges) < len(found):
                return None
            self._sets[key] = ranges
        return self._sets[key]

    def _checked(self, path: Path, entry: str) -> SourceRange | None:
        if entry not in self._entries:
            self._entries[entry] = self._one(entry)
        found = self._entries[entry]
        if isinstance(found, Wrong):
            self._tree.problem(path, found.fault, found.message)
            return None
        return found

    def _one(self, entry: str) -> SourceRange | Wrong | None:
        """What the entry names; else what is wrong with it; None where that is reported elsewhere."""
        return self._machines.source(entry) if entry.startswith(MACHINES) else named(self._tree, self._ranges, entry)


def named(
    tree: Tree, ranges: dict[str, SourceRange], entry: str, *, machines: bool = True
) -> SourceRange | Wrong | None:
    """The range, network or address that an entry names; else what is wrong with it; None where that is reported.

    `machines` is whether `host:NAME` and `role:NAME` could have been meant.
    """
    if entry in ranges:
        return ranges[entry]
    known = tree.data["ranges"]
    if entry in known:
        return None
    if is_literal(entry):
        try:
            found = (network(entry),)
        except ValueError as error:
            return Wrong("bad-network", str(error))
        return SourceRange(entry, found, addresses.trust_of(found), named=False)
    if "ranges" in tree.broken:
        return None
    declared = [f"{what}:{entry}" for what in ("host", "role") if machines and entry in tree.data[f"{what}s"]]
    meant = f"; did you mean {' or '.join(map(shown, declared))}?" if declared else tree.suggestions.of(entry, known)
    return Wrong("unknown-name", f"no range is named {shown(entry)}{meant}")
