"""`auditor init`: a first inventory from what was seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import click

from auditor.cli.meant import meant
from auditor.cli.style import Style
from auditor.errors import UsageError
from auditor.inventory.draft.drafting import Wanted
from auditor.inventory.draft.hosts import fit_name, usable
from auditor.model.words import Address, Family, ViewpointKind
from auditor.pipeline import drafting
from auditor.resources import schema_path
from auditor.rundir.files import write_new


def run(
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
    drafted = drafting.first_inventory(
        paths, _by_host("--listeners", listeners), _by_host("--addresses", said), wanted, further
    )
    if output is None:
        click.echo(drafted.text, nl=False)
    else:
        write_new(output, drafted.text)
    told = f"hosts: {drafted.hosts}, services declared: {drafted.services}, left as TODO: {drafted.todo}"
    style.tell(f"{output or 'drafted'}: {told}")
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
            raise UsageError(f"--address {item}: no viewpoint is named {viewpoint}; {meant(viewpoint, viewpoints)}")
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
