"""Commands that show what is there: each is made of addresses, numbers and names from the inventory's grammar."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address

from auditor.model.drift import Drift
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Protocol
from auditor.transport.by_hand import by_hand

_NO_PORTS = PortSet()


@dataclass(frozen=True, slots=True)
class Subject:
    """What the commands are about: an address, and the protocol and ports of its endpoints where there are some.

    `addresses` are all that have these ports. Commands that take only one port get the first.
    """

    address: Address
    protocol: Protocol | None = None
    ports: PortSet = _NO_PORTS
    addresses: tuple[Address, ...] = ()

    @property
    def version(self) -> int:
        return self.address.version


def commands(drift: Drift, subject: Subject) -> dict[str, str]:
    """Placeholders that hold an address, an endpoint or a command about them."""
    address, flag = subject.address, f"-{subject.version}"
    run = by_hand(drift.viewpoint.via)
    nmap = f"{run}nmap {'-6 ' if subject.version == 6 else ''}-Pn -n"
    back = drift.viewpoint.address_of(Family.of(address))
    about_address = {
        "address": str(address),
        "ping": f"{run}ping {flag} -c 3 {address}",
        "trace": f"{run}traceroute {flag} -n {address}",
        "route": f"ip {flag} route get {address}",
        "route_back": f"ip {flag} route get {back}" if back else f"ip {flag} route show",
        "addresses": f"ip {flag} address show to {address}",
        "own_addresses": f"ip {flag} address show",
        "neighbour": f"ip {flag} neighbour show to {address}",
        "scan": f"{nmap} {address}",
    }
    if subject.protocol is None or not subject.ports:
        return about_address
    return about_address | _about_ports(subject, subject.protocol, run, nmap)


def _about_ports(subject: Subject, protocol: Protocol, run: str, nmap: str) -> dict[str, str]:
    address, ports = subject.address, subject.ports
    every = " ".join(map(str, subject.addresses))
    flag = f"-{address.version}"
    tcp = protocol is Protocol.TCP
    technique = "-sT" if tcp else "-sU"
    port = ports.first
    published = " ".join(f"--filter publish={part}/{protocol}" for part in str(ports).split(","))
    return {
        "port": str(port),
        "ports": str(ports),
        "protocol": protocol.value,
        "bind": f"[{address}]:{port}" if isinstance(address, IPv6Address) else f"{address}:{port}",
        "probe": f"{run}nc {flag} -vz{'' if tcp else 'u'} -w 3 {address} {port}",
        "scan": f"{nmap} {technique} -p {ports} {every}",
        "identify": f"{nmap} {technique} -sV -p {ports} {every}",
        "listeners": f"ss -{'lt' if tcp else 'lu'}np '{_ss_filter(ports)}'",
        "process": f"lsof -nP -i{protocol.upper()}:{ports}{' -sTCP:LISTEN' if tcp else ''}",
        "capture": f"tcpdump -ni any 'host {address} and {protocol} and ({_pcap_filter(ports)})'",
        "published": f"docker ps {published}",
    }


def _ss_filter(ports: PortSet) -> str:
    """ss(8), FILTER."""
    return " or ".join(
        f"sport = :{first}" if first == last else f"( sport >= :{first} and sport <= :{last} )"
        for first, last in ports.ranges()
    )


def _pcap_filter(ports: PortSet) -> str:
    """pcap-filter(7)."""
    return " or ".join(
        f"port {first}" if first == last else f"portrange {first}-{last}" for first, last in ports.ranges()
    )
