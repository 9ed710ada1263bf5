"""`auditor doctor`: whether audits can run from here."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from auditor import pipeline
from auditor.cli import options, signals
from auditor.cli.output import Style, clean
from auditor.errors import UsageError
from auditor.transport import Cluster

INCOMPLETE = 3


@click.command("doctor")
@click.argument("inventory_path", metavar="[INVENTORY]", required=False, type=click.Path(path_type=Path))
@options.viewpoints
@options.engine
@options.common
def command(*, inventory_path: Path | None, viewpoints: tuple[str, ...], cluster: Cluster | None, style: Style) -> int:
    """Check whether audits can run from here.

    Looks for nmap and its version, privileges, IPv6, how many replies a second nmap can read there now, and each
    viewpoint's transport and source address. Without an inventory, this machine is checked. Sends no probe: what nmap
    can read is tried on the loopback interface of a namespace made for it.

    Exit codes: 0 all well or only warnings, 3 a check failed, 2 bad usage or a bad inventory.

    \b
    Examples:
      auditor doctor
      auditor doctor inventories/practice -V all
    """
    if cluster and not inventory_path:
        raise UsageError("--engine dask: name an inventory, whose viewpoints the workers stand in")
    declared = options.load_resolved(inventory_path) if inventory_path else None
    chosen = options.pick_viewpoints(declared, viewpoints or ("all",)) if declared else ()
    checks = signals.run(pipeline.checks(declared, chosen, cluster))
    console = style.console()
    for check in checks:
        mark = Text("FAILED", "bold red")
        if check.passed:
            mark = Text("warn  ", "yellow") if check.doubtful else Text("ok    ", "green")
        console.print(Text.assemble(mark, "  ", clean(f"{check.where}: {check.what}")), soft_wrap=True)
    return 0 if all(check.passed for check in checks) else INCOMPLETE
