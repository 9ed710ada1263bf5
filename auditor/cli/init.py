"""`auditor init`: a first inventory from what was seen."""

from __future__ import annotations

import os
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
from auditor.resources import schema_path
from auditor.rundir import write_new


@click.command("init")
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
def command(
    *,
    scans: tuple[str, ...],
    listeners: tuple[str, ...],
    said: tuple[str, ...],
    host_addresses: tuple[str, ...],
    name: str | None,
    kind: str | None,
    viewpoint: str | None,
    addresses: tuple[str, ...],
    output: Path | None,
    style: Style,
) -> int:
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
    if not scans and not listeners:
        raise UsageError("nothing to draft from: give --nmap-xml FILE, or --listeners HOST=FILE, or both")
    output = None if output == Path("-") else output
    main = _name("--viewpoint", viewpoint) or kind or ViewpointKind.PUBLIC.value
    paths = _by_viewpoint(scans, main)
    wanted, *further = [
        Wanted(
            name=_name("--name", name) or (fit_name(output.stem) if output else "estate"),
            viewpoint=one,
            kind=_kind(one, kind, alone=len(paths) == 1),
            addresses=_viewpoint_addresses(mine),
            host_addresses=_host_addresses(host_addresses),
            schema=_schema(output.parent if output else Path()),
        )
        for one, mine in _addresses_by_viewpoint(addresses, tuple(paths)).items()
    ]
    if output is not None and output.exists():
        raise UsageError(f"{output} is there already, and is never overwritten; choose another name, or move it away")
    drafted = pipeline.first_inventory(
        paths, _by_host("--listeners", listeners), _by_host("--addresses", said), wanted, further
    )
    if output is None:
        click.echo(drafted.text, nl=False)
    else:
        write_new(output, drafted.text)
    if style.verbosity >= 0:
        told = f"hosts: {drafted.hosts}, services declared: {drafted.services}, left as TODO: {drafted.todo}"
        click.echo(f"auditor: {output or 'drafted'}: {told}", err=True)
    return 0


def _schema(folder: Path) -> str:
    """Where an editor finds the schema from a file in the folder: by a relative way where it is in the same tree."""
    path, start = schema_path("inventory").resolve(), folder.resolve()
    if path.parent.parent in (start, *start.parents):
        return Path(os.path.relpath(path, start)).as_posix()
    return path.as_uri()


def _kind(viewpoint: str, kind: str | None, *, alone: bool) -> ViewpointKind:
    """As said of the only viewpoint; of several as their names say, where those are kinds."""
    named = viewpoint in [one.value for one in ViewpointKind]
    return ViewpointKind(viewpoint if named and not (alone and kind) else kind or ViewpointKind.PUBLIC)


def _by_viewpoint(items: Sequence[str], main: str) -> dict[str, list[Path]]:
    """The scans by viewpoint; where a file does not say from which, the main one. There is always a viewpoint."""
    found: dict[str, list[Path]] = {}
    for item in items:
        viewpoint, equals, path = item.partition("=")
        if not equals or Path(item).exists():
            viewpoint, path = main, item
        if not (viewpoint and path):
            raise UsageError(f"--nmap-xml {item}: write it as VIEWPOINT=FILE")
        _name("--nmap-xml", viewpoint)
        found.setdefault(viewpoint, []).append(Path(path))
    return found or {main: []}


def _addresses_by_viewpoint(items: Sequence[str], viewpoints: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {viewpoint: [] for viewpoint in viewpoints}
    for item in items:
        viewpoint, equals, address = item.rpartition("=")
        if not equals and len(found) > 1:
            raise UsageError(f"--address {item}: say of which viewpoint, as in {viewpoints[0]}={item}")
        if equals and viewpoint not in found:
            raise UsageError(f"--address {item}: no viewpoint is named {viewpoint}; there are {', '.join(viewpoints)}")
        found[viewpoint or viewpoints[0]].append(address)
    return found


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


def _by_host(option: str, items: Sequence[str]) -> dict[str, list[Path]]:
    """The files by the host that they are about: as said, else as the file is named."""
    found: dict[str, list[Path]] = {}
    for item in items:
        host, equals, path = item.partition("=")
        if not equals or Path(item).exists():
            host, path = fit_name(Path(item).stem), item
        if not (host and path):
            raise UsageError(f"{option} {item}: write it as HOST=FILE")
        found.setdefault(host, []).append(Path(path))
    return found
