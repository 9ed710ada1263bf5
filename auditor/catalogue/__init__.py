"""Services, classes, playbooks: what the program knows, as data, and how it is looked up."""

from __future__ import annotations

from auditor.catalogue.contradiction import contradiction, unproven
from auditor.catalogue.declared import declared_classes
from auditor.catalogue.entry import Entry, entries
from auditor.catalogue.lookup import Classification, classify, entry_by_word
from auditor.catalogue.ports import PRINTER_PORTS, RETICENT_PORTS, known_ports, top_udp_ports, usual_ports
from auditor.catalogue.texts import PLAYBOOK_KEYS, firewalls, kinds, playbooks

__all__ = [
    "PLAYBOOK_KEYS",
    "PRINTER_PORTS",
    "RETICENT_PORTS",
    "Classification",
    "Entry",
    "classify",
    "contradiction",
    "declared_classes",
    "entries",
    "entry_by_word",
    "firewalls",
    "kinds",
    "known_ports",
    "playbooks",
    "top_udp_ports",
    "unproven",
    "usual_ports",
]
