"""`auditor expect`: what should be reachable from a viewpoint, and why."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.model.words import EXPECT_FORMATS


@click.command("expect", cls=Command)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *EXPECT_FORMATS]),
    default="table",
    show_default=True,
    help="table: what should be reachable; json, csv: what should be blocked too, ports with one reason together.",
)
@options.expecting
def command(**given: Any) -> int:
    """List what should be reachable from a viewpoint, and why. Sends no probe.

    Exit codes: 0 listed, 2 bad usage or a bad inventory.

    \b
    Examples:
      auditor expect inventories/practice -V public
      auditor expect inventories/practice -V all --format csv > expected.csv
      auditor expect inventories/practice -V public --host web-1 --format json
    """
    from auditor.cli.acts import expect

    return expect.run(**given)
