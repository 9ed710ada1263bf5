"""`auditor plan`: what an audit would send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import click

from auditor import pipeline
from auditor.cli import options, signals
from auditor.cli.output import Style, clean
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory
from auditor.scan import Plan


@click.command("plan")
@options.expecting
def command(*, declared: Inventory, expected: list[Expectations], style: Style) -> int:
    """Show what an audit would probe, and send nothing.

    The commands, the number of probes and the estimated time; version probes follow from what is found open.

    Exit codes: 0 shown, 2 bad usage or a bad inventory.

    \b
    Example:
      auditor plan inventories/practice -V public
    """
    for plan in signals.run(pipeline.planning(declared, expected)):
        for line in _lines(plan, brief=style.verbosity < 0):
            click.echo(clean(line))
    for one in declared.unresolved:
        click.echo(clean(f"not resolved: {one}"))
    return 0


def _lines(plan: Plan, *, brief: bool) -> Iterator[str]:
    viewpoint = plan.viewpoint
    yield f"viewpoint {viewpoint.name} ({viewpoint.via}): {plan.expectations.profile}"
    if plan.problem:
        yield f"  cannot scan: {plan.problem}"
    yield (
        f"  about {plan.probes:,} probes, at most {timedelta(seconds=round(plan.seconds))} where nothing answers, "
        f"{viewpoint.rate:,} packets a second, {plan.abilities.technique} scan; "
        "then pings of silent addresses and version probes"
    )
    for reason in sorted({failure.reason for failure in plan.refused}):
        addresses = [str(failure.address) for failure in plan.refused if failure.reason == reason]
        yield f"  not asked: {reason}: {', '.join(addresses)}"
    for left in plan.expectations.left_out:
        yield f"  left out: {left.what}: {left.reason}"
    if not brief:
        for job in plan.jobs:
            yield f"  # {job.purpose}: {job.probes:,} probes, about {round(job.seconds)} s"
            yield f"  {job.command}"
