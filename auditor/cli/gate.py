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
from auditor.inventory import absent, copied, earlier, load_with_places, revision
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
@click.option(
    "--new",
    is_flag=True,
    help="BASE may be absent: HEAD is compared with nothing, unless git or its name tell where it was.",
)
@options.formats_of(GATE_FORMATS)
@options.common
def command(
    *, base: str, head: str, fail_on: tuple[str, ...], new: bool, formats: tuple[str, ...], style: Style
) -> int:
    """Tell what an inventory change opens, closes and audits less. Scans nothing.

    BASE and HEAD are inventories: paths, or git:REV:PATH for what the revision has at the path. Where it has none, and
    the change moved an inventory to HEAD, that one is compared; else --new must say that there was none. A HEAD that
    is absent at its revision is one that is gone.

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
    (found, before), after = _sides(base, head, new=new)
    asked = base if base != found else None
    gate = pipeline.gate((found, before), (head, after), words, datetime.now(UTC).date(), asked=asked)
    document = gate_document(gate)
    elsewhere = None in wanted.values()
    if not elsewhere and (style.verbosity >= 0 or gate.verdict.exit_code):
        click.echo(summary(document, style), nl=False, color=True)  # click would strip it on a pipe, even asked for
    options.write_formats(document, wanted)
    return gate.verdict.exit_code


def _sides(base: str, head: str, *, new: bool) -> tuple[tuple[str, Written], Written]:
    """BASE, with where it was found, and HEAD; or all that is wrong with either.

    Raises InventoryError and UsageError.
    """
    found: list[Written | None] = []
    problems: list[Problem] = []
    for load, text in ((_load_base, base), (_load, head)):
        try:
            found.append(load(text))
        except InventoryError as error:
            problems += error.problems
    if problems:
        raise InventoryError(problems)
    before, after = found
    if before is None and after is None:
        raise UsageError(f"there is nothing to compare: neither {base} nor {head} exists; is the path right?")
    if before is None and after is not None and (moved := _moved(base, head, after, new=new)):
        base, before = moved, _load(moved)
    return (base, before or Written(*absent(base))), after or Written(*absent(head))


def _moved(base: str, head: str, after: Written, *, new: bool) -> str | None:
    """Where the inventory was that is HEAD now and was not at BASE; None where it is new.

    Raises InventoryError and UsageError.
    """
    asked, moved, error = revision(base), None, None
    try:
        moved = earlier(asked, revision(head) or Path(head), after.inventory.name) if asked else None
    except UsageError as wrong:
        error = wrong
    if moved is None and not new:
        _load(base)  # says more where something is there
        error = error or UsageError(
            f"{base}: there is no inventory; is the path right? Where it is new, say so by --new"
        )
    if error:
        raise error
    return str(moved) if moved else None


def _load_base(text: str) -> Written | None:
    """What BASE names, which may be elsewhere or new: None where no file of an inventory is there."""
    asked = revision(text)
    if asked is None:
        return _load(text) if Path(text).exists() else None
    with copied(asked, may_be_elsewhere=True) as path:
        return Written(*load_with_places(path, str(asked))) if path else None


def _load(text: str) -> Written | None:
    """The inventory that an argument names; None where the revision has none at the path."""
    asked = revision(text)
    if asked is None:
        return Written(*load_with_places(Path(text)))
    with copied(asked) as path:
        return Written(*load_with_places(path, str(asked))) if path else None
