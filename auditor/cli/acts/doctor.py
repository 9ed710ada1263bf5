"""`auditor doctor`: whether audits can run from here."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from auditor.cli import signals
from auditor.cli.acts import choosing, engines
from auditor.cli.acts.screen import console
from auditor.cli.style import Engine, Style, clean
from auditor.errors import UsageError
from auditor.pipeline import auditing

INCOMPLETE = 3


def run(*, inventory_path: Path | None, viewpoints: tuple[str, ...], engine: Engine, style: Style) -> int:
    cluster = engines.cluster(engine)
    if cluster and not inventory_path:
        raise UsageError("--engine dask: name an inventory, whose viewpoints the workers stand in")
    declared = choosing.load_resolved(inventory_path) if inventory_path else None
    chosen = choosing.pick_viewpoints(declared, viewpoints or ("all",)) if declared else ()
    checks = signals.run(auditing.checks(declared, chosen, cluster))
    screen = console(style)
    for check in checks:
        mark = Text("FAILED", "bold red")
        if check.passed:
            mark = Text("warn  ", "yellow") if check.doubtful else Text("ok    ", "green")
        screen.print(Text.assemble(mark, "  ", clean(f"{check.where}: {check.what}")), soft_wrap=True)
    return 0 if all(check.passed for check in checks) else INCOMPLETE
