"""`auditor demo`: the practice estate, audited for real."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command


@click.command("demo", cls=Command)
@click.option("--repaired", is_flag=True, help="The same estate with its five mistakes put right.")
@options.reports_dir
@options.common
def command(**given: Any) -> int:
    """Audit a practice estate that has five mistakes.

    Real nmap, packet filters, a router and three viewpoints, in network namespaces of this machine that nothing can
    leave. Works as root and, where user namespaces are allowed, as anyone; else the same servers listen on
    127.20.0.0/16 meanwhile. Only the report stays behind. It takes a minute or two.

    Exit codes: 0 the audit ended as it should, 2 it did not, or something is missing here.

    \b
    Examples:
      auditor demo
      auditor demo --repaired -o /tmp/reports
    """
    from auditor.cli.acts import demo

    return demo.run(**given)
