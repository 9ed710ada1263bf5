"""YAML text to plain data, straight from PyYAML's C events, with the place of every key and item beside it.

Scalars follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): dates, `on` and `22:22` are
strings. Keys that start with `x-` are read and dropped: they are the author's own.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from math import isfinite
from typing import Any, NamedTuple, NoReturn

import yaml

from auditor.errors import Problem
from auditor.inventory.reading.text import dotted, shown
from auditor.model.inventory import Path

MAX_DEPTH = 64
MAX_ALIASED = 1_000_000  # nodes that aliases may add to a file
MAX_ALIASED_TEXT = 64 * 1024 * 1024  # characters that they may add
MAX_PROBLEMS = 10_000  # more are of no use to anyone, and millions would fill the memory
MAX_DIGITS = 40  # an address of IPv6 as a number has 39; nothing in an inventory needs more

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# https://yaml.org/spec/1.2.2/#51-character-set, less the surrogates, which no decoded text has
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
# Line breaks of YAML 1.1, which libyaml still takes for such, but no editor, diff or review: text can hide behind them.
_HIDDEN_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_NOT_A_WORD = frozenset("+-.0123456789")
_NOTHING = object()
_KEY = "a key is a string, not a list or a mapping; put a text that starts with `{` or `[` in quotes"
_OWN_TAGS = "tag:yaml.org,2002:"  # which people write as `!!`
# What would be right, by what libyaml says of the wrong.
_HINTS = {
    "mapping values are not allowed in this context": "give the key its own line, or put a text with `: ` in quotes",
    "did not find expected key": "check how far this line and those before it are indented, and that a text that"
    " begins or ends with a quote is quoted as a whole",
    "did not find expected '-' indicator": "check how far this line is indented",
    "could not find expected ':'": "write `key: value`, or check how far this line is indented",
    "did not find expected ',' or ']'": "close the list with `]`, and put commas between its items",
    "did not find expected ',' or '}'": "close the mapping with `}`, and put commas between its keys",
    "found unexpected end of stream": "close the quote",
    "found character that cannot start any token": "put a text that starts with this character in quotes",
    "did not find expected alphabetic or numeric character": "put a text that starts with `*` or `&` in quotes",
    "block sequence entries are not allowed in this context": "put the list's items on lines of their own",
    "found unknown escape character": "in double quotes write a backslash as `\\\\`, or use single quotes",
    "found incompatible YAML document": "remove the directive",
    "found undefined tag handle": "remove the tag",
    "exceeded maximum nesting depth": f"nest at most {MAX_DEPTH} deep",
    "did not find expected <document start>": "the document has ended before this line; write `key: value`",
    "did not find expected node content": "a value is missing here, or a text that needs quotes stands here",
    "found invalid Unicode character escape code": "write the character itself",
}
_MOST_SHARED = 100_000  # texts


@dataclass(slots=True)
class Document:
    """One file's data. `places` has where the keys or items of each mapping and list stand, after their number.

    `starts` has, by the identity of each mapping and list, where in `places` that is. An alias shares its anchor's
    data, and so its places. One array of integers for all: a mapping for each would be bigger than the data.
    `unread` are paths of values that are reported already.
    """

    file: str
    data: Any = None
    problems: list[Problem] = field(default_factory=list)
    places: array[int] = field(default_factory=lambda: array("Q"))
    starts: dict[int, int] = field(default_factory=dict)
    unread: list[Path] = field(default_factory=list)
    _orders: dict[int, dict[str, int]] = field(default_factory=dict)
    _last: tuple[Path, Any, tuple[int, int]] = ("nothing yet",), None, (1, 1)  # siblings are asked for in a row

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of what stands at `path`, or of its nearest ancestor that is there; (1, 1) for the root."""
        parent, here, found = self._last
        if not path or path[:-1] != parent:
            here, found = self.data, (1, 1)
            for step in path[:-1]:
                here, found = self._step(here, step, found)
            self._last = path[:-1], here, found
        return self._step(here, path[-1], found)[1] if path else found

    def _step(self, here: Any, step: str | int, found: tuple[int, int]) -> tuple[Any, tuple[int, int]]:
        """What stands there, and where; nothing, and the place of what would hold it, where there is no such one."""
        start = self.starts.get(id(here))
        index = None if start is None else self._index(here, step)
        if start is None or index is None or index >= self.places[start]:  # not there, or put there since
            return None, found
        return here[step], divmod(self.places[start + 1 + index], _COLUMNS)

    def _index(self, container: Any, step: str | int) -> int | None:
        """Which of the keys or items it is; None where there is no such one."""
        if isinstance(step, int):
            return step if isinstance(container, list) and step < len(container) else None
        if not isinstance(container, dict) or step not in container:
            return None
        if len(container) < _BIG:
            return list(container).index(step)
        if id(container) not in self._orders:  # each of its keys may be asked for
            self._orders[id(container)] = dict(zip(container, count()))
        return self._orders[id(container)].get(step)

    def close(self, container: Any, places: dict[str, int] | list[int]) -> None:
        """Keep where the keys or items of a whole mapping or list stand; those of keys that were dropped are not."""
        self.starts[id(container)] = len(self.places)
        self.places.append(len(container))
        if isinstance(places, dict) and len(places) > len(container):
            places = {key: places[key] for key in container}
        self.places.extend(places.values() if isinstance(places, dict) else places)

    def problem(self, path: Path, fault: str, message: str) -> None:
        """Report what is wrong at the path; `fault` is the id of its kind."""
        self.problems.append(Problem(self.file, *self.place(path), dotted(path), message, fault))


_COLUMNS = 1 << 32
_BIG = 32  # keys


class _Dropped(str):
    """A key such as `<<`, which is reported and not read."""

    __slots__ = ()


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
    text: int
    key: Any = _NOTHING


def parse(text: str, file: str) -> Document:
    """Read one YAML or JSON file; what is wrong with it goes into `problems`."""
    builder = _Builder(Document(file))
    whole = False
    invalid = "not valid JSON" if file.lower().endswith(".json") else "not valid YAML"
    try:
        hidden = _HIDDEN_BREAK.search(text)
        if hidden:
            builder.hidden_break(_mark(text, hidden), hidden[0])
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
        whole = True
    except _Stop:
        pass
    except yaml.MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        builder.report(mark, "not-yaml", f"{invalid}: {_context(error)}{error.problem}{_hint(error, text)}")
    except yaml.YAMLError:
        found = _FORBIDDEN.search(text)
        what = f"U+{ord(found[0]):04X}" if found else "this character"
        message = f"{invalid}: no file may hold the control character {what}; remove it"
        builder.report(_mark(text, found) if found else None, "not-yaml", message, ())
    if not whole:
        builder.document.data = None
    return builder.document


def _context(error: yaml.MarkedYAMLError) -> str:
    """What was being read, and where that began if not in the same line."""
    start: Any = error.context_mark
    mark: Any = error.problem_mark
    since = f" that starts in line {start.line + 1}" if start and mark and start.line != mark.line else ""
    return f"{error.context}{since}, " if error.context else ""


def _hint(error: yaml.MarkedYAMLError, text: str) -> str:
    mark: Any = error.problem_mark
    if mark and text[mark.index : mark.index + 1] == "\t":
        return "; a tab cannot indent, use spaces"
    hint = _HINTS.get(str(error.problem))
    return f"; {hint}" if hint else ""


def _mark(text: str, found: re.Match[str]) -> _Mark:
    """Where a character stands of which PyYAML's C parser does not say it."""
    start = found.start()
    return _Mark(text.count("\n", 0, start), start - text.rfind("\n", 0, start) - 1)


class _Mark(NamedTuple):
    line: int
    column: int


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int, int]] = {}  # value, nodes and characters in it
        self.shared: dict[str, Any] = {}  # what plain scalars mean, each text kept once
        self.quoted: dict[str, str] = {}
        self.documents = 0
        self.nodes = 0
        self.text = 0
        self.aliased = 0
        self.aliased_text = 0
        self._takes: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: lambda event: self._open(event, {}, {}),
            yaml.SequenceStartEvent: lambda event: self._open(event, [], []),
            yaml.MappingEndEvent: self._close,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }

    def take(self, event: yaml.Event) -> None:
        taking = self._takes.get(type(event))
        if taking:
            taking(event)

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            self._stop(event, "second-document", "a second document starts here; keep one document in a file")

    def report(self, mark: Any, fault: str, message: str, path: Path | None = None) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        where = dotted(self._path() if path is None else path)
        self.document.problems.append(Problem(self.document.file, line, column, where, message, fault))

    def wrong(self, mark: Any, fault: str, message: str, path: Path | None = None) -> None:
        """The same while the file is read, which ends where that makes too many."""
        self.report(mark, fault, message, path)
        if len(self.document.problems) >= MAX_PROBLEMS:
            raise _Stop

    def hidden_break(self, mark: _Mark, char: str) -> NoReturn:
        what = "a carriage return without a line feed" if char == "\r" else f"the character U+{ord(char):04X}"
        message = f"{what} stands here, which some programs read as the end of a line and others do not"
        self.wrong(mark, "hidden-line-break", f"{message}; remove it, or write it as an escape in double quotes", ())
        raise _Stop

    def _stop(self, event: yaml.Event, fault: str, message: str) -> None:
        self.wrong(event.start_mark, fault, message)
        raise _Stop

    def _path(self) -> Path:
        steps = (len(top.container) if isinstance(top.container, list) else top.key for top in self.stack)
        return tuple(step for step in steps if step is not _NOTHING)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        self.nodes += 1
        if event.tag is not None:
            self._tag(event)
        text = event.value
        value: Any = self.shared.get(text, _NOTHING) if event.implicit[0] else self.quoted.setdefault(text, text)
        if value is _NOTHING:
            value = self._plain(event)
        if len(self.quoted) > _MOST_SHARED:
            self.quoted.clear()
        self.text += len(text)
        if event.anchor is not None:
            self.anchors[event.anchor] = value, 1, len(text)
        self._add(value, _place(event), event)

    def _plain(self, event: yaml.ScalarEvent) -> Any:
        """What an unquoted scalar means, kept for the next like it: names and words come again and again."""
        text = event.value
        if text == "<<" and self._wants_key():
            message = "`<<` is not read; write the keys out, or give a whole value as an alias"
            self.wrong(event.start_mark, "refused-yaml", message)
            return _Dropped(text)
        try:
            value = plain(text)
        except ValueError as error:
            if not self._wants_key():
                self.document.unread.append(self._path())
            self.wrong(event.start_mark, "bad-number", str(error))
            return text
        if len(self.shared) >= _MOST_SHARED:
            self.shared.clear()
        if text != "<<":
            self.shared[text] = value
        return value

    def _open(self, event: Any, container: Any, places: Any) -> None:
        if event.tag is not None:
            self._tag(event)
        if len(self.stack) >= MAX_DEPTH:
            self._stop(event, "over-a-limit", f"nested more than {MAX_DEPTH} deep")
        if self._wants_key():
            self._stop(event, "key-not-a-text", _KEY)
        self.nodes += 1
        self.stack.append(_Open(container, places, event.anchor, _place(event), self.nodes, self.text))

    def _close(self, _: yaml.Event) -> None:
        top = self.stack.pop()
        self.document.close(top.container, top.places)
        if top.anchor is not None:
            self.anchors[top.anchor] = top.container, self.nodes - top.nodes + 1, self.text - top.text
        self._add(top.container, top.place, None)

    def _alias(self, event: yaml.AliasEvent) -> None:
        anchor = str(event.anchor)
        if any(top.anchor == anchor for top in self.stack):
            message = f"the alias {shown('*' + anchor)} stands within what it means; write the value out"
            self._stop(event, "bad-alias", message)
        if anchor not in self.anchors:
            self._stop(event, "bad-alias", f"the alias {shown('*' + anchor)} has no anchor before it")
        value, nodes, text = self.anchors[anchor]
        self.nodes += nodes
        self.text += text
        self.aliased += nodes
        self.aliased_text += text
        for bigger, most, unit in (
            (self.aliased, MAX_ALIASED, f"{MAX_ALIASED} nodes"),
            (self.aliased_text, MAX_ALIASED_TEXT, f"{MAX_ALIASED_TEXT // 2**20} MiB"),
        ):
            if bigger > most:
                message = f"aliases make this file more than {unit} bigger; write it without them"
                self._stop(event, "over-a-limit", message)
        if self._depth(value) + len(self.stack) > MAX_DEPTH:
            self._stop(event, "over-a-limit", f"nested more than {MAX_DEPTH} deep")
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
        tag = event.tag if not event.tag.startswith(_OWN_TAGS) else f"!!{event.tag.removeprefix(_OWN_TAGS)}"
        self.wrong(event.start_mark, "refused-yaml", f"the YAML tag {shown(tag)} is not read; remove it")

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
            if type(value) is not str or value in top.places:
                value = self._odd_key(top, value, event)
            top.places[value] = place
            top.key = value
        else:
            if not top.key.startswith("x-") and type(top.key) is not _Dropped:
                top.container[top.key] = value
            top.key = _NOTHING

    def _odd_key(self, top: _Open, value: Any, event: Any) -> str:
        """Report a key that is no string, or that the mapping has already; the text that stands for it."""
        if isinstance(value, _Dropped):
            return value
        if isinstance(value, dict | list):
            self._stop(event, "key-not-a-text", _KEY)
        if not isinstance(value, str):
            value = event.value if isinstance(event, yaml.ScalarEvent) else str(value)
            message = f"the key {shown(value)} is not a string; put it in quotes"
            self.wrong(event.start_mark, "key-not-a-text", message)
        if value in top.places:
            message = f"the key {shown(value)} is here twice, first in line {top.places[value] // _COLUMNS}; keep one"
            self.wrong(event.start_mark, "key-twice", message, (*self._path(), value))
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
