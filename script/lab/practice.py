"""The practice estate of `inventories/practice/`, as machines: broken in five classic ways, or repaired.

    internet ── edge ──┬── public segment ─── bastion ns-1 web-1 web-2 git-1 api-1 cache-1 pay-1
         vpn ──┘       └── private segment ── bastion web-1 api-1 cache-1 db-1, monitoring

The edge filters by network and keeps no state; each host filters by port and drops what it does not admit.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.estate import Estate

BASTION = "ip saddr { 203.0.113.7, 10.20.1.7 } tcp dport 22 accept\nip6 saddr 2001:db8:1::7 tcp dport 22 accept"
APP_SUBNET = "ip saddr 10.20.1.0/24 ip saddr != 10.20.1.66"


@dataclass(frozen=True)
class Machine:
    """A host. `admits` are the rules as they should be, `mistake` the one too many that an exposure is made of."""

    name: str
    public: tuple[str, ...]
    private: tuple[str, ...]
    listens: tuple[str, ...]
    admits: tuple[str, ...]
    mistake: str = ""


MACHINES = (
    Machine(
        "bastion",
        ("203.0.113.7", "2001:db8:1::7"),
        ("10.20.1.7",),
        ("ssh,::,22", "wireguard,::,51820"),
        ("tcp dport 22 accept", "iifname public udp dport 51820 accept"),
    ),
    Machine(
        "ns-1",
        ("203.0.113.53", "2001:db8:1::53"),
        (),
        ("ssh,::,22", "dns,::,53", "dns-tcp,::,53"),
        (BASTION, "meta l4proto { tcp, udp } th dport 53 accept"),
    ),
    Machine(
        "web-1",
        ("203.0.113.10", "2001:db8:1::10"),
        ("10.20.1.10",),
        ("ssh,::,22", "nginx,::,80", "https,::,443", "app,::,8080"),
        (BASTION, "iifname public tcp dport { 80, 443 } accept", f"iifname private {APP_SUBNET} tcp dport 8080 accept"),
        mistake="tcp dport 8080 iifname public accept",  # a published container port goes past the proxy
    ),
    Machine(
        "web-2",
        ("203.0.113.11", "2001:db8:1::11"),
        (),
        ("ssh,::,22", "https,::,443"),
        (BASTION, "tcp dport 443 accept"),
        mistake="meta nfproto ipv6 tcp dport 22 accept",  # the IPv4 rules were tightened, the IPv6 ones forgotten
    ),
    Machine(
        "git-1",
        ("203.0.113.30", "2001:db8:1::30"),
        (),
        ("ssh,::,22", "https,::,443"),
        (BASTION, "tcp dport 443 accept"),
        mistake="tcp dport 22 accept",  # opened for one push, never closed
    ),
    Machine(
        "api-1",
        ("203.0.113.40", "2001:db8:1::40"),
        ("10.20.1.40",),
        ("ssh,::,22", "https,::,443", "exporter,::,9100"),
        (BASTION, "iifname public tcp dport 443 accept", "ip saddr 10.20.1.50 tcp dport 9100 accept"),
        mistake="iifname public tcp dport 9100 accept",
    ),
    Machine(
        "cache-1",
        ("203.0.113.20",),
        ("10.20.1.20",),
        ("ssh,::,22", "redis,0.0.0.0,6379"),
        (BASTION, f"iifname private {APP_SUBNET} tcp dport 6379 accept"),
        mistake="tcp dport 6379 accept",  # on every interface, to everyone
    ),
    Machine(
        "db-1",
        (),
        ("10.20.1.30", "2001:db8:20:1::30"),
        ("ssh,::,22", "postgres,::,5432"),
        (
            BASTION,
            f"{APP_SUBNET} tcp dport 5432 accept",
            "ip6 saddr 2001:db8:20:1::/64 tcp dport 5432 accept",
        ),
    ),
    Machine("pay-1", ("203.0.113.200",), (), ("https,::,443",), ("tcp dport 443 accept",)),
)

EDGE = """
table inet filter {
    counter denied { comment "towards what the inventory's scope denies" }
    chain prerouting {
        type filter hook prerouting priority raw
        ip daddr 203.0.113.192/26 counter name denied
    }
    chain forward {
        type filter hook forward priority filter; policy drop
        iifname uplink oifname dmz accept
        iifname dmz oifname uplink accept
        iifname vpn oifname lan accept
        iifname lan oifname { vpn, dmz, uplink } accept
        iifname dmz oifname lan accept
    }
}
"""

HOST = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, echo-request } accept
        icmp type echo-request accept
        %s
    }
}
"""


def build(estate: Estate, *, repaired: bool = False) -> None:
    """Build the practice estate, all five mistakes included unless `repaired`."""
    for segment in ("transit", "dmz", "lan", "tunnel"):
        estate.segment(segment)
    _edge(estate)
    _viewpoint(
        estate, "internet", "transit", ["198.51.100.20/24", "2001:db8:f::20/64"], ["198.51.100.1", "2001:db8:f::1"]
    )
    _viewpoint(estate, "vpn", "tunnel", ["10.8.0.10/24"], ["10.8.0.1"])
    _viewpoint(
        estate, "monitoring", "lan", ["10.20.1.50/24", "2001:db8:20:1::50/64"], ["10.20.1.1", "2001:db8:20:1::1"]
    )
    for machine in MACHINES:
        _machine(estate, machine, repaired=repaired)


def repair(estate: Estate) -> None:
    """Take the five mistakes out of an estate that has been built with them."""
    for machine in MACHINES:
        estate.firewall(machine.name, _rules(machine, repaired=True))


def _edge(estate: Estate) -> None:
    estate.namespace("edge", forwarding=True)
    estate.attach("edge", "uplink", "transit", ["198.51.100.1/24", "2001:db8:f::1/64"])
    estate.attach("edge", "dmz", "dmz", ["203.0.113.1/24", "2001:db8:1::1/64"])
    estate.attach("edge", "lan", "lan", ["10.20.1.1/24", "2001:db8:20:1::1/64"])
    estate.attach("edge", "vpn", "tunnel", ["10.8.0.1/24"])
    estate.firewall("edge", EDGE)


def _viewpoint(estate: Estate, name: str, segment: str, addresses: list[str], gateways: list[str]) -> None:
    estate.namespace(name)
    estate.attach(name, "eth0", segment, addresses, via=gateways)


def _machine(estate: Estate, machine: Machine, *, repaired: bool) -> None:
    name = machine.name
    estate.namespace(name)
    if machine.public:
        gateways = [_gateway(address, "203.0.113.1", "2001:db8:1::1") for address in machine.public]
        estate.attach(name, "public", "dmz", map(_with_length, machine.public), via=gateways)
    if machine.private:
        gateways = [] if machine.public else [_gateway(a, "10.20.1.1", "2001:db8:20:1::1") for a in machine.private]
        estate.attach(name, "private", "lan", map(_with_length, machine.private), via=gateways)
        if machine.public:
            estate.route(name, "10.8.0.0/24", "10.20.1.1")
    estate.firewall(name, _rules(machine, repaired=repaired))
    estate.respond(name, *machine.listens)


def _rules(machine: Machine, *, repaired: bool) -> str:
    mistake = () if repaired or not machine.mistake else (machine.mistake,)
    return HOST % "\n".join((*machine.admits, *mistake))


def _gateway(address: str, ipv4: str, ipv6: str) -> str:
    return ipv6 if ":" in address else ipv4


def _with_length(address: str) -> str:
    return f"{address}/{64 if ':' in address else 24}"
