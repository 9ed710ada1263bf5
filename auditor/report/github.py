"""GitHub's workflow commands: annotations on the changed lines of a pull request.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from auditor.model.words import CLOSES
from auditor.report import views
from auditor.report.facts import anchor, fails, headline, is_change, is_notice, sentence, waiver
from auditor.report.hostile import visible, visible_document
from auditor.report.plain import Document


def github(document: Document) -> str:
    """A line for each finding of a gate, then one that sums up.

    GitHub shows ten errors, ten warnings and ten notices of a step: the most severe come first.
    """
    doc = visible_document(document)
    found = sorted(doc["findings"], key=lambda entry: (_LEVELS.index(_level(entry, doc)), entry["rank"]))
    lines = [_command(_level(entry, doc), entry, sentence(entry), doc) for entry in found]
    lines += [_command("notice", each, f"waived: {waiver(each['waiver'])}", doc) for each in doc["waived"]]
    return "\n".join([*lines, _summary(doc)]) + "\n"


_LEVELS = ("error", "warning", "notice")


def _level(entry: Document, doc: Document) -> str:
    if fails(entry, doc):
        return "error"
    return "notice" if entry["kind"] in CLOSES or is_notice(entry) else "warning"


def _command(level: str, entry: Document, message: str, doc: Document) -> str:
    file, line = anchor(entry, doc)
    title = headline(entry) if is_change(entry) else entry["kind"]
    return f"::{level} file={_property(file)},line={line},title={_property(title)}::{_data(visible(message))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _summary(doc: Document) -> str:
    """Own words and numbers alone: a line that begins otherwise than a command is searched for old commands."""
    failing = sum(fails(entry, doc) for entry in doc["findings"])
    rest, waived = len(doc["findings"]) - failing, len(doc["waived"])
    said = [views.count(failing, "finding") + (" fails" if failing == 1 else " fail") if failing else "nothing fails"]
    said += [f"{rest:,} more" if failing else views.count(rest, "finding")] if rest else []
    said += [f"{waived:,} waived"] if waived else []
    return f"auditor gate: {doc['verdict']['result']}: {', '.join(said)}"
