"""What `audit` and `compare` share: their options, the run's folder, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from types import MappingProxyType

import click

from auditor import rundir
from auditor.cli import options, resuming
from auditor.cli.output import Log, Style, clean, summary
from auditor.grade.verdict import FAIL_ON_WORDS
from auditor.model.audit import Audit
from auditor.model.context import Context
from auditor.model.inventory import Inventory
from auditor.model.words import Profile
from auditor.pipeline import Request
from auditor.report import FORMATS, document
from auditor.sweeps import Sweeps

_Judge = Callable[[Request, Context, rundir.RunDir], Audit]


_JUDGING = (
    options.hosts,
    options.tags,
    options.reports_dir,
    options.formats,
    click.option(
        "--fail-on",
        multiple=True,
        metavar="WORD",
        help="What exits 1: a severity (it and all above), or kinds (repeats), or none. Default: any finding.",
    ),
    click.option("--allow-unverified", is_flag=True, help="Exit 0 though something could not be verified."),
)


def now() -> datetime:
    """The time, UTC: the one place where an audit's clock is read."""
    return datetime.now(UTC)


def judging(command: Callable[..., int]) -> Callable[..., int]:
    """The options of commands that give a verdict."""
    judged = options.common(command)
    for option in reversed(_JUDGING):
        judged = option(judged)
    return judged


def judge(
    inventory: Inventory,
    profile: Profile,
    act: _Judge,
    *,
    resumed: resuming.Resumed | None = None,
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    reports: Path,
    formats: tuple[str, ...],
    fail_on: tuple[str, ...],
    allow_unverified: bool,
    style: Style,
    given: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Run `act` and write its reports; the exit code of its verdict.

    `given` are options of the command's own; `resumed` is an audit that goes on.
    """
    options.check_fail_on(fail_on, FAIL_ON_WORDS)
    wanted = options.parse_formats(formats)
    random = SystemRandom()
    if resumed is not None:
        resumed.run.resume(now())
    request = Request(
        id=resumed.asked.id if resumed else f"{random.getrandbits(128):032x}",
        started_at=resumed.asked.started_at if resumed else now(),
        resumed=resumed.run.resumed if resumed else (),
        profile=profile,
        hosts=hosts,
        tags=tags,
        fail_on=fail_on,
        allow_unverified=allow_unverified,
        options=_given(hosts=hosts, tags=tags, fail_on=fail_on, allow_unverified=allow_unverified, **given),
    )
    with Log(style) as log:
        run = resumed.run if resumed else rundir.RunDir(reports, inventory.name, request.id, request.started_at)
        with run.discarded_on_error(), resuming.telling_how(run):
            audit = act(request, Context(now, random, log.emit), run)
            report = document(audit)
            for name in ("json", "html"):
                run.write(f"report.{name}", FORMATS[name](report))
    run.publish()
    sweeps = Sweeps(reports, lambda message: click.echo(clean(f"auditor: {message}"), err=True))
    for comparison in audit.comparisons:
        if comparison.swept and comparison.rotation:
            sweeps.note(inventory.name, comparison.viewpoint.name, comparison.rotation)
    elsewhere = None in wanted.values()
    worth_a_mail = style.verbosity >= 0 or audit.verdict.exit_code != 0
    if not elsewhere and worth_a_mail:
        click.echo(summary(report, style), nl=False, color=True)  # click would strip it on a pipe, even where asked for
    if style.verbosity >= 0:
        click.echo(f"\nReport: {run.path / 'report.html'}\n        {run.path / 'report.json'}", err=elsewhere)
        if resuming.unfinished(run, [one.viewpoint.name for one in audit.comparisons]):
            again = f"Parts of the scan failed or were cut short. To go on with them: {resuming.command_line(run)}"
            click.echo(again, err=elsewhere)
    options.write_formats(report, wanted)
    return audit.verdict.exit_code


def _given(**given: object) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}
