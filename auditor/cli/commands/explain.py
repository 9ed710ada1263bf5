"""`auditor explain`: what an id means that messages, lint and reports name."""

from __future__ import annotations

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.cli.style import Style


def _ids(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from auditor.cli.acts.explain import entries

    return [one.id for one in entries() if one.id.startswith(incomplete)]


@click.command("explain", cls=Command)
@click.argument("subject", metavar="[ID]", required=False, shell_complete=_ids)
@options.common
def command(*, subject: str | None, **_style: Style) -> int:
    """Tell what an id means: why it is there, what would be right.

    ID is what stands in brackets at the end of a message, a kind or a severity of a finding, or a class of services.
    Without it all of them are listed.

    Exit codes: 0 explained, 2 nothing is called so.

    \b
    Examples:
      auditor explain unknown-key
      auditor explain boundary-leak
      auditor explain
    """
    from auditor.cli.acts import explain

    return explain.run(subject)
