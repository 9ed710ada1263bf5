"""`auditor validate`: whether an inventory can be used, keeps its policy, and says what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.cli.style import Style
from auditor.errors import InventoryError
from auditor.model.lint import Validation
from auditor.pipeline.validating import validate
from auditor.report.plain import to_json
from auditor.report.validation import breach_lines, invalid, lint_lines, summary_lines, validation


def run(*, inventory_path: Path, strict: bool, form: str, style: Style) -> int:
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
