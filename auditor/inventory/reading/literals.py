"""Addresses, networks and ports as people write them. Everything here raises ValueError in words for people."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from auditor.inventory.reading.text import shown
from auditor.model.inventory import Canary
from auditor.model.ports import PortSet
from auditor.model.words import Address, Network, Protocol

_MEANT = re.compile(r"([0-9]{1,5}(?:-[0-9]{1,5})?)(?:/(tcp|udp))?")
_PORTS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?/(tcp|udp)")
_CANARY = re.compile(r"(?:\[([^\[\]]+)\]|([^:]+)):([0-9]{1,5})/(tcp|udp)")
_NO_PROTOCOL = re.compile(r"(\[[^\[\]/]+\]|[^:/]+):[0-9]{1,5}")
_DNS = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?")
_WITH_PORT = re.compile(r"([^:/\[\]]*\.[^:/\[\]]*):[0-9]{1,5}")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LAST_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9-]+")  # no number, which the C library takes for an address: 127.0x1
_NEARLY_IPV4 = re.compile(r"\s*[0-9]+(\.[0-9]+){2}\.[^.]*\.?")  # such as `10.0.0.1-9` and `10.0.0.l`: no names
_ZEROS = re.compile(r"(?=.*\b0[0-9])[0-9]{1,9}(\.[0-9]{1,9}){3}")
_MAPPED = ip_network("::ffff:0:0/96")
_BROADCAST = ip_address("255.255.255.255")

Ports = tuple[PortSet, PortSet]  # TCP, UDP


@lru_cache(maxsize=4096)
def address(text: str, *, unicast: bool = True) -> Address:
    """One address; any that a machine can have, if `unicast`."""
    if "%" in text:
        raise ValueError(f"{shown(text)} has a zone id; write the address without `%` and what follows")
    if "/" in text:
        host = text.partition("/")[0]
        if is_literal(host):
            raise ValueError(f"{shown(text)} is a network; write one address, without the `/`")
        raise ValueError(f"{shown(text)} is not an IPv4 or IPv6 address")
    if _ZEROS.fullmatch(text):
        plain = ".".join(str(int(part)) for part in text.split("."))
        raise ValueError(f"{shown(text)} has leading zeros, which some programs read as octal; write `{plain}`")
    try:
        found = ip_address(text)
    except ValueError:
        if len(text) <= 253 and not _NEARLY_IPV4.fullmatch(text) and _DNS.fullmatch(text):
            message = "is a DNS name, and only the interfaces of hosts can have those"
            raise ValueError(f"{shown(text)} {message}; write the address") from None
        raise ValueError(f"{shown(text)} is not an IPv4 or IPv6 address") from None
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        raise ValueError(f"{shown(text)} is an IPv4 address mapped into IPv6; write `{found.ipv4_mapped}`")
    if not unicast:
        return found
    if found.is_unspecified:
        raise ValueError(f"{shown(text)} is the unspecified address, which no machine has; write a real one")
    if found.is_multicast or found == _BROADCAST:
        raise ValueError(
            f"{shown(text)} is a {'multicast' if found.is_multicast else 'broadcast'} address; write a unicast one"
        )
    return found


def address_or_name(text: str) -> Address | str:
    """One address that a machine can have, or a full DNS name (RFC 1123), which is given in lower case."""
    if "://" in text:
        raise ValueError(f"{shown(text)} is a URL; write only the name or the address in it")
    if with_port := _WITH_PORT.fullmatch(text):
        raise ValueError(f"{shown(text)} has a port; write {shown(with_port[1])} here, and ports in services")
    if is_literal(text) or "%" in text or _NEARLY_IPV4.fullmatch(text):
        return address(text)
    if "." not in text.rstrip("."):
        example = "such as `db.example.com`"
        raise ValueError(f"{shown(text)} is neither an IPv4 or IPv6 address nor a DNS name with its domain, {example}")
    if not text.isascii():
        raise ValueError(f"{shown(text)} has letters beyond ASCII; write a DNS name in its `xn--` form")
    if text.endswith("."):
        raise ValueError(f"{shown(text)} ends with a dot; a DNS name is a full one here without it")
    if len(text) > 253:
        raise ValueError(f"{shown(text)} is longer than a DNS name can be, which is 253 characters")
    labels = text.split(".")
    for label in labels:
        if not _LABEL.fullmatch(label):
            parts = "has parts of letters, digits and inner `-`, 1 to 63 characters each, with dots between them"
            raise ValueError(f"{shown(text)} is not a DNS name, which {parts}; {shown(label)} is no such part")
    if not _LAST_LABEL.fullmatch(labels[-1]):
        last = "which ends with a part of at least two characters, the first of them a letter"
        raise ValueError(f"{shown(text)} is neither an IPv4 or IPv6 address nor a DNS name, {last}")
    return text.lower()


@lru_cache(maxsize=4096)
def network(text: str, *, unicast: bool = True) -> Network:
    """A network, or one address as a network of that size."""
    if "%" in text:
        raise ValueError(f"{shown(text)} has a zone id; write the network without `%` and what follows")
    if "/" not in text:
        return ip_network(address(text, unicast=unicast))
    base, _, length = text.partition("/")
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"{shown(text)} is not a network; write its prefix as a number, such as `10.0.0.0/8`")
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError(_no_network(text)) from None
    if found.version == 6 and found.prefixlen >= 96 and found.network_address in _MAPPED:
        raise ValueError(f"{shown(text)} is IPv4 mapped into IPv6; write the IPv4 network")
    if unicast and found.prefixlen and found.is_multicast:
        raise ValueError(f"{shown(base)} is a multicast address; write a unicast network")
    return found


def _no_network(text: str) -> str:
    try:
        wider = ip_network(text, strict=False)
    except ValueError:
        return f"{shown(text)} is not a network; write one such as `203.0.113.0/24` or `2001:db8::/48`"
    host = text.partition("/")[0]
    return f"{shown(text)} has host bits set; write `{wider}` for the network, or `{host}` for the one address"


def is_literal(text: str) -> bool:
    """Whether the text reads as an address or a network, right or wrong, and not as a name."""
    if "/" in text or ":" in text:
        return True
    try:
        ip_address(text)
    except ValueError:
        return text.replace(".", "").isdigit() and text.count(".") == 3
    return True


@lru_cache(maxsize=4096)
def ports(texts: tuple[str, ...]) -> Ports:
    """Ports such as `22/tcp` and `6000-6010/tcp`, united."""
    bits = {"tcp": 0, "udp": 0}
    for text in texts:
        found = _PORTS.fullmatch(text)
        if not found:
            raise ValueError(f"{shown(text)} is not ports; write them as `22/tcp`, `6000-6010/tcp` or `53/udp`")
        first = int(found[1])
        last = int(found[2]) if found[2] else first
        if not 1 <= first <= 65535 or not 1 <= last <= 65535:
            raise ValueError(f"{shown(text)} is outside the ports that there are, 1 to 65535")
        if first > last:
            raise ValueError(f"{shown(text)} runs backwards; write `{last}-{first}/{found[3]}`")
        bits[found[3]] |= PortSet.span(first, last).bits
    return PortSet(bits["tcp"]), PortSet(bits["udp"])


def ports_meant(text: str) -> str | None:
    """What was probably meant by what is not ports: spaces, capitals, commas and a missing protocol put right."""
    parts = [_MEANT.fullmatch(part) for part in "".join(text.lower().split())[:60].split(",")]
    if not all(parts):
        return None
    last = next((part[2] for part in reversed(parts) if part and part[2]), "tcp")
    words = [f"{part[1]}/{part[2] or last}" for part in parts if part]
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"


def canary(text: str) -> Canary:
    """`ADDRESS`, or an endpoint `ADDRESS:PORT/PROTOCOL`, with IPv6 in brackets."""
    if _NO_PROTOCOL.fullmatch(text):
        raise ValueError(f"{shown(text)} is an endpoint without its protocol; write {shown(f'{text}/tcp')}")
    if "/" not in text:
        return Canary(address(text))
    found = _CANARY.fullmatch(text)
    if not found:
        example = "`203.0.113.7`, `203.0.113.7:22/tcp` or `[2001:db8::7]:22/tcp`"
        raise ValueError(f"{shown(text)} is not an address or endpoint; write it as {example}")
    port = int(found[3])
    if not 1 <= port <= 65535:
        raise ValueError(f"port {port} is outside the ports that there are, 1 to 65535")
    return Canary(address(found[1] or found[2]), Protocol(found[4]), port)
