"""`auditor schema`: the JSON schemas of what the program reads and writes."""

from __future__ import annotations

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.cli.style import Style

NAMES = ("inventory", "report", "expect", "gate")


@click.command("schema", cls=Command)
@click.argument("name", type=click.Choice(NAMES), default=NAMES[0])
@options.common
def command(*, name: str, **_style: Style) -> int:
    """Print a JSON schema: of inventories, or of what a command writes as JSON.

    Exit codes: 0 printed, 2 bad usage.

    \b
    Examples:
      auditor schema > inventory.schema.json     # for editors
      auditor schema report | jq '.properties | keys'
    """
    from auditor.resources import schema_text

    click.echo(schema_text(name), nl=False)
    return 0
