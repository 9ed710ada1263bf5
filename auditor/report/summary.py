"""The summary for a terminal: the same order as the page, a line for each finding, colour only when asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from io import StringIO
from itertools import groupby, islice
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from auditor.report import views
from auditor.report.hostile import visible
from auditor.report.plain import Document

_SHOWN = 8  # addresses, hosts or gaps named before "and more"; the document has all
_LONGEST = 300  # characters of one text
_COLUMN = 26  # columns that one cell may claim for itself
_LAST = 20  # columns that the last cell needs, or each finding gets lines of its own
_INDENT, _GAP = 2, 2
_IDENTITY = 80  # characters of what answers
_TRAILING = re.compile("[ ]+((?:\x1b\\[0m)*)$", re.MULTILINE)  # rich pads cells; the end of a style stays
STYLES = {1: "bold red", 2: "bold bright_red", 3: "bold yellow", 4: "bold blue", 5: "bold cyan", 6: "bold"}
_VERDICTS = {"clean": "bold green", "drift": "bold red", "incomplete": "bold yellow"}


WIDTH = 100  # columns where no terminal says how many


def text(
    document: Document, *, color: bool = False, width: int = WIDTH, limit: int | None = None, brief: bool = False
) -> str:
    """The summary, `width` columns wide. `limit` is how many findings to list, and how many lines of anything else; all
    by default. `brief` only counts what is no part of the verdict.
    """
    return printed(_parts(document, width, limit, brief=brief), color=color, width=width)


def verdict_line(document: Document, *, color: bool = False, width: int = WIDTH) -> str:
    """The first line of the summary, for the end of a long one."""
    return printed([_verdict(document)], color=color, width=width)


def printed(parts: Iterable[RenderableType], *, color: bool, width: int) -> str:
    """What rich makes of the parts, as text."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        height=25,  # with both given, rich believes them on a dumb terminal too
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,  # or rich would heed NO_COLOR, which the caller has
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        console.print(part)
    return _TRAILING.sub(r"\1", out.getvalue())


def _parts(document: Document, width: int, limit: int | None, *, brief: bool) -> Iterator[RenderableType]:
    yield from _heading(document)
    for section in (_failed(document), _noticed(document), _expiring(document)):
        yield from _at_most(limit, section)
    yield from _findings(views.acted_on(document), width, limit)
    for section in (_expired(document), _notices(document), *_aside(document, brief=brief)):
        yield from _at_most(limit, section)


def _aside(document: Document, *, brief: bool) -> Iterator[Iterator[RenderableType]]:
    """What is no finding: the sections of it."""
    if not brief:
        yield _waived(document)
    yield _groups("Unverified", "could not tell, never a pass", document["unverified"])
    if brief:
        yield _counts(document)
        return
    yield _groups("Silent", "no answer, neither good nor bad", document["silent"])
    yield _discovery(document.get("discovery", ()))
    yield _left_out(document["left_out"])


def _at_most(limit: int | None, section: Iterator[RenderableType]) -> Iterator[RenderableType]:
    yield from islice(section, limit)
    if rest := sum(1 for _ in section):
        yield _item(f"… and {views.count(rest, 'more line')} in the report")


def _heading(document: Document) -> Iterator[RenderableType]:
    audit = document["audit"]
    yield _verdict(document)
    seen_from = ", ".join(view["name"] for view in audit["viewpoints"])
    yield _plain(
        f"{audit['profile']} profile · {audit['inventory']['name']} · from {seen_from} · {views.times(document)}"
    )
    yield Text()
    yield _plain(" · ".join(f"{number:,} {word}" for word, number, _ in views.totals(document)))


def _verdict(document: Document) -> Text:
    verdict = views.verdict(document)
    first = Text(verdict.word.upper(), style=_VERDICTS[document["verdict"]["result"]])
    return first.append(f"  {verdict.sentence}", style="default")


def _failed(document: Document) -> Iterator[RenderableType]:
    if document["errors"]:
        yield _section("Failed in part", "")
    yield from (_item(f"{error['stage']}: {error['message']}") for error in document["errors"])


def _noticed(document: Document) -> Iterator[RenderableType]:
    if found := views.noticed(document):
        yield _section("The network", "what came up on the way")
        yield from _items(f"{viewpoint}: {note}" for viewpoint, note in found)


def _counts(document: Document) -> Iterator[RenderableType]:
    """One line each for what a reader in a hurry only wants to know the size of."""
    searched = document.get("discovery", ())
    lived = views.count(sum(row["lived"] for row in searched), "address", "addresses")
    rows = (
        ("Waived", views.count(len(document["waived"]), "finding"), document["waived"]),
        ("Silent", views.count(sum(map(views.ports_in, document["silent"])), "endpoint"), document["silent"]),
        ("Searched", f"{lived} lived", searched),
        ("Left out", views.count(len(document["left_out"]), "entry", "entries"), document["left_out"]),
    )
    told = [(name, count) for name, count, there in rows if there]
    if told:
        yield Text()
    for name, count in told:
        yield Text(name, style="bold").append(f"  {count}", style="default")


def _findings(findings: list[Document], width: int, limit: int | None) -> Iterator[RenderableType]:
    shown = findings if limit is None else findings[:limit]
    widths = _widths(shown, width)
    for (rank, severity), group in groupby(shown, lambda finding: (finding["rank"], finding["severity"])):
        members = list(group)
        yield Text()
        yield Text(f"{rank} {severity}", style=STYLES[rank]).append(f"  {len(members):,}", style="default")
        yield _table(members, widths) if widths[-1] >= _LAST else _narrow(members)
    if len(shown) < len(findings):
        yield _plain(f"… and {views.count(len(findings) - len(shown), 'more finding')} in the report")


def _widths(findings: Iterable[Document], total: int) -> list[int]:
    """One width a column for all severities, so that the eye can run down it; the last takes what is left."""
    widths = [0] * 6
    for finding in findings:
        widths = [max(width, len(cell)) for width, cell in zip(widths, _cells(finding), strict=True)]
    first = [min(width, _COLUMN) for width in widths[:-1]]
    return [*first, total - _INDENT - sum(width + _GAP for width in first)]


def _table(findings: Iterable[Document], widths: list[int]) -> RenderableType:
    table = Table.grid(padding=(0, _GAP, 0, 0), pad_edge=False)
    for width in widths:
        table.add_column(overflow="fold", width=width)
    for finding in findings:
        table.add_row(*map(_plain, _cells(finding)))
    return Padding(table, (0, 0, 0, _INDENT))


def _cells(finding: Document) -> tuple[str, ...]:
    change = views.change(finding)
    answers = visible(views.identity(finding), longest=_IDENTITY)
    return (
        finding["kind"],
        finding.get("class", "–"),
        finding.get("viewpoint", "–"),
        _whose(finding),
        views.place_of(finding),
        f"{change}, {answers}" if answers else change,
    )


def _narrow(findings: Iterable[Document]) -> RenderableType:
    lines = Text()
    for finding in findings:
        kind, service_class, viewpoint, whose, place, change = map(_shown, _cells(finding))
        what = kind if service_class == "–" else f"{kind}, {service_class}"
        lines.append(f"{what}: {viewpoint} to {whose}\n  {place}  {change}\n")
    lines.rstrip()
    return Padding(lines, (0, 0, 0, 2))


def _whose(finding: Document) -> str:
    host, service = finding.get("host", "–"), finding.get("service")
    return f"{host} {service}" if service else host


def _expiring(document: Document) -> Iterator[RenderableType]:
    """Loud, since what they cover fails the audit on the day after."""
    found = views.expiring(document)
    if not found:
        return
    yield Text(f"\n{views.count(len(found), 'waiver')} about to expire", style=STYLES[3])
    for waiver, covered in found:
        when = f"{views.until(waiver)}, {views.time_left(waiver, views.day_of(document))}"
        yield _item(f"{when}: {views.matched(waiver)}: covers {views.count(covered, 'finding')}; {_accepted(waiver)}")


def _expired(document: Document) -> Iterator[RenderableType]:
    """The waivers whose findings are back, each once."""
    back: dict[str, list[str]] = {}
    for finding in document["findings"]:
        if sentence := views.expired(finding):
            back.setdefault(sentence, []).append(f"{_whose(finding)} {views.place_of(finding)}")
    if back:
        yield _section("Waivers expired", "what they covered is found again")
    for sentence, places in back.items():
        yield _item(sentence)
        yield _item(f"  {views.some(list(dict.fromkeys(places)))}")


def _notices(document: Document) -> Iterator[RenderableType]:
    found = views.notices(document)
    if found:
        yield _section("Notices", "no part of the verdict")
        yield from _items(f"{one['kind']}: {views.place_of(one)}: {one['why']}" for one in found)


def _waived(document: Document) -> Iterator[RenderableType]:
    found, today = document["waived"], views.day_of(document)
    if found:
        yield _section("Waived", "found and accepted, no part of the verdict")
        yield from _items(_waived_line(one, one["waiver"], today) for one in found)


def _waived_line(finding: Document, waiver: Document, today: date) -> str:
    what = " ".join((finding["kind"], _whose(finding), views.place_of(finding)))
    seen = f" from {finding['viewpoint']}" if "viewpoint" in finding else ""
    until = f"until {views.until(waiver)}, {views.time_left(waiver, today)}"
    return f"{what}{seen}: {until}; {_accepted(waiver)}"


def _accepted(waiver: Document) -> str:
    return f"{waiver['owner']}: {waiver['reason']}"


def _items(lines: Iterable[str]) -> Iterator[RenderableType]:
    every = list(lines)
    yield from (_item(line) for line in every[:_SHOWN])
    if len(every) > _SHOWN:
        yield _item(f"and {len(every) - _SHOWN:,} more in the report")


def _groups(heading: str, meaning: str, rows: list[Document]) -> Iterator[RenderableType]:
    if not rows:
        return
    yield _section(heading, meaning)
    for group in views.by_reason(rows):
        where = list(dict.fromkeys(f"{row['host']} {row['address']}" for row in group.rows))
        yield _item(f"{group.viewpoint}: {views.count(group.endpoints, 'endpoint')}, {group.reason}")
        yield _item(f"  {views.some(where)}")


def _discovery(rows: Sequence[Document]) -> Iterator[RenderableType]:
    if not rows:
        return
    yield _section("Searched", "for live addresses that no host declares")
    for row in rows[:_SHOWN]:
        lived = f"{row['lived']:,} of {row['asked']:,} lived" if "asked" in row else f"{row['lived']:,} lived"
        yield _item(f"{row['viewpoint']}: {views.some(row['networks'])}: {lived}, by {row['how']}")
    if len(rows) > _SHOWN:
        yield _item(f"and {len(rows) - _SHOWN:,} more in the report")


def _left_out(rows: list[Document]) -> Iterator[RenderableType]:
    """What every viewpoint leaves out first, since that is a line once for all of them."""
    if not rows:
        return
    gaps: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        gaps.setdefault((row["what"], row["reason"]), []).extend(filter(None, [row.get("viewpoint")]))
    ordered = sorted(gaps.items(), key=lambda gap: -len(gap[1]))
    yield _section("Left out", "not looked at, by choice")
    for (what, reason), viewpoints in ordered[:_SHOWN]:
        yield _item(f"{', '.join(viewpoints)}: {what}: {reason}" if viewpoints else f"{what}: {reason}")
    if len(ordered) > _SHOWN:
        yield _item(f"and {len(ordered) - _SHOWN:,} more in the report")


def _section(heading: str, meaning: str) -> RenderableType:
    title = Text(f"\n{heading}", style="bold")
    return title.append(f"  {meaning}", style="default") if meaning else title


def _item(line: str) -> RenderableType:
    return Padding(_plain(line), (0, 0, 0, 2))


def _plain(line: str) -> Text:
    return Text(_shown(line), overflow="fold")


def _shown(value: Any) -> str:
    return visible(str(value), longest=_LONGEST)
