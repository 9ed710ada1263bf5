"""Reading the output of `ss`, on real output of several options and on odd, damaged and hostile lines."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from auditor.errors import EvidenceError
from auditor.evidence.listeners import read_listeners
from auditor.model.listener import Listener
from auditor.model.words import Protocol

DATA = Path(__file__).parents[2] / "data" / "init"
TCP, UDP = Protocol.TCP, Protocol.UDP


def told(listener: Listener) -> tuple[str, str, str]:
    bind = "*" if listener.bind is None else str(listener.bind)
    device = f"%{listener.device}" if listener.device else ""
    return f"{bind}{device}", f"{listener.port}/{listener.protocol}", listener.process


def damaged(tmp_path: Path, content: bytes) -> str:
    """The error that a file with such a content gives, without the folder."""
    path = tmp_path / "web-1.txt"
    path.write_bytes(content)
    with pytest.raises(EvidenceError) as caught:
        read_listeners(path)
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_processes():
    """Bind address, port, protocol and process of each listener, in the order of the file."""
    assert [
        ("0.0.0.0", "53/udp", "dnsmasq"),
        ("::", "53/udp", "dnsmasq"),
        ("10.20.1.10", "6379/tcp", "redis-server"),
        ("0.0.0.0", "5432/tcp", "postgres"),
        ("127.0.0.1", "6379/tcp", "redis-server"),
        ("0.0.0.0", "443/tcp", "nginx"),
        ("0.0.0.0", "53/tcp", "dnsmasq"),
        ("0.0.0.0", "22/tcp", "sshd"),
        ("*", "9100/tcp", "prometheus-node"),
        ("::", "5432/tcp", "postgres"),
        ("::", "443/tcp", "nginx"),
        ("::", "53/tcp", "dnsmasq"),
        ("::", "22/tcp", "sshd"),
    ] == [told(one) for one in read_listeners(DATA / "processes.txt")]


def test_options_give_the_same():
    """More columns change nothing; without `-p` no process is known; a single protocol has no column of its own."""
    whole = read_listeners(DATA / "processes.txt")
    plain = read_listeners(DATA / "plain.txt")

    assert whole == read_listeners(DATA / "everything.txt")
    assert [told(one)[:2] for one in whole] == [told(one)[:2] for one in plain]
    assert {one.process for one in plain} == {""}
    assert tuple(one for one in whole if one.protocol is TCP) == read_listeners(DATA / "tcp.txt")


def test_odd_lines():
    """Other sockets and connections are passed over; zones, old notation, mapped addresses, hostile names are read."""
    assert [
        ("127.0.0.53%lo", "53/udp", "systemd-resolve"),
        ("0.0.0.0%lo", "68/udp", "dhclient"),
        ("fe80::1%eth0", "546/udp", "systemd-network"),
        ("0.0.0.0", "9003/udp", "l1\nl2"),
        ("*%eth0", "8001/tcp", "a b"),
        ("127.0.0.1", "7002/tcp", ""),
        ("::", "7001/tcp", 'x",pid=1,fd=2'),
        ("::1", "631/tcp", ""),
    ] == [told(one) for one in read_listeners(DATA / "odd.txt")]


def test_windows_line_ends(tmp_path):
    """A file that went through Windows reads alike."""
    path = tmp_path / "crlf.txt"
    path.write_bytes((DATA / "processes.txt").read_bytes().replace(b"\n", b"\r\n"))

    assert read_listeners(DATA / "processes.txt") == read_listeners(path)


def test_only_a_header(tmp_path):
    """A machine on which nothing listens."""
    path = tmp_path / "none.txt"
    path.write_text("Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n", encoding="utf-8")

    assert read_listeners(path) == ()


def test_damage_names_file_and_line(tmp_path):
    """What cannot be read is an error, never a listener less."""
    good = b"tcp LISTEN 0 128 *:22 *:*\n"
    make = "make the file with `ss -H -tulnp`"
    port = "its local port is no number from 1 to 65535 (`-n` gives numbers)"

    assert damaged(tmp_path, b"") == f"web-1.txt: nothing is in it; {make}"
    assert damaged(tmp_path, b"\n \n") == f"web-1.txt: nothing is in it; {make}"
    assert damaged(tmp_path, good + b"\ntcp LISTEN 0 128") == f"web-1.txt:3: this is no line of `ss -tuln`; {make}"
    assert damaged(tmp_path, b"\x7fELF\x00\x01") == f"web-1.txt:1: this is no line of `ss -tuln`; {make}"
    assert damaged(tmp_path, good + b"tcp LISTEN 0 1 *:ssh *:*\n") == f"web-1.txt:2: {port}; {make}"
    assert damaged(tmp_path, b"tcp LISTEN 0 1 *:65536 *:*\n") == f"web-1.txt:1: {port}; {make}"
    assert damaged(tmp_path, b"tcp LISTEN 0 1 1.2.3:22 *:*\n") == (
        f"web-1.txt:1: its local address cannot be read; {make}"
    )


def test_the_end_of_a_hostile_name_is_no_listener(tmp_path):
    """A process can spoil the file by its name, but not make up a listener."""
    content = b'tcp LISTEN 0 128 *:22 *:* users:(("",pid=1,fd=2))\n",pid=7,fd=3))\n'

    assert damaged(tmp_path, content).startswith("web-1.txt:2: this is no line of")


def test_an_old_ss(tmp_path):
    """Before it wrote `pid=` and `fd=` there were but numbers: no listener is lost, and all have their processes."""
    rows = (DATA / "old.txt").read_text(encoding="utf-8")

    assert [
        ("*", "111/udp", "rpcbind"),
        ("*", "22/tcp", "sshd"),
        ("::", "22/tcp", "sshd"),
        ("*", "6379/tcp", "redis-server"),
        ("*", "443/tcp", "nginx"),
        ("*", "3306/tcp", "mysqld"),
    ] == [told(one) for one in read_listeners(DATA / "old.txt")]
    assert damaged(tmp_path, rows.replace("6))", "6").encode()).startswith("web-1.txt:2: what it says of processes is")


@pytest.mark.parametrize(
    "more",
    [
        "pid=7,tid=4194304,fd=3",  # -T
        "pid=7,proc_ctx=system_u:system_r:x_t:s0-s0:c0.c9,c12,fd=3",  # -Z
        "pid=7,tid=8,proc_ctx=unavailable,fd=3,sock_ctx=system_u:object_r:x_t:s0",  # -T -z
        "7,3",  # an old one
    ],
)
def test_more_is_said_of_processes(more, tmp_path):
    """Threads and the contexts of SELinux change nothing, and every row is read for itself."""
    path = tmp_path / "web-1.txt"
    path.write_text(
        "".join(
            f'tcp LISTEN 0 9 *:{port} *:* users:(("a",{more}),("b",{more}),("l1\nl2",{more})) ino:1 sk:2\n'
            for port in (22, 80, 443)
        ),
        encoding="utf-8",
    )

    assert [("*", f"{port}/tcp", "a") for port in (22, 80, 443)] == [told(one) for one in read_listeners(path)]


def test_lines_that_are_cut_off(tmp_path):
    """Wherever a terminal or a pipe cuts the lines, each is read whole or named: no row takes another with it."""
    whole = [f'tcp LISTEN 0 128 0.0.0.0:{port} 0.0.0.0:* users:(("nginx",pid=17,fd=6))' for port in (22, 8443, 6379)]
    read, named = {}, 0
    for width in range(1, len(whole[1]) + 1):
        path = tmp_path / f"{width}.txt"
        path.write_text("".join(f"{line[:width]}\n" for line in whole), encoding="utf-8")
        try:
            read[width] = [one.port for one in read_listeners(path)]
        except EvidenceError as error:
            assert str(error).startswith(f"{path}:1: ") or str(error).startswith(f"{path}:2: ")
            named += 1

    assert all(ports == [22, 8443, 6379] for ports in read.values())
    assert read.keys() >= {40, len(whole[1])}  # the columns alone, and all
    assert named > 50


def test_indented_rows(tmp_path):
    """What was pasted with blanks before it is read; what `ss -i` writes below a socket is none."""
    path = tmp_path / "web-1.txt"
    path.write_text("    tcp LISTEN 0 9 *:22 *:*\n\t cubic cwnd:10\n  LISTEN 0 9 *:80 *:*\n", encoding="utf-8")

    assert [22, 80] == [one.port for one in read_listeners(path)]
    assert damaged(tmp_path, b" cubic cwnd:10\n").startswith("web-1.txt:1: this is no line of")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark(encoding, tmp_path):
    """As PowerShell writes a file."""
    path = tmp_path / "web-1.txt"
    path.write_text((DATA / "plain.txt").read_text(encoding="utf-8"), encoding=encoding)

    assert read_listeners(DATA / "plain.txt") == read_listeners(path)


def test_names_instead_of_numbers():
    """Names of ports depend on the machine's own tables, so they are refused, and the message says what to do."""
    with pytest.raises(EvidenceError, match=r"names.txt:2: its local port is no number .*`-n` gives numbers"):
        read_listeners(DATA / "names.txt")


def test_unreadable(tmp_path):
    """A file that is not there, or a folder."""
    with pytest.raises(EvidenceError, match="none: cannot be read: No such file"):
        read_listeners(tmp_path / "none")
    with pytest.raises(EvidenceError, match="cannot be read: Is a directory"):
        read_listeners(tmp_path)


@pytest.mark.parametrize(
    ("listener", "loopback", "four", "six"),
    [
        (Listener(None, TCP, 1), False, True, True),
        (Listener(ip_address("0.0.0.0"), TCP, 1), False, True, False),
        (Listener(ip_address("::"), TCP, 1), False, False, True),
        (Listener(ip_address("203.0.113.10"), TCP, 1), False, True, False),
        (Listener(ip_address("203.0.113.11"), TCP, 1), False, False, False),
        (Listener(ip_address("127.0.0.53"), UDP, 1), True, False, False),
        (Listener(None, UDP, 1, device="lo"), True, False, False),
        (Listener(None, UDP, 1, device="eth0"), False, True, True),
    ],
)
def test_who_reaches_a_listener(listener, loopback, four, six):
    """The addresses of its host over which a listener is reached."""
    assert listener.loopback is loopback
    assert listener.takes(ip_address("203.0.113.10")) is four
    assert listener.takes(ip_address("2001:db8::10")) is six
