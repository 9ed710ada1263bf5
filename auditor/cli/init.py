"""`auditor init`: a first inventory from what was seen."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import click

from auditor import pipeline
from auditor.cli import options
from auditor.cli.output import Style
from auditor.errors import UsageError
from auditor.inventory import Wanted, fit_name, usable
from auditor.model.words import Address, Family, ViewpointKind
from auditor.rundir import write_new


@click.command("init")
@click.option(
    "--nmap-xml",
    "scans",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="nmap's XML output, plain or gzip; repeats.",
)
@click.option(
    "--listeners",
    multiple=True,
    metavar="[HOST=]FILE",
    help="What listens on a host, the output of `ss -H -tulnp` there; HOST is its name or an address; repeats.",
)
@click.option(
    "--host-address",
    "host_addresses",
    multiple=True,
    metavar="HOST=ADDRESS",
    help="An address of the HOST of a listeners file, where nothing else tells it; repeats.",
)
@click.option("--name", metavar="NAME", help="The inventory's name. Default: that of the output file, else `estate`.")
@click.option(
    "--kind",
    type=click.Choice([kind.value for kind in ViewpointKind]),
    default=ViewpointKind.PUBLIC.value,
    show_default=True,
    help="Where nmap looked from; `public` is untrusted.",
)
@click.option("--viewpoint", metavar="NAME", help="The viewpoint's name. Default: its kind.")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="The viewpoint's address that targets see; repeats, at most one a family.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there, never over a file. Default: stdout.",
)
@options.common
def command(
    *,
    scans: tuple[Path, ...],
    listeners: tuple[str, ...],
    host_addresses: tuple[str, ...],
    name: str | None,
    kind: str,
    viewpoint: str | None,
    addresses: tuple[str, ...],
    output: Path | None,
    style: Style,
) -> int:
    """Draft a first inventory from nmap XML, listeners or both.

    From saved evidence: it sends no packet.

    Addresses with one name or hardware address become one host. Services that said what they are, and are no risk, are
    declared; risky ones, and those that nothing but a port number tells, become TODO comments with their severity and
    class, for you to decide.

    Exit codes: 0 written, 2 not.

    \b
    Examples:
      auditor init --nmap-xml scan.xml -o inventory.yaml
      auditor init --nmap-xml scan.xml --listeners web-1=web-1.txt --kind internal
      auditor init --listeners web-1=web-1.txt --host-address web-1=203.0.113.10

    \b
    The evidence:
      nmap -n -sV -oX scan.xml 203.0.113.10
      ssh web-1 sudo ss -H -tulnp > web-1.txt
    """
    if not scans and not listeners:
        raise UsageError("nothing to draft from: give --nmap-xml FILE, or --listeners HOST=FILE, or both")
    wanted = Wanted(
        name=_name("--name", name) or (fit_name(output.stem) if output else "estate"),
        viewpoint=_name("--viewpoint", viewpoint) or kind,
        kind=ViewpointKind(kind),
        addresses=_viewpoint_addresses(addresses),
        host_addresses=_host_addresses(host_addresses),
    )
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already, and is never overwritten; choose another name, or move it away")
    drafted = pipeline.first_inventory(scans, _listeners(listeners), wanted)
    if output is None:
        click.echo(drafted.text, nl=False)
    else:
        write_new(output, drafted.text)
    if style.verbosity >= 0:
        told = f"hosts: {drafted.hosts}, services declared: {drafted.services}, left as TODO: {drafted.todo}"
        click.echo(f"auditor: {output or 'drafted'}: {told}", err=True)
    return 0


def _name(option: str, text: str | None) -> str | None:
    """The text, where it can be a name of the inventory as it stands. Raises UsageError."""
    if text is not None and fit_name(text) != text:
        rule = "letters, digits, `.`, `_` and `-`, at most 63, no address and no word with a meaning of its own"
        raise UsageError(f"{option} {text}: this cannot be a name; a name has {rule}")
    return text


def _address(option: str, text: str) -> Address:
    if "%" in text:
        raise UsageError(f"{option} {text}: an address has no zone here; write it without `%` and what follows")
    try:
        address = ip_address(text)
    except ValueError:
        raise UsageError(f"{option} {text}: this is not an IPv4 or IPv6 address") from None
    if not usable(address):
        raise UsageError(f"{option} {text}: this is no address that a machine can have")
    return address


def _viewpoint_addresses(texts: Sequence[str]) -> tuple[Address, ...]:
    found: dict[Family, Address] = {}
    for text in texts:
        address = _address("--address", text)
        if found.setdefault(Family.of(address), address) != address:
            first = found[Family.of(address)]
            raise UsageError(f"--address {text}: a viewpoint has at most one address of a family, and {first} is one")
    return tuple(found.values())


def _host_addresses(items: Sequence[str]) -> dict[str, list[Address]]:
    found: dict[str, list[Address]] = {}
    for item in items:
        host, equals, text = item.partition("=")
        if not (host and equals):
            raise UsageError(f"--host-address {item}: write it as HOST=ADDRESS")
        found.setdefault(host, []).append(_address("--host-address", text))
    return found


def _listeners(items: Sequence[str]) -> dict[str, list[Path]]:
    """The files by the host that they are about: as said, else as the file is named."""
    found: dict[str, list[Path]] = {}
    for item in items:
        host, equals, path = item.partition("=")
        if not equals or Path(item).exists():
            host, path = fit_name(Path(item).stem), item
        if not (host and path):
            raise UsageError(f"--listeners {item}: write it as HOST=FILE")
        found.setdefault(host, []).append(Path(path))
    return found
