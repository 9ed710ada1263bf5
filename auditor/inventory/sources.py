"""Named ranges and the source sets of services."""

from __future__ import annotations

from typing import Any

from auditor import addresses
from auditor.inventory.files import Tree
from auditor.inventory.later import unsupported
from auditor.inventory.literals import is_literal, network
from auditor.inventory.schema import BROKEN
from auditor.inventory.text import Path, shown, suggest
from auditor.model.inventory import SourceRange
from auditor.model.words import Network, Trust


def networks(tree: Tree, path: Path, texts: list[str], *, unicast: bool = True) -> tuple[Network, ...]:
    """Those that can be read, as written; each that cannot is a problem. What only takes away need not be `unicast`."""
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(network(text, unicast=unicast))
        except ValueError as error:
            tree.problem((*path, index), str(error))
    return tuple(found)


def resolve_ranges(tree: Tree) -> dict[str, SourceRange]:
    ranges = {}
    for name, value in sorted(tree.data["ranges"].items()):
        path = "ranges", name
        if is_literal(name):
            tree.problem(path, f"the name {shown(name)} reads as an address; give the range another name")
        elif value is not BROKEN:
            found = _range(tree, path, name, value)
            if found:
                ranges[name] = found
    return ranges


def _range(tree: Tree, path: Path, name: str, value: Any) -> SourceRange | None:
    before = len(tree.problems)
    short = isinstance(value, list)
    cidrs = networks(tree, path if short else (*path, "cidrs"), value if short else value["cidrs"])
    without = () if short else networks(tree, (*path, "except"), value.get("except", []), unicast=False)
    if len(tree.problems) > before:
        return None
    remaining = addresses.difference(cidrs, without)
    if not remaining:
        tree.problem(path, "`except` leaves nothing of the range; narrow it")
        return None
    trust = None if short else value.get("trust")
    if trust == Trust.TRUSTED and any(one.prefixlen == 0 for one in addresses.difference(cidrs)):
        tree.problem((*path, "trust"), "a default route cannot be trusted: it is everybody; name the networks that are")
    return SourceRange(name, remaining, Trust(trust) if trust else addresses.trust_of(remaining))


class Sources:
    """Source sets by what is written in `from`: each distinct one is resolved once and shared."""

    def __init__(self, tree: Tree, ranges: dict[str, SourceRange]) -> None:
        self._tree = tree
        self._ranges = ranges
        self._sets: dict[tuple[str, ...], tuple[SourceRange, ...]] = {}

    def of(self, path: Path, entries: list[str]) -> tuple[SourceRange, ...] | None:
        """The ranges that a `from` at `path` names; None where one of them is wrong."""
        key = tuple(entries)
        if key not in self._sets:
            found = [self._one((*path, index), entry) for index, entry in enumerate(entries)]
            ranges = tuple(one for one in found if one)
            if len(ranges) < len(found):
                return None
            self._sets[key] = ranges
        return self._sets[key]

    def _one(self, path: Path, entry: str) -> SourceRange | None:
        if entry in self._ranges:
            return self._ranges[entry]
        if entry in self._tree.data["ranges"]:
            return None  # wrong, and reported where it stands
        if entry.startswith(("host:", "role:")):
            self._tree.problem(path, unsupported(entry.partition(":")[0] + ":"))
        elif is_literal(entry):
            try:
                found = (network(entry),)
            except ValueError as error:
                self._tree.problem(path, str(error))
                return None
            return SourceRange(entry, found, addresses.trust_of(found))
        elif "ranges" not in self._tree.broken:
            self._tree.problem(path, f"no range is named {shown(entry)}{suggest(entry, self._tree.data['ranges'])}")
        return None
