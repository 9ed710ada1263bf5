"""What a scan saw from one viewpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from auditor.model.ports import PortSet
from auditor.model.words import Address, Network, PortState, Protocol, Technique

UNDATED = datetime.fromtimestamp(0, UTC)  # stands for a time that is not known


@dataclass(frozen=True, slots=True)
class Identity:
    """What nmap says answers on an open port. Every text in it comes from the network and is hostile.

    `method` is nmap's: `probed` where the service was recognised by what it said, `table` where it is a guess from the
    port number and no identity at all. nmap also says `probed` of `tcpwrapped`, a connection that was closed without a
    word: that recognises nothing. `tunnel` is `ssl` where the service was found inside TLS.
    """

    name: str
    method: str
    product: str = ""
    version: str = ""
    extra: str = ""
    tunnel: str = ""
    banner: str = ""

    @property
    def probed(self) -> bool:
        return self.method == "probed" and self.name != "tcpwrapped"


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of the `ports` of one address, as nmap reported it, and nmap's reason.

    `reply_from` is the address that sent the deciding reply where it is not the probed address itself (an ICMP error
    from a router); `ttl` that reply's TTL, 0 where there was no reply or the scanner's own machine made the state,
    None where nmap collapsed the ports and said neither. `attempts` counts independent probes that agreed. `at` is
    UNDATED where saved evidence does not tell; `since` is set where an older look has told who answers.
    """

    address: Address
    protocol: Protocol
    ports: PortSet
    state: PortState
    reason: str
    at: datetime
    ttl: int | None = None
    reply_from: Address | None = None
    identity: Identity | None = None
    attempts: int = 1
    since: datetime | None = None


LINK_REPLIES = frozenset({"arp-response", "nd-response"})  # it lives, but no IP packet has come back over a path

# nmap's reasons (its portreasons.cc) for what an ICMP error says, from the target or on the way.
PROHIBITED = frozenset({"admin-prohibited", "host-prohibited", "net-prohibited", "failed-policy"})
ICMP_ERRORS = PROHIBITED | frozenset(
    {
        "net-unreach",
        "host-unreach",
        "proto-unreach",
        "port-unreach",
        "dest-unreach",
        "no-route",
        "addr-unreach",
        "beyond-scope",
        "reject-route",
        "unreach",
        "time-exceeded",
        "ttl-exceeded",
        "param-problem",
    }
)


@dataclass(frozen=True, slots=True)
class Reply:
    """Evidence that an address lives, apart from its ports: nmap's host status reason, such as `echo-reply`.

    `ttl` is that of the reply; None where nmap does not say it.
    """

    address: Address
    reason: str
    ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """What nmap knows an address by: names, those that its user gave first, and the hardware address where it is near.

    The first `given` of the names are the user's: nmap found the address by them. The others are whatever the owner of
    the address says, in DNS: hostile text.
    """

    address: Address
    names: tuple[str, ...] = ()
    mac: str = ""
    given: int = 0


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name that the user gave to nmap, and where it led to then, as nmap's evidence tells; UNDATED where not when."""

    name: str
    address: Address
    at: datetime


@dataclass(frozen=True, slots=True)
class Swept:
    """Networks that were searched for live addresses, `how` in words, and how many answered of those `asked`.

    `asked` is None where nothing was asked one by one.
    """

    networks: tuple[Network, ...]
    how: str
    lived: int
    asked: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Ports that were asked about and never properly answered for: timed out, truncated, probe failed."""

    address: Address
    protocol: Protocol
    ports: PortSet
    reason: str


@dataclass(frozen=True, slots=True)
class Controls:
    """What addresses that nobody declares, and nobody carries, answered to what other addresses had answered to.

    `pinged` are those that were asked for other signs of life than ports, `replies` what they gave.
    """

    observations: tuple[Observation, ...] = ()
    replies: tuple[Reply, ...] = ()
    pinged: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """All that one viewpoint's scan gave.

    Observations are disjoint: one state per endpoint. `failure` is set when the viewpoint as a whole could not look
    (transport broken, wrong source address): nothing of it can be trusted, and every endpoint is unverified for that
    reason. `canaries` are observations outside the coverage, kept apart since they only prove paths. `probe_failures`
    are open endpoints whose version probe broke, with the reason; `mute` those that said nothing until it gave up;
    `contradicted` those on which looks name different services, and it is not known which is the younger.
    `not_pinged` are silent addresses whose pings broke: whether they live is not known. `notes` tell what was found out
    about the network on the way, such as a lossy path or a device that answers in place of hosts. `found` are signs of
    life from the search for undeclared addresses: they prove no path, since that came before the scan, and whoever
    asked so much may have been shut out since. `swept` tells where it searched. `controls` is None where none were
    asked. `talkative` are addresses where something speaks on whatever port it is asked, as a sample has shown. `bears`
    is how many packets a second the viewpoint's machine bore before the sweeps, of the rate that it may use, where that
    was tried. An empty `nmap_version` means that no nmap was found.
    """

    viewpoint: str
    technique: Technique
    nmap_version: str
    observations: tuple[Observation, ...] = ()
    replies: tuple[Reply, ...] = ()
    canaries: tuple[Observation, ...] = ()
    failures: tuple[Failure, ...] = ()
    probe_failures: tuple[Failure, ...] = ()
    mute: tuple[Failure, ...] = ()
    contradicted: tuple[Failure, ...] = ()
    not_pinged: tuple[Address, ...] = ()
    failure: str | None = None
    commands: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    found: tuple[Reply, ...] = ()
    swept: tuple[Swept, ...] = ()
    controls: Controls | None = None
    talkative: tuple[Address, ...] = ()
    bears: int | None = None
