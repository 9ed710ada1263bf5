"""`auditor audit`: look from viewpoints and compare with the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from auditor import pipeline
from auditor.cli import ending, options, resuming, signals
from auditor.cli.duration import duration
from auditor.cli.judged import judge, judging
from auditor.cli.output import Style, clean
from auditor.inventory import denying
from auditor.model.ages import spelled
from auditor.model.audit import Audit
from auditor.model.context import Context, Event
from auditor.model.inventory import ClusterVia
from auditor.model.rotation import Rotation
from auditor.model.words import Profile
from auditor.pipeline import Request
from auditor.rundir import Borne, RunDir, remember
from auditor.sweeps import Sweeps
from auditor.transport import Cluster, alone

_OWN = ("viewpoints", "profile", "discover", "deny")  # what `judge` does not take


@click.command("audit")
@click.argument("inventory_path", metavar="INVENTORY", type=click.Path(path_type=Path), required=False)
@options.viewpoints
@options.profile
@options.discover
@options.deny
@click.option(
    "--max-duration",
    callback=duration,
    metavar="DURATION",
    help="End after so long, such as 90m, and report what was looked at by then. 0s sends nothing.",
)
@options.engine
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Go on with an audit that was interrupted: its folder, or the name of that in DIR. INVENTORY may be left out.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait for the end of other audits from the same viewpoints. Without it they are a reason to exit 2.",
)
@judging
@click.pass_context
def command(
    click_context: click.Context,
    /,
    *,
    inventory_path: Path | None,
    resume: Path | None,
    max_duration: timedelta | None,
    cluster: Cluster | None,
    wait: bool,
    reports: Path,
    **options_given: Any,
) -> int:
    """Look from viewpoints, compare, write reports.

    Scans with nmap, compares with the inventory, and writes HTML and JSON reports and a summary. Only addresses in the
    inventory's scope are probed. `auditor plan` shows what would be sent.

    Exit codes: 0 as declared, 1 drift, 2 no verdict, 3 something could not be verified.

    \b
    Examples:
      auditor audit inventories/practice -V all
      auditor audit inventories/practice -V public --profile quick --host web-1
      auditor audit inventories/practice -V internal --discover
      auditor audit inventories/practice -V public --fail-on data-exposure --format json=drift.json
      auditor audit inventories/practice -V all --engine dask --scheduler tcp://127.0.0.1:8786
      auditor audit inventories/practice -V public --wait
      auditor audit --resume reports/20260101T020000Z-practice-0123abcd
    """
    resumed = None if resume is None else resuming.reopen(resume, reports)
    asked = None if resumed is None else resumed.asked
    path = inventory_path or (None if asked is None else asked.path)
    if path is None:
        raise click.MissingParameter(param=_inventory(click_context))
    given = options_given if asked is None else resuming.parameters(click_context, options_given, asked)
    if resumed is not None and resumed.report is not None:
        return ending.end(resumed.run, resumed.report, resumed.asked, given)
    declared = denying(options.load_resolved(path), given["deny"])
    chosen = options.pick_viewpoints(declared, given["viewpoints"])
    engine = "dask" if cluster else "local"
    parameters = {**given, "viewpoints": tuple(viewpoint.name for viewpoint in chosen), "engine": engine}
    if asked is not None:
        asked.check(declared, path, parameters["viewpoints"], engine)
    folder = reports if resumed is None else resumed.run.path.parent

    def act(request: Request, context: Context, run: RunDir) -> Audit:
        rotations: Mapping[str, Rotation]
        if asked is None:
            sweeps = Sweeps(folder, lambda message: context.emit(Event("sweep", message, level="warning")))
            with sweeps.choosing():
                rotations = sweeps.rotations(declared.name, chosen, request.started_at)
                run.begin(resuming.Asked.of(path, declared, request, parameters, rotations).document())
        else:
            rotations = asked.rotations
            resuming.tell(run, context.emit)
        wanted = replace(request, discover=given["discover"], max_duration=max_duration, wait=wait, rotations=rotations)
        audit = signals.run(pipeline.audit(declared, chosen, wanted, context, run, cluster=cluster))
        tried = [(one.viewpoint, one.scan.bears) for one in audit.comparisons]
        at = context.now().isoformat(timespec="minutes")
        remember({str(one.via): Borne(borne, one.rate, at) for one, borne in tried if borne is not None})
        return audit

    style: Style = given["style"]
    held = alone(
        {one.name: ClusterVia(one.name, cluster.scheduler) if cluster else one.via for one in chosen},
        declared.name,
        wait=wait,
        tell=lambda message: _say(message) if style.verbosity >= 0 else None,
        warn=_say,
    )
    return judge(
        declared,
        Profile(given["profile"]),
        act,
        resumed=resumed,
        reports=folder,
        held=held,
        given={
            "deny": given["deny"],
            "discover": given["discover"],
            "max_duration": max_duration and spelled(max_duration),
            **({"engine": engine, "scheduler": cluster.scheduler} if cluster else {}),
        },
        **{name: value for name, value in given.items() if name not in _OWN},
    )


def _say(message: str) -> None:
    click.echo(clean(f"auditor: {message}"), err=True)


def _inventory(context: click.Context) -> click.Parameter:
    return next(one for one in context.command.params if one.name == "inventory_path")
