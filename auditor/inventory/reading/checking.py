"""Whether a document follows the schema; what does not is reported, and broken in its data.

jsonschema alone can word what is wrong. To import it takes a fifth or more of the time of reading an inventory, and
4 MB: a right one, which is nearly every one, does without.
"""

from __future__ import annotations

from auditor.inventory.reading.events import Document
from auditor.inventory.reading.schema import decider


def check(document: Document) -> None:
    """Report what does not follow the schema, and break it in the data."""
    data = document.data
    if not isinstance(data, dict) or (decider().is_valid(data) and not document.unread):
        return
    from auditor.inventory.reading.wording import report  # noqa: PLC0415 -- only what is wrong needs it

    report(document, data)
