"""`auditor doctor`: whether audits can run from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command


@click.command("doctor", cls=Command)
@click.argument("inventory_path", metavar="[INVENTORY]", required=False, type=click.Path(path_type=Path))
@options.viewpoints
@options.engine
@options.common
@click.pass_context
def command(context: click.Context, /, **given: Any) -> int:
    """Check whether audits can run from here.

    Looks for nmap and its version, privileges, IPv6, how many replies a second nmap can read there now, and each
    viewpoint's transport and source address. Without an inventory, this machine is checked. Sends no probe: what nmap
    can read is tried on the loopback interface of a namespace made for it. Tells which defaults hold for the options of
    all commands, and from which file or variable they are.

    Exit codes: 0 all well or only warnings, 3 a check failed, 2 bad usage or a bad inventory.

    \b
    Examples:
      auditor doctor
      auditor doctor inventories/practice -V all
    """
    from auditor.cli.acts import doctor

    return doctor.run(context, **given)
