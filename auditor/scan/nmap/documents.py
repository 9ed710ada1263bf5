"""A saved file, as people have it → the bytes of the documents in it.

It may be gzipped, be in UTF-16 (as PowerShell's `>` writes it), begin with blank lines or a byte order mark, and hold
several documents (nmap's `--append-output`).
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

_CHUNK = 256 * 1024
_GZIP = 31  # wbits of zlib.decompressobj for a gzip header and the largest window
_END = b"</nmaprun>"
_BEGIN = b"<?xml "  # in nmap's documents nowhere but at the beginning, where one was cut off by the next too
_HELD = len(_END) - 1  # bytes: what is looked for may come in two parts
_DECLARATION = 1024  # bytes that hold what the document says of its encoding
_BLANK = b" \t\r\n" + codecs.BOM_UTF8
_UTF16 = {
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
_NAMED = re.compile(rb"(<\?xml [^>]{0,200}encoding=[\"'])utf-16(?:[bl]e)?", re.IGNORECASE)


def parts(path: Path) -> Iterator[tuple[bytes, bool]]:
    """The bytes of the file in parts, each with whether a document ends with it.

    Raises OSError, and zlib.error or EOFError after all that could be unpacked.
    """
    cutter = _Cutter()
    try:
        for chunk in _as_utf8(_chunks(path)):
            yield from cutter.cut(chunk)
    except (EOFError, zlib.error):
        yield from cutter.cut(b"", final=True)
        raise
    yield from cutter.cut(b"", final=True)


class _Cutter:
    """Cuts a stream into documents: what is blank between them belongs to none."""

    def __init__(self) -> None:
        self._held = b""
        self._within = False  # some of the document has been given out

    def cut(self, chunk: bytes, *, final: bool = False) -> Iterator[tuple[bytes, bool]]:
        data, self._held = self._held + chunk, b""
        data = data if self._within else data.lstrip(_BLANK)
        while (end := self._end(data)) >= 0:
            yield data[:end], True
            data, self._within = data[end:].lstrip(_BLANK), False
        if not final:
            data, self._held = data[:-_HELD], data[-_HELD:]
        if data:
            self._within = True
            yield data, False

    def _end(self, data: bytes) -> int:
        """Where the document ends, -1 where it does not."""
        ends = data.find(_END), data.find(_BEGIN, 0 if self._within else 1)
        return min((one + more for one, more in zip(ends, (len(_END), 0), strict=True) if one >= 0), default=-1)


def _as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = iter(chunks)
    first = b""
    for chunk in rest:
        first += chunk
        if len(first) >= _DECLARATION:
            break
    encoding = _UTF16.get(first[:2])
    if encoding is None:
        yield first
        yield from rest
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield _NAMED.sub(rb"\1utf-8", decoder.decode(first).encode(), count=1)
    for chunk in rest:
        yield decoder.decode(chunk).encode()


def _chunks(path: Path) -> Iterator[bytes]:
    """The file's bytes, unpacked where gzipped."""
    with path.open("rb") as file:
        first = file.read(_CHUNK)
        unpacker = zlib.decompressobj(_GZIP) if first.startswith(b"\x1f\x8b") else None
        for chunk in chain((first,), iter(lambda: file.read(_CHUNK), b"")):
            if unpacker is None:
                yield chunk
                continue
            rest = chunk
            while rest:
                yield unpacker.decompress(rest, _CHUNK)
                rest = unpacker.unconsumed_tail  # a little may unpack to a lot, so piece by piece
        if unpacker is not None:
            yield unpacker.flush()
            if not unpacker.eof:
                raise EOFError("its end is missing")
