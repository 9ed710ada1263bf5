"""`auditor init`: a first inventory from what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from auditor.cli.commands import options
from auditor.cli.configuration import Command
from auditor.model.words import ViewpointKind


@click.command("init", cls=Command)
@click.option(
    "--nmap-xml",
    "scans",
    multiple=True,
    metavar="[VIEWPOINT=]FILE",
    help="nmap's XML output, plain or gzip, and the viewpoint it was made from; repeats.",
)
@click.option(
    "--listeners",
    multiple=True,
    metavar="[HOST=]FILE",
    help="What listens on a host, the output of `ss -H -tulnp` there; HOST is its name or an address; repeats.",
)
@click.option(
    "--addresses",
    "said",
    multiple=True,
    metavar="[HOST=]FILE",
    help="The addresses of a host, the output of `ip -j address` there; repeats.",
)
@click.option(
    "--host-address",
    "host_addresses",
    multiple=True,
    metavar="HOST=ADDRESS",
    help="An address of the HOST of a listeners file, where no file tells it; repeats.",
)
@click.option("--name", metavar="NAME", help="The inventory's name. Default: that of the output file, else `estate`.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ViewpointKind]),
    help="Where nmap looked from; `public` is untrusted. Default: as the viewpoint's name says, else public.",
)
@click.option("--viewpoint", metavar="NAME", help="The viewpoint's name. Default: its kind.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="[VIEWPOINT=]ADDRESS",
    help="The viewpoint's address that targets see; repeats, at most one a family.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Write there, never over a file. Default: stdout, as `-` is.",
)
@options.common
def command(**given: Any) -> int:
    """Draft a first inventory from nmap XML, listeners or both.

    From saved evidence: it sends no packet.

    Addresses become one host by what identifies it: a name, a hardware address of that host alone, and the addresses
    that it tells of itself. Services that said what they are, and are no risk, are declared; risky ones, and those that
    nothing but a port number tells, become TODO comments with their severity and class, for you to decide.

    Exit codes: 0 written, 2 not.

    \b
    Examples:
      auditor init --nmap-xml scan.xml -o inventory.yaml
      auditor init --nmap-xml public=outside.xml --nmap-xml internal=inside.xml
      auditor init --nmap-xml scan.xml --listeners web-1=web-1.txt --addresses web-1=web-1.json

    \b
    The evidence:
      nmap -n -sV -oX scan.xml 203.0.113.10
      ssh web-1 sudo ss -H -tulnp > web-1.txt
      ssh web-1 ip -j address > web-1.json
    """
    from auditor.cli.acts import init

    return init.run(**given)
