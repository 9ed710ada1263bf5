"""Whether a document follows the schema; what does not is reported, and broken in its data."""

from __future__ import annotations

from auditor.inventory.reading.events import Document
from auditor.inventory.reading.schema import decider


def check(document: Document) -> None:
    """Report what does not follow the schema, and break it in the data."""
    data = document.data
    if not isinstance(data, dict) or (decider().is_valid(data) and not document.unread):
        return
    from auditor.inventory.reading.wording import report  # noqa: PLC0415 -- jsonschema costs more than all else here

    report(document, data)
