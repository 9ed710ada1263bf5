"""How values, paths and names are put into messages. Everything shown may be hostile."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from itertools import islice
from unicodedata import name

from auditor.model.inventory import Path

_MOST_NAMES = 12
_MOST_COMPARED = 50_000  # words with names, in all: about a second
_MOST_LISTED = 1_000_000  # names to sort, in all: about a second


def shown(value: object, most: int = 60) -> str:
    """A value in backquotes: short, on one line, without control characters. Names the first letter beyond ASCII."""
    text = f"`{clean(_yaml(value), most)}`"
    if isinstance(value, str) and not value.isascii():
        char = next(char for char in value if not char.isascii())
        return f"{text} (with U+{ord(char):04X} {name(char, 'of no name')})"
    return text


def clean(text: str, most: int = 60) -> str:
    """The text on one line, without control characters, cut to `most` characters."""
    if len(text) <= most and text.isprintable():
        return text
    safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[: most + 1])
    return safe if len(text) <= most else f"{safe[: most - 1]}…"


def dotted(path: Path) -> str:
    """A path as in `hosts.web-1.interfaces.public[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{clean(step)}"
    return text.removeprefix(".")


def listed(names: Collection[str], most: int = _MOST_NAMES) -> str:
    """Names in a row, at most so many, and how many more."""
    row = ", ".join(clean(one) for one in islice(names, most))
    return row if len(names) <= most else f"{row} and {len(names) - most} more"


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


class Suggestions:
    """What was meant by wrong names. A look costs milliseconds: after many it only lists names, then not even that."""

    def __init__(self) -> None:
        self._compared = _MOST_COMPARED
        self._listed = _MOST_LISTED

    def of(self, word: str, names: Collection[str]) -> str:
        """What was probably meant, as the end of a sentence; else the names there are."""
        if not names:
            return "; none is declared"
        if word.startswith("x-"):
            return "; names that start with `x-` are yours and not read, so that none can be meant"
        if len(names) > self._listed:
            return ""
        self._listed -= len(names)
        every = sorted(names)
        close = []
        if len(every) <= self._compared:
            self._compared -= len(every)
            close = get_close_matches(word[:64], every, n=1, cutoff=0.6)
        return f"; did you mean {shown(close[0])}?" if close else f"; known: {listed(every)}"


def suggest(word: str, names: Collection[str]) -> str:
    """The same for a single word."""
    return Suggestions().of(word, names)


def _yaml(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(map(str, list(value)[:5])) + "}"
        case list():
            return "[" + ", ".join("…" if isinstance(item, dict | list) else _yaml(item) for item in value[:5]) + "]"
        case _:
            return str(value)
