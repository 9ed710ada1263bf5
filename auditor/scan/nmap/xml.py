"""The one reader of nmap's XML, for live streams and saved files alike.

It is fed bytes and gives records as their elements end, so that a run of any size needs the memory of one host, and
what was whole before a stream broke off is kept. ElementTree's parser builds the elements, in C; the first bytes go
through expat alone, which lets us refuse a document that declares entities before any is expanded. Format:
https://nmap.org/book/nmap-dtd.html; as measured on 7.93, `extrareasons@ports` lists collapsed ports exactly since 7.92.

Text from the network is kept as it came, but bounded; words that steer the program (states, protocols) are only ever
compared with known ones. What services say can hold characters that XML cannot (nmap 7.94 and others write references
to them): each is replaced, since else all that follows it would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser
from xml.parsers import expat

from auditor.model.ports import PortSet
from auditor.scan.nmap.host import HostReader
from auditor.scan.nmap.records import (
    LONGEST_OUTPUT,
    Asked,
    Finish,
    Heard,
    Item,
    Progress,
    Skipped,
    Start,
    bounded,
    count,
    instant,
    number,
)

_DEEPEST = 64  # real documents nest about 10 deep
_LARGEST = 256 << 20  # bytes of one element below the root; 65,535 ports with what they say are about 60 MB
_PIECE = 16384  # bytes read at a time: elements that are taken soon are still in the processor's cache
# References to characters other than those that nmap writes of plain text: most documents have none.
_ODD = re.compile(rb"&#(?!x(?:[9aAdD]|[2-9a-fA-F][0-9a-fA-F]);)")
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]{1,16})|([0-9]{1,16}));")
_LONGEST_REFERENCE = 20  # bytes
_REPLACEMENT = b"&#xfffd;"
_JUNK = expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]


class _RefusedError(Exception):
    """The document is of a kind that nmap never writes."""


class _BegunError(Exception):
    """Not an error: the root element has begun, and expat need not read on."""


class NmapXmlReader:
    """Feed it bytes, take items, and take the last ones from `end`.

    `problem` is what was wrong with the document as a whole: broken, cut off, not nmap's; None for a whole one. It is
    known after `end`. `unread` is what in a document that is whole could not be placed, and is not in the items.
    """

    def __init__(self) -> None:
        self.start: Start | None = None
        self.asked: list[Asked] = []
        self.finish: Finish | None = None
        self.hosts: tuple[int, int] | None = None  # how many nmap found up, and how many down
        self.problem: str | None = None
        self.unread: str | None = None
        self._head: bytes | None = b""  # all there is of it until the root begins, then None
        self._prolog = expat.ParserCreate()
        self._prolog.StartElementHandler = self._begin
        self._prolog.EntityDeclHandler = self._refuse_entity
        self._builder = TreeBuilder()
        # What the root will be in: a builder gives up no root of its own before the end.
        self._above = self._builder.start("above", {})
        self._parser = XMLParser(target=self._builder)  # noqa: S314 - it meets no entities, see `_prolog`
        self._begun = b""  # a reference that came in part
        self._unfinished = 0  # bytes since an element below the root has ended
        self._hosts = HostReader(self.asked)

    def feed(self, data: bytes) -> Iterator[Item]:
        """The items that these bytes complete. After a fault in the document nothing more comes."""
        return self._parse(data, final=False)

    def end(self) -> Iterator[Item]:
        """The items that the end of the stream completes.

        There are some: since 2.6 expat puts off a token that came in pieces until much more has come, or the end.
        """
        return self._parse(b"", final=True)

    def _parse(self, data: bytes, *, final: bool) -> Iterator[Item]:
        items: list[Item] = []
        if self.problem is None:
            try:
                self._read(self._past_prolog(self._legal(data, final=final), final=final), items, final=final)
            except expat.ExpatError:
                empty = self._prolog.CurrentByteIndex <= 0
                self.problem = "nothing is in it" if final and empty else "this is not nmap XML"
            except ParseError as error:
                self.problem = self._explain(error, cut_off=final)
            except _RefusedError as error:
                self.problem = str(error)
            except (LookupError, ValueError) as error:
                # Python's codecs were asked, for an encoding that expat does not know itself
                self.problem = f"nmap's document cannot be decoded: {bounded(str(error), 100)}"
        return iter(items)

    def _read(self, data: bytes, items: list[Item], *, final: bool) -> None:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            try:
                self._parser.feed(piece)
            finally:
                self._take(len(piece), items)
        if final:
            try:
                self._parser.close()
            finally:
                self._take(0, items)

    def _legal(self, data: bytes, *, final: bool) -> bytes:
        """The data with a replacement for each reference to a character that XML does not have."""
        data, self._begun = self._begun + data, b""
        last = data.rfind(b"&", -_LONGEST_REFERENCE)
        if last >= 0 and not final and b";" not in data[last:]:
            data, self._begun = data[:last], data[last:]
        return _REFERENCE.sub(_replaced, data) if _ODD.search(data) else data

    def _past_prolog(self, data: bytes, *, final: bool) -> bytes:
        """What is for the parser: nothing until the root has begun, then all from the document's first byte on."""
        if self._head is None:
            return data
        self._head += data
        try:
            self._prolog.Parse(data, final)
        except _BegunError:
            data, self._head = self._head, None
            return data
        if len(self._head) > _LARGEST:
            raise _RefusedError("this is not nmap XML: no element begins")
        return b""

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag != "nmaprun":
            raise _RefusedError(f"this is not nmap XML: its root is <{bounded(tag, 40)}>")
        get = attributes.get
        self.start = Start(get("args", ""), bounded(get("version", "")), instant(get("start")))
        raise _BegunError

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise _RefusedError(f"the document declares an XML entity ({bounded(name, 40)}); nmap never does, refused")

    def _explain(self, error: ParseError, *, cut_off: bool) -> str:
        line = error.position[0]
        if error.code == _JUNK:
            return f"something follows the end of nmap's document (line {line})"
        return "nmap's document is cut off" if cut_off else f"nmap's document is broken at line {line}"

    def _take(self, size: int, items: list[Item]) -> None:
        """Turn the elements below the root that have ended into items, and forget them.

        An element made here lands in the innermost one that is still open: that shows whether the last has ended.
        """
        if not len(self._above):
            return
        mark = self._builder.start("mark", {})
        self._builder.end("mark")
        root = self._above[0]
        ended = root[:-1] if len(root) and root[-1] is not mark and self._above[-1] is not mark else root[:]
        self._unfinished = size if ended else self._unfinished + size
        for element in ended:
            if element is not mark:
                self._item(element, items)
        del root[: len(ended)]
        if self._unfinished > _LARGEST:
            raise _RefusedError("the document has a larger element than nmap ever writes")
        depth, node = 1, self._above
        while len(node) and node[-1] is not mark:
            depth, node = depth + 1, node[-1]
            if depth > _DEEPEST:
                raise _RefusedError("the document is nested deeper than nmap ever writes")
        if len(node):
            del node[-1]

    def _item(self, element: Element, items: list[Item]) -> None:
        get = element.get
        match element.tag:
            case "host":
                record = self._hosts.read(element)
                if record is None:
                    self.unread = "a host in nmap's document has no address that can be read"
                else:
                    items.append(record)
            case "scaninfo":
                self._ask(element)
            case "taskprogress":
                items.append(Progress(bounded(get("task", "")), number(get("percent"), 0.0)))
            case "target":
                items.append(Skipped(bounded(get("specification", "")), bounded(get("reason", ""))))
            case "prescript" | "postscript":
                items += (
                    Heard(bounded(one.get("id", "")), bounded(one.get("output", ""), LONGEST_OUTPUT))
                    for one in element.iterfind("script")
                )
            case "runstats":
                for finished in element.iterfind("finished"):
                    self.finish = Finish(
                        finished.get("exit", ""), bounded(finished.get("errormsg", "")), instant(finished.get("time"))
                    )
                hosts = element.find("hosts")
                if hosts is not None:
                    self.hosts = count(hosts.get("up")), count(hosts.get("down"))
            case _ if next(element.iter("host"), None) is not None:
                raise _RefusedError("a host inside of another element is nothing that nmap writes")
            case _:
                pass

    def _ask(self, element: Element) -> None:
        get = element.get
        try:
            services = PortSet.parse(get("services", ""))
        except ValueError:
            self.unread = "nmap's document does not say in a way that can be read which ports it asked"
            return
        self.asked.append(Asked(bounded(get("type", "")), bounded(get("protocol", "")), services))
        self._hosts = HostReader(self.asked)


def _replaced(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2])
    legal = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return found[0] if legal else _REPLACEMENT
