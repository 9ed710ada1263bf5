"""Hand-built audits for tests: small ones, one with every kind of finding, hostile ones and big ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network

from auditor.model.audit import Audit, StageError, Verdict
from auditor.model.drift import Comparison, Drift, Outcome
from auditor.model.expectation import Expectation, LeftOut
from auditor.model.finding import Finding, Leg, Playbook
from auditor.model.inventory import (
    Host,
    Interface,
    Inventory,
    InventoryFile,
    Location,
    Match,
    NetnsVia,
    Scope,
    Service,
    SourceRange,
    Viewpoint,
    Waiver,
)
from auditor.model.observation import Identity, Observation, Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    Basis,
    Boundary,
    Confidence,
    ExpectedState,
    Family,
    Kind,
    PortState,
    Profile,
    Protocol,
    Result,
    ServiceClass,
    Severity,
    Technique,
    Trust,
    ViewpointKind,
)

NOON = datetime(2026, 11, 22, 2, 0, 0, tzinfo=UTC)
INTERNET = SourceRange("internet", (ip_network("0.0.0.0/0"), ip_network("::/0")), Trust.UNTRUSTED)
BASTION = SourceRange("bastion", (ip_network("203.0.113.7/32"),), Trust.TRUSTED)
APP_SUBNET = SourceRange("app-subnet", (ip_network("10.20.1.0/24"),), Trust.TRUSTED)
TWO: dict[Family, tuple[str, str]] = {
    Family.IPV4: ("203.0.113.10", "203.0.113.11"),
    Family.IPV6: ("2001:db8:1::10", "2001:db8:1::11"),
}
NETWORKS = {Family.IPV4: "10.0.{}.0/24", Family.IPV6: "2001:db8:{}::/48"}


def viewpoint(name: str = "public", kind: ViewpointKind = ViewpointKind.PUBLIC, **changes: object) -> Viewpoint:
    plain = Viewpoint(
        name=name,
        kind=kind,
        addresses=(ip_address("198.51.100.20"), ip_address("2001:db8:f::20")),
        targets=(ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64")),
        boundary=Boundary.FILTERED if kind is ViewpointKind.PUBLIC else Boundary.ANY,
        via=NetnsVia("internet"),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def service(name: str, ports: str, *sources: SourceRange, protocol: str = "tcp", **changes: object) -> Service:
    tcp, udp = (ports, "") if protocol == "tcp" else ("", ports)
    plain = Service(
        name=name,
        tcp=PortSet.parse(tcp),
        udp=PortSet.parse(udp),
        interfaces=("public",),
        sources=sources,
        location=Location("inventories/example/hosts.yaml", 12),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def host(name: str, owner: str | None, addresses: Sequence[str], *services: Service, tags: Sequence[str] = ()) -> Host:
    public = Interface("public", tuple(map(ip_address, addresses)))
    where = Location("inventories/example/hosts.yaml", 4)
    return Host(
        name, {"public": public}, services, owner=owner, tags=tuple(tags), roles=("linux-server",), location=where
    )


def observation(
    address: str,
    ports: str,
    state: PortState = PortState.OPEN,
    reason: str = "syn-ack",
    *,
    protocol: Protocol = Protocol.TCP,
    identity: Identity | None = None,
    attempts: int = 2,
) -> Observation:
    at = NOON + timedelta(seconds=31)
    seen = PortSet.parse(ports)
    return Observation(ip_address(address), protocol, seen, state, reason, at, 61, None, identity, attempts)


def outcome(
    host_name: str,
    seen: Observation | None,
    result: Result,
    reason: str,
    *,
    view: str = "public",
    address: str = "",
    ports: str = "",
    protocol: Protocol = Protocol.TCP,
    state: ExpectedState = ExpectedState.BLOCKED,
    basis: Basis = Basis.UNDECLARED,
    declared: Service | None = None,
    interface: str | None = "public",
    kind: Kind | None = None,
) -> Outcome:
    """One outcome with the expectation that belongs to it; place and ports are the observation's where there is one."""
    at = seen.address if seen else ip_address(address)
    over = seen.protocol if seen else protocol
    which = seen.ports if seen else PortSet.parse(ports)
    expectation = Expectation(view, host_name, interface, at, over, which, state, basis, declared)
    return Outcome(expectation, which, result, reason, kind, seen)


def drift(view: Viewpoint, *outcomes: Outcome, **changes: object) -> Drift:
    first = outcomes[0].expectation
    plain = Drift(
        kind=outcomes[0].kind or Kind.ALL_PORTS_OPEN,
        viewpoint=view,
        host=first.host,
        interface=first.interface,
        family=Family.of(first.address),
        outcomes=outcomes,
        service=first.service,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def waiver(*, until: str = "2026-12-31", reason: str = "partner migration", **match: Sequence[str]) -> Waiver:
    """A waiver since October; only what it says of its match is filled in, since reports show no more."""
    written = json.dumps({key: list(values) for key, values in sorted(match.items())}, separators=(",", ":"))
    return Waiver(
        match=Match(written=written),
        reason=reason,
        owner="team-web",
        since=date(2026, 10, 2),
        expires=date.fromisoformat(until),
        ticket="NET-123",
        location=Location("inventories/example/waivers.yaml", 2),
    )


OPEN_LEGS = {
    "routed": Leg("yes", "a reply came from the address itself"),
    "allowed": Leg("yes", "the port answered with a SYN-ACK"),
    "listening": Leg("yes", "the handshake completed"),
}


def finding(
    found: Drift,
    severity: Severity,
    service_class: ServiceClass | None,
    why: str,
    *,
    playbook: str = "too-open",
    legs: dict[str, Leg] | None = OPEN_LEGS,
    **changes: object,
) -> Finding:
    first = found.outcomes[0]
    values = _values(found, first)
    name = f"{found.kind} {found.viewpoint.name} {found.host} {found.family} {first.expectation.address} {first.ports}"
    plain = Finding(
        fingerprint=f"v1:{sha256(name.encode()).hexdigest()[:32]}",
        subject=found,
        severity=severity,
        why=why,
        playbook=Playbook(playbook, values),
        service_class=service_class,
        confidence=Confidence.CONFIRMED,
        legs=legs,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def _values(found: Drift, first: Outcome) -> dict[str, str]:
    address, port, protocol = first.expectation.address, first.ports.first, first.expectation.protocol.value
    return {
        "address": str(address),
        "port": str(port),
        "ports": str(port),
        "protocol": protocol,
        "interface": found.interface or "",
        "host": found.host,
        "service": found.service.name if found.service else f"{port}/{protocol}",
        "viewpoint": found.viewpoint.name,
        "family": found.family.value,
        "other_family": "ipv4" if found.family is Family.IPV6 else "ipv6",
        "sources": ", ".join(source.name for source in found.service.sources) if found.service else "nobody",
        "scan": f"nmap -Pn -n {'-6 ' if address.version == 6 else ''}-p {port} {address}",
        "probe": f"nc -vz {address} {port}",
        "listeners": f"ss -tlnp 'sport = :{port}'",
        "process": f"lsof -nP -i {protocol}:{port}",
        "rules": "nft list ruleset",
        "narrow": f"nft insert rule inet filter input ip daddr {address} {protocol} dport {port} drop",
    }


def audit(
    hosts: Sequence[Host],
    comparisons: Sequence[Comparison],
    findings: Sequence[Finding],
    *,
    result: str | None = None,
    errors: Sequence[StageError] = (),
    waived: Sequence[Finding] = (),
    name: str = "example-estate",
) -> Audit:
    incomplete = bool(errors) or any(o.result is Result.UNVERIFIED for c in comparisons for o in c.outcomes)
    verdict = "drift" if any(not one.notice for one in findings) else "incomplete" if incomplete else "clean"
    code = {"drift": 1, "incomplete": 3, "clean": 0}[result or verdict]
    return Audit(
        id="6f1c2d3e-0000-4000-8000-5a5a5a5a5a5a",
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=62),
        auditor_version="0.1.0",
        profile=Profile.STANDARD,
        inventory=Inventory(
            name=name,
            scope=Scope((ip_network("203.0.113.0/24"),)),
            ranges={},
            viewpoints={c.viewpoint.name: c.viewpoint for c in comparisons},
            hosts={each.name: each for each in hosts},
            files=(InventoryFile("inventories/example/hosts.yaml", sha256(b"hosts").hexdigest()),),
        ),
        comparisons=tuple(comparisons),
        findings=tuple(findings),
        waived=tuple(waived),
        verdict=Verdict(result or verdict, not incomplete, (), code),
        errors=tuple(errors),
        options={"viewpoint": ("public", "vpn"), "profile": "standard"},
    )


def comparison(
    view: Viewpoint, outcomes: Sequence[Outcome], drifts: Sequence[Drift], left_out: Sequence[LeftOut] = ()
) -> Comparison:
    scan = Scan(
        viewpoint=view.name,
        technique=Technique.SYN,
        nmap_version="7.93",
        commands=(
            "ip netns exec internet nmap -n -Pn -sS -p 22,443 -oX - 203.0.113.10 203.0.113.11",
            "ip netns exec internet nmap -n -Pn -sS -p 1-65535 --min-rate 5000 -oX - 203.0.113.10",
        ),
    )
    return Comparison(view, Profile.STANDARD, scan, tuple(outcomes), tuple(drifts), tuple(left_out))


def clean_audit() -> Audit:
    """One host, everything verified, UDP silent, one thing left out."""
    view = viewpoint()
    https = service("https", "443", INTERNET, declared_class=ServiceClass.PUBLIC_WEB)
    web = host("web-1", "team-web", ["203.0.113.10"], https, tags=["web", "production"])
    nginx = Identity("http", "probed", "nginx", "1.22.1", tunnel="ssl")
    closed = PortSet.span(1, 65535) - PortSet.of(443)
    outcomes = [
        outcome(
            "web-1",
            observation("203.0.113.10", "443", identity=nginx),
            Result.VERIFIED,
            "open as declared",
            state=ExpectedState.REACHABLE,
            basis=Basis.DECLARED,
            declared=https,
        ),
        outcome(
            "web-1",
            observation("203.0.113.10", str(closed), PortState.FILTERED, "no-response"),
            Result.VERIFIED,
            "filtered, as it should be",
        ),
        outcome(
            "web-1",
            observation("203.0.113.10", "53,161", PortState.OPEN_FILTERED, "no-response", protocol=Protocol.UDP),
            Result.SILENT,
            "no answer over UDP: the listeners on the host could settle it",
        ),
    ]
    left = [LeftOut("udp ports outside the profile", "the standard profile probes declared and usual UDP ports")]
    return audit([web], [comparison(view, outcomes, [], left)], [])


def opened(
    family: Family, protocol: Protocol, ports: str, sources: int, kind: Kind = Kind.OUTSIDE_SOURCE_RANGE
) -> Drift:
    """Equal ports open on two addresses, declared for so many source networks."""
    networks = tuple(ip_network(NETWORKS[family].format(number)) for number in range(1, sources + 1))
    app = service("app", ports, SourceRange("many", networks, Trust.TRUSTED), protocol=protocol.value)
    members = [
        outcome(
            "web-1",
            observation(address, str(port), protocol=protocol),
            Result.DRIFTED,
            "",
            state=ExpectedState.BLOCKED,
            basis=Basis.OUTSIDE_SOURCES,
            declared=app,
            kind=kind,
        )
        for address in TWO[family]
        for port in PortSet.parse(ports)
    ]
    return drift(viewpoint(), *members)
