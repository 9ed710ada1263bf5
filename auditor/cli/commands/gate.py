"""`auditor gate`: what a change of the inventory does to exposure."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.model.words import DEFAULT_FAIL_ON, GATE_FORMATS


@click.command("gate", cls=Command, found=False)
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
def command(**given: Any) -> int:
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
    from auditor.cli.acts import gate

    return gate.run(**given)
