"""nmap's argument lists. Every address in one comes from a `ProbeTarget`, every other word from a typed value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from itertools import islice
from typing import TypeVar

from auditor.addresses import ProbeNetwork, ProbeTarget
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Protocol, Technique

T = TypeVar("T")

TARGETS = 512  # addresses in one nmap run: keeps argument lists short

# For one endpoint: most are recognised in 6 to 12, redis on an odd port in 26, and one that says nothing costs 120.
VERSION_SECONDS = 45
_LONGEST_PORTS = 100_000  # characters; Linux takes no argument of more than 131,072 (execve(2))
UDP_VERSION_SECONDS = 60  # nmap waits 5 for each probe that gets no answer; SNMP on an odd port takes 45
# Packets in the worst second of a conversation: with a service that answers every probe at once, with nothing known.
CONVERSATION = 200

# nmap's scripts that ask all neighbours at once by ff02::1; the last one waits 10 seconds unless told otherwise.
MULTICAST = ("targets-ipv6-multicast-echo", "targets-ipv6-multicast-invalid-dst", "targets-ipv6-multicast-mld")
INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")


def chunks(items: Iterable[T], size: int = TARGETS) -> Iterator[tuple[T, ...]]:
    """The items in groups of so many."""
    rest = iter(items)
    while chunk := tuple(islice(rest, size)):
        yield chunk


def probe(
    technique: Technique,
    protocol: Protocol,
    ports: PortSet,
    targets: Sequence[ProbeTarget],
    *,
    rate: float,
    least_rate: float | None = None,
    retries: int | None = None,
    group: int | None = None,
    patient: bool = False,
    absent: bool = False,
    delay: int | None = None,
) -> tuple[str, ...]:
    """Port states. `rate` is the most packets a second, `least_rate` the fewest, `group` hosts at a time.

    `absent` asks by ARP first, for neighbours that the kernel does not find: it holds back what is sent to such, 3
    seconds for every 200 packets or so.
    `delay` is in milliseconds, between the probes to one host.
    `patient` waits between the probes to one host as long as Linux does between the ICMP errors that it sends.
    """
    ask = ("-Pn",) if absent else _ASK_ANYWAY
    options = [_SCAN[technique, protocol], *ask, "--max-rate", f"{rate:.10g}"]
    if least_rate is not None:
        options += ["--min-rate", f"{least_rate:.10g}"]
    if retries is not None:
        options += ["--max-retries", str(retries)]
    if group is not None:
        options += ["--max-hostgroup", str(group)]
    if patient:
        options += ["--scan-delay", "1100ms"]
    if delay is not None:
        options += ["--scan-delay", f"{delay}ms"]
    return _command(technique, targets, *options, "-p", _spelled(ports))


def _spelled(ports: PortSet) -> str:
    """The ports for nmap; where a scattered half of all ports would not fit, with those in between."""
    text = str(ports)
    return text if len(text) <= _LONGEST_PORTS else str(PortSet.span(ports.first, ports.bits.bit_length() - 1))


def loopback(ports: PortSet, *, rate: float) -> tuple[str, ...]:
    """A scan, at exactly that rate and without repeats, of the loopback interface of a namespace made for it alone.

    No packet of it leaves the machine, or reaches anything on it.
    """
    fast = ("--max-rate", f"{rate:.10g}", "--min-rate", f"{rate:.10g}", "--max-retries", "0", "-p", str(ports))
    scan = _argv(Technique.SYN, Family.IPV4, ("127.0.0.1",), _SCAN[Technique.SYN, Protocol.TCP], *_ASK_ANYWAY, *fast)
    return "unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *scan


def ping(
    technique: Technique, targets: Sequence[ProbeTarget], *, link: bool, rate: float, pings: Sequence[str] = ()
) -> tuple[str, ...]:
    """Signs of life, by nmap's usual pings, or by some. With `link`, ARP and neighbour discovery count: no path."""
    options = ["-sn", "--max-rate", f"{rate:.10g}", *pings]
    return _command(technique, targets, *options, *([] if link else ["--disable-arp-ping"]))


def sweep(
    technique: Technique, networks: Sequence[ProbeNetwork], *, rate: float, pings: Sequence[str]
) -> tuple[str, ...]:
    """Live addresses of IPv4 networks. On the own link nmap asks by ARP alone; else by all of the `pings`."""
    options = ["-sn", "--max-rate", f"{rate:.10g}", "--min-rate", f"{rate:.10g}", "--max-retries", "1"]
    return _argv(technique, Family.IPV4, (str(one.network) for one in networks), *options, *pings)


def multicast(interface: str, link: Sequence[ProbeNetwork], *, rate: float) -> tuple[str, ...]:
    """Ask all IPv6 neighbours on an interface at once; `link` are its prefixes, all of which the scope has to allow.

    As a rule they answer with their link-local addresses. nmap's fourth such script, `-slaac`, is left out: it
    advertises a prefix as a router would, and every neighbour gives itself an address in it.
    """
    _check_link(interface, link)
    scripts = ("--script", ",".join(MULTICAST), "--script-args", f"interface={interface},{MULTICAST[-1]}.timeout=3s")
    return _argv(Technique.SYN, Family.IPV6, (), *scripts, "--max-rate", f"{rate:.10g}", "-sn")


def echo_all(interface: str, link: Sequence[ProbeNetwork], source: Address, *, rate: float) -> tuple[str, ...]:
    """Have all IPv6 neighbours answer to an address of more than the link, and so from one of theirs (RFC 6724).

    nmap takes none of the answers for one of ff02::1. But before a neighbour answers it asks for our hardware address,
    and the kernel remembers who asked.
    """
    _check_link(interface, link)
    send = ("-e", interface, "-S", str(source), "--disable-arp-ping", "--send-ip", "-PE")
    return _argv(Technique.SYN, Family.IPV6, ("ff02::1",), "-sn", "--max-rate", f"{rate:.10g}", *send)


def _check_link(interface: str, link: Sequence[ProbeNetwork]) -> None:
    if not link or not INTERFACE.fullmatch(interface):
        raise ValueError(f"no link of IPv6, or a name of an interface that nmap cannot be given: {interface!r}")


def versions(
    technique: Technique,
    protocol: Protocol,
    ports: PortSet,
    targets: Sequence[ProbeTarget],
    *,
    rate: float,
    printers: bool = False,
    own: bool = False,
) -> tuple[str, ...]:
    """What answers on one port of each target, every target bounded in time by itself.

    Over TCP it is found open once more by an ordinary connection, whatever the `technique`: the conversation needs one
    anyway, and after a SYN scan nmap 7.991 says in about half of its runs what is not true of TLS and of services that
    it takes for `tcpwrapped`, without a word of warning.

    Several ports get lighter probes instead: a timeout would throw away what the others said. With `own` a port gets
    only the probes that nmap has for that very port, which take 10 seconds where nothing answers. `rate` holds for
    finding the port open once more; the conversations that follow know no rate, so whoever starts them bounds their
    number.
    """
    if protocol is Protocol.TCP:
        technique = Technique.CONNECT
    options = [_SCAN[technique, protocol], *_ASK_ANYWAY, "--max-rate", f"{rate:.10g}", "-sV"]
    if own:
        options += ["--version-intensity", "0"]
    elif len(ports) == 1:
        options += ["--host-timeout", f"{version_seconds(protocol)}s"]
    else:
        options += ["--version-intensity", "2"]
    if printers:
        options.append("--allports")  # nmap leaves 9100 to 9107 out otherwise
    return _command(technique, targets, *options, "-p", str(ports))


def version_seconds(protocol: Protocol) -> int:
    return UDP_VERSION_SECONDS if protocol is Protocol.UDP else VERSION_SECONDS


def split(argv: Sequence[str]) -> tuple[tuple[str, ...], tuple[Address, ...]]:
    """One of these argument lists as what is asked, and of which addresses."""
    first = len(argv)
    while first and _is_address(argv[first - 1]):
        first -= 1
    return tuple(argv[:first]), tuple(map(ip_address, argv[first:]))


def _is_address(word: str) -> bool:
    """Whether a last word is one; networks are of no single host."""
    return "/" not in word and "," not in word and (word.count(".") == 3 or ":" in word)


def endpoints(argv: Sequence[str]) -> int:
    """How many ports of how many addresses one of these argument lists asks, each as often as it is named."""
    options, addresses = split(argv)
    return len(PortSet.parse(options[options.index("-p") + 1])) * len(addresses)


def rate(argv: Sequence[str]) -> float:
    """The most packets a second of one of these argument lists."""
    return float(argv[argv.index("--max-rate") + 1])


def talks(argv: Sequence[str]) -> bool:
    """Whether one of these argument lists asks services what they are."""
    return "-sV" in argv


def slowed(options: Sequence[str], most: float) -> tuple[str, ...]:
    """The options with no rate above this, and one conversation at a time where there are any."""
    words = list(options)
    for name in ("--max-rate", "--min-rate"):
        if name in words:
            place = words.index(name) + 1
            words[place] = f"{min(most, float(words[place])):.10g}"
    if talks(words):
        light = [] if most >= CONVERSATION or "--version-intensity" in words else ["--version-intensity", "2"]
        place = words.index("-sV") + 1
        words[place:place] = ["--max-parallelism", "1", *light]
    return tuple(words)


def grouped(options: Sequence[str], hosts: int) -> tuple[str, ...]:
    """The options with no more hosts in work at a time than that."""
    words = list(options)
    if "--max-hostgroup" in words:
        place = words.index("--max-hostgroup") + 1
        words[place] = str(min(hosts, int(words[place])))
        return tuple(words)
    return (*words[:-2], "--max-hostgroup", str(hosts), *words[-2:]) if "-p" in words else tuple(words)


def _command(technique: Technique, targets: Sequence[ProbeTarget], *options: str) -> tuple[str, ...]:
    """-v lists hosts that are down; -T4 only shortens waits, since every pass sets its own rate and retries."""
    addresses = (str(target.address).partition("%")[0] for target in targets)
    return _argv(technique, Family.of(targets[0].address), addresses, *options)


def _argv(technique: Technique, of: Family, targets: Iterable[str], *options: str) -> tuple[str, ...]:
    privilege = "--privileged" if technique is Technique.SYN else "--unprivileged"
    family = ("-6",) if of is Family.IPV6 else ()
    common = ("-n", "-v", "-T4", "-oX", "-", "--stats-every", "1s")
    return "nmap", privilege, *family, *common, *options, *targets


# Probe what no ping has found, and leave finding neighbours to the kernel: nmap's own few ARP requests in quick
# succession go unanswered on a busy link, or where neighbours are fixed, and then it asks no port, even with -Pn.
_ASK_ANYWAY = ("-Pn", "--disable-arp-ping")

_SCAN = {
    (Technique.SYN, Protocol.TCP): "-sS",
    (Technique.CONNECT, Protocol.TCP): "-sT",
    (Technique.SYN, Protocol.UDP): "-sU",
}
