"""`auditor expect`: what should be reachable from a viewpoint, and why."""

from __future__ import annotations

from collections.abc import Iterator
from os.path import commonpath, relpath
from pathlib import Path

import click
from rich import box
from rich.table import Table
from rich.text import Text

from auditor.cli import options
from auditor.cli.output import Style
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Inventory
from auditor.model.words import ExpectedState

_UNBOUNDED = 10_000  # columns, where no terminal sets them: one line for each row
COLUMNS = ("viewpoint", "host", "interface", "address", "ports", "expected", "why")


@click.command("expect")
@options.expecting
def command(*, declared: Inventory, expected: list[Expectations], style: Style) -> int:
    """List what should be reachable from a viewpoint, and why. Sends no probe.

    Exit codes: 0 listed, 2 bad usage or a bad inventory.

    \b
    Example:
      auditor expect inventories/practice -V public
    """
    root = commonpath(Path(file.path).parent for file in declared.files)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")  # an address that is cut is none
    for each in expected:
        for row in _rows(each, root):
            table.add_row(*map(Text, row))
    console = style.console(columns=_UNBOUNDED)
    console.print(table)
    for each in expected:
        console.print(_rest(each), markup=False, highlight=False, soft_wrap=True)
        for left in each.left_out:
            console.print(f"  left out: {left.what}: {left.reason}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _rows(expected: Expectations, root: str) -> Iterator[tuple[str, ...]]:
    for e in expected.expectations:
        if e.state is not ExpectedState.BLOCKED:
            ports = f"{e.ports}/{e.protocol}"
            yield expected.viewpoint.name, e.host, e.interface or "", str(e.address), ports, e.state, _why(e, root)


def _why(expectation: Expectation, root: str) -> str:
    """The ground of an expectation in words: `https, from internet, web.yaml:31`, files as seen from `root`."""
    service = expectation.service
    if service is None:
        return expectation.basis
    parts = [" and ".join((service.name, *expectation.other_services))]
    if expectation.source:
        parts.append(f"from {expectation.source}")
    if service.location:
        parts.append(f"{relpath(service.location.file, root)}:{service.location.line}")
    return ", ".join(parts)


def _rest(expected: Expectations) -> str:
    blocked = [e for e in expected.expectations if e.state is ExpectedState.BLOCKED]
    count = sum(len(e.ports) for e in blocked)
    addresses = len({e.address for e in blocked})
    return (
        f"From {expected.viewpoint.name}, the other {count:,} endpoints of {addresses} addresses that a "
        f"{expected.profile} audit looks at should be blocked."
    )
