"""Commands that can be pasted: every one is made of addresses, numbers and names from the inventory's grammar."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from ipaddress import IPv6Address

from auditor.catalogue import firewalls
from auditor.model.drift import Drift
from auditor.model.inventory import Host, NetnsVia
from auditor.model.words import Address, Family, Kind, Protocol

_MOST_SOURCES = 16  # networks written out in a command; more of them come from a set or a file
_DEFAULT_LAYERS = ("nftables", "iptables")  # where a host declares no firewall layers: look at both


@dataclass(frozen=True, slots=True)
class Subject:
    """What the commands are about: an address, and the endpoint's protocol and port where there is one."""

    address: Address
    protocol: Protocol | None = None
    port: int | None = None

    @property
    def version(self) -> int:
        return self.address.version


def commands(drift: Drift, subject: Subject) -> dict[str, str]:
    """Placeholders that hold an address, an endpoint or a command about them."""
    address, flag = subject.address, f"-{subject.version}"
    run = f"ip netns exec {shlex.quote(drift.viewpoint.via.name)} " if isinstance(drift.viewpoint.via, NetnsVia) else ""
    nmap = f"{run}nmap {'-6 ' if subject.version == 6 else ''}-Pn -n"
    back = drift.viewpoint.address_of(Family.of(address))
    about_address = {
        "address": str(address),
        "ping": f"{run}ping {flag} -c 3 {address}",
        "trace": f"{run}traceroute {flag} -n {address}",
        "route": f"ip {flag} route get {address}",
        "route_back": f"ip {flag} route get {back}" if back else f"ip {flag} route show",
        "addresses": f"ip {flag} address show to {address}",
        "neighbour": f"ip {flag} neighbour show to {address}",
        "scan": f"{nmap} {address}",
    }
    if subject.protocol is None or subject.port is None:
        return about_address
    return about_address | _about_port(subject.address, subject.protocol, subject.port, run, nmap)


def _about_port(address: Address, protocol: Protocol, port: int, run: str, nmap: str) -> dict[str, str]:
    flag = f"-{address.version}"
    iptables = "ip6tables" if address.version == 6 else "iptables"
    tcp = protocol is Protocol.TCP
    technique = "-sT" if tcp else "-sU"
    match = f"-m conntrack --ctorigdst {address} --ctorigdstport {port} --ctdir ORIGINAL"
    return {
        "port": str(port),
        "protocol": protocol.value,
        "bind": f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}",
        "probe": f"{run}nc {flag} -vz{'' if tcp else 'u'} -w 3 {address} {port}",
        "scan": f"{nmap} {technique} -p {port} {address}",
        "identify": f"{nmap} {technique} -sV -p {port} {address}",
        "listeners": f"ss -{'lt' if tcp else 'lu'}np 'sport = :{port}'",
        "process": f"lsof -nP -i{protocol.upper()}:{port}{' -sTCP:LISTEN' if tcp else ''}",
        "capture": f"tcpdump -ni any 'host {address} and {protocol} port {port}'",
        "published": f"docker ps --filter publish={port}/{protocol}",
        "docker_rules": f"{iptables} -t nat -S DOCKER",
        "docker_narrow": f"{iptables} -I DOCKER-USER -p {protocol} {match} -j DROP",
    }


def firewall_commands(drift: Drift, host: Host | None, subject: Subject) -> dict[str, str]:
    """`rules` to read the host's packet filters, `allow` to admit the declared sources, `narrow` to admit no others."""
    values = _firewall_values(drift, subject)
    layers = (host.firewall if host else ()) or _DEFAULT_LAYERS
    templates = [firewalls()[layer] for layer in layers]
    rules = "; ".join(template["rules"].format_map(values) for template in templates)
    if subject.port is None:
        return {"rules": rules}
    keep_sources = drift.kind is Kind.OUTSIDE_SOURCE_RANGE and _networks(drift, subject)
    narrow = "restrict" if keep_sources else "deny"
    # Without declared layers one filter is enough to act on, and the rules above show which one is in use.
    acting = templates if host and host.firewall else templates[:1]
    allow = "allow" if _networks(drift, subject) else "rules"
    return {
        "rules": rules,
        "allow": "; ".join(template[allow].format_map(values) for template in acting),
        "narrow": "; ".join(template[narrow].format_map(values) for template in acting),
    }


def _networks(drift: Drift, subject: Subject) -> list[str]:
    if drift.service is None:
        return []
    return [
        str(network)
        for source in drift.service.sources
        for network in source.networks
        if network.version == subject.version
    ]


def _firewall_values(drift: Drift, subject: Subject) -> dict[str, str]:
    six = subject.version == 6
    networks = _networks(drift, subject)
    few = len(networks) <= _MOST_SOURCES
    return {
        "address": str(subject.address),
        "protocol": subject.protocol or "",
        "port": str(subject.port or ""),
        "ip": "ip6" if six else "ip",
        "iptables": "ip6tables" if six else "iptables",
        "nft_sources": f"'{{ {', '.join(networks)} }}'" if few else "@allowed",
        "iptables_sources": f"-s {','.join(networks)}" if few else "-m set --match-set allowed src",
        "sources_words": " ".join(networks) if few else "$(cat allowed.txt)",
        "everyone": "::/0" if six else "0.0.0.0/0",
        "aws_ranges": "Ipv6Ranges" if six else "IpRanges",
        "aws_cidr": "CidrIpv6" if six else "CidrIp",
        "nacl_cidr": "--ipv6-cidr-block" if six else "--cidr-block",
    }
