"""Whether services of one host that share an endpoint agree on what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from auditor.inventory.reading.events import MAX_PROBLEMS
from auditor.inventory.reading.files import Tree
from auditor.model.inventory import Path, Service
from auditor.model.words import Family, Protocol


def check_agreement(
    tree: Tree, host: str, services: Sequence[Service], fronts: Mapping[str, tuple[str, str] | None]
) -> None:
    """Two names on one endpoint are one declaration: one class, and no two protocols or fronts.

    `fronts` has what each service is behind, as far as that can be told. Goes through the ports once: thousands of
    services may share a host, and comparing each with each would take hours.
    """
    if not any(_share_ports(services, protocol) for protocol in Protocol):
        return
    meanings = [_Meaning.of(service, fronts[service.name]) for service in services]
    if len(set(meanings)) > 1:
        found: dict[tuple[str, int, int], None] = {}
        for conflict in _conflicts(services, meanings):
            found[conflict] = None
            if len(found) >= MAX_PROBLEMS:
                break
        for key, one, other in found:
            first, second = services[one], services[other]
            both = " and ".join(f"`{value}`" if value else "none" for value in map(_WRITTEN[key], (first, second)))
            message = f"declares an endpoint of the service `{first.name}` too, with another {key} ({both})"
            path: Path = ("hosts", host, "services", second.name)
            tree.problem(path, "services-disagree", f"{message}; give both the same `{key}`, or separate their ports")


def _share_ports(services: Sequence[Service], protocol: Protocol) -> bool:
    """Whether two have a port in common, wherever; the services of most hosts have none, and this is quickly told."""
    taken = 0
    for service in services:
        bits = service.ports(protocol).bits
        if taken & bits:
            return True
        taken |= bits
    return False


_WRITTEN: dict[str, Callable[[Service], str | None]] = {  # in the order of what they mean
    "class": lambda service: service.declared_class,
    "protocol": lambda service: service.protocol,
    "behind": lambda service: service.behind,
}


class _Meaning(NamedTuple):
    """What services of one endpoint must agree on; None agrees with anything, a class left out does not."""

    service_class: str
    protocol: str | None
    behind: tuple[str, str] | None

    @classmethod
    def of(cls, service: Service, front: tuple[str, str] | None) -> _Meaning:
        return cls(service.declared_class or "", (service.protocol or "").lower() or None, front)


def _conflicts(services: Sequence[Service], meanings: Sequence[_Meaning]) -> Iterator[tuple[str, int, int]]:
    """What two services differ in, and their indexes, once for each place and port where both begin to be."""
    for protocol in Protocol:
        active: dict[tuple[str, Family, str], dict[object, dict[int, None]]] = {}
        for _, begins, index in sorted(_changes(services, protocol)):
            for interface, family in product(services[index].interfaces, services[index].families):
                for key, value in zip(_WRITTEN, meanings[index], strict=True):
                    if value is None:
                        continue
                    here = active.setdefault((interface, family, key), {})
                    if begins:
                        others = (other for one, members in here.items() if one != value for other in members)
                        yield from ((key, min(index, other), max(index, other)) for other in others)
                        here.setdefault(value, {})[index] = None
                    else:
                        del here[value][index]


def _changes(services: Sequence[Service], protocol: Protocol) -> Iterator[tuple[int, bool, int]]:
    """The ports at which services begin, and those after their ends."""
    for index, service in enumerate(services):
        for first, last in service.ports(protocol).ranges():
            yield first, True, index
            yield last + 1, False, index
