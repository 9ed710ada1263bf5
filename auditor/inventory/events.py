"""YAML text to plain data, straight from PyYAML's C events, with the place of every key and item beside it.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): dates, `on` and `22:22` are
strings. Keys that start with `x-` are read and dropped: they are the author's own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NamedTuple

import yaml

from auditor.errors import Problem
from auditor.inventory.text import Path, dotted, shown

MAX_DEPTH = 64
MAX_ALIASED = 1_000_000  # nodes that aliases may add to a file
MAX_DIGITS = 40  # an address of IPv6 as a number has 39; nothing in an inventory needs more

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# https://yaml.org/spec/1.2.2/#51-character-set, less the surrogates, which no decoded text has
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_NOT_A_WORD = frozenset("+-.0123456789")
_NOTHING = object()


@dataclass(slots=True)
class Document:
    """One file's data. `places` has, by the identity of each mapping and list, where its keys and items stand.

    An alias shares its anchor's data, and so its places.
    """

    file: str
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    places: dict[int, dict[str, int] | list[int]] = field(default_factory=dict)

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of what stands at `path`, or of its nearest ancestor that is there; (1, 1) for the root."""
        here, found = self.data, (1, 1)
        for step in path:
            places: Any = self.places.get(id(here))
            try:
                found = divmod(places[step], _COLUMNS)
                here = here[step]
            except (KeyError, IndexError, TypeError):
                break
        return found

    def problem(self, path: Path, message: str) -> None:
        self.problems.append(Problem(self.file, *self.place(path), dotted(path), message))


_COLUMNS = 1 << 32


class _Stop(Exception):
    """The rest of the file cannot be read."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet. `key` is the mapping's key that waits for its value."""

    container: Any
    places: Any
    anchor: str | None
    place: int
    nodes: int
    key: Any = _NOTHING


def parse(text: str, file: str) -> Document:
    """Read one YAML or JSON file; what is wrong with it goes into `problems`."""
    builder = _Builder(Document(file))
    whole = False
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
        whole = True
    except _Stop:
        pass
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        tab = "; a tab cannot indent, use spaces" if mark and text[mark.index : mark.index + 1] == "\t" else ""
        context = f"{error.context}, " if error.context else ""
        builder.wrong(mark, f"not valid YAML: {context}{error.problem}{tab}")
    except yaml.YAMLError as error:
        builder.wrong(_control(text), f"not valid YAML: {shown(str(error).splitlines()[0], 200)}")
    if not whole:
        builder.document.data = None
    return builder.document


def _control(text: str) -> _Mark | None:
    """Where the first character stands that YAML does not allow, which PyYAML's C parser does not say."""
    found = _FORBIDDEN.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    return _Mark(before.count("\n"), len(before) - before.rfind("\n") - 1)


class _Mark(NamedTuple):
    line: int
    column: int


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}  # value, nodes in it
        self.documents = 0
        self.nodes = 0
        self.aliased = 0

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._open(event, {}, {})
            case yaml.SequenceStartEvent():
                self._open(event, [], [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._stop(event, "a second document starts here; keep one document in a file")
            case _:
                pass

    def wrong(self, mark: Any, message: str, path: Path | None = None) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        where = dotted(self._path() if path is None else path)
        self.document.problems.append(Problem(self.document.file, line, column, where, message))

    def _stop(self, event: yaml.Event, message: str) -> None:
        self.wrong(event.start_mark, message)
        raise _Stop

    def _path(self) -> Path:
        steps = (len(top.container) if isinstance(top.container, list) else top.key for top in self.stack)
        return tuple(step for step in steps if step is not _NOTHING)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self.nodes += 1
        if event.tag is not None:
            self._tag(event)
        value: Any = event.value
        if event.implicit[0]:
            try:
                value = plain(value)
            except ValueError as error:
                self.wrong(event.start_mark, str(error))
            if value == "<<" and self._wants_key():
                message = "`<<` is not read; write the keys out, or give a whole value as an alias"
                self.wrong(event.start_mark, message)
        place = _place(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = value, 1
        self._add(value, place, event)

    def _open(self, event: Any, container: Any, places: Any) -> None:
        if event.tag is not None:
            self._tag(event)
        if len(self.stack) >= MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        if self._wants_key():
            self._stop(event, "a key is a string, not a list or a mapping")
        self.nodes += 1
        self.document.places[id(container)] = places
        self.stack.append(_Open(container, places, event.anchor, _place(event), self.nodes))

    def _close(self) -> None:
        top = self.stack.pop()
        if top.anchor is not None:
            self.anchors[top.anchor] = top.container, self.nodes - top.nodes + 1
        self._add(top.container, top.place, None)

    def _alias(self, event: yaml.AliasEvent) -> None:
        anchor = str(event.anchor)
        if anchor not in self.anchors:
            self._stop(event, f"the alias {shown('*' + anchor)} has no anchor before it")
        value, nodes = self.anchors[anchor]
        self.nodes += nodes
        self.aliased += nodes
        if self.aliased > MAX_ALIASED:
            self._stop(event, f"aliases make this file more than {MAX_ALIASED} nodes bigger; write it without them")
        if self._depth(value) + len(self.stack) > MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        self._add(value, _place(event), event)

    def _depth(self, value: Any) -> int:
        """How deep a value is; bounded, since what it was made of was bounded when it was built."""
        depth, level = 0, [value]
        while level:
            depth += any(isinstance(one, dict | list) for one in level)
            inner = {id(child): child for one in level for child in _children(one)}
            level = list(inner.values())
        return depth

    def _tag(self, event: Any) -> None:
        self.wrong(event.start_mark, f"the YAML tag {shown(event.tag)} is not read; remove it")

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].container, dict) and self.stack[-1].key is _NOTHING

    def _add(self, value: Any, place: int, event: Any) -> None:
        if not self.stack:
            self.document.data = value
            return
        top = self.stack[-1]
        if isinstance(top.container, list):
            top.container.append(value)
            top.places.append(place)
        elif top.key is _NOTHING:
            top.key = self._key(top, value, place, event)
        else:
            if not top.key.startswith("x-"):
                top.container[top.key] = value
            top.key = _NOTHING

    def _key(self, top: _Open, value: Any, place: int, event: Any) -> str:
        if not isinstance(value, str):
            word = event.value if isinstance(event, yaml.ScalarEvent) else f"*{event.anchor}"
            self.wrong(event.start_mark, f"the key {shown(word)} is not a string; put it in quotes")
            value = word
        if value in top.places:
            message = f"the key {shown(value)} is here twice, first in line {top.places[value] // _COLUMNS}; keep one"
            self.wrong(event.start_mark, message, (*self._path(), value))
        top.places[value] = place
        return str(value)


def plain(text: str) -> Any:
    """What an unquoted scalar means in the core schema of YAML 1.2. Raises ValueError for numbers out of all bounds."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if text[0] not in _NOT_A_WORD:
        return text
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError("a number of this length means nothing here; put it in quotes if it is a text")
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        number = float(text) if text[-1] in "0123456789." else float("inf")
        if not isfinite(number):
            raise ValueError(f"{shown(text)} is no finite number; put it in quotes if it is a text")
        return number
    return text


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def _place(event: yaml.Event) -> int:
    mark: Any = event.start_mark
    return int((mark.line + 1) * _COLUMNS + mark.column + 1)
