"""GitHub's annotations: workflow commands that nothing can break out of."""

from __future__ import annotations

import re
from typing import Any

import pytest

from auditor.model.words import Severity
from auditor.report.github import github
from tests import gates
from tests.gates import FILE, NARROWED, OPENED, SITE, WAIVED, WEAKENED, busy_gate, change, gate, hostile_gate

COMMAND = re.compile(r"::(error|warning|notice) file=([^,:]*),line=(\d+),title=([^,:]*)::([^\r\n]*)")
SUMMARY = re.compile(r"auditor gate: (pass|fail): [0-9a-z, ]+")


def test_a_failing_change() -> None:
    """What fails the gate is an error at its line; the last line sums up."""
    assert [
        f"::error file={FILE},line=12,title=added db-1.postgres 203.0.113.12%3A5432/tcp::added db-1.postgres "
        "203.0.113.12:5432/tcp: postgres on 5432/tcp (data-store) would be declared to an untrusted range. "
        "Gained: 0.0.0.0/0, ::/0.",
        "auditor gate: fail: 1 finding fails",
    ] == github(gate(OPENED)).splitlines()


def test_levels() -> None:
    """Errors fail the gate, warnings open something, notices close or are waived."""
    lines = github(gate(SITE, NARROWED, WEAKENED, OPENED, waived=[WAIVED])).splitlines()

    assert [
        "::error added db-1.postgres 203.0.113.12%3A5432/tcp",
        "::error weakened viewpoints.public.boundary",
        "::warning added web-2.https 203.0.113.20%3A443/tcp +1 more",
        "::notice narrowed web-1.ssh 203.0.113.10%3A22/tcp",
        "::notice widened web-1.app 203.0.113.10%3A8080/tcp",
    ] == [f"::{found[1]} {found[4]}" for line in lines if (found := COMMAND.fullmatch(line))]
    assert "auditor gate: fail: 2 findings fail, 2 more, 1 waived" == lines[-1]


def test_most_severe_first() -> None:
    """GitHub shows ten errors of a step: they are the worst."""
    many = [change("added", severity, service=f"s{n}") for severity in Severity for n in range(12)]
    lines = github(gate(*many)).splitlines()[:10]

    assert [f"::error added db-1.s{n} " for n in range(10)] != []
    assert {True} == {line.startswith("::error ") for line in lines}
    assert github(gate(*many)) == github(gate(*many[::-1]))


@pytest.mark.parametrize(
    ("doc", "line"),
    [
        (gate(), "auditor gate: pass: nothing fails"),
        (gate(NARROWED), "auditor gate: pass: nothing fails, 1 finding"),
        (busy_gate(), "auditor gate: fail: 2 findings fail, 3 more, 1 waived"),
    ],
)
def test_summary(doc: dict[str, Any], line: str) -> None:
    """The last line says the verdict and counts."""
    assert line == github(doc).splitlines()[-1]


def test_hostile() -> None:
    """Every line but the last is one whole command, so that no text begins a line, or another command, of its own."""
    doc = hostile_gate()
    *commands, summary = github(doc).removesuffix("\n").split("\n")

    assert len(doc["findings"]) + len(doc["waived"]) == len(commands)
    assert [] == [line for line in commands if not COMMAND.fullmatch(line)]
    assert SUMMARY.fullmatch(summary)
    assert github(doc).replace("\n", "").isprintable()


@pytest.mark.parametrize("text", gates.HOSTILE)
def test_percent(text: str) -> None:
    """GitHub decodes what was escaped: a percent sign of the text stays one."""
    (line,) = [line for line in github(gate(change("added", why=text))).splitlines() if line.startswith("::")]
    message = COMMAND.fullmatch(line)

    assert message is not None
    assert [] == re.findall("%(?!25|3A|2C|0A|0D)", message[5])


def test_files_of_a_revision() -> None:
    """A file that was read from a revision is annotated in the work tree."""
    assert "file=a/b.yaml,line=2," in github(gate(change("removed", at=("git:HEAD~1:a/b.yaml", 2))))
