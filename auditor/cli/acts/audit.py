"""`auditor audit`: look from viewpoints and compare with the inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from auditor.cli import signals
from auditor.cli.acts import choosing, ending, engines, resuming
from auditor.cli.acts.judged import judge
from auditor.cli.style import Engine, Style, say
from auditor.inventory.expecting.denying import denying
from auditor.model.ages import spelled
from auditor.model.audit import Audit
from auditor.model.context import Context, Event
from auditor.model.inventory import ClusterVia, Viewpoint
from auditor.model.rotation import Rotation
from auditor.model.words import Profile
from auditor.pipeline import auditing
from auditor.pipeline.judging import Request
from auditor.rundir.folder import RunDir
from auditor.rundir.rates import Borne, remember
from auditor.sweeps import Sweeps
from auditor.transport.alone import alone

_OWN = ("viewpoints", "profile", "discover", "deny")  # what `judge` does not take


def run(
    click_context: click.Context,
    /,
    *,
    inventory_path: Path | None,
    resume: Path | None,
    max_duration: timedelta | None,
    engine: Engine,
    wait: bool,
    reports: Path,
    **options_given: Any,
) -> int:
    cluster = engines.cluster(engine)
    resumed = None if resume is None else resuming.reopen(resume, reports)
    asked = None if resumed is None else resumed.asked
    path = inventory_path or (None if asked is None else asked.path)
    if path is None:
        raise click.MissingParameter(param=_inventory(click_context))
    given = options_given if asked is None else resuming.parameters(click_context, options_given, asked)
    if resumed is not None and resumed.report is not None:
        return ending.end(resumed.run, resumed.report, resumed.asked, given)
    declared = denying(choosing.load_resolved(path), given["deny"])
    chosen = choosing.pick_viewpoints(declared, given["viewpoints"])
    who = "dask" if cluster else "local"
    parameters = {**given, "viewpoints": tuple(viewpoint.name for viewpoint in chosen), "engine": who}
    if asked is not None:
        asked.check(declared, path, parameters["viewpoints"], who)
    folder = reports if resumed is None else resumed.run.path.parent

    def act(request: Request, context: Context, run: RunDir) -> Audit:
        rotations: Mapping[str, Rotation]
        if asked is None:
            sweeps = Sweeps(folder, lambda message: context.emit(Event("sweep", message, level="warning")))
            with sweeps.choosing():
                rotations = sweeps.rotations(declared.name, chosen, request.started_at)
                begun = resuming.Asked.of(path, declared, request, parameters, rotations)
                run.begin(begun.document())
        else:
            begun, rotations = asked, asked.rotations
            resuming.tell(run, context.emit)

        def stands(viewpoints: Sequence[Viewpoint]) -> None:
            found = resuming.standing(viewpoints)
            resuming.check_sources(begun, found)
            if found != begun.sources:
                run.note(replace(begun, sources=found).document())

        wanted = replace(request, discover=given["discover"], max_duration=max_duration, wait=wait, rotations=rotations)
        audit = signals.run(auditing.audit(declared, chosen, wanted, context, run, cluster=cluster, stands=stands))
        tried = [(one.viewpoint, one.scan.bears) for one in audit.comparisons]
        at = context.now().isoformat(timespec="minutes")
        remember({str(one.via): Borne(borne, one.rate, at) for one, borne in tried if borne is not None})
        return audit

    style: Style = given["style"]
    held = alone(
        {one.name: ClusterVia(one.name, cluster.scheduler) if cluster else one.via for one in chosen},
        declared.name,
        wait=wait,
        tell=style.tell,
        warn=say,
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
            **({"engine": who, "scheduler": cluster.scheduler} if cluster else {}),
        },
        **{name: value for name, value in given.items() if name not in _OWN},
    )


def _inventory(context: click.Context) -> click.Parameter:
    return next(one for one in context.command.params if one.name == "inventory_path")
