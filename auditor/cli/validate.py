"""`auditor validate`: whether an inventory can be used, keeps its policy, and says what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.output import Style
from auditor.errors import InventoryError
from auditor.model.lint import Validation
from auditor.pipeline import validate
from auditor.report import to_json
from auditor.report.validation import breach_lines, invalid, lint_lines, summary_lines, validation


@click.command("validate")
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
def command(*, inventory_path: Path, strict: bool, form: str, style: Style) -> int:
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
    try:
        found = validate(inventory_path, datetime.now(UTC).date())
    except InventoryError as error:
        if form == "json":
            click.echo(to_json(invalid(error.problems)), nl=False)
            return 2
        raise
    code = 1 if found.breaches or (strict and found.lint) else 0
    if form == "json":
        click.echo(to_json(validation(found)), nl=False)
    elif code or style.verbosity >= 0:
        _print(found, style)
    return code


def _print(found: Validation, style: Style) -> None:
    def say(lines: Iterable[str], color: str = "") -> None:
        for line in lines:
            click.echo(click.style(line, fg=color) if color else line, color=style.forced_color)

    say(breach_lines(found), "red")
    say(lint_lines(found), "yellow")
    say(summary_lines(found))
