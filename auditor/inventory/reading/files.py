"""Finding and reading an inventory's files, and making one tree of them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path as FilePath
from typing import Any, NoReturn

from auditor.errors import InventoryError, Problem
from auditor.inventory.reading.broken import BROKEN, MISNAMED
from auditor.inventory.reading.events import MAX_PROBLEMS, Document, parse
from auditor.inventory.reading.text import Suggestions, clean, dotted
from auditor.model.inventory import InventoryFile, Location, Path

MAX_BYTES = 64 * 1024 * 1024

_PAIR = re.compile(r"((?<!\\)(?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_ONCE = ("name", "scope", "policy")
_UNITED = ("ranges", "viewpoints", "roles", "hosts")


@dataclass(slots=True)
class Source:
    """What was found at the path that the user gave.

    Where it is a copy of what they gave, `copy` is where that is, and messages name `path` in its place.
    """

    path: str
    copy: FilePath | None = None
    documents: list[Document] = field(default_factory=list)
    files: list[InventoryFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, file: str, fault: str, message: str) -> None:
        self.problems.append(Problem(file, 0, 0, "", message, fault))

    def name(self, path: FilePath) -> str:
        """What messages call a file."""
        if self.copy is None:
            return _name(path)
        below = path.relative_to(self.copy)
        return _name(FilePath(self.path, below)) if below.parts else self.path


@dataclass(slots=True)
class Tree:
    """All files as one: the data under each top-level key, and which document each part came from.

    `waivers` come from any of the files, each with its document and its index there.
    `broken` are the top-level keys of which something could not be read at all, so that names may be missing.
    `suggestions` are bounded for all problems of the tree together.
    """

    path: str
    data: dict[str, Any] = field(default_factory=dict)
    owners: dict[Path, Document] = field(default_factory=dict)
    waivers: list[tuple[Document, int, Any]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    suggestions: Suggestions = field(default_factory=Suggestions)

    def at(self, path: Path) -> Location:
        document = self._owner(path)
        return Location(document.file, *document.place(path)) if document else Location(self.path, 1)

    def problem(self, path: Path, fault: str, message: str) -> None:
        """Report what is wrong at the path; `fault` is the id of its kind."""
        document = self._owner(path)
        line, column = document.place(path) if document else (0, 0)
        file = document.file if document else self.path
        self.add(Problem(file, line, column, dotted(path), message, fault))

    def problem_in(self, document: Document, path: Path, fault: str, message: str) -> None:
        """One whose document is known."""
        document.problem(path, fault, message)
        self.add(document.problems[-1])

    def add(self, *problems: Problem) -> None:
        """Raises InventoryError where there are too many."""
        self.problems.extend(problems)
        if len(self.problems) >= MAX_PROBLEMS:
            self.stop("too-many-errors", f"has more than {MAX_PROBLEMS} errors; these are the first that were found")

    def stop(self, fault: str, message: str) -> NoReturn:
        """Raises InventoryError with what is known by now, and why that is not all."""
        raise InventoryError([*self.problems, Problem(self.path, 0, 0, "", message, fault)])

    def _owner(self, path: Path) -> Document | None:
        return self.owners.get(path[:2]) or self.owners.get(path[:1])


def is_inventory_file(name: str) -> bool:
    """Whether a file of a folder is read, by its name."""
    return FilePath(name).suffix.lower() in _SUFFIXES


def read(path: FilePath, name: str | None = None) -> Source:
    """Read every file of an inventory: the one at `path`, or all below it. `name` is what messages call it."""
    source = Source(_name(path)) if name is None else Source(_name(FilePath(name)), path)
    try:
        found = list(_below(path, source)) if path.is_dir() else [path]
    except OSError as error:
        source.problem(source.path, "unreadable-file", f"cannot be read: {error.strerror}")
        return source
    if not found and not source.problems:
        source.problem(source.path, "no-inventory-file", "holds no .yaml, .yml or .json file")
    for file in found:
        _read_file(file, source)
    return source


def _below(folder: FilePath, source: Source) -> Iterator[FilePath]:
    """The files below a folder, sorted. A link to something inside is skipped: it is read in its own place."""
    root = folder.resolve()
    linked: list[FilePath] = []
    found: dict[FilePath, FilePath] = {}
    for where, folders, names in os.walk(folder, onerror=lambda error: _unreadable(error, source)):
        for name in sorted(names + folders):
            entry = FilePath(where, name)
            try:
                if entry.is_symlink():
                    linked.append(entry)
                elif entry.suffix.lower() in _SUFFIXES and entry.is_file():
                    found[entry.resolve()] = entry
                elif entry.suffix.lower() in _SUFFIXES and not entry.is_dir():
                    source.problem(source.name(entry), "unreadable-file", "is no regular file; put a file here")
            except OSError as error:  # its folder may be listed and not entered
                source.problem(source.name(entry), "unreadable-file", f"cannot be read: {error.strerror}")
    for link in linked:
        _follow(link, root, found, source)
    yield from sorted(found.values())


def _follow(link: FilePath, root: FilePath, found: dict[FilePath, FilePath], source: Source) -> None:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: pathlib's word for a loop, before Python 3.13
        if link.suffix.lower() in _SUFFIXES:
            source.problem(source.name(link), "bad-link", "is a link that leads nowhere; remove it")
        return
    if not target.is_relative_to(root):
        if target.is_dir() or link.suffix.lower() in _SUFFIXES:
            message = "is a link that leads out of the folder; put the file itself here"
            source.problem(source.name(link), "bad-link", message)
    elif link.suffix.lower() in _SUFFIXES and target.is_file():
        found.setdefault(target, link)


def _read_file(path: FilePath, source: Source) -> None:
    name = source.name(path)
    try:
        with path.open("rb") as file:
            kind = os.fstat(file.fileno()).st_mode
            if stat.S_ISDIR(kind):
                raise IsADirectoryError
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and name == source.path:
            message = "there is no such file or folder; `auditor init` drafts a first inventory"
            source.problem(name, "no-such-file", message)
        else:
            source.problem(name, "unreadable-file", f"cannot be read: {error.strerror or 'it is a folder'}")
        return
    except ValueError:
        source.problem(name, "unreadable-file", "cannot be read: its name holds a NUL character")
        return
    if len(content) > MAX_BYTES:
        message = f"is over the size limit of {MAX_BYTES // 2**20} MiB; split it into several files of a folder"
        source.problem(name, "over-a-limit", message)
        return
    source.files.append(InventoryFile(name, sha256(content).hexdigest()))
    try:
        text = decoded(content, name)
    except UnicodeDecodeError as error:
        before = error.object[: error.start]  # without the byte order mark
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        message = "is not UTF-8 text; save it as UTF-8"
        source.problems.append(Problem(name, before.count(b"\n") + 1, column, "", message, "not-utf-8"))
        return
    document = parse(text, name)
    if not isinstance(document.data, dict) and not document.problems:
        what = "is empty" if document.data is None else "is not a mapping"
        document.problem((), "not-an-inventory", f"{what}; an inventory starts with `version: 1`")
    source.documents.append(document)


def decoded(content: bytes, name: str, errors: str = "strict") -> str:
    """The text of a file as lines and columns count in it."""
    text = content.decode("utf-8-sig", errors)
    return _PAIR.sub(_joined, text) if name.lower().endswith(".json") else text


def merge(source: Source) -> Tree:
    """One tree of all documents: `name` and `scope` from exactly one, `policy` from at most one, all else united."""
    tree = Tree(source.path, data={key: {} for key in _UNITED}, problems=list(source.problems))
    if source.problems:
        tree.broken.update(_ONCE + _UNITED)
    for document in source.documents:
        tree.add(*document.problems)
        data: dict[str, Any] = (
            document.data if isinstance(document.data, dict) else dict.fromkeys((*_ONCE, *_UNITED), BROKEN)
        )
        tree.broken.update(key for key, value in data.items() if value is BROKEN)
        for key in _ONCE:
            if key in data and data[key] is not BROKEN:
                _put(tree, (key,), data[key], document)
        for key in _UNITED:
            if key in data:
                tree.owners.setdefault((key,), document)
            section = data.get(key)
            for name, value in section.items() if isinstance(section, dict) else ():
                _put(tree, (key, name), value, document, tree.data[key])
                if value is MISNAMED:
                    tree.broken.add(key)
        waivers = data.get("waivers")
        tree.waivers += [
            (document, index, one) for index, one in enumerate(waivers if isinstance(waivers, list) else ())
        ]
    return tree


def _put(tree: Tree, path: Path, value: Any, document: Document, into: dict[str, Any] | None = None) -> None:
    before = tree.owners.get(path)
    if before is None:
        (tree.data if into is None else into)[str(path[-1])] = value
        tree.owners[path] = document
        return
    first = Location(before.file, *before.place(path))
    tree.problem_in(document, path, "declared-twice", f"is in {first} too; keep one")


def _joined(pair: re.Match[str]) -> str:
    """JSON writes a character beyond the basic plane as two (RFC 8259, section 7); YAML knows no such escape."""
    before, high, low = pair.groups()
    return before + chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)


def _unreadable(error: OSError, source: Source) -> None:
    source.problem(source.name(FilePath(error.filename)), "unreadable-file", f"cannot be read: {error.strerror}")


def _name(path: FilePath) -> str:
    """The path as given, fit to be shown: undecodable bytes and control characters escaped."""
    return clean(os.fsencode(path).decode("utf-8", "backslashreplace"), 4096)
