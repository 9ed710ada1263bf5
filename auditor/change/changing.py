"""The change stage: BASE × HEAD → changes."""

from __future__ import annotations

from auditor.change.exposing import exposures
from auditor.change.exposure import overlays
from auditor.change.sources import SourceSets
from auditor.change.weakened import weakened
from auditor.model.change import Change, Written


def changes(base: Written, head: Written) -> tuple[Change, ...]:
    """What HEAD opens, closes and audits less than BASE, sorted.

    Exposure is compared by address, protocol and port: names of hosts, services, interfaces, ranges and roles, files
    and order are of no account.
    """
    sets = SourceSets()
    laid = tuple(overlays(base.inventory, head.inventory, sets))
    found = [*exposures(base, head, laid, sets), *weakened(base, head, laid)]
    return tuple(sorted(found, key=_order))


def _order(change: Change) -> tuple[str, str, str, str]:
    return change.kind, change.host or "", change.service.name if change.service else "", change.rule
