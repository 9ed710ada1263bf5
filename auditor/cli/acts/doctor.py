"""`auditor doctor`: whether audits can run from here."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from auditor.cli import signals
from auditor.cli.acts import choosing, engines
from auditor.cli.acts.screen import console
from auditor.cli.configuration import Setting, held
from auditor.cli.style import Engine, Style, clean
from auditor.errors import UsageError
from auditor.pipeline import auditing

INCOMPLETE = 3


def run(
    context: click.Context,
    /,
    *,
    inventory_path: Path | None,
    viewpoints: tuple[str, ...],
    engine: Engine,
    style: Style,
) -> int:
    cluster = engines.cluster(engine)
    if cluster and not inventory_path:
        raise UsageError("--engine dask: name an inventory, whose viewpoints the workers stand in")
    declared = choosing.load_resolved(inventory_path) if inventory_path else None
    chosen = choosing.pick_viewpoints(declared, viewpoints or ("all",)) if declared else ()
    checks = signals.run(auditing.checks(declared, chosen, cluster))
    screen = console(style)
    for name, setting in held(context, inventory_path):
        screen.print(Text(clean(f"config  {_told(name, setting)}")), soft_wrap=True)
    for check in checks:
        mark = Text("FAILED", "bold red")
        if check.passed:
            mark = Text("warn  ", "yellow") if check.doubtful else Text("ok    ", "green")
        screen.print(Text.assemble(mark, "  ", clean(f"{check.where}: {check.what}")), soft_wrap=True)
    return 0 if all(check.passed for check in checks) else INCOMPLETE


def _told(command: str, setting: Setting) -> str:
    """Such as `audit --fail-on data-exposure  (inventories/auditor.toml)`, as one would type it."""
    option, values = setting.option, setting.value if isinstance(setting.value, list) else [setting.value]
    flag = max(option.opts, key=len)
    words = [flag if value is True else f"{flag} {value}" for value in values if value is not False]
    return f"{command} {' '.join(words) or f'no {flag}'}  ({setting.source})"
