"""Words that mean nothing: what was probably meant."""

from __future__ import annotations

from collections.abc import Collection


def meant(word: str, known: Collection[str]) -> str:
    """The end of a message about a word that means nothing: which of the known ones was meant, or all of them."""
    close = likely(word, known)
    if close and len(known) == 1:
        return f"did you mean {close}?"
    return f"did you mean {close}? There are {', '.join(known)}" if close else f"there are {', '.join(known)}"


def likely(word: str, known: Collection[str]) -> str | None:
    """Which of the known ones was probably meant."""
    from difflib import get_close_matches  # only where something is wrong

    return next(iter(get_close_matches(word, known, n=1)), None)
