"""What `compare` goes through: saved evidence, and judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from auditor.inventory.expecting.carrying import carrying
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.resolving.names import Lookup, as_then, resolve_names
from auditor.model.ages import Freshness
from auditor.model.audit import Audit
from auditor.model.context import Context
from auditor.model.inventory import Inventory, Viewpoint
from auditor.model.words import Profile
from auditor.pipeline.judging import Request, judge
from auditor.scan.saved import read_evidence


def compare_evidence(
    inventory: Inventory,
    files: Mapping[Viewpoint, Sequence[Path]],
    request: Request,
    context: Context,
    lookup: Lookup | None = None,
) -> Audit:
    """Judge saved nmap XML. No packet is sent. Raises AuditorError where no verdict can be had.

    `lookup` tells where DNS names lead today, of which the evidence does not tell where they led.
    """
    freshness = Freshness(context.now(), request.max_age)
    saved = {viewpoint: read_evidence(paths, freshness) for viewpoint, paths in files.items()}
    if lookup is not None:
        inventory = resolve_names(inventory, as_then([one for e in saved.values() for one in e.resolved], lookup))
    carried = carrying(inventory, ((one.alive, one.labels) for one in saved.values()))
    narrow = partial(expect, inventory, profile=Profile.COMPARE, hosts=request.hosts, tags=request.tags)
    expected = [
        narrow(viewpoint=v, asked=one.asked, carried=carried, unasked=one.unasked, left_out=one.left_out)
        for v, one in saved.items()
    ]
    return judge(inventory, expected, [e.scan(v.name) for v, e in saved.items()], request, context)
