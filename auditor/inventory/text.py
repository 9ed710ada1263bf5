"""How values, paths and names are put into messages. Everything shown may be hostile."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

Path = tuple[str | int, ...]

_MOST_NAMES = 12
_MOST_COMPARED = 1000


def shown(value: object, most: int = 60) -> str:
    """A value in backquotes: short, on one line, without control characters."""
    return f"`{clean(_yaml(value), most)}`"


def clean(text: str, most: int = 60) -> str:
    """The text on one line, without control characters, cut to `most` characters."""
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


def suggest(word: str, names: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; else the names there are."""
    return _suggestion(word[:64], tuple(sorted(names)))


@lru_cache(maxsize=1024)  # one wrong name may stand in thousands of places, and a look costs milliseconds
def _suggestion(word: str, names: tuple[str, ...]) -> str:
    close = get_close_matches(word, names, n=1, cutoff=0.6) if len(names) <= _MOST_COMPARED else []
    if close:
        return f"; did you mean {shown(close[0])}?"
    return f"; known: {listed(names)}" if names else "; none is declared"


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
