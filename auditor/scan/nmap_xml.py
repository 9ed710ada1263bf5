"""The one reader of nmap's XML, for live streams and saved files alike.

It is fed bytes and gives records as their elements end, so that a run of any size needs the memory of one host, and
what was whole before a stream broke off is kept. expat is used directly because it alone lets us refuse a document
that declares entities before any is expanded. Format: https://nmap.org/book/nmap-dtd.html; as measured on 7.93,
`extrareasons@ports` lists collapsed ports exactly since 7.92.

Text from the network is kept as it came, but bounded; words that steer the program (states, protocols) are only ever
compared with known ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from auditor.model.ports import PortSet
from auditor.scan.nmap_host import read_host
from auditor.scan.nmap_records import Asked, Finish, Item, Progress, Skipped, Start, bounded, instant, number

_WANTED = frozenset(
    {"host", "status", "address", "ports", "extraports", "extrareasons", "port", "state", "service", "script"}
    | {"hostnames", "hostname"}
)
_DEEPEST = 64  # real documents nest about 10 deep


class _RefusedError(Exception):
    """The document is of a kind that nmap never writes."""


class NmapXmlReader:
    """Feed it bytes, take items, and take the last ones from `end`.

    `problem` is what was wrong with the document as a whole: broken, cut off, not nmap's; None for a whole one. It is
    known after `end`.
    """

    def __init__(self) -> None:
        self.start: Start | None = None
        self.asked: list[Asked] = []
        self.finish: Finish | None = None
        self.problem: str | None = None
        self._items: list[Item] = []
        self._depth = 0
        self._ended = False
        self._host: TreeBuilder | None = None
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.EntityDeclHandler = self._refuse_entity
        self._parser = parser

    def feed(self, data: bytes) -> Iterator[Item]:
        """The items that these bytes complete. After a fault in the document nothing more comes."""
        return self._parse(data, final=False)

    def end(self) -> Iterator[Item]:
        """The items that the end of the stream completes.

        There are some: since 2.6 expat puts off a token that came in pieces until much more has come, or the end.
        """
        return self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> Iterator[Item]:
        if self.problem is None:
            try:
                self._parser.Parse(data, final)
            except expat.ExpatError as error:
                self.problem = self._explain(error, cut_off=final)
            except _RefusedError as error:
                self.problem = str(error)
            except (LookupError, ValueError) as error:
                # Python's codecs were asked, for an encoding that expat does not know itself
                self.problem = f"nmap's document cannot be decoded: {bounded(str(error), 100)}"
        items, self._items = self._items, []
        return iter(items)

    def _explain(self, error: expat.ExpatError, *, cut_off: bool) -> str:
        if self._ended:
            return f"something follows the end of nmap's document (line {error.lineno})"
        if self._depth == 0:
            empty = self._parser.CurrentByteIndex <= 0
            return "nothing is in it" if cut_off and empty else "this is not nmap XML"
        return "nmap's document is cut off" if cut_off else f"nmap's document is broken at line {error.lineno}"

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise _RefusedError(f"the document declares an XML entity ({bounded(name, 40)}); nmap never does, refused")

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != "nmaprun":
            raise _RefusedError(f"this is not nmap XML: its root is <{bounded(tag, 40)}>")
        if self._depth > _DEEPEST:
            raise _RefusedError("the document is nested deeper than nmap ever writes")
        if self._host is not None:
            if tag in _WANTED:
                self._host.start(tag, attributes)
        elif tag == "host":
            if self._depth != 2:
                raise _RefusedError("a host inside of another element is nothing that nmap writes")
            self._host = TreeBuilder()
            self._host.start(tag, attributes)
        else:
            self._note(tag, attributes)

    def _close(self, tag: str) -> None:
        self._depth -= 1
        self._ended = self._depth == 0
        if self._host is not None and tag in _WANTED:
            self._host.end(tag)
            if self._depth == 1:
                element: Element = self._host.close()
                self._host = None
                self._items.extend(read_host(element, tuple(self.asked)))

    def _note(self, tag: str, attributes: dict[str, str]) -> None:
        get = attributes.get
        match tag:
            case "nmaprun":
                self.start = Start(get("args", ""), bounded(get("version", "")), instant(get("start")))
            case "scaninfo":
                try:
                    services = PortSet.parse(get("services", ""))
                except ValueError:
                    return
                self.asked.append(Asked(bounded(get("type", "")), bounded(get("protocol", "")), services))
            case "taskprogress":
                self._items.append(Progress(bounded(get("task", "")), number(get("percent"), 0.0)))
            case "target":
                self._items.append(Skipped(bounded(get("specification", "")), bounded(get("reason", ""))))
            case "finished":
                self.finish = Finish(get("exit", ""), bounded(get("errormsg", "")), instant(get("time")))
            case _:
                pass
