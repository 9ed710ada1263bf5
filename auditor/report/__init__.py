"""Findings → the report document, and the formats that are rendered from it alone."""

from collections.abc import Callable

from auditor.report.document import document
from auditor.report.facts import relative
from auditor.report.html import html
from auditor.report.junit import junit
from auditor.report.markdown import markdown
from auditor.report.plain import Document
from auditor.report.sarif import sarif
from auditor.report.stored import read, to_json
from auditor.report.summary import text

FORMATS: dict[str, Callable[[Document], str]] = {
    "json": to_json,
    "html": html,
    "text": text,
    "sarif": sarif,
    "junit": junit,
    "markdown": markdown,
}

__all__ = ["FORMATS", "document", "html", "read", "relative", "text", "to_json"]
