"""Port sets of the catalogue."""

from __future__ import annotations

from functools import cache

from auditor.catalogue.entry import entries, read
from auditor.model.ports import PortSet
from auditor.model.words import Protocol

# Printers may print what they are sent there.
PRINTER_PORTS = PortSet.parse(read("ports")["printers"])
# UDP services that stay silent until a version probe asks in their own words.
RETICENT_PORTS = PortSet.parse(read("ports")["udp_asked_by_version_probes_alone"])


@cache
def usual_ports(protocol: Protocol) -> PortSet:
    """The ports on which the catalogue's services usually listen, less those not worth a probe in every audit."""
    return PortSet.union(entry.ports(protocol) for entry in entries() if entry.sweep)


@cache
def known_ports(protocol: Protocol) -> PortSet:
    """Every port that some service of the catalogue usually listens on."""
    return PortSet.union(entry.ports(protocol) for entry in entries())


@cache
def top_udp_ports() -> PortSet:
    """The 100 UDP ports that are open most often, by nmap's frequencies."""
    return PortSet.parse(read("ports")["top_udp"].replace(" ", ""))
