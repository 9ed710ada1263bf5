"""What can be expected and observed, for the properties of the stages: a small world, so that everything meets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network

from hypothesis import strategies as st

from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Canary, Match, Service, Viewpoint, Waiver
from auditor.model.observation import Failure, Identity, Observation, Reply, Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    Address,
    Basis,
    Boundary,
    ExpectedState,
    Kind,
    PortState,
    Profile,
    Protocol,
    ServiceClass,
    Severity,
    Technique,
    ViewpointKind,
)

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
VIEWPOINT = Viewpoint(
    name="public",
    kind=ViewpointKind.PUBLIC,
    addresses=(ip_address("198.51.100.20"), ip_address("2001:db8:f::20")),
    targets=(ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64"), ip_network("10.20.0.0/16")),
)
DECLARED = {  # address: (host, interface)
    ip_address("203.0.113.10"): ("web-1", "public"),
    ip_address("2001:db8:1::10"): ("web-1", "public"),
    ip_address("203.0.113.11"): ("web-1", "public"),  # the twin: the same interface and family
    ip_address("10.20.1.10"): ("web-1", "private"),
    ip_address("203.0.113.20"): ("db-1", "public"),
}
STRANGERS = (ip_address("203.0.113.66"), ip_address("2001:db8:1::66"))
ROUTER = ip_address("203.0.113.1")
TWINS = (ip_address("203.0.113.10"), ip_address("203.0.113.11"))
ADDRESSES = (*DECLARED, *STRANGERS)
SERVICES = (
    Service("https", PortSet.of(2, 3), PortSet(), ("public",), (), declared_class=ServiceClass.PUBLIC_WEB),
    Service("ssh", PortSet.of(4), PortSet.of(4), ("public",), (), declared_class=ServiceClass.REMOTE_ADMIN),
    Service("vpn", PortSet(), PortSet.of(5), ("public",), (), answers=False),
)
STATES = (
    (ExpectedState.REACHABLE, Basis.DECLARED),
    (ExpectedState.PERMITTED, Basis.DECLARED),
    (ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES),
    (ExpectedState.BLOCKED, Basis.SOURCES_UNKNOWN),
    (ExpectedState.BLOCKED, Basis.VIEWPOINT_UNKNOWN),
    (ExpectedState.BLOCKED, Basis.OTHER_FAMILY),
    (ExpectedState.BLOCKED, Basis.OTHER_INTERFACE),
)
IDENTITIES = (
    None,
    Identity("redis", "probed", "Redis key-value store"),
    Identity("http", "probed", "nginx"),
    Identity("ssh", "table"),
)
SIGHTS = {  # state, reason, ttl, who replied
    Protocol.TCP: (
        (PortState.OPEN, "syn-ack", 61, None),
        (PortState.OPEN, "syn-ack", 61, None),  # twice: it has most rows of its own
        (PortState.CLOSED, "reset", 61, None),
        (PortState.CLOSED, "reset", None, None),
        (PortState.FILTERED, "no-response", 0, None),
        (PortState.FILTERED, "no-response", None, None),
        (PortState.FILTERED, "admin-prohibited", 62, ROUTER),
        (PortState.FILTERED, "admin-prohibited", None, None),
        (PortState.FILTERED, "host-unreach", 62, ROUTER),
        (PortState.FILTERED, "net-unreach", 0, None),
        (PortState.FILTERED, "admin-prohibited", 64, VIEWPOINT.addresses[0]),
        (PortState.UNFILTERED, "reset", 61, None),
        (PortState.OPEN_FILTERED, "no-response", 0, None),
        (PortState.CLOSED_FILTERED, "ipid-unchanged", 0, None),
    ),
    Protocol.UDP: (
        (PortState.OPEN, "udp-response", 61, None),
        (PortState.CLOSED, "port-unreach", 61, None),
        (PortState.OPEN_FILTERED, "no-response", 0, None),
        (PortState.FILTERED, "admin-prohibited", 62, ROUTER),
    ),
}
PORTS = PortSet.span(1, 5)
MANY = PortSet.span(1000, 1059)  # enough for a middlebox
REASONS = ("echo-reply", "arp-response", "nd-response", "reset")


@dataclass(frozen=True, slots=True)
class World:
    """What should be and what was seen, from one viewpoint."""

    expectations: Expectations
    scan: Scan


def parts(ports: PortSet) -> st.SearchStrategy[list[PortSet]]:
    """The ports as up to four disjoint, non-empty sets; some may be in none of them."""

    def split(where: list[int]) -> list[PortSet]:
        sets = [PortSet.of(*(p for p, n in zip(ports, where, strict=True) if n == wanted)) for wanted in range(4)]
        return [each for each in sets if each]

    return st.lists(st.integers(0, 4), min_size=len(ports), max_size=len(ports)).map(split)


@st.composite
def expectations_of(draw: st.DrawFn, address: Address, protocol: Protocol) -> list[Expectation]:
    """What is expected of some ports of one address; each port in at most one expectation."""
    host, interface = DECLARED.get(address, (str(address), None))
    plain = Expectation(
        "public", host, interface, address, protocol, PortSet(), ExpectedState.BLOCKED, Basis.UNDECLARED
    )
    found = []
    if draw(st.integers(0, 3)) == 0:
        found.append(replace(plain, ports=MANY))
    for ports in draw(parts(PORTS)):
        if interface is None or draw(st.booleans()):
            found.append(replace(plain, ports=ports))
        else:
            state, basis = draw(st.sampled_from(STATES))
            service = draw(st.sampled_from(SERVICES))
            found.append(replace(plain, ports=ports, state=state, basis=basis, service=service))
    return found


@st.composite
def observations_of(draw: st.DrawFn, address: Address, protocol: Protocol) -> list[Observation]:
    """What was seen of some ports of one address; each port in at most one observation."""
    sets = [*draw(parts(PORTS)), *draw(st.sampled_from([[], [MANY], [MANY - PortSet.of(1000), PortSet.of(1000)]]))]
    found = []
    for ports in sets:
        state, reason, ttl, who = draw(st.sampled_from(SIGHTS[protocol]))
        identity = draw(st.sampled_from(IDENTITIES)) if state is PortState.OPEN and len(ports) < 50 else None
        found.append(Observation(address, protocol, ports, state, reason, NOW, ttl, who, identity))
    return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    places = draw(st.sampled_from([TWINS, ()])) or draw(
        st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=4, unique=True)
    )
    keys = [(address, protocol) for address in places for protocol in draw(st.sampled_from(_PROTOCOLS))]
    expected = [one for key in keys for one in draw(expectations_of(*key))]
    observed = [one for key in keys for one in draw(observations_of(*key))]
    failed = [Failure(a, p, draw(st.sampled_from([PORTS, MANY])), "killed") for a, p in keys if draw(st.booleans())]
    replies = [Reply(a, draw(st.sampled_from(REASONS))) for a in (*places, ROUTER) if draw(st.booleans())]
    canaries = [
        Observation(address, Protocol.TCP, PortSet.of(22), PortState.OPEN, "syn-ack", NOW, 61)
        for address in STRANGERS
        if address not in places and draw(st.booleans())
    ]
    viewpoint = replace(
        VIEWPOINT,
        boundary=draw(st.sampled_from(Boundary)),
        canaries=tuple(Canary(address) for address in draw(st.sets(st.sampled_from(STRANGERS)))),
    )
    probe_failures = [
        Failure(one.address, one.protocol, one.ports, "the probe died")
        for one in observed
        if one.state is PortState.OPEN and one.identity is None and draw(st.booleans())
    ]
    return World(
        Expectations(viewpoint, Profile.STANDARD, tuple(sorted(expected, key=_order))),
        Scan(
            viewpoint="public",
            technique=draw(st.sampled_from(Technique)),
            nmap_version="7.93",
            observations=tuple(observed),
            replies=tuple(replies),
            canaries=tuple(canaries),
            failures=tuple(failed),
            probe_failures=tuple(probe_failures),
        ),
    )


_PROTOCOLS = ((Protocol.TCP,), (Protocol.UDP,), (Protocol.TCP, Protocol.UDP))


def _order(one: Expectation) -> tuple[str, str, bytes, Protocol, int]:
    return one.host, one.interface or "", one.address.packed, one.protocol, one.ports.first


@st.composite
def waivers(draw: st.DrawFn) -> list[Waiver]:
    """Up to five waivers over the small world: of all ports or some, valid, expired or not begun, mild or strict."""
    found = []
    for number in range(draw(st.integers(0, 5))):
        some = PortSet.of(*draw(st.sets(st.integers(1, 5)))) | draw(
            st.sampled_from((PortSet(), PortSet.span(1000, 1020)))
        )
        match = Match(
            written=f'{{"number":["{number}"]}}',
            hosts=draw(st.sampled_from(((), ("web-1",), ("*-1", "203.0.113.66")))),
            services=draw(st.sampled_from(((), ("https",), ("*",)))),
            addresses=draw(st.sampled_from(((), (ip_network("203.0.113.10/32"),), (ip_network("203.0.113.0/24"),)))),
            interfaces=draw(st.sampled_from(((), ("public",)))),
            tcp=some,
            udp=some if draw(st.booleans()) else PortSet(),
            kinds=draw(st.sampled_from(((), (Kind.UNDECLARED_PORT, Kind.OUTSIDE_SOURCE_RANGE), (Kind.BOUNDARY_LEAK,)))),
            classes=draw(st.sampled_from(((), (ServiceClass.PUBLIC_WEB, ServiceClass.DATA_STORE)))),
        )
        since, expires = draw(
            st.sampled_from((("2026-10-01", "2026-12-31"), ("2026-10-01", "2026-11-21"), ("2026-11-23", "2026-12-31")))
        )
        severity = draw(st.sampled_from((None, *Severity)))
        found.append(Waiver(match, "r", "o", date.fromisoformat(since), date.fromisoformat(expires), severity))
    return found
