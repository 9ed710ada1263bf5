"""The formats of reports by name: each makes a text from the document alone."""

from __future__ import annotations

from collections.abc import Callable

from auditor.report.gate_text import gate_text
from auditor.report.github import github
from auditor.report.html import html
from auditor.report.junit import junit
from auditor.report.markdown import markdown
from auditor.report.plain import Document, to_json
from auditor.report.sarif import sarif
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
