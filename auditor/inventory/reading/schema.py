"""Whether a document follows the schema, decided by jsonschema-rs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from auditor.inventory.reading.events import Document
from auditor.resources import schema_text


def check(document: Document) -> None:
    """Report what does not follow the schema, and break it in the data."""
    data = document.data
    if not isinstance(data, dict) or (decider().is_valid(data) and not document.unread):
        return
    # Only for what is wrong: jsonschema costs more memory and time than all else that reads an inventory.
    from auditor.inventory.reading.wording import report  # noqa: PLC0415

    report(document, data)


@cache
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_text("inventory"))
    return loaded


@cache
def decider() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema())
