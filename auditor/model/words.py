"""The closed vocabularies: every word that the inventory, the code and the reports share."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Source = Network | str  # the name is one of DNS, of a declared host


class Family(StrEnum):
    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @classmethod
    def of(cls, address: Address | Network) -> Family:
        return cls.IPV4 if address.version == 4 else cls.IPV6

    @property
    def spelled(self) -> str:
        """As sentences write it: `IPv4`."""
        return f"IPv{self[-1]}"


class Protocol(StrEnum):
    TCP = "tcp"
    UDP = "udp"


class PortState(StrEnum):
    """nmap's six states, spelled as nmap does (https://nmap.org/book/man-port-scanning-basics.html)."""

    OPEN = "open"
    CLOSED = "closed"
    FILTERED = "filtered"
    UNFILTERED = "unfiltered"
    OPEN_FILTERED = "open|filtered"
    CLOSED_FILTERED = "closed|filtered"


class ServiceClass(StrEnum):
    PUBLIC_WEB = "public-web"
    REMOTE_ADMIN = "remote-admin"
    DATA_STORE = "data-store"
    DEV_DEBUG = "dev-debug"
    DIAGNOSTICS = "diagnostics"
    UDP = "udp"
    UNCLASSIFIED = "unclassified"


class Severity(StrEnum):
    """Most severe first; `rank` counts from 1."""

    DIRECT_COMPROMISE = "direct-compromise"
    CONTROL_BYPASS = "control-bypass"
    DATA_EXPOSURE = "data-exposure"
    INTERNAL_RECON = "internal-recon"
    LATERAL_MOVEMENT = "lateral-movement"
    OPERATIONAL_DRIFT = "operational-drift"

    @property
    def rank(self) -> int:
        return list(Severity).index(self) + 1


# What others call so, as SARIF's readers see ours: of several that have one word, the least severe, so that a threshold
# takes in all of them.
USUAL_SEVERITIES = {
    "critical": Severity.DIRECT_COMPROMISE,
    "high": Severity.DATA_EXPOSURE,
    "medium": Severity.LATERAL_MOVEMENT,
    "moderate": Severity.LATERAL_MOVEMENT,
    "low": Severity.OPERATIONAL_DRIFT,
    "info": Severity.OPERATIONAL_DRIFT,
    "informational": Severity.OPERATIONAL_DRIFT,
}


class Kind(StrEnum):
    """The drift kinds: what a scan or saved nmap XML can give, and last what the inventory alone gives."""

    HOST_UNREACHABLE = "host-unreachable"
    SERVICE_REFUSED = "service-refused"
    SERVICE_FILTERED = "service-filtered"
    WRONG_SERVICE = "wrong-service"
    ALL_PORTS_OPEN = "all-ports-open"
    ANSWERS_FOR_OTHERS = "answers-for-others"
    WRONG_FAMILY = "wrong-family"
    OUTSIDE_SOURCE_RANGE = "outside-source-range"
    WRONG_INTERFACE = "wrong-interface"
    UNDECLARED_PORT = "undeclared-port"
    BOUNDARY_LEAK = "boundary-leak"
    UNKNOWN_HOST = "unknown-host"
    UNDECLARED_ADDRESS = "undeclared-address"
    POLICY_BREACH = "policy-breach"
    STALE_WAIVER = "stale-waiver"


OF_INVENTORY = frozenset({Kind.POLICY_BREACH, Kind.STALE_WAIVER})  # what no scan gives
ABOUT_AN_ADDRESS = frozenset(  # as a whole, or a prefix of them
    {
        Kind.HOST_UNREACHABLE,
        Kind.ALL_PORTS_OPEN,
        Kind.ANSWERS_FOR_OTHERS,
        Kind.UNKNOWN_HOST,
        Kind.UNDECLARED_ADDRESS,
    }
)
NOTICES = frozenset({Kind.STALE_WAIVER})  # listed, and no part of the result; they fail an audit only where named


class ChangeKind(StrEnum):
    """What an inventory change does to exposure."""

    ADDED = "added"
    WIDENED = "widened"
    REMOVED = "removed"
    NARROWED = "narrowed"
    WEAKENED = "weakened"  # audits less


GAINS = frozenset({ChangeKind.ADDED, ChangeKind.WIDENED})
CLOSES = frozenset({ChangeKind.REMOVED, ChangeKind.NARROWED})


class Trust(StrEnum):
    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class ViewpointKind(StrEnum):
    PUBLIC = "public"
    VPN = "vpn"
    INTERNAL = "internal"
    CONTAINER = "container"
    CLOUD = "cloud"


class Boundary(StrEnum):
    """What `blocked` has to look like: closed or filtered will do, or only filtered."""

    ANY = "any"
    FILTERED = "filtered"


class Profile(StrEnum):
    QUICK = "quick"
    STANDARD = "standard"
    FULL = "full"
    COMPARE = "compare"  # coverage is what the saved evidence asked; never chosen by a person


class ExpectedState(StrEnum):
    REACHABLE = "reachable"
    PERMITTED = "permitted"
    BLOCKED = "blocked"


class Basis(StrEnum):
    """Why an endpoint is expected to be as it is."""

    DECLARED = "declared"  # reachable or permitted
    OTHER_FAMILY = "declared on this interface for the other family only"
    OUTSIDE_SOURCES = "declared on this interface, viewpoint outside its source ranges"
    SOURCES_UNKNOWN = "declared on this interface, its source ranges not all known"  # and none known admits
    VIEWPOINT_UNKNOWN = "declared on this interface, for a part of where the viewpoint may stand"  # address not known
    OTHER_INTERFACE = "declared on other interfaces only"
    UNDECLARED = "declared nowhere on the host"
    UNDECLARED_ADDRESS = "at an address that the host is not declared to have"


NOWHERE = frozenset({Basis.UNDECLARED, Basis.UNDECLARED_ADDRESS})  # no service is declared there
UNTOLD = frozenset({Basis.SOURCES_UNKNOWN, Basis.VIEWPOINT_UNKNOWN})  # it is not known whom the service is meant for
HERE = frozenset({Basis.DECLARED, Basis.OUTSIDE_SOURCES, *UNTOLD})  # declared on that very address


class Result(StrEnum):
    """What became of an expected endpoint: exactly one of these for every endpoint of the coverage."""

    VERIFIED = "verified"
    DRIFTED = "drifted"
    SILENT = "silent"
    UNVERIFIED = "unverified"


class Technique(StrEnum):
    SYN = "syn"
    CONNECT = "connect"


class Confidence(StrEnum):
    CONFIRMED = "confirmed"  # seen twice
    OBSERVED = "observed"
    INFERRED = "inferred"


# What `--format` names, in the order of help; `auditor.report.formats` has what makes them.
FORMATS = ("json", "html", "text", "sarif", "junit", "markdown")
GATE_FORMATS = ("json", "text", "sarif", "junit", "markdown", "github")
EXPECT_FORMATS = ("json", "csv")

DEFAULT_FAIL_ON = Severity.INTERNAL_RECON.value  # of a gate
