"""`auditor plan`: what an audit would send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import click

from auditor import pipeline
from auditor.cli import options, signals
from auditor.cli.output import Style, clean
from auditor.inventory import NOT_LOOKED_FOR
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory
from auditor.rundir import Borne, remembered
from auditor.scan import Plan, Search, estimate


@click.command("plan")
@options.expecting
@options.discover
def command(*, declared: Inventory, expected: list[Expectations], discover: bool, style: Style) -> int:
    """Show what an audit would probe, and send nothing.

    The commands, the number of probes and the estimated time, with all limits.

    Exit codes: 0 shown, 2 bad usage or a bad inventory.

    \b
    Examples:
      auditor plan inventories/practice -V public
      auditor plan inventories/practice -V internal --discover
    """
    brief, now = style.verbosity < 0, datetime.now(UTC)
    searches = signals.run(pipeline.searching(declared, [one.viewpoint for one in expected])) if discover else []
    rates = remembered()
    for plan in signals.run(pipeline.planning(declared, expected)):
        borne = rates.get(str(plan.viewpoint.via))
        for line in _lines(plan, now, borne, discover=discover, brief=brief):
            click.echo(clean(line))
        for search in (one for one in searches if one.viewpoint is plan.viewpoint):
            for line in _search_lines(search, brief=brief):
                click.echo(clean(line))
    for one in declared.unresolved:
        click.echo(clean(f"not resolved: {one}"))
    return 0


def _lines(plan: Plan, now: datetime, borne: Borne | None, *, discover: bool, brief: bool) -> Iterator[str]:
    viewpoint = plan.viewpoint
    yield f"viewpoint {viewpoint.name} ({viewpoint.via}): {plan.expectations.profile}"
    if plan.problem:
        yield f"  cannot scan: {plan.problem}"
    yield from (f"  {line}" for line in estimate(plan, now))
    if borne is not None:
        yield (
            f"  nmap could read {borne.rate:,} replies a second there when that was last tried, of {borne.tried:,} "
            f"({borne.at}); an audit tries again and sweeps no faster"
        )
    for reason in sorted({failure.reason for failure in plan.refused}):
        addresses = [str(failure.address) for failure in plan.refused if failure.reason == reason]
        yield f"  not asked: {reason}: {', '.join(addresses)}"
    for left in plan.expectations.left_out:
        if discover and left.reason == NOT_LOOKED_FOR:
            continue
        yield f"  left out: {left.what}: {left.reason}"
    if not brief:
        for job in plan.jobs:
            yield f"  # {job.purpose}: {job.probes:,} probes, about {round(job.seconds)} s"
            yield f"  {job.command}"


def _search_lines(search: Search, *, brief: bool) -> Iterator[str]:
    asked = sum(sweep.asked for sweep in search.sweeps)
    yield (
        f"  before that, a search for addresses that no host declares: {asked:,} addresses, about {search.probes:,} "
        f"probes, at most {timedelta(seconds=round(search.seconds))}; then the same audit of what it finds, not counted"
    )
    if search.problem:
        yield f"  cannot search: {search.problem}"
    for left in search.left_out:
        yield f"  left out: {left.what}: {left.reason}"
    if not brief:
        for line in search.commands:
            yield "  # search"
            yield f"  {line}"
