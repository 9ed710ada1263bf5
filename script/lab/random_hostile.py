"""Small estates drawn from a seed, in which something is against the audit: no processor time, lost replies, devices.

    scanner ── edge ── hosts                     python3 -m lab.random_hostile SEED

Every estate has at least one of these: the scanner is starved (`starving.py`), replies are lost on their way back
(`paths.py`), devices at the edge answer for whatever address is asked. Hosts refuse what they do not serve, or drop it,
or are not there at all. `hostile_truth.py` says which reports are right.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from lab import paths, starving
from lab.estate import Estate

LAN, UPLINK = ip_network("203.0.113.0/27"), ip_network("198.51.100.0/24")
EDGE, SCANNER = LAN[1], UPLINK[20]
VIEW = "outside"
TALKS = {22: "ssh", 80: "nginx", 443: "https", 5432: "postgres", 6379: "redis", 8080: "app", 9090: "exporter"}
USUAL = tuple(TALKS)
_FREE_ICMP = {"ipv4/icmp_ratemask": 0}
_DROPS = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        tcp dport { %s } accept
        icmp type echo-request accept
    }
}
"""
_DEVICES = """
table inet answering {
    chain untracked {
        type filter hook prerouting priority raw
        iifname up meta l4proto tcp tcp dport != { %(tracked)s } notrack
        iifname lan meta l4proto tcp tcp sport != { %(tracked)s } notrack
    }
    chain redirecting {
        type nat hook prerouting priority dstnat
        %(nat)s
    }
    chain forward {
        type filter hook forward priority filter
        %(forward)s
    }
}
"""
_STRAY = "tcp flags & (fin | syn | rst | ack) == ack ct state new,untracked reject with tcp reset"


@dataclass(frozen=True, slots=True)
class Device:
    """Something at the edge that answers in the name of every address.

    `relay` speaks SMTP on its port, `helper` says nothing, `resolver` is a name server over UDP; `ident` refuses, and
    `stray` resets whatever belongs to no connection, on every port (its own is 0).
    """

    what: str
    port: int

    @property
    def protocol(self) -> str:
        return "udp" if self.what == "resolver" else "tcp"

    @property
    def opens(self) -> bool:
        return self.what in ("relay", "helper", "resolver")


@dataclass(frozen=True, slots=True)
class Host:
    """A declared host. `kind` is `refuses`, `drops` or `dead`; `ports` listen, `declared` should."""

    name: str
    address: str
    kind: str
    ports: tuple[int, ...]
    declared: tuple[tuple[str, int], ...]

    @property
    def alive(self) -> bool:
        return self.kind != "dead"


@dataclass(frozen=True, slots=True)
class Hostile:
    """An estate and what is against the audit of it. `share` is nmap's of a processor, `spinning` how many compete."""

    seed: int
    profile: str
    rate: int
    boundary: str
    hosts: tuple[Host, ...]
    devices: tuple[Device, ...]
    loss: str | None
    drop: str
    share: float | None
    spinning: int
    discover: bool

    @property
    def prefix(self) -> str:
        return f"x{self.seed}-"

    @property
    def calm(self) -> bool:
        """Whether no reply is lost."""
        return not (self.loss or self.share or self.spinning)


def draw(seed: int) -> Hostile:
    """The estate of one seed."""
    chance = random.Random(f"hostile {seed}")
    starved = seed % 3 == 0
    loss = tuple(paths.DROPS)[seed // 3 % len(paths.DROPS)] if seed % 3 == 1 else None
    devices = _devices(chance) if seed % 3 == 2 or chance.random() < 0.3 else ()
    if seed % 3 == 2 and chance.random() < 0.3:
        loss = chance.choice(tuple(paths.DROPS))
    share = chance.choice((0.04, 0.05, 0.07, 0.1)) if starved and chance.random() < 0.7 else None
    quick = not (starved or loss) and chance.random() < 0.5
    return Hostile(
        seed=seed,
        profile="quick" if quick else "standard",
        rate=chance.choice((5_000, 30_000)),
        boundary="filtered" if chance.random() < 0.3 else "any",
        hosts=tuple(_hosts(chance, 3 if starved else chance.randint(3, 5), devices, usual=quick)),
        devices=devices,
        loss=loss,
        drop=_drop(chance, loss),
        share=share,
        spinning=chance.randint(2, 5) if starved and not share else 0,
        discover=any(one.what == "stray" for one in devices),
    )


def _devices(chance: random.Random) -> tuple[Device, ...]:
    kinds = {
        "relay": chance.choice((25, 443, 2525)),
        "helper": chance.choice((2000, 5060, 8443)),
        "resolver": 53,
        "ident": 113,
        "stray": 0,
    }
    return tuple(Device(what, kinds[what]) for what in sorted(chance.sample(sorted(kinds), chance.choice((1, 1, 2)))))


def _drop(chance: random.Random, loss: str | None) -> str:
    match loss:
        case "policed":
            return f"limit rate over {chance.choice((1000, 2000, 4000))}/second burst 100 packets drop"
        case "lossy":
            return f"numgen random mod 100 < {chance.choice((10, 20, 40))} drop"
        case _:
            return paths.DROPS.get(loss or "", "")


def _hosts(chance: random.Random, number: int, devices: tuple[Device, ...], *, usual: bool) -> Iterator[Host]:
    """One at least that refuses, and mostly one that is dead: a service that a device answers for is declared there."""
    kinds = ["refuses", *(chance.choice(("refuses", "drops")) for _ in range(number - 1))]
    if chance.random() < 0.8:
        kinds[-1] = "dead"
    late = [port for port in range(1100, 60_000) if port not in range(9100, 9108)]
    answered = [(one.protocol, one.port) for one in devices if one.opens]
    for n, kind in enumerate(kinds, start=1):
        few = chance.sample(USUAL, 5 if usual else 2)
        ports = tuple(sorted({*few, *([] if usual else chance.sample(late, 3))}))
        declared = [("tcp", port) for port in chance.sample(ports, chance.choice((0, 1, 1, 2)))]
        declared += [one for one in answered if chance.random() < (0.7 if kind == "dead" else 0.3)]
        listening = () if kind == "dead" else ports
        yield Host(f"h{n}", str(LAN[n + 4]), kind, listening, tuple(dict.fromkeys(declared)))


@contextmanager
def built(drawn: Hostile, folder: Path) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
    """The estate, while the context lasts; gives the words before the auditor's command, and its environment.

    `folder` takes what stands before nmap.
    """
    with ExitStack() as stack:
        estate = stack.enter_context(Estate(wires=f"{drawn.prefix}wires"))
        edge = drawn.prefix + "edge"
        _build(estate, drawn, edge)
        if drawn.loss:
            stack.enter_context(paths.losing(estate, edge, "up", drawn.loss, drawn.drop))
        prefix: tuple[str, ...] = ()
        env: Mapping[str, str] = {}
        if drawn.share:
            env = stack.enter_context(starving.held(drawn.share, folder, spared="-sV"))
        if drawn.spinning:
            prefix = stack.enter_context(starving.crowded(drawn.spinning, place=drawn.seed // 3))
        yield prefix, env


def _build(estate: Estate, drawn: Hostile, edge: str) -> None:
    for segment in ("uplink", "lan"):
        estate.segment(drawn.prefix + segment)
    estate.namespace(edge, forwarding=True)
    estate.attach(edge, "up", f"{drawn.prefix}uplink", [f"{UPLINK[1]}/24"])
    estate.attach(edge, "lan", f"{drawn.prefix}lan", [f"{EDGE}/27"])
    estate.namespace(drawn.prefix + VIEW)
    estate.attach(drawn.prefix + VIEW, "eth0", f"{drawn.prefix}uplink", [f"{SCANNER}/24"], via=[str(UPLINK[1])])
    for host in drawn.hosts:
        if not host.alive:
            continue
        name = drawn.prefix + host.name
        estate.namespace(name)
        estate.attach(name, "net", f"{drawn.prefix}lan", [f"{host.address}/27"], via=[str(EDGE)])
        estate.settings(name, _FREE_ICMP)
        estate.respond(name, *(f"{TALKS.get(port, 'ssh')},0.0.0.0,{port}" for port in host.ports))
        if host.kind == "drops":
            estate.firewall(name, _DROPS % ", ".join(map(str, host.ports)))
    if drawn.devices:
        estate.firewall(edge, _devices_rules(drawn))
    speaks = {"relay": "smtp", "helper": "silent", "resolver": "dns"}
    answering = [f"{speaks[one.what]},0.0.0.0,{one.port}" for one in drawn.devices if one.opens]
    if answering:
        estate.respond(edge, *answering)


def _devices_rules(drawn: Hostile) -> str:
    """Only what they have to know is tracked: a sweep would fill the kernel's table with the rest."""
    nat, forward = [], []
    tracked = {port for host in drawn.hosts for port in host.ports}
    for one in drawn.devices:
        match one.what:
            case "relay" | "helper" | "resolver":
                nat.append(f"iifname up {one.protocol} dport {one.port} redirect to :{one.port}")
                tracked |= {one.port}
            case "ident":
                forward.append(f"iifname up tcp dport {one.port} reject with tcp reset")
            case "stray":
                forward.append(f"iifname up {_STRAY}")
    words = {"tracked": ", ".join(map(str, sorted(tracked)))}
    return _DEVICES % {**words, "nat": "\n        ".join(nat), "forward": "\n        ".join(forward)}


def inventory(drawn: Hostile) -> dict[str, Any]:
    """What people have written down of it."""
    return {
        "version": 1,
        "name": f"hostile-{drawn.seed}",
        "scope": {"allow": [str(LAN)], "deny": [str(EDGE)]},
        "viewpoints": {
            VIEW: {
                "kind": "internal",
                "addresses": [str(SCANNER)],
                "boundary": drawn.boundary,
                "limits": {"rate": drawn.rate},
                "via": {"netns": drawn.prefix + VIEW},
            }
        },
        "hosts": {host.name: _host(host) for host in drawn.hosts},
    }


def _host(host: Host) -> dict[str, Any]:
    services = {
        f"{protocol}-{port}": {"ports": f"{port}/{protocol}", "from": [str(SCANNER)], "reason": "drawn"}
        for protocol, port in host.declared
    }
    return {"interfaces": {"lan": [host.address]}, "services": services}


def show(drawn: Hostile) -> str:
    """The estate for a person to look at."""
    lines = [f"seed {drawn.seed}: profile {drawn.profile}, rate {drawn.rate}, boundary {drawn.boundary}"]
    lines += [f"replies are lost, {drawn.loss}: {drawn.drop}"] if drawn.loss else []
    lines += [f"nmap gets {drawn.share:.0%} of a processor"] if drawn.share else []
    lines += [f"{drawn.spinning} processes spin on its processor"] if drawn.spinning else []
    lines += [f"{one.what} answers for everybody on {one.port}/{one.protocol}" for one in drawn.devices]
    for host in drawn.hosts:
        declared = ", ".join(f"{port}/{protocol}" for protocol, port in host.declared) or "nothing"
        lines.append(
            f"{host.name} {host.address} {host.kind}: {', '.join(map(str, host.ports))}; declared is {declared}"
        )
    return "\n".join(lines)


def main() -> int:
    match sys.argv[1:]:
        case [text] if text.isdigit():
            drawn = draw(int(text))
        case _:
            print("usage: python3 -m lab.random_hostile SEED", file=sys.stderr)
            return 2
    print(show(drawn))
    print(json.dumps(inventory(drawn), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
