"""`auditor render`: any format from a stored report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.model.words import FORMATS, GATE_FORMATS


@click.command("render", cls=Command)
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT.json")
@options.formats_of(dict.fromkeys([*FORMATS, *GATE_FORMATS]))
@options.common
def command(**given: Any) -> int:
    """Write a stored report again in another format. The default is the summary, as text.

    REPORT.json is what an audit or a gate wrote; a gate has no page, and is the only one to have GitHub's annotations.

    Exit codes: 0 written, 2 not. A stored verdict is shown, not given again.

    \b
    Examples:
      auditor render reports/latest/report.json
      auditor render reports/latest/report.json --format html=report.html
    """
    from auditor.cli.acts import render

    return render.run(**given)
