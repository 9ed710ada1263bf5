"""Saved files as people have them: in another encoding, with blank lines, several documents in one, or cut off."""

from __future__ import annotations

import codecs
import gzip
from itertools import product
from pathlib import Path

import pytest

from auditor.errors import EvidenceError
from auditor.scan.nmap import documents
from auditor.scan.saved import Evidence, read_evidence

DATA = Path(__file__).parents[3] / "data" / "nmap-xml"
ONE, OTHER = ((DATA / f"{name}.xml").read_bytes() for name in ("dd", "open"))
SHORT = OTHER.removeprefix(b'<?xml version="1.0" encoding="UTF-8"?>\n')


def whole(path: Path) -> list[bytes]:
    found = [b""]
    for part, ended in documents.parts(path):
        found[-1] += part
        if ended:
            found.append(b"")
    return [one for one in found if one]


def told(evidence: Evidence) -> tuple[object, ...]:
    return evidence.observations, evidence.failures, evidence.asked, evidence.errors


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [1, 3, 7, 10, 1000])
@pytest.mark.parametrize(
    ("content", "count"),
    [
        (ONE, 1),
        (ONE + OTHER, 2),
        (ONE + codecs.BOM_UTF8 + b"\r\n \n" + SHORT, 2),  # without a declaration of its own
        (ONE[:900] + OTHER + ONE, 3),  # the first was killed
        (b"\n\n" + ONE + b"\n", 1),
        (b" ", 0),
        (ONE + b"junk", 2),
    ],
)
def test_documents_in_any_pieces(
    content: bytes, count: int, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the file is read, its documents are the same, and nothing but what is blank is lost."""
    path = written(tmp_path / "scan.xml", content)
    found = whole(path)
    monkeypatch.setattr(documents, "_CHUNK", size)

    assert count == len(found)
    assert found == whole(path)
    assert b"".join(content.replace(codecs.BOM_UTF8, b"").split()) == b"".join(b"".join(found).split())


def test_appended_documents_are_read_as_files(tmp_path: Path) -> None:
    """Each scan is one look, with its own coverage and end; one that is twice there is no second look."""
    apart = read_evidence([written(tmp_path / "a.xml", ONE), written(tmp_path / "b.xml", OTHER)])
    together = read_evidence([written(tmp_path / "ab.xml", ONE + OTHER + ONE)])

    assert told(apart) == told(together)
    assert 2 == len(together.commands)


def test_a_document_that_was_cut_off_costs_no_other(tmp_path: Path) -> None:
    """What stands after it is read, and which of them is broken is said."""
    path = tmp_path / "scan.xml"
    begun = read_evidence([written(path, ONE[:900] + OTHER)])
    ended = read_evidence([written(path, OTHER + ONE[:900])])

    assert (f"{path}: nmap's document is cut off",) == begun.errors
    assert (f"{path} (its scan 2): nmap's document is cut off",) == ended.errors
    assert begun.observations == ended.observations == read_evidence([DATA / "open.xml"]).observations


def test_what_follows_and_is_no_document_is_said(tmp_path: Path) -> None:
    """The scan before it is kept."""
    path = written(tmp_path / "scan.xml", OTHER + b"Segmentation fault\n")
    packed = written(tmp_path / "scan.xml.gz", gzip.compress(OTHER) + b"junk")
    found = read_evidence([path])

    assert (f"{path}: something follows the end of nmap's document",) == found.errors
    assert found.observations == read_evidence([DATA / "open.xml"]).observations
    assert () == read_evidence([packed]).errors  # behind gzip's own end


def test_no_more_scans_than_anybody_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes memory."""
    monkeypatch.setattr("auditor.scan.saved._MOST_DOCUMENTS", 3)
    path = tmp_path / "scan.xml"
    several = [ONE.replace(b"1795308111", str(1795308111 + n).encode()) for n in range(4)]

    assert 2 == len(read_evidence([written(path, b"".join(several[:2]))]).commands)
    for content in (b"".join(several), ONE + b"<?xml " * 9):
        with pytest.raises(EvidenceError, match=r"scan\.xml: it holds 3 scans or more; give them in several files"):
            read_evidence([written(path, content)])


@pytest.mark.parametrize(
    ("mark", "encoding", "named"),
    [
        *product((codecs.BOM_UTF16_LE, b""), ("utf-16-le",), ("UTF-8", "utf-16")),
        *product((codecs.BOM_UTF16_BE, b""), ("utf-16-be",), ("UTF-8", "UTF-16BE")),
        (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    ],
)
def test_encodings(mark: bytes, encoding: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shell has made of the bytes reads alike, packed or not, whatever encoding the document names."""
    text = (ONE + OTHER).decode().replace('encoding="UTF-8"', f'encoding="{named}"', 1).replace("\n", "\r\n")
    content = mark + text.encode(encoding)
    usual = told(read_evidence([DATA / "dd.xml", DATA / "open.xml"]))
    paths = written(tmp_path / "scan.xml", content), written(tmp_path / "scan.xml.gz", gzip.compress(content))

    assert [usual] * 2 == [told(read_evidence([path])) for path in paths]
    monkeypatch.setattr(documents, "_CHUNK", 7)
    assert [usual] * 2 == [told(read_evidence([path])) for path in paths]


def scan(args: str, hosts: str, up: int, down: int, ended: str = "success") -> bytes:
    finished = f'<runstats><finished time="1795308111" exit="{ended}"/><hosts up="{up}" down="{down}"/></runstats>'
    return (
        f'<nmaprun args="nmap {args}" start="1795308000" version="7.93">'
        f'<scaninfo type="syn" protocol="tcp" services="22"/>{hosts}{finished}</nmaprun>'
    ).encode()


def host(address: str, state: str = "up") -> str:
    port = '<ports><port protocol="tcp" portid="22"><state state="closed" reason="reset"/></port></ports>'
    return (
        f'<host><status state="{state}" reason="{"reset" if state == "up" else "no-response"}"/>'
        f'<address addr="{address}" addrtype="ipv4"/>{port if state == "up" else ""}</host>'
    )


UP, DOWN = host("10.0.0.1"), host("10.0.0.2", "down")


@pytest.mark.parametrize(
    ("content", "down", "excluded"),
    [
        (scan("10.0.0.0/30", UP, 1, 3), "0 2 3", ""),
        (scan("-v 10.0.0.0/30", UP + DOWN, 1, 3), "0 2 3", ""),
        (scan("-v 10.0.0.0/30", UP + DOWN, 1, 3, "error"), "2", ""),  # it stopped before it had asked all
        (scan("10.0.0.0/30", UP, 1, 2), "", ""),  # one that is not there is not down
        (scan("10.0.0.0/30", UP, 2, 3), "", ""),  # `--open` leaves out what is up
        (scan("--exclude 10.0.0.0,10.0.0.2-3 10.0.0.0/30", UP, 1, 0), "", "0 2 3"),
        (scan("--exclude=10.0.0.2/31 10.0.0.0/30", UP, 1, 1), "0", "2 3"),
        (scan("--exclude 10.0.0.0/8 10.0.0.0/30", UP, 1, 0), "", "0 2 3"),
        (scan("--excludefile no.txt 10.0.0.0/30", UP, 1, 1), "0 2 3", ""),
        (scan("10.0.0.0/30", UP, 1, 3) + scan("10.0.0.2", host("10.0.0.2"), 1, 0), "0 3", ""),
        (scan("10.0.0.0/30", UP, 1, 3) + scan("10.0.0.3", "", 0, 0), "0 2", ""),  # asked, and not answered for
        (scan("--exclude 10.0.0.3 10.0.0.0/30", UP, 1, 2) + scan("10.0.0.3", "", 0, 1), "0 2 3", ""),
    ],
)
def test_what_was_not_asked(content: bytes, down: str, excluded: str, tmp_path: Path) -> None:
    """Hosts that nmap held to be down, with `-v` and without, and those that it was told to leave out."""
    found = read_evidence([written(tmp_path / "scan.xml", content)])

    assert [down, excluded] == [
        " ".join(sorted(str(address).rpartition(".")[2] for address in one.addresses)) for one in found.unasked
    ]


def test_one_that_only_a_ping_found_is_alive(tmp_path: Path) -> None:
    """Though another scan held it to be down."""
    sweep = b'<nmaprun args="nmap -sn 10.0.0.2"><host><status state="up" reason="echo-reply"/>'
    sweep += b'<address addr="10.0.0.2" addrtype="ipv4"/></host></nmaprun>'
    found = read_evidence([written(tmp_path / "scan.xml", scan("10.0.0.0/30", UP, 1, 3) + sweep)])

    assert ["10.0.0.0", "10.0.0.3"] == sorted(str(address) for one in found.unasked for address in one.addresses)


def test_open_ports_of_other_protocols(tmp_path: Path) -> None:
    """Each is named, once for an address and a protocol, collapsed or not; what is not open is not."""
    ports = "".join(
        f'<port protocol="{protocol}" portid="{port}"><state state="{state}"/></port>'
        for protocol, port, state in (
            ("sctp", 2905, "open"),
            ("sctp", 7, "closed"),
            ("sctp", 36412, "open"),
            ("ip", 132, "open"),
            ("&lt;b&gt;", 9, "open"),
            ("tcp", 22, "open"),
        )
    )
    lines = '<extraports state="open"><extrareasons reason="init-ack" proto="sctp" ports="1-3"/></extraports>'
    hosts = [
        f'<host><address addr="10.0.0.{last}" addrtype="ipv4"/><ports>{ports}{lines}</ports></host>' for last in (1, 2)
    ]
    asked = b'<scaninfo type="sctpinit" protocol="sctp" services="1-9"/></nmaprun>'
    content = scan("10.0.0.1", "".join(hosts), 2, 0).replace(b"</nmaprun>", asked)
    found = read_evidence([written(tmp_path / "scan.xml", content)])
    only = "seen open, but only TCP and UDP are audited"

    assert [
        ("10.0.0.1: SCTP 1-3,2905,36412", only),
        ("10.0.0.1: an unknown protocol 9", only),
        ("10.0.0.1: protocols over IP 132", only),
        ("10.0.0.2: SCTP 1-3,2905,36412", only),
        ("10.0.0.2: an unknown protocol 9", only),
        ("10.0.0.2: protocols over IP 132", only),
        (
            "protocols other than TCP and UDP",
            "not audited; the evidence asked about SCTP, an unknown protocol, protocols over IP",
        ),
    ] == [(one.what, one.reason) for one in sorted(found.left_out)]
    assert {"tcp"} == {one.protocol for one in found.observations}


@pytest.mark.parametrize(
    ("found", "made", "why"),
    [
        ('addr="10.0.0.1"', 'addr="10.0.0.&#x1;"', "a host in nmap's document has no address that can be read"),
        ('services="22"', 'services="2&#x2;"', "nmap's document does not say in a way that can be read which ports"),
    ],
)
def test_what_cannot_be_placed_is_said(found: str, made: str, why: str, tmp_path: Path) -> None:
    """A document that is whole, and holds a host or ports that nobody can tell."""
    path = tmp_path / "scan.xml"
    content = scan("10.0.0.1", UP + host("10.0.0.9"), 2, 0).replace(found.encode(), made.encode())
    (error,) = read_evidence([written(path, content)]).errors

    assert error.startswith(f"{path}: {why}")
