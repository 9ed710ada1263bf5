"""`auditor render`: any format from a stored report."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.cli.acts.formats import parse_formats, write_formats
from auditor.cli.acts.screen import summary
from auditor.cli.style import Style
from auditor.report.facts import is_gate
from auditor.report.formats import FORMATS, GATE_FORMATS
from auditor.report.stored import read


def run(*, report: Path, formats: tuple[str, ...], style: Style) -> int:
    document = read(report)
    wanted = parse_formats(formats or ("text",), (GATE_FORMATS if is_gate(document) else FORMATS).keys())
    if "text" in wanted and wanted["text"] is None:
        wanted.pop("text")
        click.echo(
            summary(document, style), nl=False, color=True
        )  # click would strip it on a pipe, even where asked for
    write_formats(document, wanted)
    return 0
