"""Plain values of the report document, written one way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from auditor.addresses import by_address

Document = dict[str, Any]  # what json.loads gives for a JSON object


def present(**values: object) -> Document:
    """The values that are known; None is absent."""
    return {key: value for key, value in values.items() if value is not None}


def timestamp(at: datetime) -> str:
    """`2026-11-22T02:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def place(address: str) -> tuple[int, bytes]:
    """The sort key of an address in writing."""
    return by_address(ip_address(address))
