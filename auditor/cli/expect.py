"""`auditor expect`: what should be reachable from a viewpoint, and why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from auditor.cli import options
from auditor.cli.output import Style
from auditor.inventory import expect, load
from auditor.model.expectation import Expectation, Expectations
from auditor.model.words import ExpectedState, Profile

COLUMNS = ("viewpoint", "host", "interface", "address", "ports", "expected", "why")


@click.command("expect")
@options.inventory
@options.viewpoints
@options.hosts
@options.tags
@options.profile
@options.common
def command(
    *,
    inventory_path: Path,
    viewpoints: tuple[str, ...],
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    profile: str,
    style: Style,
) -> int:
    """List what should be reachable from a viewpoint, and why. Sends nothing.

    Exit codes: 0 listed, 2 bad usage or a bad inventory.

    \b
    Example:
      auditor expect inventories/practice -V public
    """
    declared = load(inventory_path)
    expected = [
        expect(declared, viewpoint, Profile(profile), hosts=hosts, tags=tags)
        for viewpoint in options.pick_viewpoints(declared, viewpoints)
    ]
    table = Table(*COLUMNS, box=box.SIMPLE_HEAD, pad_edge=False)
    for each in expected:
        for row in _rows(each, inventory_path):
            table.add_row(*map(Text, row))
    console = style.console()
    console.print(table)
    for each in expected:
        console.print(_rest(each), markup=False, highlight=False, soft_wrap=True)
        for left in each.left_out:
            console.print(f"  left out: {left.what}: {left.reason}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _rows(expected: Expectations, inventory: Path) -> Iterator[tuple[str, ...]]:
    for e in expected.expectations:
        if e.state is not ExpectedState.BLOCKED:
            ports = f"{e.ports}/{e.protocol}"
            yield expected.viewpoint.name, e.host, e.interface or "", str(e.address), ports, e.state, _why(e, inventory)


def _why(expectation: Expectation, inventory: Path) -> str:
    """The ground of an expectation in words: `https, from internet, web.yaml:31`."""
    service = expectation.service
    if service is None:
        return expectation.basis
    parts = [" and ".join((service.name, *expectation.other_services))]
    if expectation.source:
        parts.append(f"from {expectation.source}")
    if service.location:
        file = Path(service.location.file)
        short = file.relative_to(inventory) if inventory.is_dir() and file.is_relative_to(inventory) else file
        parts.append(f"{short}:{service.location.line}")
    return ", ".join(parts)


def _rest(expected: Expectations) -> str:
    blocked = [e for e in expected.expectations if e.state is ExpectedState.BLOCKED]
    count = sum(len(e.ports) for e in blocked)
    addresses = len({e.address for e in blocked})
    return (
        f"From {expected.viewpoint.name}, the other {count:,} endpoints of {addresses} addresses that a "
        f"{expected.profile} audit looks at should be blocked."
    )
