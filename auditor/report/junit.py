"""JUnit XML, as Jenkins and GitLab read it: what fails is a failure, what could not be told an error."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from auditor.report import views
from auditor.report.facts import facts, fails, headline, is_gate, waiver
from auditor.report.hostile import visible, visible_document
from auditor.report.plain import Document

_INVENTORY = "inventory"  # the suite of what no viewpoint sees: policy, waivers
_LINES = 50  # endpoints that one error lists


def junit(document: Document) -> str:
    """One suite for each viewpoint of an audit, or one for the gate.

    A waived finding is skipped with its reason, one below `--fail-on` passes and says what it is, and a host where
    nothing was found has a case that passes: a report without cases would read as one that never ran.
    """
    doc = visible_document(document)
    suites = Element("testsuites", name="auditor")
    for name, cases in _suites(doc).items():
        suites.append(_suite(name, cases, doc))
    for count in ("tests", "failures", "errors"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _suites(doc: Document) -> dict[str, list[Element]]:
    suites: dict[str, list[Element]] = defaultdict(list)
    if not is_gate(doc):
        suites |= {view["name"]: [] for view in doc["audit"]["viewpoints"]}
    found = [*doc["findings"], *doc["waived"]]
    names = Counter((_suite_of(entry, doc), headline(entry)) for entry in found)
    for entry in found:
        suite = _suite_of(entry, doc)
        twice = names[suite, headline(entry)] > 1  # test results are told apart by their names alone
        name = f"{headline(entry)} {entry['fingerprint']}" if twice else headline(entry)
        suites[suite].append(_case(entry, name, doc))
    if is_gate(doc):
        if not found:
            suites["gate"].append(Element("testcase", classname="gate", name="no change of exposure"))
        return suites
    for suite, case in (*_unverified(doc), *_untroubled(doc)):
        suites[suite].append(case)
    errors = list(_failed(doc))
    return suites | ({"audit": errors} if errors else {})


def _suite_of(entry: Document, doc: Document) -> str:
    return "gate" if is_gate(doc) else str(entry.get("viewpoint", _INVENTORY))


def _suite(name: str, cases: list[Element], doc: Document) -> Element:
    counts = {word: str(sum(case.find(tag) is not None for case in cases)) for word, tag in _COUNTED}
    suite = Element("testsuite", {"name": name, "tests": str(len(cases)), **counts})
    if not is_gate(doc):
        suite.set("timestamp", str(doc["audit"]["started_at"]).removesuffix("Z"))  # Jenkins wants no zone
        if seen := views.seen(doc, name):
            SubElement(SubElement(suite, "properties"), "property", name="seen", value=seen)
    suite.extend(cases)
    return suite


_COUNTED = (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))


def _case(entry: Document, name: str, doc: Document) -> Element:
    case = Element("testcase", classname=entry.get("host", _INVENTORY), name=name)
    details = _lines(facts(entry, doc))
    why = visible(entry["why"])
    if "waiver" in entry:
        SubElement(case, "skipped", message=visible(f"waived: {waiver(entry['waiver'])}"))
        SubElement(case, "system-out").text = f"{why}\n{details}"
    elif fails(entry, doc):
        SubElement(case, "failure", message=why, type=entry["severity"]).text = details
    else:
        SubElement(case, "system-out").text = f"{why}\n{details}"
    return case


def _lines(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {text}" for name, text in rows)


def _unverified(doc: Document) -> Iterator[tuple[str, Element]]:
    """A case for each host and viewpoint of which something could not be told: an error, or skipped where allowed."""
    rows: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for row in doc["unverified"]:
        rows[row["viewpoint"], row["host"]].append(row)
    outcome = "skipped" if doc["audit"]["options"].get("allow_unverified") else "error"
    for (viewpoint, host), members in sorted(rows.items()):
        endpoints = views.count(sum(map(views.ports_in, members)), "endpoint")
        reasons = views.some(sorted({row["reason"] for row in members}))
        case = Element("testcase", classname=host, name="unverified")
        told = SubElement(case, outcome, message=visible(f"{endpoints} could not be verified: {reasons}"))
        told.set("type", "unverified")
        told.text = _endpoints(members)
        yield viewpoint, case


def _endpoints(rows: list[Document]) -> str:
    lines = [visible(f"{views.endpoint(row)}: {row['reason']}") for row in rows[:_LINES]]
    return "\n".join([*lines, *([f"and {len(rows) - _LINES:,} more"] if len(rows) > _LINES else [])])


def _untroubled(doc: Document) -> Iterator[tuple[str, Element]]:
    """A case for each host and viewpoint without a finding and with nothing unverified."""
    for host, cells in sorted(views.host_matrix(doc)):
        for cell in cells:
            if cell.state not in _SAID:
                continue
            case = Element("testcase", classname=host, name="as declared")
            if cell.state == "silent":
                SubElement(case, "skipped", message=_SAID[cell.state])
            elif _SAID[cell.state]:
                SubElement(case, "system-out").text = _SAID[cell.state]
            yield cell.viewpoint, case


_SAID: Mapping[str, str] = {
    "verified": "",
    "partly silent": "some endpoints gave no answer, neither good nor bad",
    "silent": "no endpoint gave an answer, neither good nor bad",
}


def _failed(doc: Document) -> Iterator[Element]:
    """A case for each stage that failed in part."""
    stages: dict[str, list[str]] = defaultdict(list)
    for error in doc["errors"]:
        stages[error["stage"]].append(error["message"])
    for stage, messages in sorted(stages.items()):
        case = Element("testcase", classname=stage, name="complete")
        SubElement(case, "error", message=visible(messages[0]), type="failed").text = "\n".join(map(visible, messages))
        yield case
