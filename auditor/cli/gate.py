"""`auditor gate`: what a change of the inventory does to exposure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor import pipeline
from auditor.cli import options
from auditor.cli.output import Style, summary
from auditor.errors import InventoryError, Problem, UsageError
from auditor.grade.gate import DEFAULT_FAIL_ON, GATE_FAIL_ON_WORDS
from auditor.inventory import absent, copied, load_with_places, revision
from auditor.model.change import Written
from auditor.report import GATE_FORMATS, gate_document


@click.command("gate")
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@click.option(
    "--fail-on",
    multiple=True,
    metavar="WORD",
    help=f"What exits 1: a severity (it and all above), or kinds (repeats), or none. Default: {DEFAULT_FAIL_ON}.",
)
@options.formats_of(GATE_FORMATS)
@options.common
def command(*, base: str, head: str, fail_on: tuple[str, ...], formats: tuple[str, ...], style: Style) -> int:
    """Tell what an inventory change opens, closes and audits less. Scans nothing.

    BASE and HEAD are inventories: paths, or git:REV:PATH for what the revision has at the path. A PATH that is absent
    there is an empty inventory.

    HEAD is judged by the stricter of both: a change cannot waive, trust or relabel what it opens itself.

    Exit codes: 0 nothing fails, 1 something is added, widened, weakened or against the policy at or above --fail-on,
    2 no verdict. What closes never fails.

    \b
    Examples:
      auditor gate git:origin/main:inventories/prod inventories/prod
      auditor gate git:HEAD:inventories/prod inventories/prod --fail-on none
      auditor gate old.yaml new.yaml --fail-on added --fail-on widened --format markdown=gate.md
    """
    words = fail_on or (DEFAULT_FAIL_ON,)
    options.check_fail_on(words, GATE_FAIL_ON_WORDS)
    wanted = options.parse_formats(formats, GATE_FORMATS.keys())
    before, after = _sides(base, head)
    gate = pipeline.gate((base, before), (head, after), words, datetime.now(UTC).date())
    document = gate_document(gate)
    elsewhere = None in wanted.values()
    if not elsewhere and (style.verbosity >= 0 or gate.verdict.exit_code):
        click.echo(summary(document, style), nl=False, color=True)  # click would strip it on a pipe, even asked for
    options.write_formats(document, wanted)
    return gate.verdict.exit_code


def _sides(base: str, head: str) -> tuple[Written, Written]:
    """Both inventories, or all that is wrong with either. Raises InventoryError and UsageError."""
    found: list[Written | None] = []
    problems: list[Problem] = []
    for text in (base, head):
        try:
            found.append(_load(text))
        except InventoryError as error:
            problems += error.problems
    if problems:
        raise InventoryError(problems)
    if found == [None, None]:
        raise UsageError(f"there is nothing to compare: neither {base} nor {head} exists; is the path right?")
    before, after = (side or Written(*absent(text)) for side, text in zip(found, (base, head), strict=True))
    return before, after


def _load(text: str) -> Written | None:
    """The inventory that an argument names; None where the revision has none at the path."""
    asked = revision(text)
    if asked is None:
        return Written(*load_with_places(Path(text)))
    with copied(asked) as path:
        return Written(*load_with_places(path, str(asked))) if path else None
