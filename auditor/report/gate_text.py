"""The gate for a terminal: what each change opens, closes and audits less, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from auditor.model.words import ChangeKind
from auditor.report import facts, views
from auditor.report.hostile import visible
from auditor.report.plain import Document
from auditor.report.summary import STYLES, printed

_RESULTS = {"pass": "bold green", "fail": "bold red"}
_SIGNS = {"gained": ("+", "red"), "lost": ("-", "green")}
_LONGEST = 1000  # characters of one text


def gate_text(document: Document, *, color: bool = False, width: int = 100, limit: int | None = None) -> str:
    """The gate as text, `width` columns wide. `limit` is how many findings to list; all by default."""
    return printed(_parts(document, limit), color=color, width=width)


def _parts(document: Document, limit: int | None) -> Iterator[RenderableType]:
    verdict, gate = document["verdict"], document["gate"]
    yield Text(verdict["result"].upper(), style=_RESULTS[verdict["result"]]).append(
        f"  {_sentence(document)}", style="default"
    )
    yield _plain(f"{gate['base']['path']} → {gate['head']['path']} · fails on {', '.join(verdict['fail_on'])}")
    if told := facts.of_base(document):
        yield _plain(told)
    findings = document["findings"] if limit is None else document["findings"][:limit]
    for (rank, severity), group in groupby(findings, lambda entry: (entry["rank"], entry["severity"])):
        members = list(group)
        yield Text()
        yield Text(f"{rank} {severity}", style=STYLES[rank]).append(f"  {len(members):,}", style="default")
        for entry in members:
            yield from _entry(entry, document)
    if len(findings) < len(document["findings"]):
        left = views.count(len(document["findings"]) - len(findings), "more finding")
        yield _plain(f"… and {left}, none of them worse; --format json has all")
    if document["waived"]:
        yield Text("\nWaived", style="bold").append("  accepted before this change", style="default")
        for entry in document["waived"]:
            yield from _entry(entry, document)


def _sentence(document: Document) -> str:
    findings = document["findings"]
    failing = sum(facts.fails(entry, document) for entry in findings)
    accepted = len(document["waived"])
    waived = f", {accepted:,} waived" if accepted else ""
    if not findings and accepted:
        return f"{views.count(accepted, 'finding')}, waived before this change."
    if not findings:
        return "Exposure is as before, and so is what audits see."
    by_kind = ", ".join(f"{number:,} {kind}" for kind, number in document["summary"]["by_kind"].items() if number)
    fails = f"{failing:,} of them {'fails' if failing == 1 else 'fail'}" if failing else "none of them fails"
    return f"{views.count(len(findings), 'finding')}: {by_kind}; {fails}{waived}."


def _entry(entry: Mapping[str, Any], document: Document) -> Iterator[RenderableType]:
    at = entry.get("declared_at")
    failing = "waiver" not in entry and facts.fails(entry, document)
    rows = entry["endpoints"]
    place = views.endpoint(rows[0]) + (f" +{len(rows) - 1:,} more" if len(rows) > 1 else "") if rows else ""
    about = entry.get("rule") if entry["kind"] == ChangeKind.WEAKENED else facts.whose(entry)
    headline = " ".join(filter(None, (entry["kind"], about, place)))
    first = Text(_shown(headline), style="bold" if failing else "default", overflow="fold")
    if "class" in entry:
        first.append(f"  {entry['class']}", style="default")
    yield Padding(first, (0, 0, 0, 2))
    lines = Text(overflow="fold")
    if at:
        lines.append(f"{_shown(at['file'])}:{at['line']}\n", style="cyan")
    for word, cidrs in facts.sources(entry):
        sign, style = _SIGNS[word]
        lines.append(f"{sign} {_shown(views.some(cidrs))}\n", style=style)
    lines.append(_shown(facts.why(entry)))
    if "waiver" in entry:
        lines.append(f"\nwaived: {_shown(facts.waiver(entry['waiver']))}")
    yield Padding(lines, (0, 0, 0, 6))


def _plain(line: str) -> Text:
    return Text(_shown(line), overflow="fold")


def _shown(value: object) -> str:
    return visible(str(value), longest=_LONGEST)
