"""Real services behind real packet filters, each odd kind of answer, and what the audit makes of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import Audited, audit, result
from tests.live.audits import start as begin

pytestmark = pytest.mark.live
INVENTORY = Path(__file__).with_name("services.yaml")
STATE = Path("/run/services")  # a lab's /run is its own and vanishes with it
Program = Callable[[str], str]

INPUT = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        %s
    }
}
"""
MIDDLEBOX = """
table ip nat {
    chain prerouting {
        type nat hook prerouting priority dstnat
        tcp dport != 22 redirect to :7001
    }
}
"""
ROUTER = """
table inet filter {
    counter denied {}
    counter probes {}
    chain prerouting {
        type filter hook prerouting priority raw
        ip daddr 10.30.0.200 counter name denied
        ip6 daddr 2001:db8:30::200 counter name denied
        iifname up meta l4proto { tcp, udp } counter name probes
    }
}
"""
SCANNER = """
table inet filter {
    counter elsewhere {}
    chain output {
        type filter hook output priority filter
        oifname eth0 meta l4proto { tcp, udp } ip daddr != 10.30.0.0/24 counter name elsewhere
        oifname eth0 meta l4proto { tcp, udp } ip6 daddr != 2001:db8:30::/64 counter name elsewhere
    }
}
"""
LOST = (
    "table inet filter { chain output { type filter hook output priority filter; policy drop; oifname lo accept; }; }"
)


@pytest.fixture(scope="module")
def estate(program: Program) -> Iterator[Estate]:
    with Estate() as built:
        for segment in ("transit", "lan"):
            built.segment(segment)
        built.namespace("router", forwarding=True)
        built.attach("router", "up", "transit", ["198.51.100.1/24", "2001:db8:f::1/64"])
        built.attach("router", "lan", "lan", ["10.30.0.1/24", "2001:db8:30::1/64"])
        built.firewall("router", ROUTER)
        built.namespace("scanner")
        built.attach(
            "scanner",
            "eth0",
            "transit",
            ["198.51.100.20/24", "2001:db8:f::20/64"],
            via=["198.51.100.1", "2001:db8:f::1"],
        )
        built.firewall("scanner", SCANNER)
        real_services(built, program)
        odd_machines(built)
        yield built


def machine(estate: Estate, name: str, last: str, *listeners: str, rules: str | None = None, six: bool = False) -> None:
    estate.namespace(name)
    addresses, gateways = [f"10.30.0.{last}/24"], ["10.30.0.1"]
    if six:
        addresses, gateways = [*addresses, f"2001:db8:30::{last}/64"], [*gateways, "2001:db8:30::1"]
    estate.attach(name, "net", "lan", addresses, via=gateways)
    if rules:
        estate.firewall(name, INPUT % rules)
    if listeners:
        estate.respond(name, *listeners)


def odd_machines(estate: Estate) -> None:
    machine(
        estate,
        "drops",
        "20",
        "ssh,::,22",
        "wireguard,::,51820",
        rules="tcp dport 22 accept\nudp dport 51820 accept",
        six=True,
    )
    machine(estate, "resets", "21", "ssh,::,22", rules="tcp dport 22 accept\nmeta l4proto tcp reject with tcp reset")
    prohibited = "tcp dport 22 accept\nreject with icmpx admin-prohibited"
    machine(estate, "prohibits", "22", "ssh,::,22", rules=prohibited)
    estate.settings("prohibits", {"ipv4/icmp_ratelimit": 0})
    hole = "tcp dport 80 accept\nmeta nfproto ipv6 tcp dport 22 accept"
    machine(estate, "six", "23", "ssh,::,22", "nginx,::,80", rules=hole, six=True)
    strangers = "silent,::,7000", "odd,::,7001", "odd,::,7002"
    machine(estate, "silent", "25", *strangers, rules="tcp dport 7000-7002 accept")
    machine(estate, "middlebox", "26", "ssh,::,22", "silent,::,7001")
    estate.firewall("middlebox", MIDDLEBOX)
    limited = "tcp dport 22 accept\nlimit rate 5/second burst 1 packets reject with icmpx port-unreachable"
    machine(estate, "limited", "27", "ssh,::,22", rules=limited)
    machine(estate, "denied", "200", "ssh,::,22", six=True)


def real_services(estate: Estate, program: Program) -> None:
    machine(estate, "real", "10", six=True)
    STATE.mkdir(mode=0o755, exist_ok=True)
    for start in (redis, nginx, sshd, postgres, dnsmasq, exporter):
        start(estate, program)


def redis(estate: Estate, program: Program) -> None:
    options = ["--bind", "*", "-::*", "--protected-mode", "no", "--save", "", "--dir", str(STATE)]
    estate.start("real", [program("redis-server"), *options], ["6379/tcp"])


def nginx(estate: Estate, program: Program) -> None:
    key, certificate = STATE / "key.pem", STATE / "cert.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=real.example"]
    run(program("openssl"), *request, "-keyout", str(key), "-out", str(certificate))
    config = STATE / "nginx.conf"
    config.write_text(
        f"user root; daemon off; pid {STATE}/nginx.pid; error_log stderr crit;\nevents {{}}\n"
        f"http {{ access_log off; server {{ listen 443 ssl; listen [::]:443 ssl;"
        f" ssl_certificate {certificate}; ssl_certificate_key {key}; }} }}\n",
        encoding="utf-8",
    )
    estate.start("real", [program("nginx"), "-e", "stderr", "-c", str(config)], ["443/tcp"])


def sshd(estate: Estate, program: Program) -> None:
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    key = STATE / "host_key"
    run(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    estate.start("real", [program("sshd"), "-D", "-f", "/dev/null", "-h", str(key), "-o", "PidFile=none"], ["22/tcp"])


def postgres(estate: Estate, program: Program) -> None:
    """PostgreSQL refuses to run as root, so this needs a second user: real root, or a user namespace with two."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"))
    data = STATE / "postgres"
    data.mkdir(mode=0o700)
    run("chown", "postgres:", str(data))
    as_postgres = [program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    run(*as_postgres, str(binaries / "initdb"), "-D", str(data), "--auth=trust", "--no-sync")
    options = ["-D", str(data), "-h", "*", "-k", "", "-c", "fsync=off"]
    estate.start("real", [*as_postgres, str(binaries / "postgres"), *options], ["5432/tcp"])


def dnsmasq(estate: Estate, program: Program) -> None:
    options = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file",
    ]
    estate.start("real", [program("dnsmasq"), *options], ["53/udp", "53/tcp"])


def exporter(estate: Estate, program: Program) -> None:
    options = ["--collector.disable-defaults", "--collector.loadavg", "--log.level=error"]
    estate.start("real", [program("prometheus-node-exporter"), *options], ["9100/tcp"])


def run(*argv: str) -> None:
    """Run a preparation from a folder that every user may enter, and show what it said where it fails."""
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def audited(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    return audit(INVENTORY, tmp_path_factory.mktemp("services"), "--profile", "quick")


@pytest.fixture(scope="module")
def audited_by_newer(estate: Estate, newer_nmap: Path, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """The hosts with real services and with filters, by a newer nmap."""
    hosts = [word for host in ("real", "drops", "resets", "prohibits", "six") for word in ("--host", host)]
    out = tmp_path_factory.mktemp("newer")
    path = f"{newer_nmap.parent}{os.pathsep}{os.environ['PATH']}"
    return result(begin(INVENTORY, out, "-V", "all", "--profile", "quick", *hosts, env={"PATH": path}), out)


def of_host(audited: Audited, host: str) -> list[tuple[object, ...]]:
    keys = ("kind", "family", "service", "family_gap")
    return sorted(
        (
            tuple(finding.get(key) for key in keys)
            for finding in audited.report["findings"]
            if finding.get("host") == host
        ),
        key=repr,
    )


def unverified(audited: Audited, host: str) -> list[dict[str, str]]:
    return [entry for entry in audited.report.get("unverified", []) if entry.get("host") == host]


def test_real_services_are_recognised_and_verified(audited: Audited) -> None:
    """Each real service is verified in both families, by the name that nmap knows it by."""
    rows = [row for row in audited.report["matrix"] if row["host"] == "real" and row.get("service")]
    seen = {(row["service"], row["protocol"], row.get("identity", "").rpartition(" ")[0]) for row in rows}

    assert of_host(audited, "real") == []
    assert {"verified"} == {row["outcome"] for row in rows}
    assert seen >= {
        ("redis", "tcp", "Redis key-value store"),
        ("https", "tcp", "nginx"),
        ("dns", "tcp", "dnsmasq"),
        ("dns", "udp", "dnsmasq"),
    }
    assert {"OpenSSH", "PostgreSQL"} <= {row.get("identity", "").split()[0] for row in rows if row.get("identity")}


@pytest.mark.newer
def test_a_newer_nmap_recognises_real_services(audited: Audited, audited_by_newer: Audited) -> None:
    """Every endpoint of them comes out alike, with the same identity where there was one; the report names the nmap."""
    rows, rows_of_newer = (
        [row for row in one.report["matrix"] if row["host"] == "real"] for one in (audited, audited_by_newer)
    )
    (version,) = {view["nmap_version"] for view in audited_by_newer.report["audit"]["viewpoints"]}

    assert rows == [
        new if "identity" in old else {key: value for key, value in new.items() if key != "identity"}
        for old, new in zip(rows, rows_of_newer, strict=True)
    ]
    assert (7, 95) <= tuple(map(int, version.split(".")))


@pytest.mark.newer
def test_a_newer_nmap_sees_the_same_filters(audited: Audited, audited_by_newer: Audited) -> None:
    """Dropped, reset, prohibited, and open over IPv6 alone: the same findings, nothing unverified."""
    for host in ("drops", "resets", "prohibits", "six"):
        assert (of_host(audited, host), []) == (of_host(audited_by_newer, host), unverified(audited_by_newer, host))


def test_dropped(audited: Audited) -> None:
    """A declared service that is dropped is filtered; the silent VPN is silent, in both families."""
    silent = {(entry["address"], entry["ports"]) for entry in audited.report["silent"] if entry.get("host") == "drops"}

    assert of_host(audited, "drops") == [
        ("service-filtered", "ipv4", "web", None),
        ("service-filtered", "ipv6", "web", None),
    ]
    assert any(address == "10.30.0.20" and "51820" in ports for address, ports in silent)
    assert unverified(audited, "drops") == []


def test_rejected_with_reset(audited: Audited) -> None:
    """A reset looks like no listener: refused where declared, closed and fine elsewhere."""

    assert of_host(audited, "resets") == [("service-refused", "ipv4", "web", None)]


def test_rejected_with_icmp(audited: Audited) -> None:
    """An ICMP prohibition is filtered."""

    assert of_host(audited, "prohibits") == [("service-filtered", "ipv4", "web", None)]


def test_ipv6_only_hole(audited: Audited) -> None:
    """SSH that IPv4 blocks and IPv6 lets through is found, as a gap between the families."""

    assert of_host(audited, "six") == [("outside-source-range", "ipv6", "ssh", True)]


def test_host_down(audited: Audited) -> None:
    """A dead address is one finding, not one a service."""

    assert of_host(audited, "down") == [("host-unreachable", "ipv4", None, None)]


def test_silent_listener(audited: Audited) -> None:
    """Open is open, whether it speaks or not: verified, and no finding. What should speak SMTP has to do so."""
    rows = [row for row in audited.report["matrix"] if row["host"] == "silent" and row.get("service")]
    outcomes = {"quiet": "verified", "odd": "verified", "mail": "unverified"}

    assert of_host(audited, "silent") == []
    assert outcomes == {row["service"]: row["outcome"] for row in rows}
    assert [("7002", "open, but not known to speak smtp")] == [
        (row["ports"], row["reason"].partition(": ")[0]) for row in unverified(audited, "silent")
    ]


def test_all_ports_open_middlebox(audited: Audited) -> None:
    """Everything open is one finding; SSH, which has said who it is, stays verified."""
    ssh = [
        row["outcome"] for row in audited.report["matrix"] if row["host"] == "middlebox" and row.get("service") == "ssh"
    ]

    assert of_host(audited, "middlebox") == [("all-ports-open", "ipv4", None, None)]
    assert ssh == ["verified"]
    assert unverified(audited, "middlebox")


def test_rate_limited_icmp(audited: Audited) -> None:
    """Which ports get one of the few ICMP errors is chance, so nothing is made of it."""

    assert of_host(audited, "limited") == []


def test_no_packet_leaves_the_scope(audited: Audited, estate: Estate) -> None:
    """Packet counters: thousands of probes, none to a denied address, none to anywhere else."""

    assert estate.packets("router", "probes") > 1000
    assert estate.packets("router", "denied") == 0
    assert estate.packets("scanner", "elsewhere") == 0


def test_drift_is_exit_code_one(audited: Audited) -> None:
    """The middlebox leaves endpoints unverified, but findings come first."""

    assert audited.code == 1
    assert not audited.report["verdict"]["complete"]


def test_a_clean_host_behind_a_dropping_firewall(audited: Audited, estate: Estate, tmp_path: Path) -> None:
    """Without `web` to miss, the dropping machine is as declared, UDP included: exit 0."""
    inventory = tmp_path / "clean.yaml"
    text = INVENTORY.read_text(encoding="utf-8")
    line = "      web: { ports: 80/tcp, from: [scanner], reason: declared but dropped }\n"
    inventory.write_text(text.replace(line, ""), encoding="utf-8")
    clean = audit(inventory, tmp_path, "--profile", "quick", "--host", "drops")

    assert clean.report["findings"] == []
    assert clean.report.get("unverified", []) == []
    assert clean.code == 0
    assert clean.report["summary"]["endpoints"]["silent"] > 0


def test_a_viewpoint_whose_probes_are_all_lost(audited: Audited, estate: Estate, tmp_path: Path) -> None:
    """Silence from everywhere proves nothing: exit 3, everything unverified, no finding."""
    estate.firewall("scanner", LOST)
    before = estate.packets("router", "probes")
    try:
        lost = audit(INVENTORY, tmp_path, "--profile", "quick")
    finally:
        estate.firewall("scanner", SCANNER)

    assert before == estate.packets("router", "probes")
    assert lost.code == 3, lost.stderr
    assert lost.report["findings"] == []
    assert lost.report["summary"]["endpoints"].get("verified", 0) == 0
    assert lost.report["verdict"]["result"] == "incomplete"
