"""What `init` goes through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from auditor.evidence.addresses import read_addresses
from auditor.evidence.listeners import read_listeners
from auditor.grade.severity import exposed
from auditor.inventory.draft.drafting import Draft, Outlook, Wanted, draft
from auditor.model.words import ViewpointKind
from auditor.scan.saved import Evidence, read_evidence


def first_inventory(
    scans: Mapping[str, Sequence[Path]],
    listeners: Mapping[str, Sequence[Path]],
    addresses: Mapping[str, Sequence[Path]],
    wanted: Wanted,
    further: Iterable[Wanted] = (),
) -> Draft:
    """Draft an inventory from saved nmap XML by viewpoint and, by host, from listeners and addresses.

    `further` is what is wanted of viewpoints beside the first. Raises AuditorError where nothing can be had.
    """
    saved = {viewpoint: read_evidence(paths) for viewpoint, paths in scans.items()}
    first, *others = [_outlook(one, saved.get(one.viewpoint) or read_evidence(())) for one in (wanted, *further)]
    return draft(
        wanted,
        first.scan,
        asked=first.asked,
        labels=first.labels,
        sources=first.sources,
        listeners={host: [one for path in paths for one in read_listeners(path)] for host, paths in listeners.items()},
        severities=first.severities,
        said={host: [one for path in paths for one in read_addresses(path)] for host, paths in addresses.items()},
        others=others,
    )


def _outlook(wanted: Wanted, saved: Evidence) -> Outlook:
    return Outlook(
        viewpoint=wanted.viewpoint,
        kind=wanted.kind,
        scan=saved.scan(wanted.viewpoint),
        severities=partial(exposed, untrusted=wanted.kind is ViewpointKind.PUBLIC),
        asked={address for address, _ in saved.asked},
        labels=saved.labels,
        sources=saved.sources,
        addresses=wanted.addresses,
    )
