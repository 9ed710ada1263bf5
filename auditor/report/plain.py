"""Plain values of the report document, written one way everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from auditor.model.words import Address

Document = dict[str, Any]  # what json.loads gives for a JSON object


def present(**values: object) -> Document:
    """The values that are known; None is absent."""
    return {key: value for key, value in values.items() if value is not None}


def timestamp(at: datetime) -> str:
    """`2026-11-22T02:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def by_address(address: Address) -> tuple[int, bytes]:
    """A sort key that puts IPv4 before IPv6 and 10.0.0.9 before 10.0.0.10."""
    return address.version, address.packed


def place(address: str) -> tuple[int, bytes]:
    """The same sort key for an address in writing."""
    return by_address(ip_address(address))
