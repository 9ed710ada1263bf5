"""Markdown for pull requests: complete where it fits, inert, and never too long."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import cmarkgfm
import pytest
from cmarkgfm.cmark import Options

from auditor.model.words import Severity
from auditor.report.document import document
from auditor.report.hostile import visible
from auditor.report.markdown import MARKER, code, inert, markdown
from tests import gates
from tests.builders import clean_audit
from tests.estates import big_audit, blind_audit, busy_audit, hostile_audit
from tests.gates import NARROWED, OPENED, SITE, WAIVED, WEAKENED, busy_gate, change, gate, hostile_gate

LIMIT = 65_536
OWN_TAGS = {"h3", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "code", "br"}


def cells(row: str) -> list[str]:
    """The cells of a table's row, as GitHub splits it: escaped bars do not."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def tables(text: str) -> list[list[list[str]]]:
    """Every table: rows of cells."""
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[cells(line) for line in block.splitlines()] for block in blocks]


def test_a_failing_gate() -> None:
    """The marker first, then the verdict, then what fails: service, endpoints, sources gained, place, owner and why."""
    lines = markdown(gate(OPENED)).splitlines()

    assert [
        MARKER,
        "### Exposure gate: failed",
        "",
        "1 of 1 finding fails (`--fail-on internal-recon`).",
        "",
        "**direct-compromise (1)**",
    ] == lines[:6]
    assert [
        "❌",
        "added",
        "data-store",
        "`db-1.postgres`",
        "`203.0.113.12:5432/tcp`",
        "gained `0.0.0.0/0, ::/0`",
        "`inventories/example/hosts.yaml:12`",
        "team-data",
        "postgres on 5432/tcp (data-store) would be declared to an untrusted range.",
    ] == cells(lines[9])


def test_what_is_closed_passes() -> None:
    """A narrowed range passes, and the CIDRs lost are named."""
    text = markdown(gate(NARROWED))

    assert "### Exposure gate: passed\n\nNothing of it fails (`--fail-on internal-recon`)." in text
    assert "| narrowed | `web-1.ssh` | `203.0.113.10:22/tcp` | lost `10.20.1.0/25, 10.20.1.192/26` |" in text


def test_sections() -> None:
    """Severities first, weakened keys in a table of their own, closed and waived ones folded where they are many."""
    closed = [change("removed", service=f"s{n}", lost=("10.0.0.0/8",)) for n in range(9)]
    text = markdown(gate(OPENED, SITE, WEAKENED, *closed, waived=[WAIVED]))

    assert [
        "**direct-compromise (1)**",
        "**operational-drift (1)**",
        "**Audited less (1)**",
        "<details><summary>Closed: removed and narrowed (9)</summary>",
        "<details><summary>Waived (1)</summary>",
    ] == re.findall(r"^(?:\*\*|<details>).*$", text, re.MULTILINE)
    assert "| ❌ | `viewpoints.public.boundary` | The boundary was filtered and is any" in text
    assert "partner migration (team-web, NET-123, until 2026-12-31)" in text


def test_nothing() -> None:
    """A change that opens nothing says so."""
    assert (
        f"{MARKER}\n### Exposure gate: passed\n\n"
        "The change opens nothing and audits nothing less (`--fail-on internal-recon`).\n"
    ) == markdown(gate())


def test_an_audit() -> None:
    """The same over an audit: findings by severity, and what could not be told."""
    text = markdown(document(busy_audit()))

    assert text.startswith(f"{MARKER}\n### Exposure audit of example-estate: drift\n\n17 findings: ")
    for entry in document(busy_audit())["findings"]:
        assert f"| {entry['kind']} |" in text
    assert "**Failed in part (1)**" in text
    assert "| `vpn` | 131,069 | path not proved: no reply came from any address in the same targets entry |" in text


DOCUMENTS: list[tuple[str, Callable[[], dict[str, Any]]]] = [
    ("busy gate", busy_gate),
    ("hostile gate", hostile_gate),
    ("busy audit", lambda: document(busy_audit())),
    ("hostile audit", lambda: document(hostile_audit())),
    ("clean audit", lambda: document(clean_audit())),
    ("blind audit", lambda: document(blind_audit())),
    ("big audit", lambda: document(big_audit(5000))),
    (
        "big gate",
        lambda: gate(*[change("added", severity, service=f"s{n}") for severity in Severity for n in range(900)]),
    ),
    (
        "big closed",
        lambda: gate(*[change("removed", service="🙂" * 200 + f"{n}") for n in range(3000)], waived=[WAIVED] * 3000),
    ),
]


@pytest.mark.parametrize("make", [make for _, make in DOCUMENTS], ids=[name for name, _ in DOCUMENTS])
def test_well_formed(make: Callable[[], dict[str, Any]]) -> None:
    """Below GitHub's limit; every row has the cells of its head, and every fold is closed."""
    text = markdown(make())

    assert len(text.encode()) < LIMIT
    assert [] == [row for table in tables(text) for row in table if len(row) != len(table[0])]
    assert text.count("<details>") == text.count("</details>")
    assert text.replace("\n", "").replace("\ufe0f", "").isprintable()


def test_what_does_not_fit_is_counted() -> None:
    """Of many findings the worst are shown, and the rest counted."""
    text = markdown(document(big_audit(5000)))
    shown = sum(row[1] == "undeclared-port" for table in tables(text) for row in table)
    hidden = sum(int(number.replace(",", "")) for number in re.findall(r"… and ([\d,]+) more", text))
    unseen = sum(int(number.replace(",", "")) for number in re.findall(r"\(([\d,]+)\): no room here", text))

    assert 5000 == shown + hidden + unseen
    assert shown > 100


class _Shown(HTMLParser):
    """The page as GitHub's own parser makes it: its elements, and its text within and outside of code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.code: list[str] = []
        self.prose = ""
        self._in_code = False
        self.feed(cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(" ".join([tag, *(name for name, _ in attrs)]))
        self._in_code = tag == "code"
        if self._in_code:
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_code = self._in_code and tag != "code"

    def handle_data(self, data: str) -> None:
        if self._in_code:
            self.code[-1] += data
        else:
            self.prose += data


@pytest.mark.parametrize("text", gates.HOSTILE)
def test_hostile(text: str) -> None:
    """As GitHub parses it: no markup, link, mention, reference or HTML of a text acts, and code is exactly the text."""
    named = {"host": text, "service": text, "why": text, "owner": text, "rule": f"{text}1", "at": (text or "x", 1)}
    waived = change("widened", waiver={**gates.WAIVER, "reason": text}, **named)
    shown = _Shown(
        markdown(gate(change("added", gained=(text,), **named), change("weakened", **named), waived=[waived]))
    )

    assert shown.tags <= OWN_TAGS
    assert [] == re.findall(r"[@#!$^%~](?=[\w\[])|://|www\.", shown.prose)
    assert {visible(text, longest=longest).strip() for longest in (400, 1200)} & {each.strip() for each in shown.code}
    assert visible(text, longest=400).strip() in shown.prose.replace("\u200b", "")


@pytest.mark.parametrize(
    "text", ["plain", "10.0.0.0/8, ::/0", "a_b*c", "x`y", "a|b", "a\\|b", " lead", "<b>", "&amp;", "www.x.y @z"]
)
def test_code_is_exact(text: str) -> None:
    """What people copy is what was said, whatever it holds."""
    shown = _Shown(f"| a |\n| --- |\n| {code(text)} |\n")

    assert [text] == shown.code


def test_plain_text_stays_readable() -> None:
    """Ordinary names and addresses are not written in numbers, so that the source can be read and searched."""
    assert "`10.20.1.0/25`" == code("10.20.1.0/25")
    assert "web-1 (team-web): 443/tcp, 50.5" == inert("web-1 (team-web): 443/tcp, 50.5")


def test_rules_of_waivers_are_in_words() -> None:
    """A breach by a waiver, and a waiver that covers nothing, are named by what the waiver covers."""
    names = [row[4] for table in tables(markdown(document(busy_audit()))) for row in table if len(row) == 10]

    assert "`host mail-1, ports 110/tcp or 143/tcp`" in names
    assert [] == [name for name in names if "{" in name]
