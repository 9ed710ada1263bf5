"""YAML for a draft, written line by line so that it can hold comments.

Scalars are names, addresses, ports and words of the program; whatever else is told goes into comments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from auditor.inventory.reading.text import clean

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*|\d+(-\d+)?/(tcp|udp)|\d+\.\d+\.\d+\.\d+(/\d+)?")
_NOT_TEXT = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})  # to some reader of YAML
_LONGEST = 300  # characters of a comment
_MOST_IN_A_ROW = 6


def scalar(text: object) -> str:
    """A text as YAML reads it back, in quotes where it would otherwise be something else."""
    words = str(text)
    plain = _PLAIN.fullmatch(words) and words.lower() not in _NOT_TEXT
    return words if plain else json.dumps(words)


def comment(text: str) -> str:
    """One comment line. The text may be hostile: it stays on its line, cut and without control characters."""
    return f"# {clean(text, _LONGEST)}"


def row(items: Iterable[object]) -> str:
    return f"[{', '.join(map(scalar, items))}]"


def listing(key: str, items: Sequence[object]) -> list[str]:
    """A key with its list: in a row, or one item a line where they are many."""
    if len(items) <= _MOST_IN_A_ROW:
        return [f"{key}: {row(items)}"]
    return [f"{key}:", *(f"  - {scalar(item)}" for item in items)]


def indented(lines: Iterable[str], steps: int = 1) -> list[str]:
    return [f"{'  ' * steps}{line}" if line else "" for line in lines]


def commented(lines: Iterable[str]) -> list[str]:
    """The lines as comments; taking `# ` away gives them back."""
    return [f"# {line}" for line in lines]
