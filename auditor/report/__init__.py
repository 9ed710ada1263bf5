"""Findings → the report document, and the formats that are rendered from it alone."""

from collections.abc import Callable

from auditor.report.document import document
from auditor.report.expected import EXPECT_FORMATS, expected_document, expected_rows
from auditor.report.html import html
from auditor.report.plain import Document
from auditor.report.stored import read, to_json
from auditor.report.summary import text

FORMATS: dict[str, Callable[[Document], str]] = {"json": to_json, "html": html, "text": text}

__all__ = [
    "EXPECT_FORMATS",
    "FORMATS",
    "document",
    "expected_document",
    "expected_rows",
    "html",
    "read",
    "text",
    "to_json",
]
