"""`auditor render`: any format from a stored report."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.output import Style, summary
from auditor.report import read


@click.command("render")
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT.json")
@options.formats
@options.common
def command(*, report: Path, formats: tuple[str, ...], style: Style) -> int:
    """Write a stored report again in another format. The default is the summary, as text.

    Exit codes: 0 written, 2 not. A stored verdict is shown, not given again.

    \b
    Examples:
      auditor render reports/latest/report.json
      auditor render reports/latest/report.json --format html=report.html
    """
    wanted = options.parse_formats(formats or ("text",))
    document = read(report)
    if "text" in wanted and wanted["text"] is None:
        wanted.pop("text")
        click.echo(
            summary(document, style), nl=False, color=True
        )  # click would strip it on a pipe, even where asked for
    options.write_formats(document, wanted)
    return 0
