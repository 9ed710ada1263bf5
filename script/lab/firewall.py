"""A small part of nftables, both as text for `nft` and as a model that says what becomes of a packet.

A chain is read as nft(8) says: rules in order, the first that fits decides, else the policy. The model knows nothing
of the auditor: what it says is the truth that a report is held against.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Ports = tuple[tuple[int, int], ...]  # first and last of each range

ECHO, TIMESTAMP = 8, 13  # ICMP's request types, in the place of a port


class Verdict(StrEnum):
    """What happens to a packet; the values are nft's words."""

    ACCEPT = "accept"
    DROP = "drop"
    PROHIBIT = "reject with icmpx type admin-prohibited"
    REFUSE = "reject with icmpx type port-unreachable"
    RESET = "reject with tcp reset"


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a probe as it comes in at `interface`. `protocol` is `tcp`, `udp` or `icmp`."""

    source: Address
    target: Address
    protocol: str
    port: int
    interface: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What is empty or None fits everything. `protocol` `icmp` means echo requests; RESET needs `tcp`."""

    verdict: Verdict
    protocol: str | None = None
    ports: Ports = ()
    sources: tuple[Network, ...] = ()  # of one family
    excluded: tuple[Network, ...] = ()  # sources that it does not fit
    targets: tuple[Network, ...] = ()
    version: int | None = None
    interface: str | None = None

    def fits(self, packet: Packet) -> bool:
        return (
            self.protocol in (None, packet.protocol)
            and not (self.protocol == "icmp" and packet.port != ECHO)
            and not (self.ports and packet.protocol == "icmp")
            and (not self.ports or any(first <= packet.port <= last for first, last in self.ports))
            and (not self.sources or any(packet.source in network for network in self.sources))
            and not any(packet.source in network for network in self.excluded)
            and (not self.targets or any(packet.target in network for network in self.targets))
            and self.version in (None, packet.target.version)
            and self.interface in (None, packet.interface)
        )

    def lines(self) -> Iterator[str]:
        """The rule as nft reads it; two where it is about echo requests of both families."""
        if self.protocol == "icmp":
            for version, name in ((4, "icmp"), (6, "icmpv6")):
                if self.version in (None, version):
                    yield f"{self._where(version)} {name} type echo-request {self.verdict}"
            return
        what = ""
        if self.ports:
            numbers = ", ".join(f"{first}-{last}" if first != last else str(first) for first, last in self.ports)
            name = self.protocol or "meta l4proto { tcp, udp } th"
            what = f"{name} dport {{ {numbers} }}"
        elif self.protocol:
            what = f"meta l4proto {self.protocol}"
        yield f"{self._where(self.version)} {what} {self.verdict}"

    def _where(self, version: int | None) -> str:
        words = [f"meta nfproto ipv{version}"] if version else []
        words += [f"iifname {self.interface}"] if self.interface else []
        for field, sign, networks in (
            ("saddr", "", self.sources),
            ("saddr", "!=", self.excluded),
            ("daddr", "", self.targets),
        ):
            if networks:
                family = "ip" if networks[0].version == 4 else "ip6"
                words.append(f"{family} {field} {sign} {{ {', '.join(map(str, networks))} }}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Chain:
    """Rules and what happens to the packets that none of them fits."""

    rules: tuple[Rule, ...]
    policy: Verdict

    def verdict(self, packet: Packet) -> Verdict:
        fitting = (rule.verdict for rule in self.rules if rule.fits(packet))
        decided = next(fitting, self.policy)
        if decided is Verdict.RESET and packet.protocol != "tcp":
            return Verdict.DROP  # only as a policy: what cannot be reset falls to the chain's end
        return decided

    def edges(self) -> Iterator[int]:
        """The ports at which its verdict may change."""
        for rule in self.rules:
            for first, last in rule.ports:
                yield from (first, last + 1)

    def text(self) -> str:
        """The rules, for within an nft chain whose policy is `accept` for ACCEPT and `drop` for all others."""
        lines = [line for rule in self.rules for line in rule.lines()]
        match self.policy:
            case Verdict.RESET:
                lines.append(f"meta l4proto tcp {self.policy}")
            case Verdict.PROHIBIT | Verdict.REFUSE:
                lines.append(str(self.policy))
            case Verdict.ACCEPT | Verdict.DROP:
                pass
        return "\n".join(f"        {line.strip()}" for line in lines)

    @property
    def nft_policy(self) -> str:
        return "accept" if self.policy is Verdict.ACCEPT else "drop"
