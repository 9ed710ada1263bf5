"""Plain values of the report document, written one way everywhere."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

from auditor.addresses import by_address

Document = dict[str, Any]  # what json.loads gives for a JSON object
# What a terminal or an editor would act on instead of showing; JSON may hold any of it only inside strings.
_UNSAFE = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)


def present(**values: object) -> Document:
    """The values that are known; None is absent."""
    return {key: value for key, value in values.items() if value is not None}


def timestamp(at: datetime) -> str:
    """`2026-11-22T02:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def place(address: str) -> tuple[int, bytes]:
    """The sort key of an address in writing."""
    return by_address(ip_address(address))


def to_json(document: Document) -> str:
    """The document as JSON, keys in the order of the document, invisible and control characters as escapes."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
