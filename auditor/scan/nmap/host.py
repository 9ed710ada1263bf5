"""One `host` element of nmap's XML → a record."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from socket import AF_INET, inet_pton
from xml.etree.ElementTree import Element

from auditor.model.observation import ICMP_ERRORS, Identity, Label
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.nmap.records import Asked, Beyond, HostRecord, Seen, Sight, Unread, bounded, count, instant

_NO_EVIDENCE = frozenset({"", "user-set", "localhost-response", "no-response", "unknown-response"})  # of a living host
_ANSWERS = frozenset({PortState.OPEN, PortState.CLOSED, PortState.UNFILTERED})
_MAY_BE_OWN = ICMP_ERRORS | {"perm-denied"}  # the kernel of the scanner says these too
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")
_MOSQUITTO = re.compile(r"mosquitto version (\S+)")  # what nmap's MQTT script puts where the protocol's name belongs
_LONGEST_NAME = 253  # characters of a DNS name
_MOST_NAMES = 16
_NO_STATE = "nmap gave no state that can be read"
_TOO_OLD = "this nmap is too old to say which ports it collapsed; 7.92 or newer does"
_STATES = {str(state): state for state in PortState}
_PROTOCOLS = {str(protocol): protocol for protocol in Protocol}
_REMEMBERED = 4096  # ports, and looks of ports, each of texts no longer than
_LONGEST_REMEMBERED = 4096  # characters
_HOSTS_REMEMBERED = 512  # of four times the text, and of ports that take no more than
_MOST_PORTS_REMEMBERED = 1 << 20  # bits
_LINES_REMEMBERED = 64  # of collapsed ports
_BETWEEN, _OUTER, _INNER = "\0", "\1", "\2"  # no characters of XML

Found = Seen | Unread | Beyond
_Ports = tuple[tuple[Seen, ...], tuple[Unread, ...], tuple[Beyond, ...]]


@dataclass(eq=False, frozen=True, slots=True)
class _Look:
    """How a port looks, apart from its number: made once for all that look so, and equal only to itself."""

    protocol: Protocol | str  # a mere word where it is open over a protocol that is not audited
    sight: Sight | None  # None where nmap gave no state that can be read

    def of(self, ports: PortSet) -> Found:
        if not isinstance(self.protocol, Protocol):
            return Beyond(self.protocol, ports)
        return Unread(self.protocol, ports, _NO_STATE) if self.sight is None else Seen(self.protocol, ports, self.sight)


class HostReader:
    """Reads the hosts of one document up to the next element that says what was asked; `asked` is what was so far.

    What many have in common is made once: all that was seen of a host, a port that looks the same, a collapsed line.
    """

    def __init__(self, asked: Sequence[Asked]) -> None:
        self._asked = asked
        self._hosts: OrderedDict[str, _Ports] = OrderedDict()
        self._ports: dict[str, tuple[_Look, Found]] = {}
        self._looks: dict[tuple[str, Sight | None], _Look] = {}
        self._collapsed = lru_cache(_LINES_REMEMBERED)(_collapsed)

    def read(self, element: Element) -> HostRecord | None:
        """The record of one host; None where the element names no IP address."""
        address, mac, reason, state = None, "", "", ""
        reply_ttl: int | None = None
        names: list[Element] = []
        seen: tuple[Seen, ...] = ()
        unread: tuple[Unread, ...] = ()
        beyond: tuple[Beyond, ...] = ()
        for child in element:
            match child.tag:
                case "ports":
                    more = self._read_ports(child)
                    seen, unread, beyond = seen + more[0], unread + more[1], beyond + more[2]
                case "hostnames":
                    names += child.findall("hostname")
                case "address" if child.get("addrtype") == "mac":
                    mac = mac or _mac(child.get("addr", ""))
                case "address" if address is None and child.get("addrtype") in ("ipv4", "ipv6"):
                    address = _ip(child.get("addr"))
                case "status":
                    state, reason = child.get("state", ""), bounded(child.get("reason", ""))
                    reply_ttl = _ttl(child)
                case _:
                    pass
        if address is None:
            return None
        at, began = instant(element.get("endtime")), instant(element.get("starttime"))
        if state == "down":
            return _down(address, at)
        reply = None if reason in _NO_EVIDENCE else reason
        label = _label(address, names, mac)
        if element.get("timedout") == "true":
            why_not = "nmap gave up on this host: host timeout"
            return HostRecord(address, at, reply=reply, why_not=why_not, label=label, reply_ttl=reply_ttl)
        return HostRecord(
            address, at, seen, unread, reply, label=label, beyond=beyond, reply_ttl=reply_ttl, began=began
        )

    def _read_ports(self, element: Element) -> _Ports:
        """All that tells is the key to what has been made of it before."""
        told: list[str] = []
        for child in element:
            _tell(child, told)
        key = _BETWEEN.join(told)
        ports = self._hosts.get(key)
        if ports is not None:
            self._hosts.move_to_end(key)
            return ports
        ports = _sorted(self._found(element), self._asked)
        held = sum(one.ports.bits.bit_length() for group in ports for one in group)
        if len(key) <= 4 * _LONGEST_REMEMBERED and held <= _MOST_PORTS_REMEMBERED:
            self._hosts[key] = ports
            if len(self._hosts) > _HOSTS_REMEMBERED:
                self._hosts.popitem(last=False)
        return ports

    def _found(self, element: Element) -> list[Found]:
        groups: dict[_Look, Found] = {}
        extras: list[Element] = []
        for child in element:
            if child.tag == "extraports":
                extras.append(child)
            elif child.tag == "port" and (port := self._port(child)) is not None:
                look, one = port
                groups[look] = look.of(groups[look].ports | one.ports) if look in groups else one
        found = list(groups.values())
        for extra in extras:
            reasons = extra.findall("extrareasons")
            if reasons and all(reason.get("ports") for reason in reasons):
                found += self._lines(extra.get("state", ""), reasons)
            else:
                found += _rest(extra, reasons, self._asked, groups, alone=len(extras) == 1)
        return found

    def _port(self, port: Element) -> tuple[_Look, Found] | None:
        """How it looks, and that one port so; None where it is no port that is audited."""
        key = _BETWEEN.join(_tell(port, []))
        try:
            return self._ports[key]
        except KeyError:
            return self._new_port(key, port)

    def _new_port(self, key: str, port: Element) -> tuple[_Look, Found] | None:
        bits, look = _bit(port.get("portid")), _look(port)
        if not bits or look is None:
            return None
        if len(self._ports) >= _REMEMBERED or len(self._looks) >= _REMEMBERED:
            self._ports.clear()
            self._looks.clear()
        if look.sight is not None or not isinstance(look.protocol, Protocol):
            look = self._looks.setdefault((look.protocol, look.sight), look)
        found = look, look.of(PortSet(bits))
        if len(key) <= _LONGEST_REMEMBERED:
            self._ports[key] = found
        return found

    def _lines(self, state: str, reasons: Iterable[Element]) -> Iterator[Found]:
        """The ports that nmap collapsed into lines."""
        for reason in reasons:
            line = state, reason.get("reason", ""), reason.get("proto", ""), reason.get("ports", "")
            short = sum(map(len, line)) <= _LONGEST_REMEMBERED
            found = self._collapsed(*line) if short else _collapsed(*line)
            if found is not None:
                yield found


def _tell(element: Element, told: list[str]) -> list[str]:
    """Add the attributes of a port, or of a collapsed line, and of the elements in it that tell how it looks."""
    attributes = element.attrib
    told.append(_OUTER + element.tag)
    told += attributes
    told += attributes.values()
    for child in element:
        tag = child.tag
        if tag != "script" or child.get("id") == "banner":
            attributes = child.attrib
            told.append(_INNER + tag)
            told += attributes
            told += attributes.values()
    return told


def _look(port: Element) -> _Look | None:
    """None for a port of another protocol that is not open."""
    word = port.get("protocol", "")
    protocol = _PROTOCOLS.get(word)
    if protocol is not None:
        return _Look(protocol, _sight(port))
    state = port.find("state")
    return None if state is None else _beyond(word, state.get("state"))


def _beyond(protocol: str, state: str | None) -> _Look | None:
    return _Look(bounded(protocol, 16), None) if _state(state) is PortState.OPEN else None


def _collapsed(state: str, reason: str, protocol: str, ports: str) -> Found | None:
    known, which, numbers = _state(state), _PROTOCOLS.get(protocol), _parse(ports)
    if numbers is None:
        return None
    if which is None:
        other = _beyond(protocol, state)
        return None if other is None else other.of(numbers)
    return _Look(which, Sight(known, bounded(reason)) if known else None).of(numbers)


def _down(address: Address, at: datetime | None) -> HostRecord:
    """A host that nmap holds to be down.

    It was a ping that went unanswered, and no port was asked. With -Pn that happens on the scanner's own link, where a
    few ARP requests or neighbour solicitations of nmap's own got no reply: lost, limited, or not answered by design.
    """
    return HostRecord(address, at, why_not="nmap found the host down and did not probe its ports", down=True)


def _mac(text: str) -> str:
    return text.lower() if MAC.fullmatch(text) else ""


def _label(address: Address, hostnames: Sequence[Element], mac: str) -> Label | None:
    found = [
        (one.get("type") != "user", bounded(one.get("name", ""), _LONGEST_NAME)) for one in hostnames[:_MOST_NAMES]
    ]
    names = tuple(dict.fromkeys(name for _, name in sorted(found) if name))
    given = sum(not other for other, _ in set(found) if _)
    return Label(address, names, mac, given) if names or mac else None


def _sorted(found: Sequence[Found], asked: Sequence[Asked]) -> _Ports:
    seen: list[Seen] = []
    unread: list[Unread] = []
    beyond: list[Beyond] = []
    suspect = False
    for one in found:
        if isinstance(one, Unread):
            unread.append(one)
        elif isinstance(one, Beyond):
            beyond.append(one)
        else:
            seen.append(one)
            suspect = suspect or one.sight.reason in _MAY_BE_OWN
    if suspect:
        seen, made = _without_own_states(seen, connect=any(one.type == "connect" for one in asked))
        unread += made
    return tuple(seen), tuple(dict.fromkeys(unread)), tuple(beyond)


def _ip(text: str | None) -> Address | None:
    try:
        return IPv4Address(inet_pton(AF_INET, text or ""))  # twice as fast as `ip_address`
    except (OSError, ValueError):
        pass
    try:
        return ip_address((text or "").partition("%")[0])
    except ValueError:
        return None


def _bit(text: str | None) -> int:
    if not text or not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        return 0
    return 1 << int(text)


def _state(text: str | None) -> PortState | None:
    return _STATES.get(text or "")


def _sight(port: Element) -> Sight | None:
    element = port.find("state")
    if element is None or (state := _state(element.get("state"))) is None:
        return None
    return Sight(
        state,
        bounded(element.get("reason", "")),
        ttl=_ttl(element),
        reply_from=_ip(element.get("reason_ip")),
        identity=_identity(port),
    )


def _ttl(element: Element) -> int | None:
    """The TTL of the reply that decided."""
    ttl = element.get("reason_ttl", "")
    return int(ttl) if ttl.isascii() and ttl.isdigit() and len(ttl) <= 3 else None


def _identity(port: Element) -> Identity | None:
    """What answered. A guess from the port number with nothing else to it is none."""
    service = port.find("service")
    banner = next((script.get("output", "") for script in port.iterfind("script") if script.get("id") == "banner"), "")
    if service is None:
        return Identity("", "", banner=bounded(banner)) if banner else None
    name, product, version = (bounded(service.get(key, "")) for key in ("name", "product", "version"))
    if broker := _MOSQUITTO.fullmatch(name):
        name, product, version = "mqtt", product or "mosquitto", version or broker[1]
    identity = Identity(
        name=name,
        method=bounded(service.get("method", "")),
        product=product,
        version=version,
        extra=bounded(service.get("extrainfo", "")),
        tunnel=bounded(service.get("tunnel", "")),
        banner=bounded(banner or service.get("servicefp", "")),
    )
    return identity if identity.probed or identity.tunnel or identity.banner else None


def _rest(
    extra: Element, reasons: Sequence[Element], asked: Sequence[Asked], listed: Mapping[_Look, Found], *, alone: bool
) -> Iterator[Found]:
    """The ports of a collapsed line without `ports` (before 7.92): they can be placed only where it is the only one."""
    taken = {one: PortSet.union(found.ports for found in listed.values() if found.protocol is one) for one in Protocol}
    rest = [
        (protocol, one.services - taken[protocol])
        for one in asked
        if (protocol := _PROTOCOLS.get(one.protocol)) is not None
    ]
    state = _state(extra.get("state"))
    known = alone and sum(len(ports) for _, ports in rest) == count(extra.get("count"))
    names = {_singular(bounded(reason.get("reason", ""))) for reason in reasons}
    for protocol, ports in rest:
        if known and state is not None:
            yield Seen(protocol, ports, Sight(state, names.pop() if len(names) == 1 else "unknown"))
        else:
            yield Unread(protocol, ports, _TOO_OLD)


def _singular(reason: str) -> str:
    """nmap before 7.92 counts reasons in words: `resets`, `no-responses`, `host-unreaches`."""
    return reason.removesuffix("es" if reason.endswith("aches") else "s")


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
