"""Draws estates from a seed: intentions first, then machines that mostly keep to them, and an inventory that says so.

Whatever is drawn is right by definition: the truth is computed from the outcome, never from what was meant.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from lab.drawn import ANYTHING, NETWORKS, Drawn, Host, Listener, Machine, Range, Service, View, router_address
from lab.firewall import Address, Chain, Network, Ports, Rule, Verdict

# What a responder is, its usual port, and the class that fits it.
TCP = {
    "ssh": (22, "remote-admin"),
    "nginx": (80, "public-web"),
    "https": (443, "public-web"),
    "app": (8080, "public-web"),
    "redis": (6379, "data-store"),
    "postgres": (5432, "data-store"),
    "exporter": (9100, "diagnostics"),
    "odd": (7001, None),
    "silent": (7002, None),
}
UDP = {"dns": 53, "echo": 7, "wireguard": 51820}
STRAY = (21, 23, 1521, 3000, 3306, 5900, 8443, 9090, 27017)  # usual ports for what nobody has declared
PRIVATE = NETWORKS["lan"][0]
HOSTILE = (Verdict.DROP, Verdict.PROHIBIT, Verdict.REFUSE, Verdict.RESET)


def draw(seed: int) -> Drawn:
    """The estate of one seed. One in ten is swept over all ports."""
    return _Drawing(seed).draw()


@dataclass(frozen=True, slots=True)
class _Meant:
    """A service as somebody meant it to be: what listens, and what is declared of it."""

    what: str
    service: Service


class _Drawing:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._more = random.Random(f"{seed}, and more")  # for what came later, so that the rest stays as it was
        self._standard = seed % 10 == 5
        self._segments = ("dmz", "lan") if self._odds(0.6) else ("dmz",)
        self._used: set[int] = {1, 50, 250}

    def _odds(self, share: float) -> bool:
        return self._chance.random() < share

    def draw(self) -> Drawn:
        views = self._views()
        self._ranges = self._named_ranges(views)
        hosts, machines = [], []
        for number in range(1, self._chance.randint(2, 3) + 1 if self._standard else self._chance.randint(3, 6) + 1):
            host, machine = self._host(f"h{number}")
            hosts.append(host)
            machines.append(machine)
        if self._odds(0.3):
            floating, machines[0] = self._floating(hosts[0], machines[0])
            if floating:
                hosts.append(floating)
        views = self._extras(views, hosts, machines)
        denied: tuple[Address, ...] = ()
        if self._odds(0.4):
            host, machine = self._host("denied", {"dmz": (NETWORKS["dmz"][0][250], NETWORKS["dmz"][1][250])})
            denied = host.addresses["dmz"]
            hosts.append(host)
            machines.append(machine)
        views = tuple(replace(view, canaries=self._canaries(view, hosts, denied)) for view in views)
        return Drawn(
            seed=self._seed,
            profile="standard" if self._standard else "quick",
            rate=20000,
            segments=self._segments,
            ranges=self._ranges,
            views=views,
            machines=tuple(machines),
            hosts=tuple(hosts),
            router=self._router(hosts),
            denied=denied,
            loss=self._odds(0.2),
            bottleneck=self._standard and self._more.random() < 0.4,
            free_icmp=self._odds(0.6),
        )

    def _extras(self, views: tuple[View, ...], hosts: list[Host], machines: list[Machine]) -> tuple[View, ...]:
        """Now and then: a middlebox, a viewpoint that stands on a declared host, one that has lost a route."""
        if not self._standard and self._more.random() < 0.15:
            addresses = {"dmz": (NETWORKS["dmz"][0][210], NETWORKS["dmz"][1][210])}
            services = tuple(
                Service(what, "tcp", ((port, port),), ("dmz",), (self._more.choice(sorted(self._ranges)),))
                for what, port in (("ssh", 22), ("nginx", 80))
            )
            hosts.append(Host("box", addresses, services))
            listeners = (Listener("ssh", "tcp", "::", 22), Listener("silent", "tcp", "::", ANYTHING))
            machines.append(Machine("box", addresses, Chain((), Verdict.ACCEPT), listeners, middlebox=True))
        found = []
        for view in views:
            if view.kind == "internal" and self._more.random() < 0.4:
                self._ranges["host:scanner"] = Range(tuple(ip_network(str(address)) for address in view.addresses))
                ssh = Service("ssh", "tcp", ((22, 22),), (view.segment,), ("internet",))
                guest = self._more.randrange(len(hosts))
                hosts.append(Host("scanner", {view.segment: view.addresses}, (ssh,)))
                machines.append(Machine(view.name, hosts[-1].addresses, Chain((), Verdict.ACCEPT), ()))
                hosts[guest] = replace(hosts[guest], services=tuple(map(self._for_the_scanner, hosts[guest].services)))
            lost = view.kind == "internal" and len(self._segments) > 1 and self._more.random() < 0.15
            found.append(replace(view, unrouted=(self._more.choice((4, 6)),)) if lost else view)
        return tuple(found)

    @staticmethod
    def _for_the_scanner(service: Service) -> Service:
        return replace(service, sources=("host:scanner",)) if service.interfaces != ("loopback",) else service

    # viewpoints and ranges

    def _views(self) -> tuple[View, ...]:
        public, internal = self._chance.choice([(True, True), (True, True), (True, False), (False, True)])
        found = []
        if public:
            found.append(self._view("internet", "public", "uplink", 20))
        if internal:
            found.append(self._view("inside", "internal", self._chance.choice(self._segments), 50))
        return tuple(found)

    def _view(self, name: str, kind: str, segment: str, last: int) -> View:
        versions = self._chance.choice([(4, 6)] * 4 + [(4,), (6,)])
        addresses = tuple(network[last] for network in NETWORKS[segment] if network.version in versions)
        networks = [network for segment in self._segments for network in NETWORKS[segment]]
        if kind == "public":
            networks = [network for network in networks if network != PRIVATE or self._odds(0.3)]
        match self._chance.choice(["default", "whole", "whole", "halves"]):
            case "default":
                targets = None
            case "whole":
                targets = tuple(networks)
            case _:
                targets = tuple(half for network in networks for half in network.subnets())
        boundary = "filtered" if self._odds(0.3) else "any"
        return View(name, kind, segment, addresses, targets, boundary, ())

    def _canaries(self, view: View, hosts: list[Host], denied: tuple[Address, ...]) -> tuple[str, ...]:
        """The routers, a host, or a port of a host, as far as they are among the targets."""
        found = []
        for version in (one.version for one in view.addresses):
            match self._chance.choice(["none", "router", "host", "port"]):
                case "none":
                    continue
                case "router":
                    address = router_address(self._chance.choice(self._segments), version)
                    text = str(address)
                case how:
                    own = [a for h in hosts for each in h.addresses.values() for a in each if a.version == version]
                    own = [address for address in own if address not in denied]
                    if not own:
                        continue
                    address = self._chance.choice(own)
                    spelled = f"[{address}]" if version == 6 else str(address)
                    text = f"{spelled}:{self._chance.choice([22, 80, 61000])}/tcp" if how == "port" else str(address)
            if any(address in network for network in targets(view, self._segments)):
                found.append(text)
        return tuple(dict.fromkeys(found))

    def _named_ranges(self, views: tuple[View, ...]) -> dict[str, Range]:
        found = {
            "internet": Range((ip_network("0.0.0.0/0"), ip_network("::/0"))),
            "dmz": Range(NETWORKS["dmz"]),
            "elsewhere": Range((ip_network("192.0.2.0/24"), ip_network("2001:db8:e::/64"))),
            "lan": Range(NETWORKS["lan"], (ip_network("10.20.1.50/32"),)),
        }
        for view in views:
            found[view.name] = Range(tuple(ip_network(str(address)) for address in view.addresses))
        return found

    def _sources(self) -> tuple[str, ...]:
        names = ["internet", *self._ranges]
        return tuple(sorted({self._chance.choice(names) for _ in range(self._chance.randint(1, 2))}))

    # hosts

    def _host(self, name: str, addresses: Mapping[str, tuple[Address, ...]] | None = None) -> tuple[Host, Machine]:
        addresses = addresses or self._addresses()
        meant = self._meant(addresses)
        services = tuple(one.service for one in meant)
        host = Host(name, addresses, (*services, *self._twins(services)))
        if self._odds(0.1):
            return host, Machine(name, addresses, Chain((), Verdict.DROP), (), alive=False)
        if self._odds(0.08):  # alive, and silent
            return host, Machine(name, addresses, Chain((), Verdict.DROP), ())
        listeners = self._listeners(meant, addresses)
        machine = Machine(
            name,
            addresses,
            self._chain(meant, listeners, addresses),
            listeners,
            stateful=not self._standard and self._odds(0.4),
            few_resets=self._odds(0.15),
        )
        return host, machine

    def _addresses(self) -> dict[str, tuple[Address, ...]]:
        segments = self._chance.choice([self._segments, *((one,) for one in self._segments)])
        found = {}
        for segment in segments:
            last = self._chance.choice([n for n in (*range(10, 100), *range(140, 200)) if n not in self._used])
            self._used.add(last)
            versions = self._chance.choice([(4, 6), (4, 6), (4,), (6,)])
            own = [network[last] for network in NETWORKS[segment] if network.version in versions]
            if 4 in versions and self._odds(0.1):
                second = self._chance.choice([n for n in range(100, 140) if n not in self._used])
                self._used.add(second)
                own.insert(1, NETWORKS[segment][0][second])
            found[segment] = tuple(own)
        return found

    def _meant(self, addresses: Mapping[str, tuple[Address, ...]]) -> list[_Meant]:
        found: list[_Meant] = []
        taken: set[int] = set()
        for what in self._chance.sample(sorted(TCP), self._chance.randint(1, 3)):
            usual, service_class = TCP[what]
            port = usual if self._odds(0.7) else self._chance.randint(10300, 60000)
            last = port + 3 if self._odds(0.1) else port
            if taken & set(range(port, last + 1)):
                continue
            taken |= set(range(port, last + 1))
            service = self._service(what, "tcp", ((port, last),), addresses)
            service = replace(
                service,
                service_class=service_class if self._odds(0.8) else None,
                speaks="ssh" if what == "ssh" and self._odds(0.4) else None,
            )
            if what == "ssh" and port == last == 22 and self._odds(0.6):
                service = replace(
                    service,
                    interfaces=tuple(addresses),
                    sources=self._sources(),
                    versions=(4, 6),
                    optional=False,
                    service_class="remote-admin",
                    speaks="ssh",
                    from_role=True,
                )
            found.append(_Meant(what, service))
        for what in self._chance.sample(sorted(UDP), self._chance.randint(0, 2)):
            port = UDP[what] if self._odds(0.7) else self._chance.randint(10300, 60000)
            service = self._service(what, "udp", ((port, port),), addresses)
            silent = what == "wireguard" and self._odds(0.6)
            found.append(_Meant(what, replace(service, name=f"{what}-udp", answers=not silent)))
        return found

    def _service(
        self,
        name: str,
        protocol: str,
        ports: Ports,
        addresses: Mapping[str, tuple[Address, ...]],
    ) -> Service:
        segments = tuple(addresses)
        interfaces = tuple(self._chance.sample(segments, self._chance.randint(1, len(segments))))
        interfaces = tuple(segment for segment in segments if segment in interfaces)
        versions = (4, 6)
        if self._odds(0.15):
            there = sorted({one.version for segment in interfaces for one in addresses[segment]})
            versions = (self._chance.choice(there),)
        if self._odds(0.06):
            return Service(name, protocol, ports, ("loopback",), ())
        return Service(name, protocol, ports, interfaces, self._sources(), versions, optional=self._odds(0.15))

    def _twins(self, services: tuple[Service, ...]) -> Iterator[Service]:
        """Now and then a second name for the same endpoints, for other sources."""
        for service in services:
            if self._odds(0.08) and not service.from_role and service.interfaces != ("loopback",):
                yield replace(service, name=f"{service.name}-too", sources=self._sources(), optional=self._odds(0.5))

    # what really listens, and what is let in

    def _listeners(self, meant: list[_Meant], addresses: Mapping[str, tuple[Address, ...]]) -> tuple[Listener, ...]:
        found: list[Listener] = []
        own = [address for each in addresses.values() for address in each]
        for one in meant:
            first, last = one.service.ports[0]
            for port in range(first, last + 1):
                found += self._bound(one.what, one.service.protocol, port, own)
        for _ in range(self._chance.choice([0, 0, 1, 2])):
            what = self._chance.choice(["ssh", "nginx", "redis", "odd"])
            port = self._chance.choice(STRAY) if self._odds(0.7) else self._chance.randint(10300, 60000)
            if port not in {one.port for one in found}:
                found += self._bound(what, "tcp", port, own)
        if self._odds(0.3) and not any(one.protocol == "udp" for one in found):
            found += self._bound("echo", "udp", self._chance.choice([69, 123, 161, 1900]), own)
        return tuple(found)

    def _bound(self, what: str, protocol: str, port: int, own: list[Address]) -> Iterator[Listener]:
        """Mostly everywhere. On `::` a UDP responder would answer from the wrong address; it takes each by itself."""
        how = self._chance.choice(["all"] * 7 + ["one", "ipv4", "loopback", "missing", "swap"])
        if how == "swap" and what in ("ssh", "nginx"):
            what = "nginx" if what == "ssh" else "ssh"
        match how:
            case "missing":
                return
            case "loopback":
                yield Listener(what, protocol, "127.0.0.1", port)
            case "one":
                yield Listener(what, protocol, str(self._chance.choice(own)), port)
            case "ipv4" if protocol == "tcp":
                yield Listener(what, protocol, "0.0.0.0", port)
            case _ if protocol == "tcp":
                yield Listener(what, protocol, "::", port)
            case _:
                yield from (Listener(what, protocol, str(address), port) for address in own)

    def _chain(
        self,
        meant: list[_Meant],
        listeners: tuple[Listener, ...],
        addresses: Mapping[str, tuple[Address, ...]],
    ) -> Chain:
        rules = [rule for one in meant for rule in self._admitting(one.service, tuple(addresses))]
        declared = {one.service.ports[0][0] for one in meant}
        for listener in listeners:
            if listener.port not in declared and self._odds(0.7):
                rules += self._rules(listener.protocol, ((listener.port, listener.port),), self._some(), None)
        for _ in range(self._chance.choice([0, 0, 1, 2])):
            rules.insert(self._chance.randint(0, len(rules)), self._stray_rule(tuple(addresses)))
        if self._odds(0.7):
            rules.insert(0, Rule(Verdict.ACCEPT, "icmp"))
        elif self._odds(0.3):
            rules.insert(0, Rule(Verdict.DROP, "icmp"))
        policy = self._chance.choice([Verdict.DROP] * 5 + [Verdict.ACCEPT] * 3 + list(HOSTILE[1:]))
        return Chain(tuple(rules), policy)

    def _admitting(self, service: Service, segments: tuple[str, ...]) -> list[Rule]:
        """The rules for a declared service, or what somebody made of them."""
        if service.interfaces == ("loopback",):
            return (
                self._rules(service.protocol, service.ports, [self._ranges["internet"]], None)
                if self._odds(0.3)
                else []
            )
        sources = [self._ranges[name] for name in service.sources]
        interfaces: tuple[str | None, ...] = (None,) if service.interfaces == segments else service.interfaces
        ports, verdict, versions = service.ports, Verdict.ACCEPT, service.versions
        match self._chance.choice(["as meant"] * 12 + ["none", "anyone", "everywhere", "family", "port", "refused"]):
            case "none":
                return []
            case "anyone":
                sources = [self._ranges["internet"]]
            case "everywhere":
                interfaces, versions = (None,), (4, 6)
            case "family":
                versions = (self._chance.choice((4, 6)),)
            case "port":
                ports = tuple((first + 1, last + 1) for first, last in ports)
            case "refused":
                verdict = self._chance.choice(HOSTILE if service.protocol == "tcp" else HOSTILE[:3])
        found = [rule for interface in interfaces for rule in self._rules(service.protocol, ports, sources, interface)]
        return [replace(rule, verdict=verdict) for rule in found if rule.version in versions]

    def _rules(self, protocol: str | None, ports: Ports, sources: list[Range], interface: str | None) -> list[Rule]:
        found = []
        for source in sources:
            for version in (4, 6):
                cidrs = tuple(network for network in source.cidrs if network.version == version)
                excluded = tuple(network for network in source.excluded if network.version == version)
                if not cidrs:
                    continue
                everyone = any(network.prefixlen == 0 for network in cidrs)
                rule = Rule(Verdict.ACCEPT, protocol, ports, () if everyone else cidrs, excluded)
                found.append(replace(rule, version=version, interface=interface))
        return found

    def _some(self) -> list[Range]:
        return [self._ranges[name] for name in self._sources()]

    def _stray_rule(self, segments: tuple[str, ...]) -> Rule:
        verdict = self._chance.choice([Verdict.ACCEPT, *HOSTILE])
        protocol = "tcp" if verdict is Verdict.RESET else self._chance.choice(["tcp", "tcp", "udp", None])
        ports = ((self._chance.choice([(1, 1023), (8000, 8999), (80, 443), (5000, 7100), (30000, 60000)])),)
        networks: tuple[Network, ...] = ()
        if self._odds(0.4):
            version = self._chance.choice((4, 6))
            networks = tuple(n for n in self._some()[0].cidrs if n.version == version and n.prefixlen)
        interface = self._chance.choice([None, None, *segments])
        return Rule(verdict, protocol, ports, networks, interface=interface)

    def _floating(self, host: Host, machine: Machine) -> tuple[Host | None, Machine]:
        """An address of the machine that the inventory has under a name of its own."""
        segment = next(iter(machine.addresses))
        if not any(address.version == 4 for address in machine.addresses[segment]):
            return None, machine
        floating = NETWORKS[segment][0][self._chance.randint(220, 240)]
        mine = [one for one in host.services if one.protocol == "tcp" and one.interfaces != ("loopback",)]
        services = tuple(
            replace(one, interfaces=(segment,), versions=(4, 6), sources=self._sources(), from_role=False)
            for one in self._chance.sample(mine, min(1, len(mine)))
        )
        if not services:
            return None, machine
        addresses = {**machine.addresses, segment: (*machine.addresses[segment], floating)}
        return Host("vip", {segment: (floating,)}, services, host.name), replace(machine, addresses=addresses)

    def _router(self, hosts: list[Host]) -> Chain:
        everything = [address for host in hosts for own in host.addresses.values() for address in own]
        rules = []
        for _ in range(self._chance.choice([0, 0, 1, 2, 3])):
            verdict = self._chance.choice([Verdict.ACCEPT, *HOSTILE])
            protocol = "tcp" if verdict is Verdict.RESET else self._chance.choice(["tcp", "udp", None])
            ports = self._chance.choice([(), ((1, 1023),), ((5000, 9999),), ((22, 22), (3306, 3306)), ((53, 443),)])
            targets: tuple[Network, ...] = ()
            if self._odds(0.6):
                targets = (ip_network(str(self._chance.choice(everything))),)
            version = self._chance.choice([None, 4, 6])
            rules.append(Rule(verdict, protocol, ports, targets=targets, version=None if targets else version))
        policy = self._chance.choice([Verdict.ACCEPT] * 4 + [Verdict.DROP, Verdict.PROHIBIT])
        if policy is not Verdict.ACCEPT:
            ports = ((20, 90), (400, 500), (5000, 7100), (8000, 9200))
            rules.append(Rule(Verdict.ACCEPT, None, ports))
            if self._odds(0.7):
                rules.append(Rule(Verdict.ACCEPT, "icmp"))
        return Chain(tuple(rules), policy)


def targets(view: View, segments: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks that a viewpoint has a path to; by default the scope, for a public one less private space."""
    if view.targets is not None:
        return view.targets
    networks = [network for segment in segments for network in NETWORKS[segment]]
    return tuple(network for network in networks if network != PRIVATE or view.kind != "public")
