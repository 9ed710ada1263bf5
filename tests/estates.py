"""Whole audits for tests of the reports: every kind of finding, hostile text everywhere, as big as asked for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address, ip_network

from auditor.grade.breaches import breach_finding, stale_finding
from auditor.model.audit import Audit, StageError
from auditor.model.breach import Breach, StaleWaiver
from auditor.model.drift import Drift, Outcome
from auditor.model.expectation import LeftOut
from auditor.model.finding import Finding, Leg, Playbook
from auditor.model.inventory import Location
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import (
    Basis,
    ExpectedState,
    Family,
    Kind,
    PortState,
    Protocol,
    Result,
    ServiceClass,
    Severity,
    Trust,
    ViewpointKind,
)
from tests.builders import (
    APP_SUBNET,
    BASTION,
    INTERNET,
    audit,
    comparison,
    drift,
    finding,
    host,
    observation,
    outcome,
    service,
    viewpoint,
    waiver,
)

PUBLIC = viewpoint()
OFFICE = viewpoint("vpn", ViewpointKind.VPN, addresses=(ip_address("10.8.0.20"),))
HTTPS = service("https", "443", INTERNET, declared_class=ServiceClass.PUBLIC_WEB)
SSH = service("ssh", "22", BASTION, declared_class=ServiceClass.REMOTE_ADMIN, owner="platform")
APP = service("app", "8080", APP_SUBNET, declared_class=ServiceClass.PUBLIC_WEB, behind="https")
REDIS = service("cache", "6379", APP_SUBNET, declared_class=ServiceClass.DATA_STORE)
MAIL = service("smtp", "25", INTERNET, declared_class=ServiceClass.UNCLASSIFIED)
VPN = service("wireguard", "51820", INTERNET, protocol="udp", answers=False)

REDIS_SEEN = Identity("redis", "probed", "Redis key-value store", "7.0.15", banner="-NOAUTH Authentication required.")
SSH_SEEN = Identity(
    "ssh", "probed", "OpenSSH", "9.2p1 Debian 2+deb12u3", "protocol 2.0", banner="SSH-2.0-OpenSSH_9.2p1"
)
NGINX_SEEN = Identity("http", "probed", "nginx", "1.22.1", tunnel="ssl")
DROPPED = {
    "routed": Leg("yes", "another port of the address answered"),
    "allowed": Leg("no", "no reply to 2 probes: something on the way drops them"),
    "listening": Leg("unknown", "nothing came back that could tell"),
}
REFUSED = {
    "routed": Leg("yes", "the reset came from the address itself"),
    "allowed": Leg("unknown", "a firewall that rejects with reset looks the same from outside"),
    "listening": Leg("no", "reset: nothing listens, or a firewall rejects with reset"),
}
LOST = {
    "routed": Leg("unknown", "no reply of any kind came from the address"),
    "allowed": Leg("unknown", "nothing came back that could tell"),
    "listening": Leg("unknown", "nothing came back that could tell"),
}


def busy_audit() -> Audit:
    """Every kind of finding that a scan gives, every severity, and some of all that is no finding."""
    hosts = [
        host("web-1", "team-web", ["203.0.113.10", "2001:db8:1::10"], HTTPS, SSH, APP, tags=["web", "production"]),
        host("db-1", "team-data", ["203.0.113.12"], REDIS, SSH, tags=["production"]),
        host("mail-1", "team-mail", ["203.0.113.25"], MAIL),
        host("vpn-1", None, ["203.0.113.30"], VPN),
        host("old-1", "team-web", ["203.0.113.40"], HTTPS),
        host("edge-1", "team-net", ["203.0.113.60"], HTTPS),
    ]
    findings = [*_exposures(), *_failures(), *_whole_addresses()]
    waived = _waived()
    findings[3] = replace(
        findings[3], waiver=waiver(host=["web-1"], ports=["8080/tcp"], until="2026-11-20"), expired=True
    )
    left = {
        "public": [
            LeftOut("10.20.1.10 (web-1, private)", "outside the viewpoint's targets"),
            LeftOut("udp ports other than 43 of them", "the standard profile probes declared and usual UDP ports"),
        ],
        "vpn": [LeftOut("ipv6", "the viewpoint has no IPv6 address")],
    }
    comparisons = []
    for view in (PUBLIC, OFFICE):
        drifts = [each.subject for each in (*findings, *waived) if each.subject.viewpoint is view]
        outcomes = [each for drift_ in drifts for each in drift_.outcomes]
        outcomes += [each for each in _others() if each.expectation.viewpoint == view.name]
        comparisons.append(comparison(view, outcomes, drifts, left[view.name]))
    errors = [StageError("scan", "public: nmap ended by signal 9 after 41 s; 203.0.113.41 was not answered for")]
    return audit(hosts, comparisons, [*findings, *_of_inventory()], errors=errors, waived=waived)


def _open(
    name: str, address: str, port: str, kind: Kind, identity: Identity | None = None, **expected: object
) -> Outcome:
    seen = observation(address, port, identity=identity)
    return outcome(name, seen, Result.DRIFTED, f"open: {kind}", kind=kind, **expected)  # type: ignore[arg-type]


def _exposures() -> list[Finding]:
    compromise, admin = Severity.DIRECT_COMPROMISE, ServiceClass.REMOTE_ADMIN
    redis = _open("db-1", "203.0.113.12", "6379", Kind.WRONG_INTERFACE, REDIS_SEEN, declared=REDIS)
    ssh = _open("db-1", "203.0.113.12", "22", Kind.OUTSIDE_SOURCE_RANGE, SSH_SEEN, declared=SSH)
    gap = _open("web-1", "2001:db8:1::10", "22", Kind.WRONG_FAMILY, SSH_SEEN, declared=SSH)
    backend = _open("web-1", "203.0.113.10", "8080", Kind.WRONG_INTERFACE, Identity("http", "probed"), declared=APP)
    exporter = Identity("http", "probed", "Golang net/http server")
    metrics = _open("web-1", "203.0.113.10", "9100", Kind.UNDECLARED_PORT, exporter)
    debug = _open("db-1", "203.0.113.12", "5005", Kind.UNDECLARED_PORT, Identity("unknown", "table"), view="vpn")
    mail = _open(
        "mail-1", "203.0.113.25", "25", Kind.WRONG_SERVICE, REDIS_SEEN,
        declared=MAIL, state=ExpectedState.REACHABLE, basis=Basis.DECLARED,
    )  # fmt: skip
    reason = "Redis key-value store 7.0.15 (data-store) answers an untrusted viewpoint: its data is within reach."
    return [
        finding(drift(PUBLIC, redis), compromise, ServiceClass.DATA_STORE, reason, also=(Severity.DATA_EXPOSURE,)),
        finding(
            drift(PUBLIC, ssh), compromise, admin, "OpenSSH (remote-admin) is for bastion and answers the internet."
        ),
        finding(
            drift(PUBLIC, gap, family_gap=True),
            compromise,
            admin,
            "OpenSSH (remote-admin) is blocked over IPv4 and answers an untrusted viewpoint over IPv6.",
        ),
        finding(
            drift(PUBLIC, backend),
            Severity.CONTROL_BYPASS,
            ServiceClass.PUBLIC_WEB,
            "The service app is declared behind https and answers without it.",
        ),
        finding(
            drift(PUBLIC, mail), Severity.DATA_EXPOSURE, ServiceClass.DATA_STORE, "Declared smtp, but Redis answers."
        ),
        finding(
            drift(PUBLIC, metrics),
            Severity.INTERNAL_RECON,
            ServiceClass.DIAGNOSTICS,
            "A metrics exporter (diagnostics, by its port) tells an untrusted viewpoint how the host is built.",
        ),
        finding(
            drift(OFFICE, debug),
            Severity.LATERAL_MOVEMENT,
            ServiceClass.DEV_DEBUG,
            "A debugger (dev-debug, by its port) answers a foothold.",
        ),
    ]


def _waived() -> list[Finding]:
    """One of a severity that a waiver accepts for long, and two ports of another whose waiver is about to end."""
    telnet = _open("db-1", "203.0.113.12", "23", Kind.UNDECLARED_PORT)
    pages = [_open("web-1", "203.0.113.10", port, Kind.UNDECLARED_PORT) for port in ("8081", "8082")]
    lasting = waiver(host=["db-1"], ports=["23/tcp"], until="2027-06-30", reason="replaced with the console server")
    ending = waiver(host=["web-*"], ports=["8081-8082/tcp"], viewpoint=["public"], until="2026-11-25")
    why = "A service on {}/tcp is reachable from public, an untrusted viewpoint."
    admin, web = ServiceClass.REMOTE_ADMIN, ServiceClass.PUBLIC_WEB
    return [
        finding(drift(PUBLIC, telnet), Severity.DIRECT_COMPROMISE, admin, why.format(23), waiver=lasting),
        *(
            finding(drift(PUBLIC, page), Severity.CONTROL_BYPASS, web, why.format(page.ports.first), waiver=ending)
            for page in pages
        ),
    ]


def _of_inventory() -> list[Finding]:
    """A breach of the policy by a service, another by a waiver, and a waiver that covers nothing."""
    forbidden = Breach(
        rule="forbid class remote-admin, trust untrusted",
        what="db-1.ssh (remote-admin) is declared to untrusted sources: internet",
        host="db-1",
        service=SSH,
        classes=(ServiceClass.REMOTE_ADMIN,),
        trust=Trust.UNTRUSTED,
        location=Location("inventories/example/hosts.yaml", 31),
    )
    long = waiver(host=["old-1"], kind=["host-unreachable"], until="2028-01-01")
    too_long = Breach(
        "max_waiver_days", "the waiver runs for 456 days; the policy allows 90", waiver=long, location=long.location
    )
    stale = StaleWaiver(waiver(host=["mail-1"], ports=["110/tcp", "143/tcp"]))
    return [breach_finding(forbidden), breach_finding(too_long), stale_finding(stale, "2026-12-31")]


def _failures() -> list[Finding]:
    declared = {"state": ExpectedState.REACHABLE, "basis": Basis.DECLARED, "declared": HTTPS}
    refused = observation("203.0.113.10", "443", PortState.CLOSED, "reset")
    filtered = observation("2001:db8:1::10", "443", PortState.FILTERED, "no-response")
    leak = observation("203.0.113.60", "23,110-113,445", PortState.CLOSED, "reset")
    operational = Severity.OPERATIONAL_DRIFT
    cases = [
        (
            outcome("web-1", refused, Result.DRIFTED, "closed: refused", kind=Kind.SERVICE_REFUSED, **declared),
            operational,
            "The customer web site is declared reachable and refuses connections.",
            REFUSED,
        ),
        (
            outcome("web-1", filtered, Result.DRIFTED, "filtered", kind=Kind.SERVICE_FILTERED, **declared),
            operational,
            "The customer web site is declared reachable and something drops the packets.",
            DROPPED,
        ),
        (
            outcome("edge-1", leak, Result.DRIFTED, "closed", kind=Kind.BOUNDARY_LEAK),
            Severity.INTERNAL_RECON,
            "The boundary should drop these packets, but they arrive and the host refuses them.",
            REFUSED,
        ),
    ]
    return [finding(drift(PUBLIC, seen), severity, None, why, legs=legs) for seen, severity, why, legs in cases]


def _whole_addresses() -> list[Finding]:
    lost = outcome(
        "old-1",
        observation("203.0.113.40", "443", PortState.FILTERED, "no-response"),
        Result.DRIFTED,
        "no reply of any kind from the address",
        kind=Kind.HOST_UNREACHABLE,
        state=ExpectedState.REACHABLE,
        basis=Basis.DECLARED,
        declared=HTTPS,
    )
    everything = [
        outcome(
            "edge-1", observation("203.0.113.60", str(port)), Result.UNVERIFIED, "all ports of the address look open"
        )
        for port in range(1000, 1400)
    ]
    network = ip_network("203.0.113.0/24")
    relayed = outcome(
        "web-1", observation("203.0.113.10", "25"), Result.UNVERIFIED, "open, as at addresses that nobody has"
    )
    stranger = outcome(
        "203.0.113.99",
        observation("203.0.113.99", "3389"),
        Result.DRIFTED,
        "open, declared nowhere on the host",
        interface=None,
        kind=Kind.UNKNOWN_HOST,
    )
    further = outcome(
        "web-1",
        observation("2001:db8:1::a1", "443"),
        Result.DRIFTED,
        "open, at an address that the host is not declared to have",
        basis=Basis.UNDECLARED_ADDRESS,
        kind=Kind.UNDECLARED_ADDRESS,
    )
    temporary = (ip_address("2001:db8:1::a1"), ip_address("2001:db8:1::a2"))
    at = {name: ip_address(name) for name in ("203.0.113.40", "203.0.113.60", "203.0.113.99")}
    operational = Severity.OPERATIONAL_DRIFT
    return [
        finding(
            drift(PUBLIC, lost, address=at["203.0.113.40"], service=None),
            operational,
            None,
            "No reply of any kind came from an address that should serve 1 port.",
            legs=LOST,
        ),
        finding(
            drift(PUBLIC, *everything, address=at["203.0.113.60"]),
            operational,
            None,
            "400 of 400 undeclared ports look open: a middlebox answers in place of the host.",
        ),
        finding(
            drift(PUBLIC, relayed, kind=Kind.ANSWERS_FOR_OTHERS, host=str(network), interface=None, prefix=network),
            operational,
            None,
            "Something on the way answers for addresses that nobody has.",
        ),
        finding(
            drift(PUBLIC, stranger, address=at["203.0.113.99"]),
            operational,
            None,
            "An address that no host declares is alive.",
        ),
        finding(
            drift(PUBLIC, further, address=temporary[0], addresses=temporary, prefix=ip_network("2001:db8:1::/64")),
            operational,
            None,
            "web-1 answers at addresses that nothing declares.",
        ),
    ]


def _others() -> list[Outcome]:
    """What is no finding: verified, silent, unverified."""
    rest = str(PortSet.span(1, 65535) - PortSet.of(22, 443, 8080, 9100))
    silent, no_reply = "no answer over UDP: the listeners on the host could settle it", "no-response"
    nobody = "path not proved: no reply came from any address in the same targets entry"
    return [
        outcome(
            "web-1",
            observation("203.0.113.10", rest, PortState.FILTERED, no_reply),
            Result.VERIFIED,
            "filtered, as it should be",
        ),
        outcome(
            "web-1",
            observation("203.0.113.10", "53,123,161", PortState.OPEN_FILTERED, no_reply, protocol=Protocol.UDP),
            Result.SILENT,
            silent,
        ),
        outcome(
            "vpn-1",
            observation("203.0.113.30", "51820", PortState.OPEN_FILTERED, no_reply, protocol=Protocol.UDP),
            Result.SILENT,
            "declared not to answer",
            state=ExpectedState.REACHABLE,
            basis=Basis.DECLARED,
            declared=VPN,
        ),
        outcome(
            "mail-1", None, Result.UNVERIFIED, "nmap ended by signal 9", address="203.0.113.25", ports="1-24,26-65535"
        ),
        outcome("old-1", None, Result.UNVERIFIED, nobody, address="203.0.113.40", ports="1-442,444-65535", view="vpn"),
        outcome("vpn-1", None, Result.UNVERIFIED, nobody, address="203.0.113.30", ports="1-65535", view="vpn"),
        outcome(
            "web-1",
            observation("203.0.113.10", "443", identity=NGINX_SEEN),
            Result.VERIFIED,
            "open as declared",
            view="vpn",
            state=ExpectedState.REACHABLE,
            basis=Basis.DECLARED,
            declared=HTTPS,
        ),
    ]


HOSTILE = (
    "<script>window.pwned=1</script>",
    "</script><script>window.pwned=2</script>",
    '"><img src=x onerror="window.pwned=3">',
    "{{7*7}}{% raw %}${7*7}#{7*7}",
    "admin\u202etxt.exe\u2066\u200b",
    "nul\x00bel\x07esc\x1b[2J\x1b]0;owned\x07c1\x9b31m\r\nline",
    "</style><style>*{display:none}</style>",
    "' onmouseover='window.pwned=4' x='",
    "[bold red]markup[/] \\[x]",
    "A" * 50_000,
)


def hostile_audit() -> Audit:
    """One finding for each hostile text, which stands wherever the network or a file may put it."""
    findings = []
    for number, text in enumerate(HOSTILE):
        identity = Identity(text, "probed", text, text, text, "ssl", text)
        seen = _open("web-1", "203.0.113.10", str(2000 + number), Kind.UNDECLARED_PORT, identity)
        seen = replace(seen, observation=replace(seen.observation, reason=text))  # type: ignore[type-var]
        found = finding(drift(PUBLIC, seen), Severity.INTERNAL_RECON, ServiceClass.UNCLASSIFIED, f"{text} answers.")
        legs = {name: Leg("yes", text) for name in ("routed", "allowed", "listening")}
        values = {**found.playbook.values, "host": text, "service": text}
        findings.append(replace(found, legs=legs, playbook=replace(found.playbook, values=values)))
    held = [
        replace(
            waiver(host=[text], until="2026-11-23"), reason=text, owner=text, ticket=text, location=Location(text, 1)
        )
        for text in HOSTILE
    ]
    waived = [replace(one, waiver=by) for one, by in zip(findings, held, strict=True)]
    findings = [replace(one, waiver=by, expired=True) for one, by in zip(findings, held, strict=True)]
    breaches = [
        breach_finding(Breach(f"forbid {text}", text, "web-1", replace(SSH, owner=text), location=Location(text, 1)))
        for text in HOSTILE
    ]
    notices = [stale_finding(StaleWaiver(one), "2026-11-23") for one in held]
    left = [LeftOut(text, text) for text in HOSTILE]
    outcomes = [each for found in findings for each in found.subject.outcomes]
    outcomes += [outcome("web-1", None, Result.UNVERIFIED, text, address="203.0.113.10", ports="9") for text in HOSTILE]
    hosts = [replace(host("web-1", HOSTILE[0], ["203.0.113.10"]), tags=HOSTILE, location=Location(HOSTILE[1], 3))]
    errors = [StageError("scan", text) for text in HOSTILE]
    return audit(
        hosts,
        [comparison(PUBLIC, outcomes, [f.subject for f in findings], left)],
        [*findings, *breaches, *notices],
        errors=errors,
        waived=waived,
        name=HOSTILE[0],
    )


def blind_audit() -> Audit:
    """A viewpoint that could not look at all, one with nothing to look at, and a live address without any evidence."""
    reason = "the source address would be 192.0.2.9, declared is 198.51.100.20"
    blind = comparison(
        PUBLIC, [outcome("web-1", None, Result.UNVERIFIED, reason, address="203.0.113.10", ports="22")], []
    )
    stranger = Drift(Kind.UNKNOWN_HOST, OFFICE, "10.20.1.66", None, Family.IPV4, (), address=ip_address("10.20.1.66"))
    alive = Finding(
        fingerprint="v1:" + "0" * 32,
        subject=stranger,
        severity=Severity.OPERATIONAL_DRIFT,
        why="An address that no host declares is alive.",
        playbook=Playbook("unknown-host", {"address": "10.20.1.66"}),
    )
    seen = replace(blind, scan=replace(blind.scan, failure=reason, nmap_version="", commands=()))
    hosts = [host("web-1", None, ["203.0.113.10"], SSH)]
    return audit(hosts, [seen, comparison(OFFICE, [], [stranger])], [alive])


def big_audit(findings: int) -> Audit:
    """As many findings as asked for, ten to a host."""
    hosts, found = [], []
    first = IPv4Address("10.64.0.1")
    severities = list(Severity)
    for number in range(findings):
        place, port = divmod(number, 10)
        name, address = f"host-{place:05}", str(first + place)
        if port == 0:
            hosts.append(host(name, f"team-{place % 7}", [address], SSH))
        seen = _open(name, address, str(6379 + port), Kind.UNDECLARED_PORT, REDIS_SEEN)
        found.append(finding(drift(PUBLIC, seen), severities[number % 6], ServiceClass.DATA_STORE, "Redis answers."))
    outcomes = [each for one in found for each in one.subject.outcomes]
    return audit(hosts, [comparison(PUBLIC, outcomes, [one.subject for one in found])], found)
