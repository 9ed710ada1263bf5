"""Markdown for a pull request's comment or a job's summary; every text of the document is inert in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from auditor.model.words import CLOSES, ChangeKind
from auditor.report import views
from auditor.report.facts import CIDRS, declared_at, fails, is_gate, is_notice, of_base, sources, waiver, whose, why
from auditor.report.hostile import visible, visible_document
from auditor.report.plain import Document

MARKER = "<!-- auditor -->"  # the first line: by it a bot finds its earlier comment
_LARGEST = 60_000  # bytes; GitHub refuses a comment of more than 65,536 characters
_RESERVED = 4_000  # bytes of it for what closes sections and says how many are missing
_LONG_CELL = 1200  # characters of a list of CIDRs
_CELL = 400  # characters of one text in a table
_SHOWN = 4  # endpoints in one cell
_BEFORE_NAMES = "@#!$~%^&"  # GitHub and GitLab look after these for people, issues, labels and more, also in entities
_ACTS = re.compile(r"[`*_\[\]<>\\|{}" + _BEFORE_NAMES + r"]|:/(?=/)|www\.", re.IGNORECASE)
_ENDS_CODE = re.compile(r"[`|\\]|^ | $")
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 \u0080-\U0010ffff]")
_NO_WIDTH = "&#8203;"


def markdown(document: Document) -> str:
    """The verdict, then tables: what fails, the rest by severity, what is weakened, closed, waived and unverified.

    It stays below what GitHub takes for one comment: what does not fit is counted.
    """
    doc = visible_document(document)
    page = _Page()
    page.line(MARKER)
    page.line(f"### {_heading(doc)}")
    page.line("")
    page.line(_verdict(doc))
    if is_gate(doc) and (told := of_base(doc)):
        page.line("")
        page.line(inert(told))
    (_gate if is_gate(doc) else _audit)(doc, page)
    return page.text


class _Page:
    """Lines up to a number of bytes. Rows that do not fit are counted where they would stand."""

    def __init__(self) -> None:
        self.text = ""
        self._left = _LARGEST - _RESERVED

    def line(self, text: str) -> None:
        """A line that is always there: own words, of bounded length."""
        self.text += f"{text}\n"
        self._left -= len(text.encode()) + 1

    def table(self, heading: str, head: Sequence[str], rows: Iterable[Sequence[str]], *, folded: bool = False) -> None:
        """A table with its heading, or nothing where there is no row."""
        lines = [f"| {' | '.join(cells)} |" for cells in rows]
        if not lines:
            return
        title = f"{heading} ({len(lines):,})"
        opening = [f"<details><summary>{title}</summary>"] if folded else [f"**{title}**"]
        top = ["", *opening, "", f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
        fitting = 0
        room = self._left - sum(len(line.encode()) + 1 for line in top)
        for line in lines:
            room -= len(line.encode()) + 1
            if room < 0:
                break
            fitting += 1
        rest = len(lines) - fitting
        if not fitting:
            self.text += f"\n{title}: no room here; the other formats have all of them.\n"
            return
        for line in [*top, *lines[:fitting]]:
            self.line(line)
        if rest:
            self.text += f"\n… and {rest:,} more\n"
        if folded:
            self.text += "\n</details>\n"


def _heading(doc: Document) -> str:
    if is_gate(doc):
        return f"Exposure gate: {'passed' if doc['verdict']['result'] == 'pass' else 'failed'}"
    return f"Exposure audit of {inert(doc['audit']['inventory']['name'])}: {doc['verdict']['result']}"


def _verdict(doc: Document) -> str:
    words = "".join(f" --fail-on {word}" for word in doc["verdict"]["fail_on"])
    judged = f"({code(words.strip())})" if words else "(any finding fails)"
    if not is_gate(doc):
        sentence = inert(views.verdict(doc).sentence)
        return f"{sentence} {code(doc['audit']['profile'])} profile {judged}, {inert(views.times(doc))}."
    found, failing = doc["findings"], sum(fails(entry, doc) for entry in doc["findings"])
    if not found and doc["waived"]:
        return f"Whatever the change does was waived before it {judged}."
    if not found:
        return f"The change opens nothing and audits nothing less {judged}."
    if not failing:
        return f"Nothing of it fails {judged}."
    return f"{failing:,} of {views.count(len(found), 'finding')} {'fails' if failing == 1 else 'fail'} {judged}."


def _gate(doc: Document, page: _Page) -> None:
    weakened = [entry for entry in doc["findings"] if entry["kind"] == ChangeKind.WEAKENED]
    closed = [entry for entry in doc["findings"] if entry["kind"] in CLOSES]
    rest = [entry for entry in doc["findings"] if entry["kind"] not in CLOSES | {ChangeKind.WEAKENED}]
    head = ("", "kind", "class", "service", "endpoints", "sources", "declared at", "owner", "why")
    for severity, group in groupby(rest, lambda entry: entry["severity"]):
        page.table(severity, head, (_change(entry, doc) for entry in group))
    page.table("Audited less", ("", "key", "what", "at"), (_weakened(entry, doc) for entry in weakened))
    closing = ("kind", "service", "endpoints", "sources", "declared at")
    rows = (_change(entry, doc) for entry in closed)
    page.table(
        "Closed: removed and narrowed", closing, ((row[1], *row[3:7]) for row in rows), folded=len(closed) > _SHOWN
    )
    _waived(doc, page)


def _change(entry: Document, doc: Document) -> tuple[str, ...]:
    return (
        _mark(entry, doc),
        inert(entry["kind"]),
        inert(entry.get("class", "–")),
        code(whose(entry)),
        _endpoints(entry),
        _sources(entry),
        _at(entry),
        inert(entry.get("owner", "–")),
        _why(entry),
    )


def _weakened(entry: Document, doc: Document) -> tuple[str, ...]:
    return _mark(entry, doc), code(entry.get("rule", whose(entry))), inert(why(entry)), _at(entry)


def _audit(doc: Document, page: _Page) -> None:
    head = ("", "kind", "class", "from", "service", "endpoints", "expected → observed", "declared at", "owner", "why")
    for heading, group in groupby(doc["findings"], lambda entry: "Notices" if is_notice(entry) else entry["severity"]):
        page.table(heading, head, (_drift(entry, doc) for entry in group))
    _waived(doc, page)
    errors = ((inert(error["stage"]), inert(error["message"])) for error in doc["errors"])
    page.table("Failed in part", ("stage", "what"), errors)
    noticed = ((code(viewpoint), inert(note)) for viewpoint, note in views.noticed(doc))
    page.table("The network: what came up on the way", ("from", "what"), noticed)
    groups = views.by_reason(doc["unverified"])
    rows = ((code(each.viewpoint), f"{each.endpoints:,}", inert(each.reason)) for each in groups)
    page.table("Unverified: could not tell, never a pass", ("from", "endpoints", "reason"), rows)


def _drift(entry: Document, doc: Document) -> tuple[str, ...]:
    seen = bool(entry["endpoints"])
    answers = visible(views.identity(entry), longest=80)
    observed = f"{views.observed(entry)}, {answers}" if answers else views.observed(entry)
    return (
        _mark(entry, doc),
        inert(entry["kind"]),
        inert(entry.get("class", "–")),
        inert(entry.get("viewpoint", "–")),
        code(whose(entry)),
        _endpoints(entry),
        f"{inert(views.expected(entry))} → {inert(observed)}" if seen else "–",
        _at(entry),
        inert(entry.get("owner", "–")),
        _why(entry),
    )


def _mark(entry: Document, doc: Document) -> str:
    if fails(entry, doc):
        return "❌"
    return "–" if entry["kind"] in CLOSES or is_notice(entry) else "⚠️"


def _endpoints(entry: Document) -> str:
    rows = [views.endpoint(row) for row in entry["endpoints"]]
    return code(views.some(rows, _SHOWN)) if rows else code(entry["address"]) if "address" in entry else "–"


def _sources(entry: Document) -> str:
    cells = [f"{word} {code(views.some(cidrs, CIDRS), longest=_LONG_CELL)}" for word, cidrs in sources(entry)]
    return "<br>".join(cells) or "–"


def _at(entry: Document) -> str:
    at = declared_at(entry)
    return code(at) if at else "–"


def _why(entry: Document) -> str:
    given = entry.get("expired_waiver")
    lapsed = f"<br>Was waived: {inert(waiver(given))}" if given else ""
    return f"{inert(entry['why'])}{lapsed}"


def _waived(doc: Document, page: _Page) -> None:
    rows = (
        (
            inert(entry["kind"]),
            inert(entry["severity"]),
            code(whose(entry)),
            _endpoints(entry),
            inert(waiver(entry["waiver"])),
        )
        for entry in doc["waived"]
    )
    page.table("Waived", ("kind", "severity", "service", "endpoints", "waiver"), rows, folded=True)


def inert(value: Any) -> str:
    """A text that is only read: no markup, link, mention or reference, and no line or cell ends in it."""
    return _ACTS.sub(_kept_apart, visible(str(value), longest=_CELL))


def _kept_apart(found: re.Match[str]) -> str:
    """Markdown's own characters as numbers; links, and marks before names, with a space of no width after them."""
    text = found[0]
    if len(text) > 1:
        return f"{text[:-1]}{_NO_WIDTH}{text[-1]}"
    return f"&#{ord(text)};" + (_NO_WIDTH if text in _BEFORE_NAMES else "")


def code(value: Any, *, longest: int = _CELL) -> str:
    """A text to copy, exact. Where it holds what ends code or a cell, in HTML with those characters as numbers."""
    shown = visible(str(value), longest=longest)
    if shown and not _ENDS_CODE.search(shown):
        return f"`{shown}`"
    return f"<code>{_NOT_PLAIN.sub(lambda found: f'&#{ord(found[0])};', shown)}</code>"
