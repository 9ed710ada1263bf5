"""What nmap's XML says, as records: nearer to the file than to the audit."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from auditor.model.observation import Identity, Label
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol

LONGEST_OUTPUT = 1 << 20  # characters of what a script heard: 50 for each neighbour
_LONGEST = 1024  # characters of any one text from the network


@dataclass(frozen=True, slots=True)
class Start:
    args: str
    version: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One `scaninfo`: `type` is nmap's (`syn`, `connect`, `udp`, …), `protocol` may be one that we do not audit."""

    type: str
    protocol: str
    services: PortSet


@dataclass(frozen=True, slots=True)
class Progress:
    task: str
    percent: float


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that nmap would not scan: no route, wrong family, not resolvable."""

    specification: str
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    exit: str
    error: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Sight:
    """How nmap saw a port: everything of an observation but the place.

    A record has the time for all of its own; `at` is set where looks of several records meet, and `since` where what is
    known of the port comes in part from an older look: who answers there.
    """

    state: PortState
    reason: str
    at: datetime | None = None
    ttl: int | None = None
    reply_from: Address | None = None
    identity: Identity | None = None
    attempts: int = 1
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Some ports that nmap saw alike."""

    protocol: Protocol
    ports: PortSet
    sight: Sight


@dataclass(frozen=True, slots=True)
class Unread:
    """Ports that nmap reported on, but not in a way that tells their state."""

    protocol: Protocol
    ports: PortSet
    reason: str


@dataclass(frozen=True, slots=True)
class Beyond:
    """Open ports of a protocol that is not audited, by nmap's word for it: `sctp`, and `ip` for protocols over IP."""

    protocol: str
    ports: PortSet


@dataclass(frozen=True, slots=True)
class HostRecord:
    """One finished `host` element. `why_not` is set where the host as a whole was not scanned to its end, and `down`
    where nmap's own ping, or ARP, is why.

    `began` and `at` are when nmap began with it and when it had done; None where it does not say.
    `reply` is nmap's reason for holding the host to be up, where that is evidence from the network, and `reply_ttl` the
    TTL of that reply. `label` has the names and the hardware address of it, where there is any.
    """

    address: Address
    at: datetime | None
    seen: tuple[Seen, ...] = ()
    unread: tuple[Unread, ...] = ()
    reply: str | None = None
    why_not: str | None = None
    down: bool = False
    label: Label | None = None
    beyond: tuple[Beyond, ...] = ()
    began: datetime | None = None
    reply_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """What a script said that is about no host of its own: text from the network."""

    script: str
    output: str


Item = HostRecord | Progress | Skipped | Heard


def bounded(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def number(text: str | None, default: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        return default
    return value if 0 <= value <= 100 else default  # also turns down nan


def count(text: str | None) -> int:
    """A number of hosts or ports; -1 for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else -1


def instant(text: str | None) -> datetime | None:
    """nmap's seconds since 1970, as a time in UTC."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > 11:
        return None
    return datetime.fromtimestamp(int(text), UTC)
