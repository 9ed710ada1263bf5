"""`auditor expect`: what should be reachable from a viewpoint, and why."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from auditor.cli.acts import choosing
from auditor.cli.acts.formats import to_stdout
from auditor.cli.acts.screen import console
from auditor.cli.style import Style, say
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory
from auditor.model.words import Basis, ExpectedState
from auditor.report.expected import EXPECT_FORMATS, expected_document, expected_rows

_NAMED = 8  # controls
_UNBOUNDED = 10_000  # columns, where no terminal sets them: one line for each row
COLUMNS = ("viewpoint", "host", "interface", "address", "ports", "why")


def run(*, form: str, style: Style, **chosen: Any) -> int:
    declared, expected = choosing.expecting(**chosen)
    if form == "table":
        _print(declared, expected, style)
    else:
        to_stdout(EXPECT_FORMATS[form](expected_document(declared, expected)))
    for one in declared.unresolved:
        say(f"not resolved: {one}")
    return 0


def _print(declared: Inventory, expected: list[Expectations], style: Style) -> None:
    rows = []
    for each in expected:
        for row in expected_rows(declared, each, blocked=False):
            ports = f"{row['ports']}/{row['protocol']}"
            rows.append((row["viewpoint"], row["host"], row["interface"], row["address"], ports, row["why"]))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")  # an address that is cut is none
    for cells in rows:
        table.add_row(*map(Text, cells))
    screen = console(style, columns=_UNBOUNDED)
    if screen.measure(table, options=screen.options.update(width=_UNBOUNDED)).maximum <= screen.width:
        screen.print(table)
    else:
        for *where, why in rows:  # columns of three letters are no help
            screen.print(Text("  ".join(where), overflow="fold"))
            screen.print(Padding(Text(why, overflow="fold"), (0, 0, 0, 4), expand=False))
        screen.print()
    for each in expected:
        screen.print(_rest(each), markup=False, highlight=False, soft_wrap=True)
        if each.controls:
            screen.print(f"  {_controls(each)}", markup=False, highlight=False, soft_wrap=True)
        for left in each.left_out:
            screen.print(f"  left out: {left.what}: {left.reason}", markup=False, highlight=False, soft_wrap=True)


def _controls(expected: Expectations) -> str:
    named = ", ".join(map(str, expected.controls[:_NAMED]))
    more = len(expected.controls) - _NAMED
    return (
        f"controls: {named}{f' and {more} more' if more > 0 else ''}: nobody declares them, so what answers there "
        "as it does elsewhere is a device on the way"
    )


def _rest(expected: Expectations) -> str:
    blocked = [
        e for e in expected.expectations if e.state is ExpectedState.BLOCKED and e.basis is not Basis.VIEWPOINT_UNKNOWN
    ]
    count = sum(len(e.ports) for e in blocked)
    addresses = len({e.address for e in blocked})
    return (
        f"From {expected.viewpoint.name}, the other {count:,} {'endpoint' if count == 1 else 'endpoints'} of "
        f"{addresses:,} {'address' if addresses == 1 else 'addresses'} that a "
        f"{expected.profile} audit looks at should be blocked."
    )
