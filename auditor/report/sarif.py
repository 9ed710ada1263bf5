"""SARIF 2.1.0, for code scanning: findings as results at the inventory's lines.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

from auditor.model.words import Severity
from auditor.report import views
from auditor.report.facts import anchor, facts, files, is_gate, sentence, waiver, whose, within
from auditor.report.hostile import visible, visible_document
from auditor.report.plain import Document, present, to_json

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_NAME = "exposure-drift-auditor"
_LEVELS = {1: "error", 2: "error", 3: "error", 4: "warning", 5: "warning", 6: "note"}
# GitHub's bands: over 9.0 critical, from 7.0 high, from 4.0 medium, above 0 low
_SECURITY = {1: "9.5", 2: "8.5", 3: "8.0", 4: "6.0", 5: "5.0", 6: "2.0"}
# GitHub refuses the file of a run with more than 25,000 results, and of fewer it shows the 5,000 most severe, as it
# grades them: by their rule. These are the most severe as the findings are graded, and a file that fits its 10 MB.
# https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit
MOST_RESULTS = 5_000
_UNREAD = ("matrix", "silent", "listeners", "hosts")  # by far the most of a large document
_LINK = re.compile(r"\[(?=[^\[\]]*\]\()")  # what a message would show as a link


def sarif(document: Document) -> str:
    """The document as one run. Paths are as the document has them: relative ones are taken from the repository's root.

    What could not be told is a notification of the tool, since a result would need a line; so is how many results are
    left out, the least severe and of these the waived ones first, where there are too many.
    """
    findings, waived = _most_severe(document)
    kept = {key: value for key, value in document.items() if key not in _UNREAD}
    doc = visible_document({**kept, "findings": findings, "waived": waived})
    entries = [*doc["findings"], *doc["waived"]]
    rules = _rules(entries, doc)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    driver = {"name": _NAME, "version": _version(doc), "rules": rules, "notifications": _NOTIFICATIONS}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"{_NAME}/{'gate' if is_gate(doc) else 'audit'}/"},
        "invocations": [_invocation(doc, sarif_lacks(document))],
        "artifacts": [{"location": _artifact(name)} for name in dict.fromkeys(map(within, files(doc)))],
        "results": list(_results(entries, doc, index)),
        "columnKind": "unicodeCodePoints",
    }
    return to_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def sarif_lacks(document: Document) -> str:
    """What to say where results are left out: how many, and of which severities; mostly empty."""
    every = Counter(entry["severity"] for entry in (*document["findings"], *document["waived"]))
    kept = Counter(entry["severity"] for entries in _most_severe(document) for entry in entries)
    left = every - kept
    if not left:
        return ""
    by_severity = ", ".join(f"{left[severity]:,} {severity}" for severity in Severity if left[severity])
    return (
        f"{left.total():,} of {every.total():,} results are left out, the least severe ({by_severity}): "
        f"code scanning takes {MOST_RESULTS:,} of a run; --format json has all"
    )


def _most_severe(document: Document) -> tuple[list[Document], list[Document]]:
    """The findings and the waived ones that are told, in their order."""
    findings, waived = document["findings"], document["waived"]
    if len(findings) + len(waived) <= MOST_RESULTS:
        return findings, waived
    found = sorted(findings, key=lambda entry: int(entry["rank"]))[:MOST_RESULTS]
    return found, sorted(waived, key=lambda entry: int(entry["rank"]))[: MOST_RESULTS - len(found)]


def _version(doc: Document) -> str:
    return str((doc["gate"] if is_gate(doc) else doc["audit"])["auditor_version"])


def _rules(entries: Iterable[Document], doc: Document) -> list[Document]:
    """A rule for each kind that occurs. Its severity is that of its worst finding: GitHub reads it only there."""
    ranks: dict[str, int] = {}
    playbooks: dict[str, str] = {}
    for entry in entries:
        kind = entry["kind"]
        ranks[kind] = min(entry["rank"], ranks.get(kind, len(_LEVELS)))
        playbooks.setdefault(kind, entry["playbook"]["id"])
    return [
        {
            "id": kind,
            "shortDescription": {"text": views.title(kind)},
            "fullDescription": {"text": _text(doc["kinds"].get(kind, views.title(kind)))},
            **_help(doc["playbooks"].get(playbooks[kind], {})),
            "defaultConfiguration": {"level": _LEVELS[rank]},
            "properties": {"tags": ["security", "network"], "security-severity": _SECURITY[rank]},
        }
        for kind, rank in sorted(ranks.items())
    ]


def _help(playbook: Mapping[str, str]) -> Document:
    """The playbook with names for its placeholders, since a rule is for all findings of its kind."""
    named = {key: views.PLACEHOLDER.sub(lambda found: found[1].upper(), text) for key, text in playbook.items()}
    parts = [(words, named[key]) for key, words in _HELP if named.get(key)] or [("Fix", "see the report")]
    text = "\n".join(f"{words}: {part}" for words, part in parts)
    markdown = "\n\n".join(f"**{words}:** {part}" for words, part in parts)
    return {"help": {"text": _text(text), "markdown": _text(markdown)}}


_HELP = (
    ("failure_symptom", "Symptom"),
    ("root_cause", "Usual cause"),
    ("immediate_check", "Check now"),
    ("fix_action", "Fix"),
    ("blast_radius", "Blast radius"),
)


def _results(entries: Iterable[Document], doc: Document, index: Mapping[str, int]) -> Iterator[Document]:
    seen: Counter[str] = Counter()
    for entry in entries:
        fingerprint = str(entry["fingerprint"])
        seen[fingerprint] += 1
        file, line = anchor(entry, doc)
        physical = {"artifactLocation": _artifact(file), "region": {"startLine": line}}
        logical = {"fullyQualifiedName": whose(entry), "kind": "resource"}
        yield {
            "ruleId": entry["kind"],
            "ruleIndex": index[entry["kind"]],
            "level": _LEVELS[entry["rank"]],
            "message": {"text": _text(sentence(entry))},
            "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
            "partialFingerprints": {
                "auditor/v1": fingerprint,
                # GitHub would take the line's text, which many findings share, and make one alert of them
                "primaryLocationLineHash": f"{fingerprint.removeprefix('v1:')}:{seen[fingerprint]}",
            },
            "suppressions": _suppressions(entry),  # present in every result, as soon as it may be in one
            "properties": {
                **{name.replace(" ", "_"): text for name, text in facts(entry, doc) if name in _PROPERTIES},
                "security-severity": _SECURITY[entry["rank"]],
            },
        }


_PROPERTIES = frozenset(
    {"severity", "class", "viewpoint", "endpoints", "gained", "lost", "rule", "owner", "expired waiver", "fix"}
)


def _suppressions(entry: Document) -> list[Document]:
    given = entry.get("waiver")
    if given is None:
        return []
    return [{"kind": "external", "status": "accepted", "justification": visible(waiver(given))}]


_NOTIFICATIONS = [
    {
        "id": kind,
        "shortDescription": {"text": short},
        "fullDescription": {"text": full},
        "help": {"text": help_, "markdown": help_},
    }
    for kind, short, full, help_ in (
        (
            "unverified",
            "Unverified",
            "The audit could not tell whether these endpoints are as declared.",
            "This is never a pass. The reason says what was missing: mend it and audit again.",
        ),
        (
            "left-out",
            "Left out",
            "There are more results than code scanning takes; the least severe are not in this file.",
            "The exit code and the JSON report are of all of them. Mend what is worst, or audit in parts.",
        ),
        (
            "failed",
            "Failed in part",
            "A stage of the audit did not come to its end.",
            "The message says why: mend it and audit again.",
        ),
        (
            "age",
            "Seen more than a day ago",
            "The verdict rests on saved evidence, or on what an interrupted audit saw before it went on.",
            "What has changed since is not known: look again.",
        ),
    )
]


def _invocation(doc: Document, lacks: str) -> Document:
    times = {} if is_gate(doc) else doc["audit"]
    notifications = [_notification("left-out", "warning", lacks)] if lacks else []
    notifications += [] if is_gate(doc) else [*_failed(doc), *_unverified(doc), *_aged(doc)]
    return present(
        executionSuccessful=bool(doc["verdict"].get("complete", True)),
        exitCode=doc["verdict"]["exit_code"],
        startTimeUtc=times.get("started_at"),
        endTimeUtc=times.get("finished_at"),
        toolExecutionNotifications=notifications,
    )


def _failed(doc: Document) -> Iterator[Document]:
    for error in doc["errors"]:
        yield _notification("failed", "error", f"{error['stage']}: {error['message']}")


def _unverified(doc: Document) -> Iterator[Document]:
    for group in views.by_reason(doc["unverified"]):
        where = views.some([f"{row['host']} {views.endpoint(row)}" for row in group.rows])
        what = views.count(group.endpoints, "endpoint")
        yield _notification("unverified", "warning", f"{group.viewpoint}: {what}: {group.reason}: {where}")


def _aged(doc: Document) -> Iterator[Document]:
    for view in doc["audit"]["viewpoints"]:
        if seen := views.seen(doc, view["name"]):
            yield _notification("age", "note", f"{view['name']}: seen {seen}")


def _notification(id_: str, level: str, text: str) -> Document:
    return {"descriptor": {"id": id_}, "level": level, "message": {"text": _text(visible(text))}}


def _artifact(name: str) -> Document:
    """A file's place: percent-encoded, from the repository's root, or as a `file` URI where it is absolute."""
    if name.startswith("/"):
        return {"uri": f"file://{quote(name)}"}
    return {"uri": quote(name), "uriBaseId": "%SRCROOT%"}


def _text(text: str) -> str:
    """A text as a message: braces would be placeholders (3.11.5), brackets before parentheses a link (3.11.6)."""
    return _LINK.sub(r"\\[", text).replace("{", "{{").replace("}", "}}")
