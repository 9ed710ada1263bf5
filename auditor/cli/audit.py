"""`auditor audit`: look from viewpoints and compare with the inventory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from auditor import pipeline
from auditor.cli import options, signals
from auditor.cli.duration import duration
from auditor.cli.judged import judge, judging
from auditor.inventory import denying
from auditor.model.ages import spelled
from auditor.model.audit import Audit
from auditor.model.context import Context, Event
from auditor.model.words import Profile
from auditor.pipeline import Request
from auditor.rundir import RunDir
from auditor.sweeps import Sweeps
from auditor.transport import Cluster


@click.command("audit")
@options.inventory
@options.viewpoints
@options.profile
@options.deny
@click.option(
    "--max-duration",
    callback=duration,
    metavar="DURATION",
    help="End after so long, such as 90m, and report what was looked at by then. 0s sends nothing.",
)
@options.engine
@judging
def command(
    *,
    inventory_path: Path,
    viewpoints: tuple[str, ...],
    profile: str,
    deny: tuple[str, ...],
    max_duration: timedelta | None,
    cluster: Cluster | None,
    reports: Path,
    **rest: Any,
) -> int:
    """Look from viewpoints, compare, write reports.

    Scans with nmap, compares with the inventory, and writes HTML and JSON reports and a summary. Only addresses in the
    inventory's scope are probed. `auditor plan` shows what would be sent.

    Exit codes: 0 as declared, 1 drift, 2 no verdict, 3 something could not be verified.

    \b
    Examples:
      auditor audit inventories/practice -V all
      auditor audit inventories/practice -V public --profile quick --host web-1
      auditor audit inventories/practice -V public --fail-on data-exposure --format json=drift.json
      auditor audit inventories/practice -V all --engine dask --scheduler tcp://127.0.0.1:8786
    """
    declared = denying(options.load_resolved(inventory_path), deny)
    chosen = options.pick_viewpoints(declared, viewpoints)

    def act(request: Request, context: Context, run: RunDir) -> Audit:
        sweeps = Sweeps(reports, lambda message: context.emit(Event("sweep", message, level="warning")))
        rotations = sweeps.rotations(declared.name, chosen, request.started_at)
        asked = replace(request, max_duration=max_duration, rotations=rotations)
        return signals.run(pipeline.audit(declared, chosen, asked, context, run, cluster=cluster))

    return judge(
        declared,
        Profile(profile),
        act,
        reports=reports,
        given={
            "deny": deny,
            "max_duration": max_duration and spelled(max_duration),
            **({"engine": "dask", "scheduler": cluster.scheduler} if cluster else {}),
        },
        **rest,
    )
