"""The classes of what is declared, before anything has answered."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from auditor.catalogue.lookup import classify, entry_by_word
from auditor.catalogue.ports import known_ports
from auditor.model.inventory import Service
from auditor.model.ports import PortSet
from auditor.model.words import Protocol, ServiceClass

_WORST_FIRST = (
    ServiceClass.DATA_STORE,
    ServiceClass.REMOTE_ADMIN,
    ServiceClass.DEV_DEBUG,
    ServiceClass.PUBLIC_WEB,
    ServiceClass.DIAGNOSTICS,
    ServiceClass.UDP,
    ServiceClass.UNCLASSIFIED,
)


def declared_classes(service: Service) -> tuple[ServiceClass, ...]:
    """The classes that a service is graded as by its declaration alone, worst first; `udp` where nothing else is known.

    The declared class; else those of its `protocol` and of its ports, as the catalogue knows them.
    """
    return _classes(service.tcp, service.udp, service.declared_class, service.protocol)


@lru_cache(maxsize=4096)
def _classes(
    tcp: PortSet, udp: PortSet, declared: ServiceClass | None, protocol: str | None
) -> tuple[ServiceClass, ...]:
    found = {
        classify(over, port, None, declared).graded_as
        for over, ports in ((Protocol.TCP, tcp), (Protocol.UDP, udp))
        for port in _telling(over, ports)
    }
    spoken = entry_by_word(protocol) if protocol and declared is None else None
    if spoken:
        known = spoken.service_class if tcp else None
        found |= {one for one in (known, spoken.as_class) if one and one is not ServiceClass.UDP}
        if len(found) > 1:
            found.discard(ServiceClass.UNCLASSIFIED)  # which said only that the port tells nothing
    return tuple(one for one in _WORST_FIRST if one in found)


def _telling(protocol: Protocol, ports: PortSet) -> Iterator[int]:
    """The ports that the catalogue knows, and one that stands for all others."""
    known = known_ports(protocol)
    yield from ports & known
    rest = ports - known
    if rest:
        yield rest.first
