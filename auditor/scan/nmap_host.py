"""One `host` element of nmap's XML → a record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element

from auditor.model.observation import ICMP_ERRORS, Identity, Label
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.nmap_records import Asked, HostRecord, Seen, Sight, Unread, bounded, instant

_NO_EVIDENCE = frozenset({"", "user-set", "localhost-response", "no-response", "unknown-response"})  # of a living host
_ANSWERS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.UNFILTERED})
_MAY_BE_OWN = ICMP_ERRORS | {"perm-denied"}  # the kernel of the scanner says these too
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_LONGEST_NAME = 253  # characters of a DNS name
_MOST_NAMES = 16


def read_host(element: Element, asked: tuple[Asked, ...]) -> Iterator[HostRecord]:
    """The record of one host; none where the element names no IP address."""
    address = _address(element)
    if address is None:
        return
    at = instant(element.get("endtime"))
    status = element.find("status")
    state, reason = ("", "") if status is None else (status.get("state", ""), bounded(status.get("reason", "")))
    if state == "down":
        yield _down(address, at)
        return
    reply = None if reason in _NO_EVIDENCE else reason
    if element.get("timedout") == "true":
        why_not = "nmap gave up on this host: host timeout"
        yield HostRecord(address, at, reply=reply, why_not=why_not, label=_label(element, address))
        return
    connect = any(one.type == "connect" for one in asked)
    seen, unread = _ports(element, at, asked)
    seen, unmade = _without_own_states(seen, connect=connect)
    yield HostRecord(address, at, tuple(seen), (*unread, *unmade), reply, label=_label(element, address))


def _down(address: Address, at: datetime | None) -> HostRecord:
    """A host that nmap holds to be down.

    It was a ping that went unanswered, and no port was asked. With -Pn that happens on the scanner's own link, where a
    few ARP requests or neighbour solicitations of nmap's own got no reply: lost, limited, or not answered by design.
    """
    return HostRecord(address, at, why_not="nmap found the host down and did not probe its ports", down=True)


def _address(element: Element) -> Address | None:
    for child in element.iterfind("address"):
        if child.get("addrtype") in ("ipv4", "ipv6"):
            return _ip(child.get("addr"))
    return None


def _label(element: Element, address: Address) -> Label | None:
    found = [(one.get("type") != "user", bounded(one.get("name", ""), _LONGEST_NAME)) for one in _hostnames(element)]
    names = tuple(dict.fromkeys(name for _, name in sorted(found) if name))
    macs = (child.get("addr", "") for child in element.iterfind("address") if child.get("addrtype") == "mac")
    mac = next((text.lower() for text in macs if _MAC.fullmatch(text)), "")
    return Label(address, names, mac) if names or mac else None


def _hostnames(element: Element) -> list[Element]:
    return element.findall("hostnames/hostname")[:_MOST_NAMES]


def _ip(text: str | None) -> Address | None:
    try:
        return ip_address((text or "").partition("%")[0])
    except ValueError:
        return None


def _protocol(text: str | None) -> Protocol | None:
    return Protocol(text) if text in ("tcp", "udp") else None


def _ports(element: Element, at: datetime | None, asked: tuple[Asked, ...]) -> tuple[list[Seen], list[Unread]]:
    groups: dict[tuple[Protocol, Sight], int] = {}
    unread: list[Unread] = []
    listed = {Protocol.TCP: 0, Protocol.UDP: 0}
    for port in element.iterfind("ports/port"):
        protocol, bit = _protocol(port.get("protocol")), _bit(port.get("portid"))
        if protocol is None or not bit:
            continue
        listed[protocol] |= bit
        sight = _sight(port, at)
        if sight is None:
            unread.append(Unread(protocol, PortSet(bit), "nmap gave no state that can be read"))
        else:
            groups[protocol, sight] = groups.get((protocol, sight), 0) | bit
    seen = [Seen(protocol, PortSet(bits), sight) for (protocol, sight), bits in groups.items()]
    extras = element.findall("ports/extraports")
    for extra in extras:
        for one in _collapsed(extra, at, asked, listed, alone=len(extras) == 1):
            if isinstance(one, Seen):
                seen.append(one)
            else:
                unread.append(one)
    return seen, list(dict.fromkeys(unread))


def _bit(text: str | None) -> int:
    if not text or not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        return 0
    return 1 << int(text)


def _state(text: str | None) -> PortState | None:
    return PortState(text) if text in set(PortState) else None


def _sight(port: Element, at: datetime | None) -> Sight | None:
    element = port.find("state")
    if element is None or (state := _state(element.get("state"))) is None:
        return None
    ttl = element.get("reason_ttl", "")
    return Sight(
        state,
        bounded(element.get("reason", "")),
        at,
        int(ttl) if ttl.isascii() and ttl.isdigit() and len(ttl) <= 3 else None,
        _ip(element.get("reason_ip")),
        _identity(port),
    )


def _identity(port: Element) -> Identity | None:
    """What answered. A guess from the port number with nothing else to it is none."""
    service = port.find("service")
    banner = next((script.get("output", "") for script in port.iterfind("script") if script.get("id") == "banner"), "")
    if service is None:
        return Identity("", "", banner=bounded(banner)) if banner else None
    identity = Identity(
        name=bounded(service.get("name", "")),
        method=bounded(service.get("method", "")),
        product=bounded(service.get("product", "")),
        version=bounded(service.get("version", "")),
        extra=bounded(service.get("extrainfo", "")),
        tunnel=bounded(service.get("tunnel", "")),
        banner=bounded(banner or service.get("servicefp", "")),
    )
    return identity if identity.probed or identity.tunnel or identity.banner else None


def _collapsed(
    extra: Element, at: datetime | None, asked: tuple[Asked, ...], listed: dict[Protocol, int], *, alone: bool
) -> Iterator[Seen | Unread]:
    """The ports that nmap collapsed into one line. Without `ports` (before 7.92) only a single state can be placed."""
    state = _state(extra.get("state"))
    reasons = extra.findall("extrareasons")
    if reasons and all(reason.get("ports") for reason in reasons):
        for reason in reasons:
            protocol, ports = _protocol(reason.get("proto")), _parse(reason.get("ports", ""))
            if protocol is not None and ports is not None:
                yield (
                    Seen(protocol, ports, Sight(state, bounded(reason.get("reason", "")), at))
                    if state
                    else Unread(protocol, ports, "nmap gave no state that can be read")
                )
        return
    rest = [
        (protocol, PortSet(one.services.bits & ~listed[protocol]))
        for one in asked
        if (protocol := _protocol(one.protocol)) is not None
    ]
    known = alone and state is not None and sum(len(ports) for _, ports in rest) == _count(extra)
    names = {_singular(bounded(reason.get("reason", ""))) for reason in reasons}
    for protocol, ports in rest:
        if known and state is not None:
            yield Seen(protocol, ports, Sight(state, names.pop() if len(names) == 1 else "unknown", at))
        else:
            yield Unread(protocol, ports, "this nmap is too old to say which ports it collapsed; 7.92 or newer does")


def _singular(reason: str) -> str:
    """nmap before 7.92 counts reasons in words: `resets`, `no-responses`, `host-unreaches`."""
    return reason.removesuffix("es" if reason.endswith("aches") else "s")


def _count(extra: Element) -> int:
    text = extra.get("count", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 6 else -1


def _parse(text: str) -> PortSet | None:
    try:
        return PortSet.parse(text)
    except ValueError:
        return None


def _without_own_states(seen: list[Seen], *, connect: bool) -> tuple[list[Seen], list[Unread]]:
    """Take out the states that the scanner's own machine made, or may have made: an ICMP error at TTL 0.

    A connect scan has no TTL at all. There the kernel gives one and the same error for a rule of its own, a route that
    is missing here, and a refusal that came from afar.
    """
    kept: list[Seen] = []
    made: list[Unread] = []
    for one in seen:
        sight = one.sight
        suspect = sight.reason in _MAY_BE_OWN and sight.state not in _ANSWERS
        if not suspect or not (sight.ttl == 0 or (connect and sight.ttl is None)):
            kept.append(one)
            continue
        said = f"the scanner's own machine said {sight.reason}"
        beyond = ", and a connect scan does not tell whether it speaks for itself" if connect else ""
        made.append(Unread(one.protocol, one.ports, said + beyond))
    return kept, made
