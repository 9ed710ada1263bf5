"""The report document as JSON text, and back from a file."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema_rs

from auditor.errors import EvidenceError
from auditor.model.ports import PortSet
from auditor.report.document import SCHEMA as REPORT
from auditor.report.gate import SCHEMA as GATE
from auditor.report.plain import Document
from auditor.resources import schema_text

_SCHEMAS = {REPORT: "report", GATE: "gate"}
_LARGEST = 1 << 30  # bytes; a report of a million endpoints has about a quarter of that


def read(path: Path) -> Document:
    """Read a stored report, of an audit or a gate.

    Raises EvidenceError where it is unreadable, of another version or not a whole report.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise EvidenceError(f"{path}: over {_LARGEST >> 20} MiB, too large for a report")
        found = json.loads(path.read_bytes(), parse_constant=_refuse, parse_float=_number)
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise EvidenceError(f"{path}: not a report: nested too deeply") from error
    except ValueError as error:  # not UTF-8, not JSON, truncated, a number of thousands of digits
        raise EvidenceError(f"{path}: not a whole JSON file: {error}") from error
    _check_version(path, found)
    _check_valid(path, found)
    _check_values(path, found)
    return found  # type: ignore[no-any-return]  # the schema has just proved that it is an object


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _number(text: str) -> int | float:
    """JSON Schema takes 6.0 for an integer; so do we."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _check_version(path: Path, found: object) -> None:
    version = found.get("schema") if isinstance(found, dict) else None
    if version in _SCHEMAS:
        return
    if isinstance(version, str):
        for known in _SCHEMAS:
            if version.startswith(known.rpartition("/")[0] + "/"):
                raise EvidenceError(f"{path}: a report of version {version!a}; this auditor reads {known}")
    raise EvidenceError(f"{path}: not a report of the auditor: its `schema` should be {' or '.join(_SCHEMAS)}")


def _check_valid(path: Path, found: Document) -> None:
    schema = schema_text(_SCHEMAS[found["schema"]])
    validator = jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)
    error = next(validator.iter_errors(found), None)
    if error is not None:
        where = ".".join(str(part) for part in error.instance_path) or "the report"
        raise EvidenceError(f"{path}: damaged report: {where[:200]!a}: {error.message[:300]!a}")


def _check_values(path: Path, found: Document) -> None:
    """What the formats compute with must be computable: a pattern allows port 99999 and a leap second."""
    if found["schema"] == GATE:
        return  # its formats compute with nothing that the schema leaves open
    try:
        for key in ("started_at", "finished_at"):
            datetime.fromisoformat(found["audit"][key])
        for row in found["coverage"]:
            for key in ("from", "to"):
                if key in row.get("seen", {}):
                    datetime.fromisoformat(row["seen"][key])
        endpoints = [row["ports"] for row in (*found["unverified"], *found["silent"])]
        covered = [row[protocol] for row in found["coverage"] for protocol in ("tcp", "udp")]
        for ports in (*endpoints, *covered):
            PortSet.parse(ports)
    except ValueError as error:
        raise EvidenceError(f"{path}: damaged report: {str(error)[:300]!a}") from error
