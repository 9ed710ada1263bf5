"""Lint of source ranges, as they are declared and as `from` names them, and of roles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.addresses import Members
from auditor.inventory.lint.note import Note
from auditor.inventory.reading.places import Places
from auditor.inventory.reading.text import clean
from auditor.model.inventory import Inventory, SourceRange
from auditor.model.words import Network

_MOST_COMPARED = 8  # sources that share a network, as candidates to cover another one


def range_notes(inventory: Inventory, places: Places) -> Iterator[Note]:
    known = _known(inventory)
    named = {network: name for name, one in sorted(inventory.ranges.items(), reverse=True) for network in one.networks}
    notes: dict[tuple[str, ...], list[tuple[int, str, str]]] = {}  # of each distinct `from`
    for path, entries in places.sources():
        key = tuple(entries)
        if key not in notes:
            notes[key] = [*_literals(key, known, named), *_shadowed(key, known)]
        for index, rule, message in notes[key]:
            yield Note(rule, (*path, index), message)
    used = {entry for key in notes for entry in key}
    for name in inventory.ranges:
        if name not in used:
            yield Note(
                "unused-range", ("ranges", name), "no service has this range in its `from`; remove it, or use it"
            )


def role_notes(inventory: Inventory, places: Places) -> Iterator[Note]:
    used = {role for host in inventory.hosts.values() for role in host.roles}
    for role in places.roles():
        if role not in used:
            yield Note("unused-role", ("roles", role), "no host has this role; remove it, or give it to a host")


def _known(inventory: Inventory) -> dict[str, SourceRange]:
    """Each source that a range or a service of the inventory has, by what is written in `from`."""
    return {source.name: source for sources in inventory.source_sets() for source in sources} | dict(inventory.ranges)


def _literals(
    entries: Sequence[str], known: dict[str, SourceRange], named: dict[Network, str]
) -> Iterator[tuple[int, str, str]]:
    for index, entry in enumerate(entries):
        if entry not in known or known[entry].named:
            continue
        (found,) = known[entry].networks
        name = named.get(found)
        if name is None:
            continue
        if found.prefixlen == 0:
            message = f"`{entry}` is everybody, and the range `{clean(name)}` says so by name"
            yield index, "wildcard-range", f"{message}; write it, or the networks that are meant"
        else:
            message = f"`{entry}` is in the range `{clean(name)}`"
            yield index, "literal-range", f"{message}; write the name if that is what is meant"


def _shadowed(entries: Sequence[str], known: dict[str, SourceRange]) -> Iterator[tuple[int, str, str]]:
    """Entries that are wholly within another one. Of two that are the same, the second is."""
    first: dict[str, int] = {}
    for index, entry in enumerate(entries):
        if first.setdefault(entry, index) != index:
            yield index, "shadowed-range", f"`{clean(entry)}` is here twice; keep one"
    sources = {index: known[entry] for entry, index in first.items() if entry in known}
    owners: dict[Network, list[int]] = {}
    for index, source in sources.items():
        for one in source.networks:
            owners.setdefault(one, []).append(index)
    lengths = {4: set[int](), 6: set[int]()}
    for one in owners:
        lengths[one.version].add(one.prefixlen)
    members: dict[int, Members] = {}
    for index, source in sources.items():
        for other in _candidates(source.networks[0], owners, lengths):
            if other == index or (other > index and sources[other].networks == source.networks):
                continue
            within = members.setdefault(other, Members(sources[other].networks))
            if all(one in within for one in source.networks):
                cover = clean(sources[other].name)
                message = f"`{clean(source.name)}` is within `{cover}`, which is here too, so that it opens nothing"
                yield index, "shadowed-range", f"{message}; remove the one that is not meant"
                break


def _candidates(one: Network, owners: dict[Network, list[int]], lengths: dict[int, set[int]]) -> Iterator[int]:
    """The entries that hold the network, the widest first."""
    for length in sorted(lengths[one.version]):
        if length <= one.prefixlen:
            yield from owners.get(one.supernet(new_prefix=length), ())[:_MOST_COMPARED]
