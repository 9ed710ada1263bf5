"""Lint of services. What a role declares is said once, at the role, for all of its hosts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from auditor.catalogue.declared import declared_classes
from auditor.inventory.lint.note import FEW, Note
from auditor.inventory.reading.places import Places
from auditor.inventory.reading.text import listed
from auditor.inventory.resolving.policy import Trusts
from auditor.model.inventory import Host, Inventory, Path, Service, SourceRange
from auditor.model.words import Family, ServiceClass, Trust

_EXPOSED = {
    ServiceClass.DATA_STORE: "exposed-data-store",
    ServiceClass.REMOTE_ADMIN: "exposed-remote-admin",
    ServiceClass.DEV_DEBUG: "exposed-dev-debug",
}

_NO_FAMILY = frozenset[Family]()


def service_notes(inventory: Inventory, places: Places, today: date) -> Iterator[Note]:
    found: dict[tuple[str, Path, str], list[str]] = {}  # hosts, by rule, path and message
    judge = _Judge(inventory, today)
    for host in inventory.hosts.values():
        families = {name: interface.families for name, interface in host.interfaces.items()}
        for service in host.services:
            for rule, key, message in judge.says(host, service, families):
                path = places.of_service(host.name, service.name, key)
                found.setdefault((rule, path, message), []).append(host.name)
    for (rule, path, message), hosts in found.items():
        whose = f"; so on {listed(hosts, FEW)}" if path[0] == "roles" else ""
        yield Note(rule, path, message + whose)


class _Judge:
    """Says what is to be said of a service: the rule, the key that it is about, and the message."""

    def __init__(self, inventory: Inventory, today: date) -> None:
        self._policy = inventory.policy
        self._today = today
        self._trusts = Trusts()
        self._families: dict[int, frozenset[Family]] = {}

    def says(
        self, host: Host, service: Service, families: Mapping[str, frozenset[Family]]
    ) -> Iterator[tuple[str, str, str]]:
        """`families` are those of the host's interfaces, by name."""
        yield from self._exposed(host, service)
        attached = _NO_FAMILY.union(*(families.get(name, _NO_FAMILY) for name in service.interfaces))
        yield from self._reached(service, attached)
        review = service.register.get("review_by")
        if review and date.fromisoformat(review) < self._today:
            message = f"the review was due on {review}, before today, {self._today}"
            yield "overdue-review", "review_by", f"{message}; look whether it is still needed, and set the next day"

    def _reached(self, service: Service, attached: frozenset[Family]) -> Iterator[tuple[str, str, str]]:
        """What does not fit together of the service's families, those of its sources and those it is `attached` by."""
        if service.sources and attached and not attached & service.families & self._families_of(service.sources):
            has = listed(sorted(attached & service.families)) or "none of its `families`"
            message = f"no source has a family of the service ({has}), so that nobody can reach it"
            yield "no-client", "from", f"{message}; add sources of that family"
        if Family.IPV6 in attached and Family.IPV6 not in service.families:
            message = "declared for IPv4 only, and the host has IPv6 there too, where it must be blocked"
            yield "ipv4-only", "families", f"{message}; remove `families` if IPv6 is meant as well"
        elif Family.IPV6 in attached and self._families_of(service.sources) == {Family.IPV4} and _everybody(service):
            message = "everybody is meant on IPv4 and nobody on IPv6, which the host has there too"
            yield "ipv4-only", "from", f"{message}; add `::/0` there, or name who is meant"

    def _exposed(self, host: Host, service: Service) -> Iterator[tuple[str, str, str]]:
        if self._trusts.of(service.sources) is not Trust.UNTRUSTED:
            return
        for one in declared_classes(service):
            if one in _EXPOSED and not self._accepted(host, service, one):
                by_number = service.declared_class is None and not service.protocol
                what = f"a {one} service, by its port number," if by_number else f"a {one} service"
                message = f"{what} is declared to untrusted sources: {listed([s.name for s in service.sources])}"
                other = "give its `class` if it is another, " if by_number else ""
                yield (
                    _EXPOSED[one],
                    "from",
                    f"{message}; narrow them, {other}or accept it by `except` in a `forbid` of the policy",
                )

    def _accepted(self, host: Host, service: Service, service_class: ServiceClass) -> bool:
        """Whether the policy forbids such services, with this one as an exception."""
        return any(
            f"{host.name}.{service.name}" in rule.exceptions
            and rule.service_class in (None, service_class)
            and rule.trust in (None, Trust.UNTRUSTED)
            for rule in self._policy.forbid
        )

    def _families_of(self, sources: tuple[SourceRange, ...]) -> frozenset[Family]:
        if id(sources) not in self._families:
            networks = (network for source in sources for network in source.networks)
            self._families[id(sources)] = frozenset(map(Family.of, networks))
        return self._families[id(sources)]


def _everybody(service: Service) -> bool:
    return any(network.prefixlen == 0 for source in service.sources for network in source.networks)
