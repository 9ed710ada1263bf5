"""The summary for a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.cells import cell_len

from auditor.cli.acts.screen import summary
from auditor.cli.style import Style
from auditor.model.drift import Outcome
from auditor.model.words import Result
from auditor.report.document import document
from auditor.report.plain import Document
from auditor.report.summary import text
from tests.builders import audit, clean_audit
from tests.estates import big_audit, busy_audit, hostile_audit

BUSY = document(busy_audit())


def test_verdict_first() -> None:
    """The first line is the verdict with its figures; the next names profile, inventory, viewpoints and times."""
    lines = text(BUSY, width=300).splitlines()

    assert lines[0].startswith("DRIFT  17 findings: 4 direct-compromise, 1 control-bypass, ")
    assert ", 8 operational-drift; 3 waived. The audit" in lines[0]
    assert (
        "The audit is incomplete: 197,004 endpoints could not be verified and 1 error came up on the way." in lines[0]
    )
    assert (
        "standard profile · example-estate · from public, vpn · 2026-11-22 02:00:00 to 02:01:02 UTC, 62 s" == lines[1]
    )
    assert "65,532 verified · 21 drifted · 4 silent · 197,004 unverified · 3 left out" == lines[3]


def test_order() -> None:
    """The same order as the page: what failed or is about to, findings by severity, what is waived or not verified."""
    headings = re.findall(r"^(?:\d [a-z -]+?|[A-Z][a-z ]+?)(?=  |$)", text(BUSY), re.MULTILINE)

    assert [
        "Failed in part",
        "1 waiver about to expire",
        "1 direct-compromise",
        "2 control-bypass",
        "3 data-exposure",
        "4 internal-recon",
        "5 lateral-movement",
        "6 operational-drift",
        "Waivers expired",
        "Notices",
        "Waived",
        "Unverified",
        "Silent",
        "Left out",
    ] == headings


@pytest.mark.parametrize("width", [80, 120])
def test_every_finding(width: int) -> None:
    """Every finding says class, viewpoint, host, endpoint, and expected against observed, within the width."""
    summary = text(BUSY, width=width)

    assert max(map(cell_len, summary.splitlines())) <= width
    for kind in {each["kind"] for each in BUSY["findings"]}:
        assert kind in summary
    assert "[2001:db8:1::10]:22/tcp" in summary
    assert "blocked → open, Redis" in summary


def test_no_width_cuts_a_word() -> None:
    """Whatever the terminal's width, a line is wrapped between words, and no word loses its end."""
    words = set(re.findall(r"[a-zA-Z]+", text(BUSY, width=400)))
    cut = {width: words - set(re.findall(r"[a-zA-Z]+", text(BUSY, width=width))) for width in range(80, 200)}

    assert {} == {width: lost for width, lost in cut.items() if lost}


def test_clean() -> None:
    """A clean run says what that rests on, and what was silent and not looked at."""
    summary = text(document(clean_audit()))

    assert summary.startswith("CLEAN  Nothing drifted: 65,535 endpoints are as the inventory declares, 2 silent.\n")
    assert "no answer over UDP" in summary
    assert "udp ports outside the profile" in summary


def test_incomplete_claims_no_more_than_was_seen() -> None:
    """Where something could not be told, the report does not say that nothing drifted."""
    clean = clean_audit()
    (seen,) = clean.comparisons
    open_port, *rest = seen.outcomes
    blind = replace(open_port, result=Result.UNVERIFIED, observation=None)

    def first_line(*outcomes: Outcome) -> str:
        comparison = replace(seen, outcomes=outcomes)
        return text(document(audit([], [comparison], [])), width=200).partition("\n")[0]

    assert first_line(blind, *rest) == (
        "INCOMPLETE  No drift was seen: 65,534 endpoints are as the inventory declares, 2 silent. "
        "The audit is incomplete: 1 endpoint could not be verified."
    )
    assert first_line(blind) == (
        "INCOMPLETE  Nothing is verified. The audit is incomplete: 1 endpoint could not be verified."
    )


@pytest.mark.parametrize("color", [False, True])
def test_hostile(color: bool) -> None:
    """No control character of the network reaches the terminal; markup of rich is text."""
    summary = text(document(hostile_audit()), color=color)
    own = re.sub("\x1b\\[[0-9;]*m", "", summary) if color else summary

    assert [] == re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", own)
    assert "[bold red]markup[/] \\[x]" in own
    assert "\\u202etxt.exe" in own


def test_color_only_when_asked() -> None:
    """Colour adds escapes and changes nothing else."""
    colored = text(BUSY, color=True)

    assert "\x1b" not in text(BUSY)
    assert "\x1b[1;31mDRIFT" in colored
    assert text(BUSY) == re.sub("\x1b\\[[0-9;]*m", "", colored)


def test_limit() -> None:
    """Of many findings a summary may list the worst and count the rest."""
    summary = text(document(big_audit(60)), limit=10)

    assert "… and 50 more findings in the report" in summary
    assert 10 == summary.count("undeclared-port")


def test_what_a_terminal_gets() -> None:
    """A person gets two hundred findings, the worst, and is told of the rest."""
    shown = summary(document(big_audit(1_005)), Style(0, "never"))

    assert "… and 805 more findings in the report" in shown
    assert 200 == shown.count("undeclared-port")
    assert 500 > shown.count("\n")


def test_no_section_is_longer_than_the_limit() -> None:
    """Of what is no finding there may be as much; its first lines are shown, and how many more there are."""
    busy = busy_audit()
    errors = tuple(replace(busy.errors[0], message=f"error {number}") for number in range(30))
    found = document(replace(busy, errors=errors))

    assert "  … and 21 more lines in the report\n" in text(found, limit=10)
    assert "error 9" not in text(found, limit=10)
    assert "error 29" in text(found)


def test_brief() -> None:
    """What is no part of the verdict comes as a count each; what fails, or is unverified, is told as ever."""
    whole, brief = text(BUSY), text(BUSY, brief=True)

    assert brief.endswith("\nWaived  3 findings\nSilent  4 endpoints\nLeft out  3 entries\n")
    assert whole.partition("\nWaived  ")[0] == brief.partition("\nUnverified")[0]
    assert "\nUnverified  could not tell, never a pass\n" in brief
    assert "\nWaived" not in text(document(clean_audit()), brief=True)


def test_brief_counts_what_was_searched() -> None:
    """How many addresses lived, in all searches together."""
    searched = {"viewpoint": "public", "networks": ["10.0.0.0/24"], "how": "ARP"}
    found = {**BUSY, "discovery": [{**searched, "lived": 3, "asked": 256}, {**searched, "lived": 1}]}

    assert "\nSearched  4 addresses lived\n" in text(found, brief=True)


@pytest.mark.parametrize(("found", "again"), [(BUSY, True), (document(clean_audit()), False)], ids=["long", "short"])
def test_a_long_one_ends_with_the_verdict(found: Document, again: bool) -> None:
    """Where the first line has scrolled away the last one says the same; a report that is rendered says it once."""
    first = summary(found, Style(0, "never")).partition("\n\n")[0].partition("\nstandard profile")[0]

    assert again == summary(found, Style(0, "never"), ends=True).endswith(f"\n\n{first}\n")
    assert not summary(found, Style(0, "never")).endswith(f"{first}\n")


def test_what_came_up_about_the_network() -> None:
    """Every note of every viewpoint is listed before the findings, with control characters made visible."""
    busy = busy_audit()
    first = busy.comparisons[0]
    notes = "the path to 10.0.0.0/24 lost 9% of the probes", "a\u202ebanner"
    noticed = replace(busy, comparisons=(replace(first, scan=replace(first.scan, notes=notes)), *busy.comparisons[1:]))
    summary = text(document(noticed))

    assert "\nThe network  what came up on the way\n" in summary
    assert "  public: the path to 10.0.0.0/24 lost 9% of the probes\n" in summary
    assert "  public: a\\u202ebanner\n" in summary
    assert summary.index("The network") < summary.index("1 direct-compromise")
    assert "The network" not in text(BUSY)
