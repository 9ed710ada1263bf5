"""Text from the network made visible: nothing in it acts on a browser, a terminal or a reader's eye."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

LONGEST = 4000  # characters of one text that a report for people shows
_SUSPECT = re.compile(r"[^\x20-\x7e]")  # everything else is looked at one by one
_ACTS = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # controls, bidi and zero-width marks, surrogates, unassigned


def visible(text: str, *, keep: str = "", longest: int = LONGEST) -> str:
    """The text with each character that would act instead of being seen written as an escape, `\\u202e`.

    `keep` are characters that may stay as they are, such as line ends where the place has room for them.
    """
    if len(text) <= longest and text.isprintable():
        return text
    cut = text[:longest]
    shown = _SUSPECT.sub(lambda found: found[0] if found[0] in keep else _seen(found[0]), cut)
    hidden = len(text) - len(cut)
    return f"{shown} … ({hidden} more characters)" if hidden else shown


def _seen(character: str) -> str:
    if unicodedata.category(character) not in _ACTS:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_document(value: Any) -> Any:
    """A copy of plain data in which every text, keys included, is visible; line ends stay, and nothing is shortened."""
    match value:
        case str():
            return value if value.isprintable() else visible(value, keep="\n", longest=len(value))
        case dict():
            return {
                key if key.isprintable() else visible_document(key): visible_document(each)
                for key, each in value.items()
            }
        case list():
            return [visible_document(each) for each in value]
        case _:
            return value
