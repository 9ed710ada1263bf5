"""How values, paths and names are put into messages. Everything shown may be hostile."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

Path = tuple[str | int, ...]

_MOST_NAMES = 12


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
    every = sorted(names)
    close = get_close_matches(word[:64], every, n=1, cutoff=0.6) if len(every) <= 5000 else []
    if close:
        return f"; did you mean {shown(close[0])}?"
    return f"; known: {listed(every)}" if every else "; none is declared"


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
