"""What programs say on their standard error; text from the network may be in it."""

from __future__ import annotations

_LONGEST = 200  # characters


def last_line(text: str) -> str:
    """The last line that says something, printable and cut."""
    line = text.strip().rpartition("\n")[2]
    clean = "".join(c for c in line if c.isprintable()).strip()
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
