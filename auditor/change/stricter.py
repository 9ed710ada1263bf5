"""HEAD as the stricter of BASE and HEAD would see it, for judging it by the policy of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from auditor.catalogue.declared import declared_classes
from auditor.change.exposure import renamed, spots
from auditor.change.sources import Trusting
from auditor.model.breach import Breach
from auditor.model.inventory import Host, Inventory, Policy, Service, SourceRange, fewest_waiver_days
from auditor.model.words import ServiceClass

_Rewrite = Callable[[Host, Service], Service]
_UNTOLD = frozenset({ServiceClass.UNCLASSIFIED, ServiceClass.UDP})


def united(base: Policy, head: Policy) -> Policy:
    """Everything that one of the two asks for."""
    return Policy(
        forbid=tuple(dict.fromkeys((*base.forbid, *head.forbid))),
        require=tuple(dict.fromkeys((*base.require, *head.require))),
        max_waiver_days=fewest_waiver_days(base, head),
        location=head.location,
    )


def readings(base: Inventory, head: Inventory, policy: Policy) -> tuple[tuple[Inventory, ...], tuple[Inventory, ...]]:
    """BASE and HEAD, each in every way that they are to be judged.

    HEAD with BASE's distrust of its ranges; with the classes that BASE declared for the same; and both with the classes
    that the catalogue knows the ports by.
    """
    if not policy.forbid:
        return (base,), (head,)
    distrusted = _distrusting(base, head)
    return (base, _rewritten(base, _by_port)), (
        distrusted,
        _rewritten(distrusted, _Before(base)),
        _rewritten(distrusted, _by_port),
    )


def new_breaches(
    before: Iterable[Breach], after: Iterable[Breach], base: Inventory, head: Inventory
) -> tuple[Breach, ...]:
    """The breaches of HEAD, each once, that BASE did not have of the same rule, whatever the service is called now."""
    before, after = tuple(before), tuple(after)
    names = renamed(base, head) if before and after else {}
    known = {_key(breach, names) for breach in before}
    found: dict[tuple[str, str], Breach] = {}
    for breach in after:
        key = _key(breach, {})
        if key not in known:
            found.setdefault(key, breach)
    return tuple(found[key] for key in sorted(found))


def _key(breach: Breach, names: dict[str, str]) -> tuple[str, str]:
    name = f"{breach.host}.{breach.service.name}" if breach.service else ""
    return breach.identity, names.get(name, name)


def _distrusting(base: Inventory, head: Inventory) -> Inventory:
    """HEAD with the trust of its sources by the stricter of both."""
    trusting = Trusting(base, head)
    sets: dict[int, tuple[SourceRange, ...]] = {}

    def distrusted(_: Host, service: Service) -> Service:
        if id(service.sources) not in sets:
            sets[id(service.sources)] = tuple(
                source
                if trusting.of_range(source) is source.trust
                else replace(source, trust=trusting.of_range(source))
                for source in service.sources
            )
        sources = sets[id(service.sources)]
        return service if sources == service.sources else replace(service, sources=sources)

    return _rewritten(head, distrusted)


class _Before:
    """Gives services the class that BASE declared for them: by name, or at one of their endpoints."""

    def __init__(self, base: Inventory) -> None:
        self._hosts = base.hosts
        self._spots = spots(base)

    def __call__(self, host: Host, service: Service) -> Service:
        before = next((c for c in self._classes(host, service) if c not in (None, service.declared_class)), None)
        return service if before is None else replace(service, declared_class=before)

    def _classes(self, host: Host, service: Service) -> Iterator[ServiceClass | None]:
        if host.name in self._hosts:
            yield from (one.declared_class for one in self._hosts[host.name].services if one.name == service.name)
        for name in service.interfaces:
            interface = host.interfaces.get(name)
            for address in interface.addresses if interface else ():
                spot = self._spots.get(address)
                for one in spot.services() if spot else ():
                    if one.tcp.bits & service.tcp.bits or one.udp.bits & service.udp.bits:
                        yield one.declared_class


def _by_port(_: Host, service: Service) -> Service:
    """As if it declared no class, where the catalogue knows what usually listens there."""
    if service.declared_class is None:
        return service
    undeclared = replace(service, declared_class=None)
    return service if _UNTOLD.issuperset(declared_classes(undeclared)) else undeclared


def _rewritten(inventory: Inventory, rewrite: _Rewrite) -> Inventory:
    """The inventory with each service rewritten; what stays the same stays one object."""
    hosts = {}
    for name, host in inventory.hosts.items():
        services = tuple(rewrite(host, service) for service in host.services)
        same = all(one is other for one, other in zip(services, host.services, strict=True))
        hosts[name] = host if same else replace(host, services=services)
    return replace(inventory, hosts=hosts)
