"""Saved nmap XML as evidence: what was asked, what is known, and what went wrong."""

from __future__ import annotations

import gzip
import os
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest

from auditor.errors import EvidenceError
from auditor.model.ages import Freshness
from auditor.model.words import Protocol, Technique
from auditor.scan.saved import Evidence, read_evidence
from tests.readers import Late

DATA = Path(__file__).parents[2] / "data" / "nmap-xml"


def evidence(*names: str) -> Evidence:
    return read_evidence([DATA / f"{name}.xml" for name in names])


def asked(found: Evidence) -> dict[str, str]:
    return {f"{address} {protocol}": str(ports) for (address, protocol), ports in found.asked.items()}


def test_what_a_file_asked_and_saw() -> None:
    """Its hosts times its ports, its command and nmap's version."""
    found = evidence("dd")

    assert {"10.60.0.11 tcp": "1-200"} == asked(found)
    assert ("7.93", Technique.SYN, (), ()) == (found.nmap_version, found.technique, found.failures, found.errors)
    assert ("nmap -n -Pn --reason -p 1-200 -oX dd.xml 10.60.0.11",) == found.commands
    assert 200 == sum(len(one.ports) for one in found.observations)


def test_hosts_that_a_killed_scan_never_reached_were_asked() -> None:
    """The command line names them, last-octet ranges included."""
    found = evidence("kill2")
    failed = {str(one.address) for one in found.failures}

    assert 16 == len(found.asked)
    assert 10 == len(failed)
    assert {"nmap's document is cut off"} == {one.reason for one in found.failures}
    assert 1 == len(found.errors)


def test_a_timed_out_host_was_asked() -> None:
    """It has no ports in the file, but the scan set out to ask them."""
    found = evidence("hosttimeout")

    assert {"10.60.0.11 tcp": "1-5000", "10.60.0.31 tcp": "1-5000"} == asked(found)
    assert [("10.60.0.11", "1-5000", "nmap gave up on this host: host timeout")] == [
        (str(one.address), str(one.ports), one.reason) for one in found.failures
    ]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("down_ping", "nmap did not report on it"),
        ("down_ping_v", "nmap found the host down and did not probe its ports"),
        ("noroute", "nmap skipped this address, it has no usable way to it"),
        ("sigint", "nmap's document is cut off"),
        ("old_two_states", "this nmap is too old to say which ports it collapsed; 7.92 or newer does"),
    ],
)
def test_what_was_asked_in_vain(name: str, reason: str) -> None:
    """Named on the command line, not answered for."""
    assert {reason} == {one.reason for one in evidence(name).failures}


def test_one_address_twice_is_confirmed() -> None:
    """Hosts that come twice are one, seen twice."""
    found = evidence("dup")

    assert [2] == [one.attempts for one in found.observations if one.address == ip_address("10.60.0.31")]


def test_files_unite() -> None:
    """TCP of one file and UDP of another are one body of evidence; TLS and TCP looks of one host add up."""
    found = evidence("open", "udp", "scripts")
    key = ip_address("10.60.0.31")

    assert "53,123,161,500,1194,9999" == str(found.asked[key, Protocol.UDP])
    assert "1-200,443" == str(found.asked[key, Protocol.TCP])
    ssh = next(o for o in found.observations if o.address == key and 22 in o.ports)
    assert (2, "OpenSSH") == (ssh.attempts, ssh.identity and ssh.identity.product)


def test_ip_protocol_scans_ask_no_ports() -> None:
    """Protocol numbers are not ports."""
    assert ({}, ()) == (asked(evidence("ipproto")), evidence("ipproto").observations)


def test_order_of_files_does_not_matter() -> None:
    """Evidence is a set."""
    assert evidence("open", "scripts", "udp").observations == evidence("udp", "scripts", "open").observations


def test_gzipped_files_are_read(tmp_path: Path) -> None:
    """The auditor's own evidence is gzipped; known by its first bytes, not by its name."""
    packed = tmp_path / "evidence"
    packed.write_bytes(gzip.compress((DATA / "dd.xml").read_bytes()))

    assert evidence("dd").observations == read_evidence([packed]).observations


@pytest.mark.parametrize("name", ["dd", "kill2", "dup"])
def test_what_only_the_end_completes_is_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that the parser gives at the very end is evidence like any other."""
    usual = evidence(name)
    monkeypatch.setattr("auditor.scan.saved.NmapXmlReader", Late)

    assert usual == evidence(name)


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read(tmp_path: Path, packed: bool) -> None:
    """A shell's `<(…)` gives a pipe, in which nothing can be looked up again."""
    plain = (DATA / "dd.xml").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(gzip.compress(plain) if packed else plain,))
    writer.start()
    found = read_evidence([pipe])
    writer.join()

    assert asked(evidence("dd")) == asked(found)


def test_a_gzipped_file_cut_off_keeps_its_finished_hosts(tmp_path: Path) -> None:
    """A kill while writing loses the end alone."""
    packed = tmp_path / "t.xml.gz"
    whole = gzip.compress((DATA / "t.xml").read_bytes(), compresslevel=0)
    packed.write_bytes(whole[: len(whole) // 2])
    found = read_evidence([packed])

    assert found.observations
    assert "cut off or damaged" in found.errors[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "nothing is in it"),
        (b"not XML", "this is not nmap XML"),
        (b"<html/>", "this is not nmap XML: its root is <html>"),
        ((DATA / "bomb.xml").read_bytes(), "declares an XML entity"),
        (b"\x1f\x8bnonsense", "nothing is in it"),
    ],
)
def test_what_is_not_nmap_xml_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """The error names the file and what it is instead."""
    file = tmp_path / "file.xml"
    file.write_bytes(content)

    with pytest.raises(EvidenceError, match=reason) as raised:
        read_evidence([file])
    assert str(raised.value).startswith(f"{file}: ")


def test_a_missing_file_is_an_evidence_error(tmp_path: Path) -> None:
    """Said with the path."""
    with pytest.raises(EvidenceError, match=r"no\.xml: cannot be read: No such file"):
        read_evidence([tmp_path / "no.xml"])


def test_the_same_scan_given_twice_confirms_nothing(tmp_path: Path) -> None:
    """A copy, packed or not, is no second look."""
    packed = tmp_path / "copy.xml.gz"
    packed.write_bytes(gzip.compress((DATA / "dd.xml").read_bytes()))
    found = read_evidence([DATA / "dd.xml", DATA / "dd.xml", packed])

    assert {1} == {one.attempts for one in found.observations}
    assert 1 == len(found.commands)


def test_names_and_hardware_addresses(tmp_path: Path) -> None:
    """What the user called it comes first; what is no hardware address is dropped, and long names are cut."""
    scan = tmp_path / "named.xml"
    scan.write_text(
        '<nmaprun args="nmap -S 198.51.100.20 -oX - web" version="7.93"><host><status state="up" reason="reset"/>'
        '<address addr="203.0.113.10" addrtype="ipv4"/><address addr="AA:11:22:33:44:55" addrtype="mac"/>'
        f'<hostnames><hostname name="a{"b" * 400}" type="PTR"/><hostname name="web" type="user"/>'
        '<hostname name="web" type="user"/></hostnames></host>'
        '<host timedout="true"><status state="up" reason="reset"/><address addr="2001:db8::1" addrtype="ipv6"/>'
        '<address addr="&lt;b&gt;" addrtype="mac"/><hostnames><hostname name="six" type="PTR"/></hostnames></host>'
        "</nmaprun>",
        encoding="utf-8",
    )
    found = read_evidence([scan])

    assert found.sources == (ip_address("198.51.100.20"),)
    assert [(str(one.address), one.names[0], len(one.names[-1]), one.mac) for one in found.labels] == [
        ("203.0.113.10", "web", 253, "aa:11:22:33:44:55"),
        ("2001:db8::1", "six", 3, ""),
    ]


def dated(path: Path, ended: str, state: str = "closed", start: str = "1000") -> Path:
    host = (
        f'<host {ended}><status state="up" reason="echo-reply"/><address addr="10.0.0.1" addrtype="ipv4"/>'
        f'<ports><port protocol="tcp" portid="22"><state state="{state}" reason="reset"/></port></ports></host>'
    )
    begin = f'<nmaprun scanner="nmap" args="nmap -p 22-23 10.0.0.1" version="7.93" {start}>'
    scan = '<scaninfo type="syn" protocol="tcp" services="22-23"/>'
    path.write_text(f'{begin}{scan}{host}<runstats><finished exit="success"/></runstats></nmaprun>', encoding="utf-8")
    return path


def test_evidence_that_is_too_old(tmp_path: Path) -> None:
    """What it saw is unverified, by its age, and it is no sign of life; newer evidence of the same endpoint counts."""
    now = datetime(2026, 11, 24, 2, tzinfo=UTC)
    week = Freshness(now, timedelta(days=7))
    seconds = [int((now - timedelta(days=days)).timestamp()) for days in (12, 7)]
    old, new = (dated(tmp_path / f"{one}.xml", f'endtime="{one}"', start='start="1000"') for one in seconds)
    timeless = dated(tmp_path / "timeless.xml", "", start="")
    by_file = dated(tmp_path / "by-file.xml", "", start=f'start="{seconds[0]}"')
    reason = "too old: seen 12 days ago (2026-11-12T02:00Z), and --max-age is 7 days"
    unknown = "of unknown age: the evidence does not say when it was seen, and --max-age asks for it"

    def told(*paths: Path) -> list[tuple[str, str]]:
        found = read_evidence(paths, week)
        assert {"10.0.0.1 tcp": "22-23"} == asked(found)
        return [(str(one.ports), one.reason) for one in (*found.failures, *found.observations)] + [
            ("reply", one.reason) for one in found.replies
        ]

    missing = ("23", "nmap did not report on it")
    assert [("22", reason), missing] == told(old)
    assert [("22", reason), missing] == told(by_file)
    assert [("22", unknown), missing] == told(timeless)
    assert [missing, ("22", "reset"), ("reply", "echo-reply")] == told(new)
    assert [missing, ("22", "reset"), ("reply", "echo-reply")] == told(old, new)


def saved(path: Path, span: tuple[int, int], ports: str, *, timed: bool = True, down: bool = False) -> Path:
    """A scan of TCP 1 to 100 of 10.0.0.1 between two times, which the host tells or the file alone."""
    begin, end = span
    times = f' starttime="{begin}" endtime="{end}"' if timed else ""
    state = "down" if down else "up"
    path.write_text(
        f'<nmaprun scanner="nmap" args="nmap -p 1-100 10.0.0.1" version="7.93" start="{begin}">'
        f'<scaninfo type="syn" protocol="tcp" services="1-100"/><host{times}><status state="{state}" reason="reset"/>'
        f'<address addr="10.0.0.1" addrtype="ipv4"/><ports>{ports}</ports></host>'
        f'<runstats><finished exit="success" time="{end}"/></runstats></nmaprun>',
        encoding="utf-8",
    )
    return path


def port(number: int, state: str, reason: str) -> str:
    return f'<port protocol="tcp" portid="{number}"><state state="{state}" reason="{reason}"/></port>'


def collapsed(state: str, reason: str, ports: str) -> str:
    lines = f'<extrareasons reason="{reason}" count="9" proto="tcp" ports="{ports}"/>'
    return f'<extraports state="{state}" count="9">{lines}</extraports>'


def states(*paths: Path) -> dict[str, str]:
    """The state of each port, or in parentheses the first word of why it has none; the same in every order."""
    found, other = read_evidence(paths), read_evidence(paths[::-1])
    assert found == other
    return {str(one.ports): one.state.value for one in found.observations} | {
        str(one.ports): f"({one.reason.partition(' ')[0].rstrip(':')})" for one in found.failures
    }


def test_a_younger_look_cuts_what_an_older_one_collapsed(tmp_path: Path) -> None:
    """And the other way round: whole ranges are laid over single ports."""
    few = port(22, "open", "syn-ack") + collapsed("closed", "reset", "1-21,23-100")
    none = collapsed("closed", "reset", "1-100")
    first, then = (1000, 1010), (2000, 2010)

    opened = saved(tmp_path / "a.xml", first, none), saved(tmp_path / "b.xml", then, few)
    assert {"22": "open", "1-21,23-100": "closed"} == states(*opened)
    shut = saved(tmp_path / "c.xml", first, few), saved(tmp_path / "d.xml", then, none)
    assert {"1-21,23-100": "closed", "22": "closed"} == states(*shut)  # the others have been seen so twice
    silent = saved(tmp_path / "e.xml", then, collapsed("filtered", "no-response", "1-50"))
    assert {"22": "(open)", "1-21,23-50": "(closed)", "51-100": "closed"} == states(shut[0], silent)


def test_times_of_the_file_stand_in_for_those_of_hosts(tmp_path: Path) -> None:
    """A host that says nothing of when was seen at some time of its scan: beside another one, or surely after it."""
    shut = saved(tmp_path / "shut.xml", (1500, 1500), port(22, "closed", "reset"))
    during = saved(tmp_path / "during.xml", (1000, 2000), port(22, "open", "syn-ack"), timed=False)
    after = saved(tmp_path / "after.xml", (1501, 2000), port(22, "open", "syn-ack"), timed=False)

    assert "(contradicting)" == states(shut, during)["22"]
    assert "open" == states(shut, after)["22"]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        (("open", "syn-ack"), ("filtered", "no-response"), "open"),  # lost by one of two scans side by side
        (("closed", "reset"), ("open", "syn-ack"), "(contradicting)"),
        (("open", "syn-ack"), ("filtered", "admin-prohibited"), "(contradicting)"),
        (("open", "syn-ack"), ("unfiltered", "reset"), "open"),
    ],
)
def test_scans_side_by_side(first: tuple[str, str], then: tuple[str, str], expected: str, tmp_path: Path) -> None:
    """Which of them looked at the port first is not known, though one of them came to its end later."""
    one = saved(tmp_path / "one.xml", (1000, 3000), port(22, *first))
    other = saved(tmp_path / "other.xml", (2000, 4000), port(22, *then))

    assert expected == states(one, other)["22"]


def test_a_port_twice_in_one_host(tmp_path: Path) -> None:
    """A document that contradicts itself is believed in nothing."""
    both = port(22, "open", "syn-ack") + port(22, "closed", "reset")

    assert "(contradicting)" == states(saved(tmp_path / "both.xml", (1000, 1010), both))["22"]


def test_who_is_down_since_serves_nothing_for_sure(tmp_path: Path) -> None:
    """With -v nmap names who did not answer its pings. Of a host that answers none, a scan beside it knows better."""
    served = saved(tmp_path / "served.xml", (1000, 1010), port(22, "open", "syn-ack"))
    down = saved(tmp_path / "down.xml", (2000, 2010), "", timed=False, down=True)
    at_once = saved(tmp_path / "at-once.xml", (990, 1010), "", timed=False, down=True)
    again = saved(tmp_path / "again.xml", (3000, 3010), port(22, "open", "syn-ack"))

    assert "(open)" == states(served, down)["22"]
    assert ["no sign of life"] == [
        one.reason.partition(", then ")[2].partition(" at ")[0]
        for one in read_evidence([served, down]).failures
        if 22 in one.ports
    ]
    assert "open" == states(served, at_once)["22"]
    assert ["open"] == [one.state.value for one in read_evidence([served, down, again]).observations]


def test_scans_of_one_file_are_looks_of_their_own(tmp_path: Path) -> None:
    """What `--append-output` has put together has the times that it has apart, whichever scan comes first."""
    old = saved(tmp_path / "old.xml", (1000, 1010), port(22, "open", "syn-ack"))
    young = saved(tmp_path / "young.xml", (2000, 2010), port(22, "closed", "reset"))
    at_once = saved(tmp_path / "at-once.xml", (1000, 1010), port(22, "closed", "reset"))
    file = tmp_path / "appended.xml"

    for pair in ((old, young), (young, old)):
        file.write_bytes(b"".join(one.read_bytes() for one in pair))
        assert states(*pair) == states(file)
        assert "closed" == states(file)["22"]
    file.write_bytes(old.read_bytes() + at_once.read_bytes())
    assert "(contradicting)" == states(file)["22"]
    assert f"in {file} (its scan 2)" in next(one.reason for one in read_evidence([file]).failures if 22 in one.ports)


def test_what_a_younger_scan_leaves_out_is_no_sign_of_death(tmp_path: Path) -> None:
    """It did not ask the address that it was told to leave out; of one that it asked and found down, nobody knows."""
    old = saved(tmp_path / "old.xml", (1000, 1010), port(22, "open", "syn-ack"))
    found = {}
    for name, more in (("excluded", "--exclude 10.0.0.1 "), ("down", "")):
        young = tmp_path / f"{name}.xml"
        young.write_text(
            f'<nmaprun scanner="nmap" args="nmap -p 1-100 {more}10.0.0.0/30" version="7.93" start="2000">'
            '<scaninfo type="syn" protocol="tcp" services="1-100"/><runstats><finished exit="success" time="2010"/>'
            f'<hosts up="0" down="{3 if more else 4}" total="{3 if more else 4}"/></runstats></nmaprun>',
            encoding="utf-8",
        )
        found[name] = states(old, young)["22"]

    assert {"excluded": "open", "down": "(open)"} == found
