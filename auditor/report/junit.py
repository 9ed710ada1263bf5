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
    prints: dict[Element, str] = {}
    for entry in (*doc["findings"], *doc["waived"]):
        case = _case(entry, doc)
        suites[_suite_of(entry, doc)].append(case)
        prints[case] = str(entry["fingerprint"])
    if is_gate(doc):
        if not suites:
            suites["gate"].append(_named("gate", "no change of exposure"))
        return _told_apart(suites, prints)
    for suite, case in (*_unverified(doc), *_untroubled(doc)):
        suites[suite].append(case)
    errors = list(_failed(doc))
    return _told_apart(suites | ({"audit": errors} if errors else {}), prints)


def _told_apart(suites: dict[str, list[Element]], prints: Mapping[Element, str]) -> dict[str, list[Element]]:
    """The same with no two cases of one class and name: services tell them apart by these alone, whatever the suite."""
    cases = [case for members in suites.values() for case in members]
    shared = {pair for pair, number in Counter(map(_pair, cases)).items() if number > 1}
    for case in cases:
        if _pair(case) in shared and case in prints:
            case.set("name", f"{case.get('name')} {prints[case]}")
    taken: set[tuple[str, str]] = set()
    for case in cases:
        name, number = _pair(case)[1], 1
        while _pair(case) in taken:
            number += 1
            case.set("name", f"{name} ({number})")
        taken.add(_pair(case))
    return suites


def _pair(case: Element) -> tuple[str, str]:
    return case.get("classname", ""), case.get("name", "")


def _named(classname: str, name: str, viewpoint: str | None = None) -> Element:
    """A case. The viewpoint is in its name: services show no suite, and tell findings of two viewpoints for one."""
    return Element("testcase", classname=classname, name=f"{name} from {viewpoint}" if viewpoint else name)


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


def _case(entry: Document, doc: Document) -> Element:
    case = _named(entry.get("host", _INVENTORY), headline(entry), entry.get("viewpoint"))
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
        case = _named(host, "unverified", viewpoint)
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
            case = _named(host, "as declared", cell.viewpoint)
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
        case = _named(stage, "complete")
        SubElement(case, "error", message=visible(messages[0]), type="failed").text = "\n".join(map(visible, messages))
        yield case
