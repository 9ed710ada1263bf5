"""The text of a file of evidence, as whatever wrote it has left it."""

from __future__ import annotations

import codecs
from pathlib import Path

from auditor.errors import EvidenceError

_MOST_BYTES = 64 * 1024 * 1024


def read_text(path: Path, command: str, advice: str) -> str:
    """The text of a file that a command has written. What PowerShell writes has a byte order mark, often of UTF-16.

    Raises EvidenceError where it cannot be read, is too large, or is empty; `advice` says what to do then.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _MOST_BYTES:
        raise EvidenceError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB, which no output of {command} is")
    wide = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = raw.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    if not text.strip():
        raise EvidenceError(f"{path}: nothing is in it; {advice}")
    return text
