"""Findings → the report document, and the formats that are rendered from it alone."""

from collections.abc import Callable

from auditor.report.document import document
from auditor.report.expected import EXPECT_FORMATS, expected_document, expected_rows
from auditor.report.facts import files, is_gate, relative, within
from auditor.report.gate import gate_document
from auditor.report.gate_text import gate_text
from auditor.report.github import github
from auditor.report.html import html
from auditor.report.junit import junit
from auditor.report.markdown import markdown
from auditor.report.plain import Document
from auditor.report.sarif import sarif, sarif_lacks
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
GATE_FORMATS: dict[str, Callable[[Document], str]] = {
    "json": to_json,
    "text": gate_text,
    "sarif": sarif,
    "junit": junit,
    "markdown": markdown,
    "github": github,
}

__all__ = [
    "EXPECT_FORMATS",
    "FORMATS",
    "GATE_FORMATS",
    "document",
    "expected_document",
    "expected_rows",
    "files",
    "gate_document",
    "gate_text",
    "html",
    "is_gate",
    "read",
    "relative",
    "sarif_lacks",
    "text",
    "to_json",
    "within",
]
