"""`auditor compare`: the same verdict from saved evidence."""

from __future__ import annotations

from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.cli.duration import age


@click.command("compare", cls=Command)
@options.inventory
@click.option(
    "--nmap-xml",
    "files",
    multiple=True,
    required=True,
    metavar="[VIEWPOINT=]FILE",
    help="nmap's XML output, plain or gzip, and the viewpoint it was made from; repeats.",
)
@click.option(
    "--max-age",
    callback=age,
    default="30d",
    show_default=True,
    metavar="DURATION",
    help="What was seen longer ago, such as 7d, is unverified; any: whatever its age.",
)
@options.judging
def command(**given: Any) -> int:
    """Compare saved nmap XML with the inventory. Sends no packet.

    The coverage is what the files asked, and every declared endpoint in the viewpoint's targets. The source address is
    taken as declared. DNS names that nmap was given stand for where they led then; others are looked up. Of looks at
    one endpoint the younger reply decides. An answer that was followed by silence, and looks of one time that
    contradict each other, are unverified.

    Exit codes: 0 as declared, 1 drift, 2 no verdict, 3 something could not be verified.

    \b
    Example:
      auditor compare inventories/practice --nmap-xml public=scan4.xml --nmap-xml public=scan6.xml
    """
    from auditor.cli.acts import compare

    return compare.run(**given)
