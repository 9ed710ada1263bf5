"""The report document: what an audit becomes before any format is rendered."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest

from auditor.model.audit import Audit
from auditor.model.inventory import InventoryFile, Policy
from auditor.model.words import Kind, Result, ServiceClass, Severity
from auditor.report import views
from auditor.report.document import document
from auditor.report.entries import entry
from auditor.report.formats import FORMATS
from auditor.report.plain import to_json
from auditor.resources import schema_text
from tests import builders
from tests.builders import clean_audit, drift, observation, outcome, viewpoint
from tests.estates import big_audit, blind_audit, busy_audit, hostile_audit

AUDITS = {"busy": busy_audit, "clean": clean_audit, "hostile": hostile_audit, "blind": blind_audit}
TOP_KEYS = [
    "schema",
    "audit",
    "verdict",
    "summary",
    "coverage",
    "left_out",
    "findings",
    "waived",
    "unverified",
    "silent",
    "matrix",
    "hosts",
    "kinds",
    "playbooks",
    "errors",
]


def validator() -> jsonschema.Draft202012Validator:
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return jsonschema.Draft202012Validator(json.loads(schema_text("report")), format_checker=checker)


def finding(kind: str, report: dict[str, Any] | None = None) -> dict[str, Any]:
    report = report or document(busy_audit())
    return next(each for each in report["findings"] if each["kind"] == kind)


def nulls(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(nulls, value.values()))
    return sum(map(nulls, value)) if isinstance(value, list) else value is None


@pytest.mark.parametrize("name", AUDITS)
def test_valid(name: str) -> None:
    """Every document is valid against the shipped schema."""
    report = json.loads(to_json(document(AUDITS[name]())))

    assert [] == [error.message for error in validator().iter_errors(report)]


def test_schema_itself() -> None:
    """The schema is a valid JSON schema."""
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text("report")))


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("schema",), "auditor/report/v2"),
        (("audit", "started_at"), "2026-11-22 02:00:00"),
        (("audit", "inventory", "files", 0, "sha256"), "abc"),
        (("verdict", "result"), "fine"),
        (("coverage", 0, "tcp"), "22;80"),
        (("coverage", 0, "addresses", 0), "203.0.113.300"),
        (("findings", 0, "fingerprint"), "v1:XYZ"),
        (("findings", 0, "severity"), "high"),
        (("findings", 0, "rank"), 7),
        (("findings", 0, "owner"), None),
        (("findings", 0, "endpoints", 0, "state"), "opened"),
        (("unverified", 0, "ports"), ""),
        (("matrix", 0, "port"), -1),
        (("matrix", 0, "port"), 65536),
        (("waived", 0, "waiver", "match"), {"host": "web-1"}),
        (("waived", 0, "waiver", "expires"), "31.12.2026"),
        (("waived", 0, "waiver", "expires_in_days"), 15),
        (("summary", "endpoints", "verified"), -1),
    ],
)
def test_schema_is_strict(path: tuple[str | int, ...], wrong: object) -> None:
    """The schema refuses what no audit writes."""
    report = document(busy_audit())
    place: Any = report
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong

    assert not validator().is_valid(report)


def test_schema_is_open() -> None:
    """Keys that a later auditor adds do not make a report invalid."""
    report = document(busy_audit())
    report["later"] = report["findings"][0]["later"] = {"any": "thing"}

    assert validator().is_valid(report)


def test_keys() -> None:
    """The keys are those of the contract, in its order, and nothing is null."""
    report = document(busy_audit())

    assert list(report) == TOP_KEYS
    assert 0 == nulls(report)


def test_stable() -> None:
    """The same audit gives the same bytes, whatever order its parts came in."""
    audit = busy_audit()
    shuffled = replace(
        audit,
        findings=audit.findings[::-1],
        comparisons=tuple(replace(c, outcomes=c.outcomes[::-1]) for c in audit.comparisons[::-1]),
    )

    assert to_json(document(audit)) == to_json(document(shuffled))


def test_every_endpoint_once() -> None:
    """The summary counts every endpoint of the coverage once, and so do the folded lists."""
    audit = busy_audit()
    report = document(audit)
    counts = report["summary"]["endpoints"]
    folded = {name: sum(size(row["ports"]) for row in report[name]) for name in ("unverified", "silent")}

    assert sum(len(o.ports) for c in audit.comparisons for o in c.outcomes) == sum(counts.values())
    assert {"unverified": counts["unverified"], "silent": counts["silent"]} == folded


def size(ports: str) -> int:
    ends = [part.partition("-") for part in ports.split(",")]
    return sum(int(last or first) - int(first) + 1 for first, _, last in ends)


def test_every_kind() -> None:
    """The busy audit has every kind of finding, each explained, each with its playbook."""
    report = document(busy_audit())

    assert {kind.value for kind in Kind} == {each["kind"] for each in report["findings"]} == set(report["kinds"])
    assert {each["playbook"]["id"] for each in report["findings"]} == set(report["playbooks"])


def test_sorted_by_severity() -> None:
    """Findings come highest severity first, and the summary counts each severity, zeros included."""
    report = document(busy_audit())
    ranks = [each["rank"] for each in report["findings"]]

    assert sorted(ranks) == ranks
    assert [severity.value for severity in Severity] == list(report["summary"]["by_severity"])
    assert len(ranks) == sum(report["summary"]["by_severity"].values())


def test_finding() -> None:
    """A finding says what was expected, what was observed, by whom it is owned and where it is declared."""
    found = finding("wrong-interface")

    assert (
        {
            "state": "blocked",
            "from": ["app-subnet"],
            "declared_at": {"file": "inventories/example/hosts.yaml", "line": 12},
        }
    ) == found["expected"]
    assert "Redis key-value store" == found["observed"]["service"]["product"]
    assert "2026-11-22T02:00:31Z" == found["observed"]["at"]
    assert ("team-data", ["production"], 2) == (found["owner"], found["tags"], found["attempts"])
    assert (
        [{"address": "203.0.113.12", "protocol": "tcp", "ports": "6379", "state": "open", "reason": "syn-ack"}]
    ) == found["endpoints"]
    assert ["routed", "allowed", "listening"] == list(found["legs"])


def test_attempts_are_those_of_the_endpoint_seen_least() -> None:
    """A finding of two endpoints claims no more probes than each of them had."""
    rows = [
        outcome(
            "web-1", observation("203.0.113.10", port, attempts=attempts), Result.DRIFTED, "", kind=Kind.WRONG_INTERFACE
        )
        for port, attempts in (("6379", 3), ("6380", 1))
    ]
    both = builders.finding(drift(viewpoint(), *rows), Severity.DIRECT_COMPROMISE, ServiceClass.DATA_STORE, "open")

    assert 1 == entry(both, {})["attempts"]


def test_every_inventory_file() -> None:
    """The report names every file that the inventory came from, with its hash."""
    files = tuple(InventoryFile(name, digit * 64) for name, digit in (("a.yaml", "0"), ("b.yaml", "1")))
    audit = clean_audit()
    report = document(replace(audit, inventory=replace(audit.inventory, files=files)))

    assert [{"path": "a.yaml", "sha256": "0" * 64}, {"path": "b.yaml", "sha256": "1" * 64}] == (
        report["audit"]["inventory"]["files"]
    )


def test_blind() -> None:
    """A viewpoint that could not look says why; an address that merely lives is a finding without endpoints."""
    report = document(blind_audit())
    alive, seen = report["findings"][0], {view["name"]: view for view in report["audit"]["viewpoints"]}

    assert "the source address would be 192.0.2.9, declared is 198.51.100.20" == seen["public"]["failure"]
    assert "nmap_version" not in seen["public"]
    assert [] == alive["endpoints"]
    assert "10.20.1.66" == alive["address"]
    assert not {"observed", "expected", "legs", "attempts", "class", "confidence"} & set(alive)


def test_owner_of_service_first() -> None:
    """The service's own owner outranks the host's."""
    assert "platform" == finding("outside-source-range")["owner"]


def test_absent() -> None:
    """What a kind does not have is absent: an unknown host has no owner, service, class or expectation."""
    found = finding("unknown-host")

    assert not {"owner", "service", "class", "expected", "interface", "family_gap"} & set(found)
    assert "203.0.113.99" == found["address"] == found["host"]


def test_all_ports_open() -> None:
    """Hundreds of open ports behind one all-ports-open finding are one row there and none in the matrix."""
    report = document(busy_audit())
    rows = finding("all-ports-open", report)["endpoints"]

    assert ["1000-1399"] == [row["ports"] for row in rows]
    assert [] == [row for row in report["matrix"] if 1000 <= row["port"] < 1400]


def test_matrix() -> None:
    """The matrix has declared and open endpoints, a row each, with what became of them."""
    rows = {(row["viewpoint"], row["host"], row["port"]): row for row in document(busy_audit())["matrix"]}

    assert (
        "drifted",
        "undeclared-port",
        "Golang net/http server",
    ) == tuple(rows["public", "web-1", 9100][key] for key in ("outcome", "kind", "identity"))
    assert ("verified", "nginx 1.22.1") == tuple(rows["vpn", "web-1", 443][key] for key in ("outcome", "identity"))
    assert "silent" == rows["public", "vpn-1", 51820]["outcome"]
    assert "identity" not in rows["vpn", "db-1", 5005], "a guess from the port number is no identity"


def test_coverage_is_exact() -> None:
    """Each coverage row holds for each of its addresses: different ports, different rows."""
    rows = document(clean_audit())["coverage"]

    seen = {"from": "2026-11-22T02:00:31Z", "to": "2026-11-22T02:00:31Z"}
    assert [("public", "ipv4", ["203.0.113.10"], "1-65535", "53,161", "syn", seen)] == [
        tuple(row.values()) for row in rows
    ]


def test_left_out_names_the_viewpoint() -> None:
    """What two viewpoints leave out are different gaps."""
    assert ["public", "public", "vpn"] == [row["viewpoint"] for row in document(busy_audit())["left_out"]]


def test_options_are_plain() -> None:
    """Whatever the options hold, the document holds plain JSON."""
    audit: Audit = replace(clean_audit(), options={"fail_on": ("any",), "hosts": {"b", "a"}, "kind": Kind.UNKNOWN_HOST})

    assert {
        "fail_on": ["any"],
        "hosts": ["a", "b"],
        "kind": "unknown-host",
    } == json.loads(to_json(document(audit)))["audit"]["options"]


def test_big() -> None:
    """A thousand findings keep their count and order."""
    report = document(big_audit(1000))

    assert (1000, 100) == (report["summary"]["findings"], len(report["hosts"]))


def waived_until(until: str, most_days: int | None = None) -> Audit:
    """The busy audit of 2026-11-22 with one finding waived since 2026-10-02."""
    audit = busy_audit()
    one = replace(audit.waived[0], waiver=builders.waiver(host=["db-1"], ports=["23/tcp", "24/tcp"], until=until))
    inventory = replace(audit.inventory, policy=Policy(max_waiver_days=most_days))
    return replace(audit, waived=(one,), inventory=inventory)


@pytest.mark.parametrize(
    ("until", "most_days", "left"),
    [
        ("2026-11-22", None, 0),
        ("2026-11-23", None, 1),
        ("2026-12-06", None, 14),
        ("2026-12-07", None, None),
        ("2027-12-31", None, None),
        ("2027-12-31", 52, 1),
        ("2026-11-23", 90, 1),
    ],
)
def test_about_to_expire(until: str, most_days: int | None, left: int | None) -> None:
    """In the last 14 days, by the waiver's own date or the policy's, it is told how many are left after today."""
    (one,) = document(waived_until(until, most_days))["waived"]

    assert left == one["waiver"].get("expires_in_days")


def test_a_waived_finding() -> None:
    """It has all that a finding has, and the whole waiver; the match is an object of lists."""
    report = document(waived_until("2027-12-31", 90))
    (one,) = report["waived"]

    assert {
        "match": {"host": ["db-1"], "ports": ["23/tcp", "24/tcp"]},
        "reason": "partner migration",
        "owner": "team-web",
        "ticket": "NET-123",
        "since": "2026-10-02",
        "expires": "2027-12-31",
        "covered_until": "2026-12-31",
        "declared_at": {"file": "inventories/example/waivers.yaml", "line": 2},
    } == one["waiver"]
    assert (1, one["kind"] in report["kinds"]) == (report["summary"]["waived"], True)
    assert one["playbook"]["id"] in report["playbooks"]
    assert one["fingerprint"] not in {each["fingerprint"] for each in report["findings"]}


def test_an_expired_waiver() -> None:
    """The finding that is back has it under another name, and is in no other list."""
    report = document(busy_audit())
    (back,) = [each for each in report["findings"] if "expired_waiver" in each]

    assert "2026-11-20" == back["expired_waiver"]["expires"]
    assert "waiver" not in back
    assert "expires_in_days" not in back["expired_waiver"]


def test_findings_about_the_inventory() -> None:
    """They name a rule and its place instead of endpoints and legs; notices come last and are counted."""
    report = document(busy_audit())
    breach, stale = finding("policy-breach"), report["findings"][-1]

    assert ("forbid class remote-admin, trust untrusted", []) == (breach["rule"], breach["endpoints"])
    assert {"file": "inventories/example/hosts.yaml", "line": 31} == breach["declared_at"]
    assert {"viewpoint", "interface", "family", "expected", "observed", "legs", "confidence"}.isdisjoint(breach)
    rules = [one["rule"] for one in report["findings"] if "rule" in one]
    assert 'max_waiver_days {"host":["old-1"],"kind":["host-unreachable"]}' in rules
    assert ("stale-waiver", '{"host":["mail-1"],"ports":["110/tcp","143/tcp"]}') == (stale["kind"], stale["rule"])
    assert ("team-web", {"host": ["mail-1"], "ports": ["110/tcp", "143/tcp"]}) == (
        stale["owner"],
        stale["about_waiver"]["match"],
    )
    assert (len(report["findings"]), 1) == (report["summary"]["findings"], report["summary"]["notices"])


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((), ""),
        ((1,), ", interrupted and resumed at 03:00:00"),
        ((1, 2), ", interrupted and resumed at 04:00:00 and once before"),
        ((1, 2, 30), ", interrupted and resumed at 2026-11-23 08:00:00 and 2 times before"),
    ],
)
def test_an_audit_that_was_interrupted_says_so(times: tuple[int, ...], said: str) -> None:
    """What was seen before is older than what was seen after: readers have to know."""
    audit = clean_audit()
    start = datetime(2026, 11, 22, 2, tzinfo=UTC)
    resumed = tuple(start + timedelta(hours=hours) for hours in times)
    report = document(replace(audit, started_at=start, finished_at=start + timedelta(seconds=5), resumed=resumed))
    validator().validate(report)

    assert report["audit"].get("resumed", []) == [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in resumed]
    assert views.times(report) == f"2026-11-22 02:00:00 to 02:00:05 UTC, 5 s{said}"


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    """The report stays valid, and says so in the place of how long it took."""
    start = datetime(2026, 11, 22, 2, tzinfo=UTC)
    report = document(replace(clean_audit(), started_at=start, finished_at=start - timedelta(days=1)))
    validator().validate(report)

    assert views.times(report) == "2026-11-22 02:00:00 to 2026-11-21 02:00:00 UTC, by a clock that was set back"
    assert all(render(report) for render in FORMATS.values())
