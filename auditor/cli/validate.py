"""`auditor validate`: whether an inventory can be used."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.output import Style
from auditor.inventory import load


@click.command("validate")
@options.inventory
@options.common
def command(*, inventory_path: Path, style: Style) -> int:
    """Check an inventory and list all that is wrong.

    INVENTORY is a file or a folder.

    Exit codes: 0 valid, 2 invalid.

    \b
    Example:
      auditor validate inventories/practice
    """
    declared = load(inventory_path)
    services = sum(len(host.services) for host in declared.hosts.values())
    if style.verbosity >= 0:
        click.echo(
            f"{declared.name}: valid: {_count(len(declared.hosts), 'host')}, {_count(services, 'service')}, "
            f"{_count(len(declared.viewpoints), 'viewpoint')} in {_count(len(declared.files), 'file')}"
        )
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
