"""What all formats for CI say alike: whether a finding fails, and where it stands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath

import pytest

from auditor.model.words import Severity
from auditor.report.document import document
from auditor.report.facts import anchor, facts, fails, relative, within
from tests.estates import busy_audit
from tests.gates import FILE, OPENED, WAIVER, change, gate


@pytest.mark.parametrize(
    ("words", "failing"),
    [
        ((), 17),  # all but the notice
        (("none",), 0),
        (("direct-compromise",), 4),
        (("internal-recon",), 8),
        (("wrong-family",), 1),
        (("stale-waiver",), 1),
    ],
)
def test_an_audit_fails(words: tuple[str, ...], failing: int) -> None:
    """By any finding, or as --fail-on says."""
    audit = busy_audit()
    doc = document(replace(audit, verdict=replace(audit.verdict, fail_on=words)))

    assert failing == sum(fails(entry, doc) for entry in doc["findings"])


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("kind", ["added", "widened", "weakened", "policy-breach", "removed", "narrowed"])
def test_a_gate_fails(kind: str, severity: Severity) -> None:
    """By what opens, weakens or breaks the policy, at or above --fail-on; never by what closes."""
    entry = change(kind, severity)
    expected = severity.rank <= Severity.INTERNAL_RECON.rank and kind not in ("removed", "narrowed")

    assert expected == fails(entry, gate(entry))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a/b.yaml", "a/b.yaml"),
        ("git:HEAD:a/b.yaml", "a/b.yaml"),
        ("git:origin/main~2:a:b.yaml", "a:b.yaml"),
        ("git:HEAD", "git:HEAD"),
        ("git:HEAD:", "git:HEAD:"),
    ],
)
def test_within(name: str, path: str) -> None:
    """What was read from a revision is named as the work tree names it."""
    assert path == within(name)


def test_relative() -> None:
    """Absolute names below the root become relative wherever a document names files, others stay."""
    root = PurePath("/work/repo")
    doc = gate(change("added", at=("/work/repo/inv/a.yaml", 3)), files=["/work/repo/inv/a.yaml", "/work/repository/b"])
    near = relative(doc, root)

    assert {"file": "inv/a.yaml", "line": 3} == near["findings"][0]["declared_at"]
    assert ["inv/a.yaml", "/work/repository/b"] == [file["path"] for file in near["gate"]["head"]["files"]]
    assert doc["findings"][0]["declared_at"]["file"] == "/work/repo/inv/a.yaml"
    assert doc == relative(doc, PurePath("/elsewhere"))


def test_anchor() -> None:
    """A finding of an audit is anchored at its service's line; one without a line at the inventory's first."""
    doc = document(busy_audit())
    places = {entry["kind"]: anchor(entry, doc) for entry in doc["findings"]}

    assert ("inventories/example/hosts.yaml", 12) == places["outside-source-range"]
    assert ("inventories/example/hosts.yaml", 1) == places["unknown-host"]
    assert (FILE, 1) == anchor(change("removed", at=None), gate())
    assert ("inventories/x", 1) == anchor(
        change("removed", at=None),
        {**gate(files=()), "gate": {"head": {"path": "inventories/x", "files": []}, "base": {}}},
    )


def test_facts() -> None:
    """What is known is said with its name, an expired waiver too, and what is not known is not there."""
    entry = {**OPENED, "expired_waiver": WAIVER}
    said = dict(facts(entry, gate(entry)))

    assert "partner migration (team-web, NET-123, until 2026-12-31)" == said["expired waiver"]
    assert {"viewpoint", "lost", "expected", "observed", "waiver"}.isdisjoint(said)
