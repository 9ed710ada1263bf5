"""`auditor validate`: whether an inventory can be used, keeps its policy, and says what was probably meant."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command


@click.command("validate", cls=Command)
@options.inventory
@click.option("--strict", is_flag=True, help="Exit 1 on any lint too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text: one line each, as compilers write them; json: all of it, with fingerprints and reasons.",
)
@options.common
def command(**given: Any) -> int:
    """Check an inventory: errors, breaches of its policy, lint.

    INVENTORY is a file or a folder. Lint is what is valid and probably not meant. Each line is
    `file:line:column: path: message [rule]`; the last ones say what the viewpoints see of the inventory.

    Exit codes: 0 valid, 1 a breach of the policy (with --strict any lint too), 2 invalid.

    \b
    Examples:
      auditor validate inventories/practice
      auditor validate inventories/estate --strict -q          # for CI: prints nothing where all is well
      auditor validate inventories/practice --format json | jq '.lint[] | .rule'
    """
    from auditor.cli.acts import validate

    return validate.run(**given)
