"""What should be reachable, and why: as rows, as a JSON document and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from os.path import commonpath, relpath
from pathlib import Path
from typing import assert_never

from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Inventory, Service
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState
from auditor.report.hostile import visible
from auditor.report.plain import Document, present, to_json

EXPECT_SCHEMA = "auditor/expect/v1"
_WHERE = ("viewpoint", "host", "interface", "address", "protocol", "ports")
_COLUMNS = (*_WHERE, "expected", "why", "service", "source", "file", "line")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet computes instead of showing


def expected_document(inventory: Inventory, expected: Iterable[Expectations]) -> Document:
    """The document of `auditor expect`, as `schemas/expect.schema.json` describes it."""
    every = list(expected)
    return {
        "schema": EXPECT_SCHEMA,
        "inventory": {
            "name": inventory.name,
            "files": [{"path": file.path, "sha256": file.sha256} for file in inventory.files],
        },
        "viewpoints": [
            present(
                name=each.viewpoint.name,
                kind=each.viewpoint.kind.value,
                addresses=[str(address) for address in each.viewpoint.addresses],
                within=list(map(str, each.viewpoint.within)) or None,
                boundary=each.viewpoint.boundary.value,
                profile=each.profile.value,
            )
            for each in every
        ],
        "expectations": [row for each in every for row in expected_rows(inventory, each)],
        "left_out": [
            {"viewpoint": each.viewpoint.name, "what": left.what, "reason": left.reason}
            for each in every
            for left in each.left_out
        ],
        "unresolved": [{"host": one.host, "name": one.name, "reason": one.reason} for one in inventory.unresolved],
    }


def expected_rows(inventory: Inventory, expected: Expectations, *, blocked: bool = True) -> Iterator[Document]:
    """A row for each expectation: ports of one address that are expected alike, for one reason.

    Those that should be `blocked` can be left out.
    """
    root = commonpath([Path(file.path).parent for file in inventory.files]) if inventory.files else ""
    ports: dict[PortSet, str] = {}  # many addresses have the same, and it takes long to write 65,535 of them
    for one in expected.expectations:
        if one.state is ExpectedState.BLOCKED and one.basis is not Basis.VIEWPOINT_UNKNOWN and not blocked:
            continue
        if one.ports not in ports:
            ports[one.ports] = str(one.ports)
        location = one.service.location if one.service else None
        yield present(
            viewpoint=one.viewpoint,
            host=one.host,
            interface=one.interface,
            address=str(one.address),
            protocol=one.protocol.value,
            ports=ports[one.ports],
            expected=one.state.value,
            why=_why(one, root),
            service=one.service.name if one.service else None,
            source=one.source,
            file=location.file if location else None,
            line=location.line if location else None,
        )


def _why(one: Expectation, root: str) -> str:
    """Such as `reachable: https, from internet, web.yaml:31`, with files as seen from `root`."""
    service = one.service
    if service is None:
        return f"{one.state}: {_nowhere(one.basis)}"
    parts = [" and ".join((service.name, *one.other_services)), _ground(one, service)]
    if service.location:
        parts.append(f"{relpath(service.location.file, root or '.')}:{service.location.line}")
    state = "not known" if one.basis is Basis.VIEWPOINT_UNKNOWN else one.state
    return f"{state}: {', '.join(parts)}"


def _ground(one: Expectation, service: Service) -> str:
    sources = ", ".join(source.name for source in service.sources)
    match one.basis:
        case Basis.DECLARED:
            return f"from {one.source}"
        case Basis.OUTSIDE_SOURCES:
            return f"viewpoint outside its source ranges ({sources})"
        case Basis.SOURCES_UNKNOWN:
            return f"its source ranges are not all known ({sources})"
        case Basis.VIEWPOINT_UNKNOWN:
            return f"only a part of where the viewpoint may stand is in its source ranges ({sources})"
        case Basis.OTHER_FAMILY:
            return "declared for the other family only"
        case Basis.OTHER_INTERFACE:
            return f"declared on other interfaces only ({', '.join(service.interfaces)})"
        case Basis.UNDECLARED | Basis.UNDECLARED_ADDRESS:
            return _nowhere(one.basis)
        case _:
            assert_never(one.basis)


def _nowhere(basis: Basis) -> str:
    return "declared nowhere" if basis is Basis.UNDECLARED else f"declared nowhere, {basis.value}"


def _to_csv(document: Document) -> str:
    """The expectations as CSV (RFC 4180), in which no text is a formula."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for row in document["expectations"]:
        writer.writerow([_cell(row.get(column, "")) for column in _COLUMNS])
    return out.getvalue()


def _cell(value: str | int) -> str:
    text = visible(str(value), longest=1 << 20)
    return f"'{text}" if str(value).startswith(_FORMULA) else text


EXPECT_FORMATS: dict[str, Callable[[Document], str]] = {"json": to_json, "csv": _to_csv}
