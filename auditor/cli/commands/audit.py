"""`auditor audit`: look from viewpoints and compare with the inventory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.cli.duration import duration


@click.command("audit", cls=Command)
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
@options.judging
@click.pass_context
def command(click_context: click.Context, /, **given: Any) -> int:
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
    from auditor.cli.acts import audit

    return audit.run(click_context, **given)
