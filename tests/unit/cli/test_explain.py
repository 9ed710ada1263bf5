"""`auditor explain`: what an id means."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.cli.acts.explain import SEVERITY_EXAMPLES, entries
from auditor.cli.main import cli
from auditor.inventory.lint import RULES
from auditor.inventory.reading.faults import FAULTS
from auditor.model.words import ChangeKind, Kind, ServiceClass, Severity
from tests.commands import auditor

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def explained(*arguments: str) -> str:
    """What it prints, in one line."""
    return " ".join(CliRunner().invoke(cli, ["explain", *arguments], standalone_mode=False).output.split())


def test_all_that_has_an_id_is_listed() -> None:
    """By group, each in one line with what it means."""
    ended = auditor("explain")
    listed = [line.split()[0] for line in ended.stdout.splitlines() if line.startswith("  ")]

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [*FAULTS, *RULES, *Kind, *ChangeKind, *Severity, *ServiceClass] == listed
    assert "Lint: valid, and probably not meant\n  exposed-data-store  " in ended.stdout


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.id)
def test_each_says_what_would_be_right(entry) -> None:
    """Why there is it, and what to do; texts of messages and reports are reused."""
    told = explained(entry.id)

    assert told.startswith(f"{entry.id} is ")
    assert entry.means[1:] in told
    assert " ".join(entry.right.split())[1:] in told
    assert " ".join(entry.example.split()) in told
    assert entry.right


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("[unknown-key]", "unknown-key is an error in an inventory"),
        ("UNKNOWN-KEY", "unknown-key is an error in an inventory"),
        ("high", "What others call high is data-exposure here. data-exposure is a severity"),
        ("service-filtered", "Mostly: An inbound rule is missing"),
        ("widened", "widened is a kind of a change"),
        ("data-store", "direct-compromise from an untrusted viewpoint, and data-exposure from a foothold inside."),
    ],
)
def test_what_it_says(word: str, expected: str) -> None:
    """Brackets, as in a message, and capitals are no hindrance; others' words for severities are known."""
    assert expected in explained(word)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("unkown-key", "did you mean unknown-key?"), ("xxxxx", "`auditor explain` lists all that there are")],
)
def test_an_unknown_id(word: str, meant: str) -> None:
    """Exit code 2, and what was meant."""
    ended = auditor("explain", word)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"auditor: nothing is called {word}; {meant}\n"


def test_examples_of_severities_are_those_of_the_readme() -> None:
    """One text, wherever it is read."""
    assert [
        severity for severity, text in SEVERITY_EXAMPLES.items() if f"| `{severity}` | {text} |" not in README
    ] == []
