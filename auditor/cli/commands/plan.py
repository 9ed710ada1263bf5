"""`auditor plan`: what an audit would send."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command


@click.command("plan", cls=Command)
@options.expecting
@options.discover
def command(**given: Any) -> int:
    """Show what an audit would probe, and send nothing.

    The commands, the number of probes and the estimated time, with all limits.

    Exit codes: 0 shown, 2 bad usage or a bad inventory.

    \b
    Examples:
      auditor plan inventories/practice -V public
      auditor plan inventories/practice -V internal --discover
    """
    from auditor.cli.acts import plan

    return plan.run(**given)
