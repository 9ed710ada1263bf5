"""Words that mean nothing: what was probably meant."""

from __future__ import annotations

from collections.abc import Collection


def meant(word: str, known: Collection[str]) -> str:
    """The end of a message about a word that means nothing: which of the known ones was meant, or all of them."""
    from difflib import get_close_matches  # only where something is wrong

    close = get_close_matches(word, known, n=1)
    return f"did you mean {close[0]}? There are {', '.join(known)}" if close else f"there are {', '.join(known)}"
