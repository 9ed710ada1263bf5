"""A reader of nmap's XML that behaves as the real one does above a newer expat."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from auditor.scan.nmap.records import Item
from auditor.scan.nmap.xml import NmapXmlReader


class Late(NmapXmlReader):
    """Gives everything at the end, as expat since 2.6 may do with what came in pieces."""

    def __init__(self) -> None:
        super().__init__()
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Item]:
        self._held += data
        return iter(())

    def end(self) -> Iterator[Item]:
        return chain(super().feed(self._held), super().end())
