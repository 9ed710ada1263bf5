"""The end of an audit: what follows its report, in an order in which whatever ends it midway costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from auditor.cli.acts import formats, resuming
from auditor.cli.acts.screen import summary
from auditor.cli.style import Style, say
from auditor.model.rotation import Rotation
from auditor.report.formats import FORMATS
from auditor.rundir.folder import RunDir
from auditor.sweeps import Sweeps


def write_down(run: RunDir, report: dict[str, Any], swept: Mapping[str, Rotation], warn: Callable[[str], None]) -> None:
    """The page, `latest`, and by viewpoint the slices that were swept; then the run is finished. Raises RunError.

    The report is in the folder already. All of this can be done again.
    """
    run.write("report.html", FORMATS["html"](report))
    if newer := run.publish(datetime.now(UTC)):
        warn(f"`latest` stays at {newer}, which began later")
    sweeps = Sweeps(run.path.parent, warn)
    for viewpoint, rotation in swept.items():
        sweeps.note(report["audit"]["inventory"]["name"], viewpoint, rotation)
    run.finish()


def tell(
    run: RunDir, report: dict[str, Any], viewpoints: Sequence[str], wanted: dict[str, Path | None], style: Style
) -> int:
    """Print the summary and where the report is, and write the formats that are wanted. The verdict's exit code."""
    code = int(report["verdict"]["exit_code"])
    elsewhere = None in wanted.values()
    quiet = style.verbosity < 0
    if not quiet or code != 0:
        if not elsewhere:
            shown = summary(report, style, brief=quiet, ends=True)
            click.echo(shown, nl=False, color=True)  # click would strip it on a pipe, even where asked for
        click.echo(f"\nReport: {run.path / 'report.html'}\n        {run.path / 'report.json'}", err=elsewhere)
        if resuming.unfinished(run, viewpoints):
            again = f"Parts of the scan failed or were cut short. To go on with them: {resuming.command_line(run)}"
            click.echo(again, err=elsewhere)
    formats.write_formats(report, wanted)
    return code


def end(run: RunDir, report: dict[str, Any], asked: resuming.Asked, given: Mapping[str, Any]) -> int:
    """Bring an audit to its end that something ended after its report was written. Nothing is asked, nor judged.

    `given` are the command's parameters.
    """
    style: Style = given["style"]
    wanted = formats.parse_formats(given["formats"])
    style.tell(
        f"all of {run.path} was asked and judged when it ended; what is missing beside its report is written now"
    )
    if any(asked.parameters.get(name, given[name]) != _plain(given[name]) for name in ("fail_on", "allow_unverified")):
        say("--fail-on and --allow-unverified change nothing any more: the verdict was given")
    swept = {name: rotation for name, rotation in asked.rotations.items() if name in run.done}
    with resuming.telling_how(run):
        write_down(run, report, swept, say)
    return tell(run, report, asked.parameters["viewpoints"], wanted, style)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
