"""The policy: reading it, and what is declared against it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from typing import Any

from auditor.addresses import trust_of_sources
from auditor.catalogue.declared import declared_classes
from auditor.inventory.reading.broken import Broken, items, told
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.text import listed, shown
from auditor.inventory.resolving.services import ServiceNames
from auditor.model.breach import Breach
from auditor.model.inventory import LOOPBACK, Forbid, Host, Inventory, Path, Policy, Service, SourceRange, Waiver
from auditor.model.words import ServiceClass, Trust


def resolve_policy(tree: Tree) -> Policy:
    value = tree.data.get("policy")
    if not isinstance(value, dict):
        return Policy()
    names = _Named(tree)
    rules = enumerate(items(value.get("forbid", [])))
    days = told(value, "max_waiver_days")
    return Policy(
        forbid=tuple(_forbid(tree, names, index, rule) for index, rule in rules if not isinstance(rule, Broken)),
        require=tuple(one for one in items(value.get("require", [])) if not isinstance(one, Broken)),
        max_waiver_days=int(days) if days is not None else None,
        location=tree.at(("policy",)),
    )


def _forbid(tree: Tree, names: _Named, index: int, value: Mapping[str, Any]) -> Forbid:
    path: Path = ("policy", "forbid", index)
    service_class, trust = told(value, "class"), told(value, "trust")
    exceptions = [(at, one) for at, one in enumerate(items(value.get("except", []))) if not isinstance(one, Broken)]
    if value.keys() <= {"except"}:  # an unknown key may be meant for one of those that are missing
        tree.problem(path, "forbids-everything", "forbids every service; give a `class`, a `trust` or both")
    for at, one in exceptions:
        if names.lack(one):
            message = f"no service is {shown(one)}, written as HOST.SERVICE{tree.suggestions.of(one, names.every)}"
            tree.problem((*path, "except", at), "unknown-name", message)
    return Forbid(
        service_class=ServiceClass(service_class) if service_class else None,
        trust=Trust(trust) if trust else None,
        exceptions=tuple(one for _, one in exceptions),
        location=tree.at(path),
    )


class _Named:
    """The services of all hosts, as `HOST.SERVICE`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._names = ServiceNames(tree)

    def lack(self, text: str) -> bool:
        """Whether there is certainly no such service: both names may hold dots, and what is broken may hide it."""
        hosts = self._tree.data["hosts"]
        readings = [(text[:at], text[at + 1 :]) for at, char in enumerate(text) if char == "." and text[:at] in hosts]
        known = [(self._names.of(host), service) for host, service in readings]
        return "hosts" not in self._tree.broken and all(names is not None and one not in names for names, one in known)

    @cached_property
    def every(self) -> Collection[str]:
        return [f"{host}.{name}" for host in self._tree.data["hosts"] for name in self._names.of(host) or ()]


def breaches(inventory: Inventory, policy: Policy | None = None) -> tuple[Breach, ...]:
    """What breaks the policy, by default the inventory's own: services by host and name, then waivers by place."""
    policy = inventory.policy if policy is None else policy
    found = []
    if policy.forbid or policy.require:
        judge = _Judge(policy)
        found = [one for _, host in sorted(inventory.hosts.items()) for one in judge.breaches(host)]
    if policy.max_waiver_days is not None:
        found += _long_waivers(inventory.waivers, policy.max_waiver_days)
    return tuple(found)


class Trusts:
    """The trust of source sets. Services share them, and what is one object is worked out once."""

    def __init__(self) -> None:
        self._known: dict[int, Trust] = {}

    def of(self, sources: tuple[SourceRange, ...]) -> Trust | None:
        """None where nobody is meant: the service is on the loopback only."""
        if not sources:
            return None
        if id(sources) not in self._known:
            self._known[id(sources)] = trust_of_sources(sources)
        return self._known[id(sources)]


class _Judge:
    """Judges the services of hosts."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._trusts = Trusts()

    def breaches(self, host: Host) -> list[Breach]:
        found = []
        for service in sorted(host.services, key=lambda service: service.name):
            classes = declared_classes(service)
            trust = self._trusts.of(service.sources)
            broken: dict[str, str] = {}  # what breaks each rule; the same text twice is one rule
            for rule in self._policy.forbid:
                if _fits(rule, host, service, classes, trust):
                    broken.setdefault(str(rule), _declared(service, classes, trust))
            for field in self._policy.require:
                if not _has(service, host, field):
                    broken.setdefault(f"require {field}", f"has no `{field}`")
            found += [
                Breach(
                    rule=rule,
                    what=f"{host.name}.{service.name} {what}",
                    host=host.name,
                    service=service,
                    classes=classes,
                    trust=trust,
                    location=service.location,
                )
                for rule, what in sorted(broken.items())
            ]
        return found


def _fits(rule: Forbid, host: Host, service: Service, classes: tuple[ServiceClass, ...], trust: Trust | None) -> bool:
    over_udp = rule.service_class is ServiceClass.UDP and bool(service.udp)
    return (
        (rule.service_class is None or rule.service_class in classes or over_udp)
        and (rule.trust is None or rule.trust is trust)
        and f"{host.name}.{service.name}" not in rule.exceptions
    )


def _declared(service: Service, classes: tuple[ServiceClass, ...], trust: Trust | None) -> str:
    what = " and ".join(classes)
    if trust is None:
        return f"({what}) is declared on {LOOPBACK}"
    return f"({what}) is declared to {trust} sources: {listed([source.name for source in service.sources])}"


def _has(service: Service, host: Host, field: str) -> bool:
    match field:
        case "class":
            return service.declared_class is not None
        case "owner":
            return bool((service.owner or host.owner or "").strip())
        case "reason":
            return bool((service.reason or "").strip())
        case "protocol":
            return bool((service.protocol or "").strip())
        case _:
            return bool(service.register.get(field, "").strip())


def _long_waivers(waivers: tuple[Waiver, ...], most: int) -> Iterator[Breach]:
    for waiver in waivers:
        days = (waiver.expires - waiver.since).days
        if days > most:
            what = f"the waiver runs for {days} days, from {waiver.since} to {waiver.expires}; the policy allows {most}"
            yield Breach("max_waiver_days", what, waiver=waiver, location=waiver.location)
