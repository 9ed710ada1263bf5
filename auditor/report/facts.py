"""What every format for machines says of a document's findings, audit or gate: whether they fail, where, and what."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from auditor.model import failing
from auditor.model.words import NOTICES, ChangeKind
from auditor.report import views
from auditor.report.gate import SCHEMA as GATE
from auditor.report.hostile import visible
from auditor.report.plain import Document

CIDRS = 24  # CIDRs that one line names; the internet less one network is up to 32 of them


def is_gate(document: Document) -> bool:
    return bool(document["schema"] == GATE)


def is_change(entry: Mapping[str, Any]) -> bool:
    """Whether the finding is what a change of the inventory does, and not what was seen or declared."""
    return entry["kind"] in set(ChangeKind)


def is_notice(entry: Mapping[str, Any]) -> bool:
    """Whether the finding is told and is no part of the verdict."""
    return entry["kind"] in NOTICES


def fails(entry: Mapping[str, Any], document: Document) -> bool:
    """Whether the unwaived finding is one of those for which the verdict exits 1."""
    judge = failing.fails_gate if is_gate(document) else failing.fails
    return judge(entry["kind"], entry["severity"], document["verdict"]["fail_on"])


def files(document: Document) -> list[str]:
    """The inventory's files; of a gate those of HEAD, or where it has none, of BASE."""
    sides = (
        [document["gate"]["head"], document["gate"]["base"]] if is_gate(document) else [document["audit"]["inventory"]]
    )
    for side in sides:
        if side.get("files"):
            return [str(file["path"]) for file in side["files"]]
    return [str(sides[0].get("path", ""))]


def of_base(document: Document) -> str:
    """What is to be said of a gate's BASE beside its path: that it was moved, or that there was none; mostly empty."""
    base = document["gate"]["base"]
    if "asked" in base:
        return f"The inventory was moved: at {base['asked']} there is none."
    return "" if base["files"] else f"The inventory is new: at {base['path']} there is none."


def anchor(entry: Mapping[str, Any], document: Document) -> tuple[str, int]:
    """The file and the line that the finding is about; the inventory's first line where there is none."""
    return _declared_at(entry) or (within(files(document)[0]), 1)


def declared_at(entry: Mapping[str, Any]) -> str:
    """`inventory.yaml:12`; empty where no line declares what the finding is about."""
    at = _declared_at(entry)
    return f"{at[0]}:{at[1]}" if at else ""


def _declared_at(entry: Mapping[str, Any]) -> tuple[str, int] | None:
    at = entry.get("declared_at") or entry.get("expected", {}).get("declared_at")
    return (within(at["file"]), at["line"]) if at else None


def within(name: str) -> str:
    """The path in the repository of a file that was read as `git:REV:PATH`; any other name as it is."""
    if not name.startswith("git:"):
        return name
    return name.removeprefix("git:").partition(":")[2] or name


def relative(document: Any, root: PurePath, here: PurePath | None = None) -> Any:
    """A copy of the document in which the names of files below `root` are relative to it, as repositories name them.

    Names that are relative already are taken from `here`, the root by default; those that lead out of it become whole.
    """
    start = here or root
    match document:
        case {"file": str(name), **rest} if "line" in rest:
            return {"file": _below(name, root, start), **rest}
        case {"path": str(name), **rest} if "sha256" in rest:
            return {"path": _below(name, root, start), **rest}
        case dict():
            return {key: relative(value, root, here) for key, value in document.items()}
        case list():
            return [relative(value, root, here) for value in document]
        case _:
            return document


def _below(name: str, root: PurePath, here: PurePath) -> str:
    inside = within(name)
    path = PurePath(posixpath.normpath(here / inside))
    if path.is_relative_to(root):
        return f"{name.removesuffix(inside)}{path.relative_to(root)}"
    return name if inside != name else str(path)


def whose(entry: Mapping[str, Any]) -> str:
    """`web-1.https`, `web-1`, or what else the finding is about."""
    name = ".".join(filter(None, (entry.get("host"), entry.get("service"))))
    return name or views.rule(dict(entry)) or "inventory"


def headline(entry: Mapping[str, Any]) -> str:
    """The finding in a few words: `added db-1.postgres 203.0.113.12:5432/tcp`. It has no line, which moves."""
    about = [whose(entry)]
    if entry["endpoints"] or "address" in entry:
        about.append(views.place_of(dict(entry)))
    elif "rule" in entry:
        about.append(views.rule(dict(entry)))
    return visible(" ".join([entry["kind"], *dict.fromkeys(about)]), longest=300)


def sentence(entry: Mapping[str, Any]) -> str:
    """One line that says it all: what, why, and the source ranges gained and lost."""
    said = [f"{headline(entry)}: {visible(why(entry), longest=1000)}"]
    said += [f"{word.capitalize()}: {views.some(cidrs, CIDRS)}." for word, cidrs in sources(entry)]
    return " ".join(said)


def why(entry: Mapping[str, Any]) -> str:
    """Why it is a finding, without the key that it begins with: for places where the key stands before it."""
    return str(entry["why"]).removeprefix(f"{entry.get('rule', '')}: ")


def sources(entry: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    """The CIDRs gained and lost, without those that are empty."""
    return [(word, cidrs) for word, cidrs in entry.get("sources", {}).items() if cidrs and word in ("gained", "lost")]


def facts(entry: Mapping[str, Any], document: Document) -> list[tuple[str, str]]:
    """All that is known of the finding as (name, text), in the order in which people ask."""
    rows = entry["endpoints"]
    also = f" (also {', '.join(entry['also'])})" if entry["also"] else ""
    playbook = document["playbooks"].get(entry["playbook"]["id"], {})
    found = [
        ("severity", f"{entry['severity']}{also}"),
        ("class", entry.get("class", "")),
        ("viewpoint", entry.get("viewpoint", "")),
        ("where", whose(entry)),
        ("endpoints", views.some([views.endpoint(row) for row in rows])),
        *((word, views.some(cidrs, CIDRS)) for word, cidrs in sources(entry)),
        ("expected", "" if is_change(entry) or not rows else views.expected(dict(entry))),
        ("observed", "" if is_change(entry) or not rows else _observed(entry)),
        ("rule", views.rule(dict(entry))),
        ("declared at", declared_at(entry)),
        ("owner", entry.get("owner", "")),
        ("waiver", waiver(entry.get("waiver") or entry.get("about_waiver"))),
        ("expired waiver", waiver(entry.get("expired_waiver"))),
        ("check", views.fill(playbook.get("immediate_check", ""), entry["playbook"].get("values", {}))),
        ("fix", views.fill(playbook.get("fix_action", ""), entry["playbook"].get("values", {}))),
        ("fingerprint", entry["fingerprint"]),
    ]
    return [(name, visible(str(text))) for name, text in found if text]


def _observed(entry: Mapping[str, Any]) -> str:
    answers = views.identity(dict(entry))
    return ", ".join(filter(None, (views.observed(dict(entry)), answers)))


def waiver(given: Mapping[str, Any] | None) -> str:
    """`partner migration (team-web, NET-123, until 2026-12-31)`; empty where there is no waiver."""
    if not given:
        return ""
    until = f"until {views.until(given)}"
    left = given.get("expires_in_days")
    soon = None if left is None else f"{views.count(left, 'day')} left"
    known = ", ".join(str(each) for each in (given["owner"], given.get("ticket"), until, soon) if each)
    return f"{given['reason']} ({known})"
