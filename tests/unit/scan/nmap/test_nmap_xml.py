"""The reader of nmap's XML, on real output of every odd kind and on hand-made hostile files."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import product
from pathlib import Path

import pytest

from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import Protocol
from auditor.scan.nmap.records import HostRecord, Progress, Skipped
from auditor.scan.nmap.xml import NmapXmlReader

DATA = Path(__file__).parents[3] / "data" / "nmap-xml"
FILES = sorted(path.stem for path in DATA.glob("*.xml"))


def read(name: str, size: int = 1 << 20) -> tuple[NmapXmlReader, list, str | None]:
    """The reader after the whole file, its items and its problem."""
    reader, data, items = NmapXmlReader(), (DATA / f"{name}.xml").read_bytes(), []
    for start in range(0, len(data), size):
        items += reader.feed(data[start : start + size])
    items += reader.end()
    return reader, items, reader.problem


def hosts(name: str) -> dict[str, HostRecord]:
    return {str(item.address): item for item in read(name)[1] if isinstance(item, HostRecord)}


def states(record: HostRecord) -> dict[tuple[str, str], str]:
    """Ports by (state, reason)."""
    found: dict[tuple[str, str], PortSet] = {}
    for seen in record.seen:
        key = str(seen.sight.state), seen.sight.reason
        found[key] = found.get(key, PortSet()) | seen.ports
    return {key: str(ports) for key, ports in found.items()}


@pytest.mark.parametrize("name", FILES)
def test_reads_alike_in_any_pieces(name: str) -> None:
    """However the bytes of a stream arrive, the items are the same."""
    assert read(name)[1:] == read(name, size=7)[1:]


@pytest.mark.parametrize("name", FILES)
def test_no_port_of_a_host_is_seen_twice(name: str) -> None:
    """Within one host element the sights are disjoint, and so is what could not be read."""
    for record in hosts(name).values():
        for protocol in Protocol:
            parts = [s.ports for s in (*record.seen, *record.unread) if s.protocol is protocol]

            assert sum(map(len, parts)) == len(PortSet.union(parts))


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("dd", "10.60.0.11", {("open", "syn-ack"): "22,80", ("filtered", "no-response"): "1-21,23-79,81-200"}),
        ("collapse27", "10.60.0.23", {("open", "syn-ack"): "22", ("closed", "reset"): "1-21,23-27"}),
        ("lo25", "127.0.0.1", {("closed", "reset"): "40001-40025"}),
        ("lo26", "127.0.0.1", {("closed", "reset"): "40001-40026"}),
        ("d1", "10.60.0.23", {("open", "syn-ack"): "22", ("closed", "reset"): "1-21,23-40"}),
        (
            "rej_icmp",
            "10.60.0.21",
            {
                ("open", "syn-ack"): "22,80",
                ("filtered", "admin-prohibited"): "6,21,23,25,110,119,135,143",
                ("filtered", "no-response"): "1-5,7-20,24,26-79,81-109,111-118,120-134,136-142,144-200",
            },
        ),
        ("ack", "10.60.0.11", {("filtered", "no-response"): "1-21,23-60", ("unfiltered", "reset"): "22"}),
        ("fin", "10.60.0.31", {("open|filtered", "no-response"): "22,80", ("closed", "reset"): "81"}),
        (
            "udp",
            "10.60.0.31",
            {
                ("open", "udp-response"): "53,161",
                ("closed", "port-unreach"): "123,500",
                ("open|filtered", "no-response"): "1194,9999",
            },
        ),
        ("route_61", "10.61.0.5", {("filtered", "no-response"): "1-21,23-100", ("filtered", "admin-prohibited"): "22"}),
        ("ipproto", "10.60.0.31", {}),
        ("down_l2_v", "198.51.100.99", {}),
        (
            "old_one_state",
            "10.60.0.11",
            {("open", "syn-ack"): "22,80", ("filtered", "no-response"): "1-21,23-79,81-200"},
        ),
        ("old_two_states", "10.0.0.1", {("open", "syn-ack"): "22"}),
        ("noroute_sT", "10.60.0.31", {}),
    ],
)
def test_states(name: str, address: str, expected: dict[tuple[str, str], str]) -> None:
    """Listed and collapsed ports get exactly the state and reason that nmap gave them."""
    assert expected == states(hosts(name)[address])


@pytest.mark.parametrize(
    ("name", "address", "ports", "reason"),
    [
        (
            "noroute_sT",
            "10.60.0.31",
            "22,80",
            "the scanner's own machine said net-unreach, and a connect scan does not tell whether it speaks for itself",
        ),
        (
            "reason_ip",
            "10.0.0.1",
            "2",
            "the scanner's own machine said net-unreach",
        ),
        (
            "old_two_states",
            "10.0.0.1",
            "1-21,23-200",
            "this nmap is too old to say which ports it collapsed; 7.92 or newer does",
        ),
    ],
)
def test_what_tells_no_state_is_unread(name: str, address: str, ports: str, reason: str) -> None:
    """Ports whose state was made here, or cannot be placed, are neither open nor closed nor filtered."""
    assert [(ports, reason)] == [(str(one.ports), one.reason) for one in hosts(name)[address].unread]


@pytest.mark.parametrize("name", ["hosttimeout", "hosttimeout_sv"])
def test_a_timed_out_host_has_a_reason_and_no_states(name: str) -> None:
    """`timedout` is a host not scanned to its end."""
    record = next(record for record in hosts(name).values() if record.why_not)

    assert ("nmap gave up on this host: host timeout", ()) == (record.why_not, record.seen)


def test_a_host_down_without_pn_was_never_asked() -> None:
    """Where nmap's ping went unanswered, silence says nothing about the ports."""
    record = hosts("down_ping_v")["10.60.0.99"]

    assert ("nmap found the host down and did not probe its ports", ()) == (record.why_not, record.seen)


def test_who_replied() -> None:
    """`reason_ip` is kept: a router's word is not the address's own."""
    replies = {str(s.ports): (s.sight.reply_from, s.sight.ttl) for s in hosts("reason_ip")["10.0.0.1"].seen}

    assert {"1": (ip_address("10.9.9.9"), 64), "3": (None, 0)} == replies


def test_signs_of_life_apart_from_ports() -> None:
    """ARP tells that a neighbour lives; `user-set` is -Pn's own word and tells nothing."""
    assert {"10.60.0.31": None, "10.50.0.1": "arp-response"} == {a: r.reply for a, r in hosts("dup").items()}


def test_identities() -> None:
    """What was probed is kept whole, TLS included; guesses from the port number are no identity."""
    services = {str(seen.ports): seen.sight.identity for seen in hosts("scripts")["10.60.0.31"].seen}

    assert Identity("http", "probed", "nginx", "1.22.1", tunnel="ssl") == services["443"]
    assert Identity("ssh", "probed", "OpenSSH", "9.2p1 Debian 2+deb12u10", "protocol 2.0") == services["22"]
    assert {None} == {seen.sight.identity for seen in hosts("open")["10.60.0.31"].seen}


def test_times_are_the_hosts_own() -> None:
    """An observation is as old as its host's end, not as the file."""
    assert datetime.fromtimestamp(1795308111, UTC) == hosts("dd")["10.60.0.11"].at


@pytest.mark.parametrize(
    ("name", "problem", "count"),
    [
        ("kill", None, 3),
        ("kill2", "nmap's document is cut off", 6),
        ("resume", "nmap's document is cut off", 1),
        ("sigint", "nmap's document is cut off", 0),
        ("bomb", "the document declares an XML entity (a); nmap never does, refused", 0),
    ],
)
def test_what_was_finished_is_kept(name: str, problem: str | None, count: int) -> None:
    """A broken document says what is wrong with it and still gives every host that was whole."""
    _, items, said = read(name)

    assert (problem, count) == (said, len(items))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "nothing is in it"),
        (b"Starting Nmap 7.93", "this is not nmap XML"),
        (b"<html></html>", "this is not nmap XML: its root is <html>"),
        (b"<nmaprun></nmaprun>junk", "something follows the end of nmap's document (line 1)"),
        (b"<nmaprun><host><a></host>", "nmap's document is broken at line 1"),
        (b"<nmaprun>" + b"<a>" * 100, "the document is nested deeper than nmap ever writes"),
    ],
)
def test_what_is_wrong_with_a_document(text: bytes, problem: str) -> None:
    """Each way of being no whole nmap document has its own words."""
    reader = NmapXmlReader()
    items = [*reader.feed(text), *reader.end()]

    assert ([], problem) == (items, reader.problem)


def test_an_error_exit_is_read() -> None:
    """nmap's own error message survives."""
    finish = read("badport")[0].finish

    assert finish is not None
    assert ("error", "Ports specified must be between 0 and 65535 inclusive") == (finish.exit, finish.error)


def test_skipped_targets_and_progress() -> None:
    """Targets that nmap would not scan are named; progress is read from the live stream."""
    assert [Skipped("10.60.0.31", "invalid")] == [i for i in read("noroute")[1] if isinstance(i, Skipped)]
    assert [50.08, 53.55] == [i.percent for i in read("stats")[1] if isinstance(i, Progress)][:2]


def test_hostile_texts_change_no_state() -> None:
    """Unknown states, impossible ports and broken lists are not answered for; texts are bounded, else as they came."""
    record = hosts("hostile")["10.0.0.1"]
    identity = next(seen.sight.identity for seen in record.seen if 1 in seen.ports)

    assert {("open", "syn-ack"): "1", ("closed", "reset"): "8"} == states(record)
    assert {"2", "3", "7", "9"} == {str(one.ports) for one in record.unread}
    assert identity is not None
    assert ("<script>alert(1)</script>", 1024) == (identity.name, len(identity.product))


@pytest.mark.parametrize("reason", ["host-unreach", "admin-prohibited", "time-exceeded", "perm-denied"])
def test_a_connect_scan_believes_no_refusal(reason: str) -> None:
    """Without raw sockets it may come from here, port by port, whatever other ports of the address answer."""
    text = (
        '<nmaprun args="nmap -sT"><scaninfo type="connect" protocol="tcp" services="1-2"/><host>'
        '<address addr="10.0.0.1" addrtype="ipv4"/><ports>'
        f'<port protocol="tcp" portid="1"><state state="filtered" reason="{reason}" reason_ttl="0"/></port>'
        '<port protocol="tcp" portid="2"><state state="closed" reason="x" reason_ttl="0"/></port>'
        "</ports></host></nmaprun>"
    )
    (record,) = (item for item in NmapXmlReader().feed(text.encode()) if isinstance(item, HostRecord))

    assert ["2"] == [str(seen.ports) for seen in record.seen]
    assert ["1"] == [str(one.ports) for one in record.unread]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"<nmaprun>" + b"<host>" + b"<a/>" * 999, "the document has a larger element than nmap ever writes"),
        (b"<!--" + b"x" * 999, "this is not nmap XML: no element begins"),
    ],
)
def test_memory_has_a_bound(text: bytes, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No document makes the reader hold more than the largest host that nmap could write."""
    monkeypatch.setattr("auditor.scan.nmap.xml._LARGEST", 900)
    reader = NmapXmlReader()

    assert [] == [*reader.feed(text[:500]), *reader.feed(text[500:]), *reader.end()]
    assert problem == reader.problem


_LOOKS = (
    '<port protocol="tcp" portid="{0}"><state state="open" reason="syn-ack" reason_ttl="62"/>{1}</port>',
    '<port protocol="tcp" portid="{0}"><state state="open" reason="syn-ack" reason_ttl="61"/>{1}</port>',
    '<port protocol="udp" portid="{0}"><state state="open" reason="syn-ack" reason_ttl="62"/>{1}</port>',
    '<x protocol="tcp" portid="{0}"><state state="open" reason="syn-ack" reason_ttl="62"/>{1}</x>',
    '<extraports state="closed" count="1"><extrareasons reason="reset" proto="tcp" ports="{0}"/>{1}</extraports>',
    '<extraports state="filtered" count="1"><extrareasons reason="reset" proto="tcp" ports="{0}"/>{1}</extraports>',
    '<extraports state="closed" count="1">{1}</extraports>',
)
_SAID = (
    "",
    '<service name="http" product="x" method="probed"/>',
    '<service name="http" version="x" method="probed"/>',
    '<service name="http" extrainfo="x" method="probed"/>',
    '<service name="http" product="version" version="x" method="probed"/>',
    '<service name="http" product="version" version="xy" method="probed"/>',
    '<service name="http" product="versionx" version="y" method="probed"/>',
    '<script id="banner" output="x"/>',
    '<script id="http-title" output="x"/>',
)
_APART = (
    '<port protocol="tcp" portid="1"><state state="open" reason="syn-ack" reason_ttl="62"/></port>',
    '<port protocol="tcp" portid="1"/><state state="open" reason="syn-ack" reason_ttl="62"/>',
    '<extraports state="closed" count="1"/><extrareasons reason="reset" proto="tcp" ports="1"/>',
    '<extraports state="closed" count="1"><extrareasons reason="reset" proto="tcp" ports="1"/></extraports>',
)
_HOST = '<host><address addr="10.0.{}.{}" addrtype="ipv4"/><ports>{}</ports></host>'
_HEAD = '<nmaprun args="nmap"><scaninfo type="syn" protocol="tcp" services="1-3"/>'


def test_what_is_remembered_of_other_hosts_changes_none() -> None:
    """Hosts that differ in any one thing are read after one another as each would be by itself, twice over."""
    ports = [
        look.format(port, said) + more
        for look, port, said, more in product(_LOOKS, (1, 2), _SAID, ("", _LOOKS[0].format(3, "")))
    ]
    hosts = [_HOST.format(*divmod(number, 256), text) for number, text in enumerate((*ports, *_APART))]
    alone = [record for host in hosts for record in NmapXmlReader().feed(f"{_HEAD}{host}</nmaprun>".encode())]
    together = list(NmapXmlReader().feed(f"{_HEAD}{''.join(hosts * 2)}</nmaprun>".encode()))

    assert len({(record.seen, record.unread) for record in alone}) > 50
    assert alone * 2 == together


def test_what_is_asked_later_counts_for_the_hosts_after_it() -> None:
    """A line without `ports` is what was asked and not listed."""
    host = _HOST.format(0, 1, '<extraports state="closed" count="3"><extrareasons reason="resets"/></extraports>')
    more = '<scaninfo type="syn" protocol="tcp" services="4"/>'
    text = f"{_HEAD}{host}{more}{host}</nmaprun>"
    before, after = (record for record in NmapXmlReader().feed(text.encode()) if isinstance(record, HostRecord))

    assert ({("closed", "reset"): "1-3"}, ()) == (states(before), before.unread)
    assert ({}, ["1-3", "4"]) == (states(after), [str(one.ports) for one in after.unread])


_LONG = "x" * 100_000
_MANY = "".join(f'<extrareasons reason="reset" proto="tcp" ports="{port}"/>' for port in range(65300, 65500))


@pytest.mark.parametrize(
    ("ports", "times"),
    [
        (
            f'<port protocol="tcp" portid="22"><state state="open"/><script id="banner" output="{{}}{_LONG}"/></port>',
            60,
        ),
        (f'<extraports state="{{}}{_LONG}"><extrareasons proto="tcp" ports="1"/></extraports>', 60),
        (f'<extraports state="closed"><extrareasons reason="{{}}" proto="tcp" ports="1"/>{_MANY}</extraports>', 60),
        ('<extraports state="closed"><extrareasons reason="{}" proto="tcp" ports="1,65535"/></extraports>', 3000),
    ],
)
def test_what_is_remembered_has_a_bound(ports: str, times: int) -> None:
    """The reader's memory does not grow with what services say, or how many hosts there are."""
    reader, grown = NmapXmlReader(), []
    list(reader.feed(_HEAD.encode()))
    tracemalloc.start()
    try:
        for number in range(times):
            assert len(list(reader.feed(_HOST.format(0, 1, ports.format(number)).encode()))) == 1
            grown.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    assert grown[-1] - grown[times // 3] < 2_000_000


def test_hosts_come_as_soon_as_they_are_whole() -> None:
    """A host need not wait for what follows it, nor is one taken for whole that is not."""
    reader = NmapXmlReader()
    text = b'<nmaprun args="x"><host><address addr="10.0.0.1" addrtype="ipv4"/></host>'

    assert [0, 1] == [len(list(reader.feed(piece))) for piece in (text[:-1], text[-1:])]


@pytest.mark.parametrize("encoding", ["foo", "utf-7", "shift_jis", "rot13", "base64", "idna"])
def test_an_encoding_that_cannot_be_read_is_a_problem(encoding: str) -> None:
    """The document is refused, as any other that nmap never writes."""
    reader = NmapXmlReader()
    text = f'<?xml version="1.0" encoding="{encoding}"?><nmaprun args="nmap"></nmaprun>'

    assert [] == [*reader.feed(text.encode()), *reader.end()]
    assert reader.problem


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        *((f"&#x{code:x};", "\ufffd") for code in (*range(9), 11, 12, *range(14, 32), 0xD800, 0xDFFF, 0xFFFE, 0xFFFF)),
        ("&#0;", "\ufffd"),
        ("&#x0001;", "\ufffd"),
        ("&#55296;", "\ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&#x123456789abcdef;", "\ufffd"),
        ("&#31;", "\ufffd"),
        ("&#x9;", "\t"),
        ("&#13;", "\r"),
        ("&#xec;", "ì"),
        ("&#x1F600;", "😀"),
        ("&amp;#x1;", "&#x1;"),
    ],
)
@pytest.mark.parametrize("size", [1 << 20, 1, 5])
def test_a_character_that_xml_does_not_have(reference: str, text: str, size: int) -> None:
    """A reference to it is replaced, and all the rest is read, however it comes; other references stay."""
    service = f'<service name="0M&#xec;{reference}" product="Samba" method="probed"/>'
    look = f'<port protocol="tcp" portid="445"><state state="open" reason="syn-ack"/>{service}</port>'
    data = f'<nmaprun args="nmap {reference}">{_HOST.format(0, 1, look)}{_HOST.format(0, 2, look)}</nmaprun>'.encode()
    reader, records = NmapXmlReader(), []
    for start in range(0, len(data), size):
        records += reader.feed(data[start : start + size])
    records += reader.end()

    assert [f"0Mì{text}"] * 2 == [record.seen[0].sight.identity.name for record in records]
    assert reader.problem is None
    assert reader.start is not None
    assert f"nmap {text}" == reader.start.args


@pytest.mark.parametrize("broken", ["&#x;", "&#;", "&#xfffffffffffffffffff;", "&#1", "&lol;", "&"])
def test_what_is_no_reference_is_broken(broken: str) -> None:
    """Nothing is made of it."""
    reader = NmapXmlReader()
    data = f"{_HEAD}{_HOST.format(0, 1, '')}<x y='{broken}'/>{' ' * 20}</nmaprun>".encode()

    assert 1 == len([*reader.feed(data), *reader.end()])
    assert "nmap's document is broken at line 1" == reader.problem


def test_a_host_inside_another_element_is_refused() -> None:
    """nmap writes hosts below its root alone; what was whole before is kept."""
    host = '<host><address addr="10.0.0.{}" addrtype="ipv4"/></host>'
    reader = NmapXmlReader()
    text = f'<nmaprun args="x">{host.format(1)}<x>{host.format(2)}</x>{host.format(3)}</nmaprun>'

    assert ["10.0.0.1"] == [str(item.address) for item in reader.feed(text.encode()) if isinstance(item, HostRecord)]
    assert reader.problem == "a host inside of another element is nothing that nmap writes"
