"""The output of `ss` (ss(8), iproute2) → listeners.

Any of `ss -tuln`, `-tulnp`, with or without its header (`-H`), and with more columns or lines after each socket. What
is no TCP or UDP listener there is passed over; what cannot be read is an error, since a listener that is missed would
look like one that is not there. Names of processes are whatever the processes say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from auditor.errors import EvidenceError
from auditor.model.listener import Listener
from auditor.model.words import Address, Protocol

_MOST_BYTES = 64 * 1024 * 1024
_NETIDS = frozenset(
    {"tcp", "udp", "udplite", "raw", "dccp", "sctp", "mptcp", "icmp6", "u_str", "u_dgr", "u_seq", "p_raw", "p_dgr"}
    | {"nl", "ti_rd", "ti_sq", "ti_st", "ti_dg", "v_str", "v_dgr", "xdp", "???"}
)
_STATES = {Protocol.TCP: "LISTEN", Protocol.UDP: "UNCONN"}
_WORD = re.compile(r"[A-Z][A-Z0-9-]*")  # a state of a socket
_OPENED = re.compile(r" users:\(\(")
_CLOSED = re.compile(r"pid=\d+,fd=\d+\)\)")
_PROCESS = re.compile(r' users:\(\("(.*?)",pid=\d+,fd=\d+\)', re.DOTALL)
_LONGEST_NAME = 16  # lines that the name of one process may break into: the kernel keeps 15 characters of it
_MAKE_IT = "make the file with `ss -H -tulnp`"


class _DamagedError(Exception):
    """A line that is not one of `ss`."""


def read_listeners(path: Path) -> tuple[Listener, ...]:
    """The listeners in a file with the output of `ss`, each once, in the order of the file.

    Raises EvidenceError, which names the file and the line, where it cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(raw) > _MOST_BYTES:
        raise EvidenceError(f"{path}: is larger than {_MOST_BYTES // 2**20} MiB, which no output of `ss` is")
    lines = raw.decode("utf-8", errors="replace").split("\n")
    if not raw.strip():
        raise EvidenceError(f"{path}: nothing is in it; {_MAKE_IT}")
    found: dict[Listener, None] = {}
    for number, line in _rows(lines):
        try:
            listener = _listener(line)
        except _DamagedError as error:
            raise EvidenceError(f"{path}:{number}: {error}; {_MAKE_IT}") from error
        if listener:
            found.setdefault(listener)
    return tuple(found)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Each socket's line with its number; one whose process name holds line breaks is put together again."""
    begun, start = "", 0
    parts = 0
    for number, line in enumerate(lines, 1):
        if begun:
            begun, parts = f"{begun}\n{line}", parts + 1
        elif line.strip() and not line[0].isspace() and line.split()[0] not in ("Netid", "State"):
            begun, start, parts = line, number, 1
        else:
            continue
        if not _OPENED.search(begun) or _CLOSED.search(begun) or parts > _LONGEST_NAME:
            yield start, begun
            begun = ""
    if begun:
        yield start, begun


def _listener(line: str) -> Listener | None:
    """None for a socket that is no TCP or UDP listener."""
    words = line.split()
    netid = words.pop(0) if words[0] in _NETIDS else ""
    if netid not in ("", *Protocol):
        return None
    if len(words) < 5 or not _WORD.fullmatch(words[0]) or not (words[1].isdigit() and words[2].isdigit()):
        raise _DamagedError("this is no line of `ss -tuln`")
    state, local = words[0], words[3]
    protocol = Protocol(netid) if netid else next((one for one, word in _STATES.items() if word == state), None)
    if protocol is None or state != _STATES[protocol]:
        return None  # a connection
    host, _, port = local.rpartition(":")
    bind, device = _bind(host)
    named = _PROCESS.search(line)
    return Listener(bind, protocol, _port(port), named[1] if named else "", device)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise _DamagedError("its local port is no number from 1 to 65535 (`-n` gives numbers)")
    return int(text)


def _bind(text: str) -> tuple[Address | None, str]:
    """The address, and the interface after `%` where there is one, within the brackets of IPv6 or behind them."""
    address, _, device = text.partition("%")
    device = device.removesuffix("]")
    if address == "*":
        return None, device
    try:
        bind = ip_address(address.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise _DamagedError("its local address cannot be read") from None
    return bind.ipv4_mapped or bind if isinstance(bind, IPv6Address) else bind, device
