"""The report as one HTML file that asks nothing of the network and runs nothing but its own script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auditor.model.words import Severity
from auditor.report import views
from auditor.report.hostile import visible, visible_document
from auditor.report.plain import Document

_CHUNK = 50  # findings in one part of the page that the browser may leave unpainted; the style sheet knows its height
_PLAYBOOKS_IN_FULL = (
    1000  # findings; with more, the words of each playbook stand once, or the page would weigh hundreds of megabytes
)
_ROWS = 40  # endpoint rows of one finding
_WAIVED = 1000  # waived findings that the page shows, the worst first
_HOSTS = 400  # rows of the host matrix
_PLAYBOOK_KEYS = (
    ("immediate_check", "Check now"),
    ("fix_action", "Fix"),
    ("root_cause", "Usual cause"),
    ("traffic_flow", "Traffic flow"),
    ("layer", "Layer"),
    ("controls", "Controls"),
    ("failure_symptom", "Symptom"),
    ("blast_radius", "Blast radius"),
)
_TO_PASTE = ("immediate_check", "fix_action")  # filled in for each finding, however many there are
_ANCHORS = {
    "verified": "coverage",
    "drifted": "findings",
    "silent": "silent",
    "unverified": "unverified",
    "left out": "left-out",
}


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding's entry with what the page works out from it.

    `playbook` leaves out what stands once for all findings; `text` is searched beside what the row shows.
    """

    entry: Document
    id: str
    class_: str
    owner: str
    identity: str
    place: str
    expected: str
    observed: str
    rule: str
    expired: str
    from_addresses: list[str]
    rows: list[Document]
    more: int
    playbook: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class _Waived:
    """A waived finding, and how long its waiver will last."""

    view: FindingView
    left: str


def html(document: Document) -> str:
    """The whole page. Every text of the document is escaped and shown, never interpreted."""
    doc = visible_document(document)
    style, script = _asset("report.css"), _asset("report.js")
    acted_on, notices = views.acted_on(doc), views.notices(doc)
    found = list(_findings(doc, acted_on))
    matrix, today = views.host_matrix(doc), views.day_of(doc)
    telling = sum(any(cell.findings or cell.state in ("unverified", "waived") for cell in cells) for _, cells in matrix)
    shown = min(len(matrix), max(_HOSTS, telling))  # the worst come first, and none of those is left away
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            doc=doc,
            style=Markup(style),  # noqa: S704 - our own file, shipped with the program
            script=Markup(script),  # noqa: S704 - our own file, shipped with the program
            style_hash=_hash(style),
            script_hash=_hash(script),
            verdict=views.verdict(doc),
            times=views.times(doc),
            seen=views.seen(doc),
            totals=views.totals(doc),
            noticed=views.noticed(doc),
            anchors=_ANCHORS,
            severities=[severity.value for severity in Severity],
            classes=views.severity_table(acted_on),
            matrix=matrix[:shown],
            more_hosts=len(matrix) - shown,
            options=_options(found),
            chunks=[found[start : start + _CHUNK] for start in range(0, len(found), _CHUNK)],
            total=len(found),
            kinds=doc["kinds"],
            playbook_keys=_PLAYBOOK_KEYS,
            in_full=_in_full(doc),
            notices=list(_findings(doc, notices)),
            waived=[
                _Waived(one, views.time_left(one.entry["waiver"], today))
                for one in _findings(doc, doc["waived"][:_WAIVED])
            ],
            more_waived=max(0, len(doc["waived"]) - _WAIVED),
            expiring=[(waiver, covered, views.time_left(waiver, today)) for waiver, covered in views.expiring(doc)],
            shared_playbooks=[] if _in_full(doc) else list(doc["playbooks"].items()),
            unverified=views.by_reason(doc["unverified"]),
            silent=views.by_reason(doc["silent"]),
            left_out=_left_out(doc),
        )
    )


def _in_full(doc: Document) -> bool:
    return len(doc["findings"]) <= _PLAYBOOKS_IN_FULL


def _findings(doc: Document, entries: Iterable[Document]) -> Iterator[FindingView]:
    seen_as = {view["name"]: view["addresses"] for view in doc["audit"]["viewpoints"]}
    keys = [key for key, _ in _PLAYBOOK_KEYS] if _in_full(doc) else list(_TO_PASTE)
    playbooks = {name: {key: texts[key] for key in keys if key in texts} for name, texts in doc["playbooks"].items()}
    for entry in entries:
        rows = entry["endpoints"]
        yield FindingView(
            entry=entry,
            id=f"f-{entry['fingerprint'].removeprefix('v1:')}",
            class_=entry.get("class", views.NO_CLASS),
            owner=entry.get("owner", views.NO_OWNER),
            identity=views.identity(entry),
            place=views.place_of(entry),
            expected=views.expected(entry),
            observed=views.observed(entry),
            rule=views.rule(entry),
            expired=views.expired(entry),
            from_addresses=_of_family(seen_as.get(entry.get("viewpoint", ""), []), entry.get("family")),
            rows=rows[:_ROWS],
            more=max(0, len(rows) - _ROWS),
            playbook=playbooks.get(entry["playbook"]["id"], {}),
            text=" ".join(f"{row['address']} {row.get('ports', '')}/{row.get('protocol', '')}" for row in rows),
        )


def _of_family(addresses: Sequence[str], family: str | None) -> list[str]:
    return [address for address in addresses if family is None or (":" in address) == (family == "ipv6")]


def _options(found: Sequence[FindingView]) -> list[tuple[str, str, list[str]]]:
    """The filters: (name, label, values that occur)."""
    present = {each.entry["severity"] for each in found}
    severities = [severity.value for severity in Severity if severity.value in present]
    return [
        ("severity", "Severity", severities),
        ("class", "Class", sorted({each.class_ for each in found})),
        ("viewpoint", "Viewpoint", sorted({each.entry["viewpoint"] for each in found if "viewpoint" in each.entry})),
        ("host", "Host", sorted({each.entry["host"] for each in found if "host" in each.entry})),
        ("owner", "Owner", sorted({each.owner for each in found})),
    ]


def _left_out(doc: Document) -> list[tuple[str, list[Document]]]:
    def viewpoint(row: Document) -> str:
        return str(row.get("viewpoint", ""))

    return [(name, list(rows)) for name, rows in groupby(sorted(doc["left_out"], key=viewpoint), viewpoint)]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auditor.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shortened,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        blocks=views.blocks,
        count=views.count,
        endpoint=views.endpoint,
        title=views.title,
        len=len,
        matched=views.matched,
        until=views.until,
    )
    return environment


def _shortened(value: Any) -> Any:
    """No single text may swamp the page. What is markup already is the template's own."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return visible(value, keep="\n\t")
    return value


@cache
def _asset(name: str) -> str:
    return files("auditor.report").joinpath("templates", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """The Content-Security-Policy source that allows exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
