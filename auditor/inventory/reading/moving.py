"""Where an inventory was before a change moved it: renamed, or split into a folder, or made one file again."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from pathlib import PurePosixPath

from auditor.errors import UsageError
from auditor.inventory.reading.events import parse
from auditor.inventory.reading.files import MAX_BYTES, is_inventory_file
from auditor.inventory.reading.revisions import (
    FILE,
    Revision,
    at_root_path,
    contents,
    everything,
    from_root,
    not_checked_out,
    renamed,
    work_tree,
)
from auditor.inventory.reading.text import clean

_KEYS = frozenset({"version", "name", "scope", "ranges", "viewpoints", "roles", "hosts", "waivers", "policy"})
_MOST = 2_000  # files that one change may take away; which of more belonged together is not looked into
_AT_ONCE = 50  # files that are read together: a folder of other files is known for such by its first ones
_TOLD = 5  # inventories that one message names


@dataclass(frozen=True, slots=True)
class _Whole:
    """An inventory of the revision. Paths are from the repository's root, `path` that of its file or folder.

    `first` is the file that has its `name`.
    """

    path: str
    name: str
    first: str
    files: frozenset[str]


def earlier(asked: Revision, head: Revision | FilePath, name: str) -> Revision | None:
    """Where the revision, which has no inventory at the path asked for, has what is now HEAD; None where it has not.

    `name` is what HEAD calls itself. An inventory was moved where the revision has it and HEAD's repository no more,
    and git takes files of it for HEAD's, renamed, or it alone has HEAD's name. Raises UsageError where something is
    there at HEAD's own path, and where inventories are gone and none of them, or several, may have been moved.
    """
    then = _Then(asked)
    now = _of_revision(head) if isinstance(head, Revision) else _of_work_tree(head)
    if now and then.below(now.path):
        there = at_root_path(asked, now.path)
        raise UsageError(f"{asked}: there is no inventory, and {there} is there; is the path right?")
    gone = then.gone(now.has) if now else []
    if now and gone:
        lost = {file for one in gone for file in one.files if not now.has(file)}
        moved = _moved(gone, renamed(then.read(lost), now.read(then.lacks)), name)
        if moved is None:
            raise UsageError(_untold(asked, gone))
        return at_root_path(asked, moved.path)
    return None


def _moved(gone: Collection[_Whole], renamed: Collection[str], name: str) -> _Whole | None:
    """Which of the inventories that are gone is HEAD's; None where git and the names tell of none, or of several."""
    by_git = [one for one in gone if not one.files.isdisjoint(renamed)]
    by_name = [one for one in gone if one.name == name]
    both = [one for one in by_git if one in by_name]
    told = both if by_git and by_name else by_git or by_name
    return told[0] if len(told) == 1 else None


def _untold(asked: Revision, gone: Sequence[_Whole]) -> str:
    found = [clean(f"{at_root_path(asked, one.path)} (`{one.name}`)", 300) for one in gone]
    more = f" and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return (
        f"{asked}: there is no inventory, and which one became HEAD cannot be told; gone since are "
        f"{', '.join(found[:_TOLD])}{more}; name the one that it was, or let what is gone go in a change of its own"
    )


class _Then:
    """The files of inventories that a revision has, by their paths from the repository's root."""

    def __init__(self, asked: Revision) -> None:
        self._asked = asked
        self._entries = {one.name: one for one in everything(asked) if one.kind == FILE and is_inventory_file(one.name)}
        self._names: dict[str, str | None] = {}
        self._named_in = cache(self._find_named)

    def below(self, path: str) -> list[str]:
        """What is at the path or below it."""
        start = "" if path == "." else f"{path}/"
        return [name for name in self._entries if name == path or name.startswith(start)]

    def lacks(self, name: str) -> bool:
        """Whether the revision has no such file."""
        return name not in self._entries

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """The contents of files, but of those that no loader would read."""
        entries = [one for name in names if (one := self._entries[name]).size <= MAX_BYTES]
        found = contents(entries)
        return {one.name: found[one.blob] for one in entries}

    def gone(self, has: Callable[[str], bool]) -> list[_Whole]:
        """The inventories whose `name` is nowhere any more, sorted."""
        lost = [name for name in self._entries if not has(name)]
        if len(lost) > _MOST:
            raise UsageError(
                f"{self._asked}: there is no inventory, and of {len(lost):,} files that are gone it cannot "
                "be told which it was; name it, or compare in smaller steps"
            )
        self._classify(lost)
        found = {one for name in lost if self._names.get(name) is not None and (one := self._whole(name))}
        return sorted((one for one in found if one.first in lost), key=lambda one: one.path)

    def _whole(self, file: str) -> _Whole | None:
        """The inventory that the file is a part of: the biggest folder around it that has one name and nothing else."""
        found = None
        if name := self._names[file]:
            found = _Whole(file, name, file, frozenset({file}))
        for folder in map(str, PurePosixPath(file).parents):
            named = self._named_in(folder)
            if named is None or len(named) > 1:
                break
            for first in named:
                files = self.below(folder)
                found = _Whole(posixpath.commonpath(files) or ".", str(self._names[first]), first, frozenset(files))
        return found

    def _find_named(self, folder: str) -> tuple[str, ...] | None:
        """The folder's files that have a `name`, two at most; None where there is a file that is of no inventory."""
        files, named = self.below(folder), []
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            self._classify(some)
            if any(self._names[name] is None for name in some):
                return None
            named += [name for name in some if self._names[name]]
            if len(named) > 1:
                break
        return tuple(named[:2])

    def _classify(self, files: Iterable[str]) -> None:
        """Know of each file its inventory's `name`, which most parts have not, or None where it is of no inventory."""
        new = [name for name in files if name not in self._names]
        read = self.read(new)
        self._names |= {name: _name(read[name]) if name in read else None for name in new}


def _name(content: bytes) -> str | None:
    """The `name` that a file gives to an inventory, "" where it gives none; None where it is of no inventory."""
    try:
        data = parse(content.decode("utf-8-sig"), "").data
    except UnicodeDecodeError:
        return None
    if not isinstance(data, dict) or data.get("version") != 1 or not data.keys() <= _KEYS:
        return None
    name = data.get("name", "")
    return name if isinstance(name, str) else None


@dataclass(frozen=True, slots=True)
class _Now:
    """HEAD by its path from the repository's root, and what else is there.

    `has` tells whether a file is anywhere in the repository; `read` has HEAD's own files of which the test is true.
    """

    path: str
    has: Callable[[str], bool]
    read: Callable[[Callable[[str], bool]], Mapping[str, bytes]]


def _of_revision(head: Revision) -> _Now:
    entries = {one.name: one for one in everything(head) if one.kind == FILE}
    path = from_root(head)

    def read(wanted: Callable[[str], bool]) -> dict[str, bytes]:
        start = "" if path == "." else f"{path}/"
        chosen = [
            one
            for name, one in entries.items()
            if (name == path or name.startswith(start)) and is_inventory_file(name) and wanted(name)
        ]
        found = contents(chosen)
        return {one.name: found[one.blob] for one in chosen}

    return _Now(path, entries.__contains__, read)


def _of_work_tree(head: FilePath) -> _Now | None:
    """None where HEAD is in no work tree of the repository: what was moved there cannot be told."""
    tree, inventory = work_tree(), head.resolve()
    if tree is None or not inventory.is_relative_to(tree := tree.resolve()):
        return None
    sparse = not_checked_out()

    @cache
    def is_real(folder: FilePath) -> bool:
        return folder.resolve() == folder  # a link may stand where a folder was moved from

    def has(name: str) -> bool:
        return name in sparse or (os.path.lexists(tree / name) and is_real((tree / name).parent))

    def read(wanted: Callable[[str], bool]) -> dict[str, bytes]:
        files = [inventory] if inventory.is_file() else [one for one in inventory.rglob("*") if one.is_file()]
        named = {one.relative_to(tree).as_posix(): one for one in files if is_inventory_file(one.name)}
        return {name: one.read_bytes() for name, one in named.items() if wanted(name)}

    return _Now(inventory.relative_to(tree).as_posix(), has, read)
