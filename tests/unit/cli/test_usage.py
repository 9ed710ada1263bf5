"""Words on the command line that mean nothing: what was meant is told, in one style, and nothing is done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.model.words import USUAL_SEVERITIES, Severity
from auditor.report.sarif import _SECURITY
from tests.commands import auditor

PRACTICE = Path(__file__).parents[3] / "inventories" / "practice"
PUBLIC = (PRACTICE, "-V", "public")


def refused(*arguments: str | Path) -> list[str]:
    """The lines of a command line that is refused, each marked as ours."""
    ended = auditor(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    lines = ended.stderr.splitlines()
    assert [line for line in lines if not line.startswith("auditor: ")] == []
    return [line.removeprefix("auditor: ") for line in lines]


@pytest.mark.parametrize(
    ("arguments", "message", "help_of"),
    [
        (("validat",), "no command is named validat; did you mean validate? There are audit, ", "auditor"),
        (("--hlep",), "there is no option --hlep; did you mean --help?", "auditor"),
        (("audit", "x", "--fial-on", "y"), "there is no option --fial-on; did you mean --fail-on?", "auditor audit"),
        (("audit", "--zzz"), "there is no option --zzz", "auditor audit"),
        (("audit",), "INVENTORY is missing", "auditor audit"),
        (("validate",), "INVENTORY is missing", "auditor validate"),
        (("compare", "x"), "--nmap-xml is missing: nmap's XML output, ", "auditor compare"),
        (("validate", "a", "b"), "got unexpected extra argument (b)", "auditor validate"),
        (("plan", "x", "--profile"), "option '--profile' requires an argument", "auditor plan"),
        (("plan", "x", "--profile", "quik"), "--profile: 'quik' is not one of 'quick', 'stand", "auditor plan"),
        (("validate", "x", "--format", "jso"), "'jso' is not one of 'text', 'json'; did you mean", "auditor validate"),
        (("audit", "x", "--max-duration", "9"), "--max-duration: '9' is not a duration; write", "auditor audit"),
        (("validate", "x", "--config", "no.toml"), "--config: file 'no.toml' does not exist", "auditor validate"),
    ],
)
def test_what_click_refuses(arguments: tuple[str, ...], message: str, help_of: str) -> None:
    """In our words and our form, and the last line says where the right ones are."""
    first, last = refused(*arguments)

    assert message in first
    assert not first.endswith(".")
    assert re.fullmatch(f"`{help_of} --help` shows (its options|the commands)", last)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", PRACTICE, "-V", "publc"), "no viewpoint is named publc; did you mean public? There are "),
        (
            ("plan", PRACTICE, "-V", "public", "--host", "web-11"),
            "--host web-11 matches nothing; did you mean `web-1`?",
        ),
        (("audit", *PUBLIC, "--format", "htm"), "no format is named htm; did you mean html? There are json, html"),
        (("audit", *PUBLIC, "--format", "html:out.html"), "--format html:out.html: write html=out.html"),
        (("gate", PRACTICE, PRACTICE, "--format", "sarf=x"), "no format is named sarf; did you mean sarif?"),
    ],
)
def test_what_was_meant(arguments: tuple[str | Path, ...], message: str) -> None:
    """Names of the inventory, and formats."""
    (line,) = refused(*arguments)

    assert message in line


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("high", "; what others call high is data-exposure here"),
        ("Critical", "; what others call Critical is direct-compromise here"),
        ("data-exposur", "; did you mean data-exposure?"),
        ("xyz", ""),
    ],
)
def test_severities_of_others(word: str, meant: str) -> None:
    """What they are here, all of them by rank, and the kinds in a line of their own."""
    first, ranked, kinds = refused("audit", *PUBLIC, "--fail-on", word)

    assert first == f"--fail-on {word}: not a severity, a kind or none{meant}"
    assert ranked == f"severities, the worst first: {', '.join(Severity)}"
    assert kinds.startswith("kinds: host-unreachable, ")


def test_severities_are_called_as_in_sarif() -> None:
    """GitHub's bands: over 9.0 critical, from 7.0 high, from 4.0 medium, above 0 low; a threshold takes in the band."""
    bands = {"critical": 9.0, "high": 7.0, "medium": 4.0, "low": 0.0}
    least = {
        word: max((one for one in Severity if float(_SECURITY[one.rank]) >= least), key=lambda one: one.rank)
        for word, least in bands.items()
    }

    assert least == {word: USUAL_SEVERITIES[word] for word in bands}


@pytest.mark.parametrize("command", ["audit", "validate", "expect", "plan"])
def test_an_inventory_that_is_not_there(command: str, tmp_path: Path) -> None:
    """How to make a first one is told."""
    ended = auditor(command, "nosuch.yaml", cwd=tmp_path)

    assert (ended.returncode, ended.stdout) == (2, "")
    message = "there is no such file or folder; `auditor init` drafts a first inventory [no-such-file]"
    assert ended.stderr == f"nosuch.yaml: {message}\n"


def test_the_line_of_an_error_is_shown(tmp_path: Path) -> None:
    """By every command that refuses an inventory, and with -q; hostile characters do not reach the terminal."""
    (tmp_path / "a.yaml").write_text('version: 1\nname: shop\nnam\u202ee: "\x9b"\n', encoding="utf-8")
    (tmp_path / "b.yaml").write_text("version: 1\nnane: shop\n", encoding="utf-8")
    ended = [auditor(*words, cwd=tmp_path) for words in (("validate", "b.yaml"), ("plan", "b.yaml", "-q"))]
    hostile = auditor("validate", "a.yaml", cwd=tmp_path)

    for one in ended:
        assert one.returncode == 2
        assert "unknown key `nane`; did you mean `name`? [unknown-key]\n    2 | nane: shop\n      | ^\n" in one.stderr
    assert hostile.stderr.replace("\n", "").isprintable()
    assert "    3 | nam\\u202ee: " in hostile.stderr
