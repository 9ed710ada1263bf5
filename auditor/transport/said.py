"""What programs say on their standard error; text from the network may be in it."""

from __future__ import annotations

from collections.abc import Mapping

_LONGEST = 200  # characters


_ERROR = ("error", "timeout", "docker:", "ssh:", "connection", "client_loop:")


def last_error(text: str) -> str:
    """The last line if a client program seems to say it; the command's own warnings stand there too."""
    line = last_line(text)
    return line if line.lower().startswith(_ERROR) else ""


def meaning(text: str, known: Mapping[str, str]) -> str | None:
    """What it means, by the first of the known words that are in the text."""
    return next((means for words, means in known.items() if words in text), None)


def last_line(text: str) -> str:
    """The last line that says something, printable and cut."""
    line = text.strip().rpartition("\n")[2]
    clean = "".join(c for c in line if c.isprintable()).strip()
    return clean if len(clean) <= _LONGEST else f"{clean[:_LONGEST]}…"
