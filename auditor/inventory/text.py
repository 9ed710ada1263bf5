"""How values, paths and names are put into messages. Everything shown may be hostile."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

Path = tuple[str | int, ...]

_MOST_NAMES = 12
_MOST_COMPARED = 50_000  # words with names, in all: about a second


def shown(value: object, most: int = 60) -> str:
    """A value in backquotes: short, on one line, without control characters."""
    return f"`{clean(_yaml(value), most)}`"


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


def listed(names: Iterable[str]) -> str:
    """Names in a row, at most a dozen."""
    every = list(names)
    row = ", ".join(clean(name) for name in every[:_MOST_NAMES])
    return row if len(every) <= _MOST_NAMES else f"{row} and {len(every) - _MOST_NAMES} more"


class Suggestions:
    """What was meant by wrong names. A look costs milliseconds, so that after a bounded number it only lists names."""

    def __init__(self) -> None:
        self._left = _MOST_COMPARED

    def of(self, word: str, names: Collection[str]) -> str:
        """What was probably meant, as the end of a sentence; else the names there are."""
        if not names:
            return "; none is declared"
        every = sorted(names)
        close = []
        if len(every) <= self._left:
            self._left -= len(every)
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
