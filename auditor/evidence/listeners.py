"""The output of `ss` (ss(8), iproute2) → listeners.

Any of `ss -tuln`, `-tulnp`, of any age, with or without its header (`-H`), and with more columns or lines after each
socket. What is no TCP or UDP listener there is passed over; what cannot be read is an error, since a listener that is
missed would look like one that is not there. Names of processes are whatever the processes say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from auditor.errors import EvidenceError
from auditor.evidence.files import read_text
from auditor.model.listener import Listener
from auditor.model.words import Address, Protocol

_NETIDS = frozenset(
    {"tcp", "udp", "udplite", "raw", "dccp", "sctp", "mptcp", "icmp6", "u_str", "u_dgr", "u_seq", "p_raw", "p_dgr"}
    | {"nl", "ti_rd", "ti_sq", "ti_st", "ti_dg", "v_str", "v_dgr", "xdp", "???"}
)
_STATES = {Protocol.TCP: "LISTEN", Protocol.UDP: "UNCONN"}
_ROW = re.compile(rf"(?:({'|'.join(map(re.escape, _NETIDS))})\s+)?([A-Z][A-Z0-9-]*)\s+\d+\s+\d+\s+(\S+)\s+(\S+)")
_PEER = re.compile(r".*:(\*|\d+)")
_LONGEST_NAME = 15  # characters of the name of a process: the kernel keeps no more
_USERS = re.compile(r"\susers:\(")
# One process: `-T` adds its thread, `-Z` and `-z` the contexts of SELinux; old ones write but numbers.
_PROCESS = re.compile(
    rf'\("(.{{0,{_LONGEST_NAME}}}?)",'
    r'(?:pid=\d+(?:,tid=\d+)?(?:,proc_ctx=[^()"\s]*)?,fd=\d+(?:,sock_ctx=[^()"\s]*)?|\d+,\d+)'
    r'\)(?=,\("|\)(?:\s|$))',
    re.DOTALL,
)
_MAKE_IT = "make the file with `ss -H -tulnp`"


class _DamagedError(Exception):
    """A line that is not one of `ss`."""


class _OpenError(Exception):
    """A line that ends within the name of a process."""


def read_listeners(path: Path) -> tuple[Listener, ...]:
    """The listeners in a file with the output of `ss`, each once, in the order of the file.

    Raises EvidenceError, which names the file and the line, where it cannot be read.
    """
    text = read_text(path, "`ss`", _MAKE_IT)
    found: dict[Listener, None] = {}
    for number, row in _rows(text.split("\n")):
        try:
            listener = _listener(row)
        except _DamagedError as error:
            raise EvidenceError(f"{path}:{number}: {error}; {_MAKE_IT}") from error
        if listener:
            found.setdefault(listener)
    return tuple(found)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Each socket's line with its number; one that ends within the name of a process goes on in the next line.

    What is indented belongs to the socket before, unless it is a row itself.
    """
    begun, start, any_yet = "", 0, False
    for number, each in enumerate(lines, 1):
        line = each.removesuffix("\r")
        if begun:
            begun = f"{begun}\n{line}"
        elif _begins(line, any_yet=any_yet):
            begun, start, any_yet = line.lstrip(), number, True
        else:
            continue
        if not _is_open(begun):
            yield start, begun
            begun = ""
    if begun:
        yield start, begun


def _begins(line: str, *, any_yet: bool) -> bool:
    """Whether a row begins here, or what should be one; the header is none."""
    if not line.strip() or line.split(maxsplit=1)[0] in ("Netid", "State"):
        return False
    return not (any_yet and line[0].isspace()) or _ROW.match(line.lstrip()) is not None


def _is_open(row: str) -> bool:
    try:
        _process(row)
    except _OpenError:
        return True
    except _DamagedError:
        pass
    return False


def _process(row: str) -> str:
    """The name of the row's first process; "" where it tells of none.

    Raises _OpenError where the row ends within a name, _DamagedError where it tells of processes otherwise than `ss`.
    """
    users = _USERS.search(row)
    if users is None:
        return ""
    first, position = None, users.end()
    while entry := _PROCESS.match(row, position):
        first = entry[1] if first is None else first
        position = entry.end()
        if row[position] == ")":
            return first
        position += 1
    rest = row[position:]
    if rest.startswith('("') and len(rest) - 2 < _LONGEST_NAME:
        raise _OpenError
    raise _DamagedError("what it says of processes is cut off, or cannot be read; `ss -H -tuln` leaves them out")


def _listener(row: str) -> Listener | None:
    """None for a socket that is no TCP or UDP listener."""
    found = _ROW.match(row)
    if found is None:
        raise _DamagedError("this is no line of `ss -tuln`")
    netid, state, local, peer = found.groups()
    try:
        process = _process(row)
    except _OpenError:
        raise _DamagedError("it ends within the name of a process") from None
    if netid not in (None, *Protocol):
        return None
    protocol = Protocol(netid) if netid else next((one for one, word in _STATES.items() if word == state), None)
    if protocol is None or state != _STATES[protocol]:
        return None  # a connection
    if not _PEER.fullmatch(peer):
        raise _DamagedError("this line of `ss -tuln` is cut off")
    host, _, port = local.rpartition(":")
    bind, device = _bind(host)
    return Listener(bind, protocol, _port(port), process, device)


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
