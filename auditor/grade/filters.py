"""Commands for the packet filters of a host: to read the rules, to admit the declared sources, to admit no others.

They cover every endpoint of the drift, not only the one that the diagnosis speaks of, and admit before they drop where
one command does both: what is declared must not be cut off by a fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from auditor.addresses import by_address
from auditor.catalogue.texts import firewalls
from auditor.model.drift import Drift
from auditor.model.inventory import Host
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, Kind, Protocol

_MOST_WRITTEN_OUT = 64  # networks or port ranges in one command; with more of them only reading the rules is offered
_MULTIPORT = 15  # ports in one rule, a range counts as two (iptables-extensions(8), multiport; ufw(8))
_DEFAULT_LAYERS = ("nftables", "iptables")  # where a host declares no firewall layers: look at both
_DOCKER = "docker"  # no layer that people declare: it comes with the containers


@dataclass(frozen=True, slots=True)
class Reach:
    """Equal ports of some addresses of one family: what one rule is about."""

    protocol: Protocol
    ports: PortSet
    addresses: tuple[Address, ...]


def reaches(drift: Drift) -> tuple[Reach, ...]:
    """Every endpoint of the drift, addresses with equal ports together."""
    ports: dict[tuple[Protocol, Address], PortSet] = {}
    for outcome in drift.outcomes:
        key = outcome.expectation.protocol, outcome.expectation.address
        ports[key] = ports.get(key, PortSet()) | outcome.ports
    groups: dict[tuple[Protocol, PortSet], list[Address]] = {}
    for (protocol, address), members in ports.items():
        groups.setdefault((protocol, members), []).append(address)
    found = (Reach(protocol, members, tuple(addresses)) for (protocol, members), addresses in groups.items())
    return tuple(sorted(found, key=lambda one: (one.protocol, by_address(one.addresses[0]))))


def filter_commands(drift: Drift, host: Host | None, *, ports: bool) -> dict[str, str]:
    """`rules`, and with `ports` also `allow`, `narrow`, and the like for a container's published port."""
    family = drift.family or Family.IPV4
    layers = (host.firewall if host else ()) or _DEFAULT_LAYERS
    rules = "; ".join(firewalls()[layer]["rules"].format_map(_names(family)) for layer in layers)
    if not ports:
        return {"rules": rules}
    networks = _networks(drift, family)
    keep_sources = drift.kind is Kind.OUTSIDE_SOURCE_RANGE and bool(networks)
    # Without declared layers one filter is enough to act on, and the rules above show which one is in use.
    acting = layers if host and host.firewall else layers[:1]
    groups = reaches(drift)
    too_many = len(networks) > _MOST_WRITTEN_OUT or any(len(list(g.ports.ranges())) > _MOST_WRITTEN_OUT for g in groups)

    def act(names: tuple[str, ...], action: str) -> str:
        return "; ".join(_command(firewalls()[name][action], group, networks) for name in names for group in groups)

    narrow = "restrict" if keep_sources else "deny"
    return {
        "rules": rules,
        "allow": rules if too_many or not networks else act(acting, "allow"),
        "narrow": rules if too_many else act(acting, narrow),
        "docker_rules": firewalls()[_DOCKER]["rules"].format_map(_names(family)),
        "docker_narrow": rules if too_many else act((_DOCKER,), narrow),
    }


def _networks(drift: Drift, family: Family) -> list[str]:
    if drift.service is None:
        return []
    found = (network for source in drift.service.sources for network in source.networks)
    return [str(network) for network in found if Family.of(network) is family]


def _names(family: Family) -> dict[str, str]:
    six = family is Family.IPV6
    return {
        "ip": "ip6" if six else "ip",
        "iptables": "ip6tables" if six else "iptables",
        "everyone": "::/0" if six else "0.0.0.0/0",
        "aws_ranges": "Ipv6Ranges" if six else "IpRanges",
        "aws_cidr": "CidrIpv6" if six else "CidrIp",
        "nacl_cidr": "--ipv6-cidr-block" if six else "--cidr-block",
    }


def _command(template: str, reach: Reach, networks: list[str]) -> str:
    """The template for one group of endpoints, in a loop over what the tool takes only one of at a time."""
    addresses = [str(address) for address in reach.addresses]
    ranges = list(reach.ports.ranges())
    lists = {"address": addresses, "chunk": list(_chunks(ranges)), "range": [_span(one, ":") for one in ranges]}
    ports = "-m multiport --dports {chunk}" if len(ranges) > 1 else "--dport {chunk}"
    values = _names(Family.of(reach.addresses[0])) | {
        "protocol": reach.protocol.value,
        "nft_addresses": _nft_set(addresses),
        "nft_ports": _nft_set([_span(one, "-") for one in ranges]),
        "nft_sources": f"'{{ {', '.join(networks)} }}'",
        "addresses": ",".join(addresses),
        "iptables_sources": f"-s {','.join(networks)}",
        "sources_words": " ".join(networks),
        "ports_words": " ".join(f"{first}-{last}" for first, last in ranges),
    }
    return _looped(template.replace("{iptables_ports}", ports), lists, values)


def _looped(template: str, lists: Mapping[str, list[str]], values: dict[str, str]) -> str:
    loops = [name for name, words in lists.items() if f"{{{name}}}" in template and len(words) > 1]
    single = {name: f"${name}" if name in loops else words[0] for name, words in lists.items()}
    command = template.format_map(values | single)
    for name in reversed(loops):
        command = f"for {name} in {' '.join(lists[name])}; do {command}; done"
    return command


def _span(run: tuple[int, int], between: str) -> str:
    first, last = run
    return str(first) if first == last else f"{first}{between}{last}"


def _chunks(ranges: list[tuple[int, int]]) -> Iterator[str]:
    """Comma lists that fit one multiport match."""
    chunk: list[str] = []
    size = 0
    for run in ranges:
        weight = 1 if run[0] == run[1] else 2
        if size + weight > _MULTIPORT:
            yield ",".join(chunk)
            chunk, size = [], 0
        chunk.append(_span(run, ":"))
        size += weight
    yield ",".join(chunk)


def _nft_set(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"'{{ {', '.join(words)} }}'"
