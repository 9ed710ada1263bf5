"""`auditor plan`: what an audit would send."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from auditor.cli import signals
from auditor.cli.acts import choosing
from auditor.cli.style import Style, clean
from auditor.inventory.expecting.coverage import NOT_LOOKED_FOR
from auditor.pipeline import auditing
from auditor.rundir.rates import Borne, remembered
from auditor.scan.plan.estimate import estimate
from auditor.scan.plan.plan import Plan
from auditor.scan.plan.searching import Search


def run(*, discover: bool, style: Style, **chosen: Any) -> int:
    declared, expected = choosing.expecting(
        locate=lambda inventory, viewpoints: signals.run(auditing.locating(inventory, viewpoints)), **chosen
    )
    brief, now = style.verbosity < 0, datetime.now(UTC)
    searches = signals.run(auditing.searching(declared, [one.viewpoint for one in expected])) if discover else []
    rates = remembered()
    for plan in signals.run(auditing.planning(declared, expected)):
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
    if viewpoint.within:
        found = " and ".join(map(str, viewpoint.addresses)) or "none found"
        yield f"  source address: {found}, within {', '.join(map(str, viewpoint.within))} as declared"
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
