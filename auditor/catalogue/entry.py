"""The catalogue's entries: one for each service that is told apart, read from the data files beside this package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from auditor.model.ports import PortSet
from auditor.model.words import Protocol, ServiceClass, Severity

_NONE = PortSet()
_DATA = Path(__file__).parent / "data"

FILES = ("public-web", "remote-admin", "data-store", "dev-debug", "diagnostics", "udp", "unclassified")


@dataclass(frozen=True, slots=True)
class Entry:
    """One service.

    `names` are nmap's service names; `products` match nmap's product text whole or as its first words, or as its last
    words where they begin with `* `; `processes` are process names, `titles` page titles, `protocols` further words
    that an inventory may use in `protocol:`. `http` is set where it speaks HTTP; first words of a product that answers
    over HTTP match only there. `as_class` grades it over UDP. `sweep` is false where a port is known but not worth a
    probe in every audit, since the service never answers a stranger or is rare. `severity` holds overrides by
    `untrusted` or `foothold`.
    """

    id: str
    service_class: ServiceClass
    note: str
    names: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    tcp: PortSet = _NONE
    udp: PortSet = _NONE
    as_class: ServiceClass | None = None
    http: bool = False
    sweep: bool = True
    severity: Mapping[str, Severity] = field(default_factory=dict)

    def ports(self, protocol: Protocol) -> PortSet:
        return self.tcp if protocol is Protocol.TCP else self.udp


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry, sorted by class file and then as written there."""
    return tuple(
        _entry(entry_id, ServiceClass(document["class"]), values)
        for document in map(read, FILES)
        for entry_id, values in document["entries"].items()
    )


def read(name: str) -> dict[str, Any]:
    """One data file of the catalogue."""
    text = (_DATA / f"{name}.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return document


def _entry(entry_id: str, service_class: ServiceClass, values: Mapping[str, Any]) -> Entry:
    return Entry(
        id=entry_id,
        service_class=service_class,
        note=values["note"],
        names=tuple(values.get("names", ())),
        products=tuple(values.get("products", ())),
        processes=tuple(values.get("processes", ())),
        titles=tuple(values.get("titles", ())),
        protocols=tuple(values.get("protocols", ())),
        tcp=PortSet.parse(values.get("tcp", "")),
        udp=PortSet.parse(values.get("udp", "")),
        as_class=_as_class(service_class, values),
        http=values.get("http", False),
        sweep=values.get("sweep", True),
        severity={source: Severity(severity) for source, severity in values.get("severity", {}).items()},
    )


def _as_class(service_class: ServiceClass, values: Mapping[str, Any]) -> ServiceClass | None:
    """Over UDP a service keeps its class as `as`, unless it has none that grades anything."""
    if "as" in values:
        return ServiceClass(values["as"])
    return None if service_class in (ServiceClass.UDP, ServiceClass.UNCLASSIFIED) else service_class
