"""Which pings look for live addresses of IPv4: as many kinds as there may be, and no more than one host bears."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from auditor.model.words import Technique

_TRIES = 2


@dataclass(frozen=True, slots=True)
class Pings:
    """nmap's options (https://nmap.org/book/man-host-discovery.html); `icmp` are those without ports."""

    icmp: tuple[str, ...] = ()
    syn: tuple[int, ...] = ()
    ack: tuple[int, ...] = ()
    udp: tuple[int, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        asked = (("-PS", self.syn), ("-PA", self.ack), ("-PU", self.udp))
        return (*self.icmp, *(f"{option}{_joined(ports, ',')}" for option, ports in asked if ports))

    @property
    def stateless(self) -> tuple[str, ...]:
        """Those without the stray ACKs that a router may reset in place of whoever is asked."""
        return replace(self, ack=(), syn=self.syn or (443,)).options

    @property
    def each(self) -> int:
        """Probes of one address that stays silent, the second try included."""
        return _TRIES * (len(self.icmp) + len(self.syn) + len(self.ack) + len(self.udp))

    def said(self, technique: Technique) -> str:
        """In words, for reports."""
        if technique is Technique.CONNECT:
            return f"TCP connections to {_joined(self.syn)}"
        return f"ARP on its own link, else {'; '.join(self._kinds())}"

    def _kinds(self) -> Iterator[str]:
        if self.icmp:
            yield "ICMP echo and timestamp" if len(self.icmp) > 1 else "ICMP echo"
        for what, ports in (("TCP SYN", self.syn), ("TCP ACK", self.ack), ("UDP", self.udp)):
            if ports:
                yield f"{what} to {_joined(ports)}"


# What finds hosts behind packet filters: an echo and a timestamp, usual ports, stray ACKs that only a stateful filter
# drops, and a UDP port that nobody uses, which is refused (https://nmap.org/book/host-discovery-strategies.html).
_SEVERAL = (
    Pings(("-PE", "-PP"), (22, 80, 443, 445, 3389, 8080), (80, 443), (40125,)),
    Pings(("-PE", "-PP"), (443,), (80,)),  # what nmap sends by itself
    Pings(("-PE",)),
)
_CONNECTING = (Pings(syn=(22, 80, 443, 445, 3389, 8080)), Pings(syn=(80, 443)), Pings(syn=(443,)))


def pings(technique: Technique, host_rate: int | None) -> Pings:
    """The most that one host bears: nmap sends all of them within a second. The least is one probe, twice."""
    several = _SEVERAL if technique is Technique.SYN else _CONNECTING
    return next((one for one in several if host_rate is None or one.each <= host_rate), several[-1])


def _joined(ports: tuple[int, ...], by: str = ", ") -> str:
    return by.join(map(str, ports))
