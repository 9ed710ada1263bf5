"""Estates drawn from a seed: how they are built, and the inventory that people keep of them.

    internet ── edge ──┬── dmz ── hosts        python3 -m lab.enter python3 -m lab.random_estate SEED
                       └── lan ── hosts        prints one, with the truth about it

`drawn.py` says what they are made of, `drawing.py` draws them, `truth.py` says what can be reached in them. Every
namespace of one has the same prefix, so that many stand side by side.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from lab import drawing, truth
from lab.drawn import ANYTHING, NETWORKS, Drawn, Host, Machine, Range, Service, View, router_address
from lab.estate import Estate
from lab.firewall import Address, Chain

_GUARD = """
table inet guard {
    counter denied { comment "from a viewpoint, towards what the inventory's scope denies" }
    chain prerouting {
        type filter hook prerouting priority raw
        %s
    }
}
"""
_FILTER = """
table inet filter {
    chain %s {
        type filter hook %s priority filter; policy %s
        %s
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert } accept
%s
    }
    chain output {
        type filter hook output priority filter
        %s
    }
}
"""
_MIDDLEBOX = """
table inet nat {
    chain prerouting {
        type nat hook prerouting priority dstnat
        tcp dport != { %s } redirect to :%d
    }
}
"""
_LOSS = "numgen random mod 100 < 1 drop"
_BOTTLENECK = "limit rate over 8000/second burst 400 packets drop"
_FEW_RESETS = "tcp flags & rst == rst limit rate over 100/second burst 50 packets drop"
_FREE_ICMP = {"ipv4/icmp_ratemask": 0, "ipv6/icmp/ratelimit": 0}


def build(estate: Estate, drawn: Drawn) -> None:
    """Build it inside `estate`."""
    for segment in ("uplink", *drawn.segments):
        estate.segment(drawn.prefix + segment)
    edge = drawn.prefix + "edge"
    estate.namespace(edge, forwarding=True)
    for segment in ("uplink", *drawn.segments):
        own = [f"{router_address(segment, n.version)}/{n.prefixlen}" for n in NETWORKS[segment]]
        estate.attach(edge, segment, drawn.prefix + segment, own)
    first = [_BOTTLENECK] if drawn.bottleneck else []
    first += ["oifname uplink accept"]  # only answers go there, those of a viewpoint's own machine too
    first += [f"{_saddr(drawn, version)} accept" for version in (4, 6)]
    estate.firewall(edge, _guard(drawn) + _ruleset("forward", drawn.router, drawn, "\n        ".join(first)))
    if drawn.free_icmp:
        estate.settings(edge, _FREE_ICMP)
    for view in drawn.views:
        _attach(estate, drawn, view.name, {view.segment: view.addresses}, view.unrouted)
        if drawn.free_icmp:
            estate.settings(drawn.prefix + view.name, _FREE_ICMP)
    for machine in _standing(drawn):
        _machine(estate, drawn, machine)


def strays(estate: Estate, drawn: Drawn) -> int:
    """The packets that a viewpoint has sent to where the scope denies it."""
    names = ["edge", *(machine.name for machine in _standing(drawn))]
    return sum(estate.packets(drawn.prefix + name, "denied", "inet guard") for name in names)


def _standing(drawn: Drawn) -> list[Machine]:
    """The machines that are really there, other than those that the viewpoints stand on."""
    views = {view.name for view in drawn.views}
    return [machine for machine in drawn.machines if machine.alive and machine.name not in views]


def _machine(estate: Estate, drawn: Drawn, machine: Machine) -> None:
    name = drawn.prefix + machine.name
    _attach(estate, drawn, machine.name, machine.addresses)
    first = "ct state established,related accept" if machine.stateful else ""
    output = _FEW_RESETS if machine.few_resets else ""
    ports = ", ".join(str(one.port) for one in machine.listeners if one.protocol == "tcp")
    nat = _MIDDLEBOX % (ports, ANYTHING) if machine.middlebox else ""
    estate.firewall(name, _guard(drawn) + _ruleset("input", machine.chain, drawn, first, output) + nat)
    if drawn.free_icmp:
        estate.settings(name, _FREE_ICMP)
    if machine.listeners:
        estate.respond(name, *(f"{one.what},{one.bind},{one.port}" for one in machine.listeners))


def _attach(
    estate: Estate,
    drawn: Drawn,
    name: str,
    addresses: Mapping[str, Iterable[Address]],
    unrouted: Iterable[int] = (),
) -> None:
    """A namespace with its interfaces; the default routes of each family go by the first of them that has it."""
    estate.namespace(drawn.prefix + name)
    routed = set(unrouted)
    for segment, own in addresses.items():
        new = sorted({one.version for one in own} - routed)
        routed |= set(new)
        texts = [f"{one}/{next(n.prefixlen for n in NETWORKS[segment] if n.version == one.version)}" for one in own]
        via = [str(router_address(segment, version)) for version in new]
        estate.attach(drawn.prefix + name, segment, drawn.prefix + segment, texts, via=via)


def _ruleset(hook: str, chain: Chain, drawn: Drawn, first: str, output: str = "") -> str:
    loss = _LOSS if drawn.loss else ""
    return _FILTER % (hook, hook, chain.nft_policy, f"{loss}\n        {first}", chain.text(), output)


def _guard(drawn: Drawn) -> str:
    family = {4: "ip", 6: "ip6"}
    lines = [
        f"{family[address.version]} saddr {source} {family[address.version]} daddr {address} counter name denied"
        for address in drawn.denied
        for view in drawn.views
        if (source := view.address(address.version))
    ]
    return _GUARD % "\n        ".join(lines)


def _saddr(drawn: Drawn, version: int) -> str:
    """What the viewpoints do not send. The router keeps no state: sweeps would fill the kernel's table for it."""
    family = "ip" if version == 4 else "ip6"
    own = [str(source) for view in drawn.views if (source := view.address(version))]
    return f"{family} saddr != {{ {', '.join(own)} }}" if own else f"meta nfproto ipv{version}"


def inventory(drawn: Drawn) -> dict[str, Any]:
    """What people have written down of it."""
    role = [
        replace(service, interfaces=drawn.segments)
        for host in drawn.hosts
        for service in host.services
        if service.from_role
    ]
    return {
        "version": 1,
        "name": f"seed-{drawn.seed}",
        "scope": {"allow": list(map(str, drawn.allowed)), "deny": list(map(str, drawn.denied))},
        "ranges": {name: _range(one) for name, one in drawn.ranges.items() if ":" not in name},
        "viewpoints": {view.name: _view(view, drawn) for view in drawn.views},
        **({"roles": {"server": {"services": {role[0].name: _service(role[0])}}}} if role else {}),
        "hosts": {host.name: _host(host) for host in drawn.hosts},
    }


def _range(one: Range) -> dict[str, Any]:
    found: dict[str, Any] = {"cidrs": list(map(str, one.cidrs))}
    if one.excluded:
        found["except"] = list(map(str, one.excluded))
    if any(network.prefixlen == 0 for network in one.cidrs):
        found["trust"] = "untrusted"
    return found


def _view(view: View, drawn: Drawn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": view.kind,
        "addresses": list(map(str, view.addresses)),
        "boundary": view.boundary,
        "limits": {"rate": drawn.rate},
        "via": {"netns": drawn.prefix + view.name},
    }
    if view.targets is not None:
        found["targets"] = list(map(str, view.targets))
    if view.canaries:
        found["canaries"] = list(view.canaries)
    return found


def _host(host: Host) -> dict[str, Any]:
    found: dict[str, Any] = {
        "interfaces": {segment: list(map(str, own)) for segment, own in host.addresses.items()},
        "services": {
            one.name: {"from": list(one.sources)} if one.from_role else _service(one) for one in host.services
        },
    }
    if any(one.from_role for one in host.services):
        found["roles"] = ["server"]
    if host.member:
        found["members"] = [host.member]
    return found


def _service(one: Service) -> dict[str, Any]:
    ports = [f"{first}-{last}" if first != last else str(first) for first, last in one.ports]
    found: dict[str, Any] = {
        "ports": [f"{text}/{one.protocol}" for text in ports],
        "interfaces": list(one.interfaces),
        "reason": "drawn",
    }
    if one.sources:
        found["from"] = list(one.sources)
    if one.versions != (4, 6):
        found["families"] = [f"ipv{version}" for version in one.versions]
    if one.optional:
        found["optional"] = True
    if not one.answers:
        found["answers"] = False
    if one.service_class:
        found["class"] = one.service_class
    if one.speaks:
        found["protocol"] = one.speaks
    return found


def show(drawn: Drawn) -> str:
    """The estate for a person to look at: machines with their rules, then the inventory."""
    lines = [f"seed {drawn.seed}: profile {drawn.profile}, rate {drawn.rate}"]
    lines += ["1 % of the packets are lost"] if drawn.loss else []
    lines += ["the router takes 8000 packets a second"] if drawn.bottleneck else []
    lines += ["ICMP errors are not limited"] if drawn.free_icmp else ["ICMP errors: about one a second"]
    lines += [f"edge, for what the viewpoints send: policy {drawn.router.policy}", drawn.router.text()]
    for machine in drawn.machines:
        where = "; ".join(f"{segment} {', '.join(map(str, own))}" for segment, own in machine.addresses.items())
        lines.append(f"{machine.name}: {where}: " + (f"policy {machine.chain.policy}" if machine.alive else "dead"))
        lines += ["        a middlebox: every TCP port is open"] if machine.middlebox else []
        if machine.alive:
            lines.append(machine.chain.text())
            lines += [f"        {x.what} listens on {x.bind} {x.port}/{x.protocol}" for x in machine.listeners]
    lines.append(json.dumps(inventory(drawn), indent=1))
    return "\n".join(lines)


def main() -> int:
    from auditor import catalogue  # noqa: PLC0415 - only its list of usual ports, which the profiles are made of
    from auditor.model.words import Protocol  # noqa: PLC0415

    match [text for text in sys.argv[1:] if text != "--seed"]:
        case [text] if text.isdigit():
            drawn = drawing.draw(int(text))
        case _:
            print("usage: python3 -m lab.random_estate --seed SEED", file=sys.stderr)
            return 2
    print(show(drawn))
    usual = {str(protocol): frozenset(catalogue.usual_ports(protocol)) for protocol in Protocol}
    print("\n".join(map(str, truth.slots(drawn, usual))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
