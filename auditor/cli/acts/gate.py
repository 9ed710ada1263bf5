"""`auditor gate`: what a change of the inventory does to exposure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor.cli.acts import choosing
from auditor.cli.acts.formats import parse_formats, write_formats
from auditor.cli.acts.screen import summary
from auditor.cli.style import Style
from auditor.errors import InventoryError, Problem, UsageError
from auditor.grade.gate import GATE_FAIL_ON_WORDS
from auditor.inventory.loading import absent, load_with_places
from auditor.inventory.reading.moving import earlier
from auditor.inventory.reading.revisions import copied, revision
from auditor.model.change import Written
from auditor.model.words import DEFAULT_FAIL_ON
from auditor.pipeline import gating
from auditor.report.formats import GATE_FORMATS
from auditor.report.gate import gate_document


def run(*, base: str, head: str, fail_on: tuple[str, ...], new: bool, formats: tuple[str, ...], style: Style) -> int:
    words = fail_on or (DEFAULT_FAIL_ON,)
    choosing.check_fail_on(words, GATE_FAIL_ON_WORDS)
    wanted = parse_formats(formats, GATE_FORMATS.keys())
    (found, before), after = _sides(base, head, new=new)
    asked = base if base != found else None
    gate = gating.gate((found, before), (head, after), words, datetime.now(UTC).date(), asked=asked)
    document = gate_document(gate)
    elsewhere = None in wanted.values()
    if not elsewhere and (style.verbosity >= 0 or gate.verdict.exit_code):
        click.echo(summary(document, style), nl=False, color=True)  # click would strip it on a pipe, even asked for
    write_formats(document, wanted)
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
