"""`auditor render`: any format from a stored report."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli import options
from auditor.cli.output import Style, summary
from auditor.report import FORMATS, GATE_FORMATS, is_gate, read


@click.command("render")
@click.argument("report", type=click.Path(path_type=Path), metavar="REPORT.json")
@options.formats_of(dict.fromkeys([*FORMATS, *GATE_FORMATS]))
@options.common
def command(*, report: Path, formats: tuple[str, ...], style: Style) -> int:
    """Write a stored report again in another format. The default is the summary, as text.

    REPORT.json is what an audit or a gate wrote; a gate has no page, and is the only one to have GitHub's annotations.

    Exit codes: 0 written, 2 not. A stored verdict is shown, not given again.

    \b
    Examples:
      auditor render reports/latest/report.json
      auditor render reports/latest/report.json --format html=report.html
    """
    document = read(report)
    wanted = options.parse_formats(formats or ("text",), (GATE_FORMATS if is_gate(document) else FORMATS).keys())
    if "text" in wanted and wanted["text"] is None:
        wanted.pop("text")
        click.echo(
            summary(document, style), nl=False, color=True
        )  # click would strip it on a pipe, even where asked for
    options.write_formats(document, wanted)
    return 0
