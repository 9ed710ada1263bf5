"""Defaults of options: where a configuration is found, what goes before what, and how `doctor` tells of it."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from auditor.cli.configuration import FILE, Command, beside, held
from auditor.cli.main import cli, run

INVENTORY = """
version: 1
name: shop
scope: {allow: [127.0.0.0/8]}
viewpoints: {here: {kind: internal, addresses: [127.0.0.1]}}
hosts: {web-1: {interfaces: {lan: [127.0.0.2]}}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with inventories of both kinds in another one below it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inventories" / "shop").mkdir(parents=True)
    (tmp_path / "inventories" / "shop" / "all.yaml").write_text(INVENTORY)
    (tmp_path / "inventories" / "one.yaml").write_text(INVENTORY)
    return tmp_path


def form(text: str) -> str:
    return f'[validate]\nformat = "{text}"\n'


def validated(capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Which of its formats `validate` writes."""
    capsys.readouterr()
    code = run(["validate", "inventories/shop", *more])
    told = capsys.readouterr()
    assert code == 0, told.err
    return "json" if told.out.startswith("{") else "text"


@pytest.mark.parametrize(
    ("inventory", "places", "found"),
    [
        ("inventories/shop", [".", "inventories", "inventories/shop"], "inventories/shop"),
        ("inventories/shop", [".", "inventories"], "inventories"),
        ("inventories/shop", ["."], "."),
        ("inventories/one.yaml", [".", "inventories", "inventories/shop"], "inventories"),
        ("inventories/one.yaml", [".", "inventories/shop"], "."),
        (None, [".", "inventories"], "."),
        (None, ["inventories"], None),
    ],
)
def test_where_a_configuration_is_found(
    folder: Path, inventory: str | None, places: list[str], found: str | None
) -> None:
    """In the inventory's folder, beside it, where the command runs: the first that is there."""
    for place in places:
        (folder / place / FILE).write_text("")

    expected = None if found is None else Path(found) / FILE
    assert expected == beside(None if inventory is None else Path(inventory))


@pytest.mark.usefixtures("folder")
def test_what_goes_before_what(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line, then the environment, then the file that is named or found, then what the option has."""
    assert validated(capsys) == "text"
    Path(FILE).write_text(form("json"))
    assert validated(capsys) == "json"
    monkeypatch.setenv("AUDITOR_VALIDATE_FORMAT", "text")
    assert validated(capsys) == "text"
    assert validated(capsys, "--format", "json") == "json"


@pytest.mark.usefixtures("folder")
def test_a_file_that_is_named_goes_before_one_that_is_found(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the option or the variable; they are not united."""
    Path(FILE).write_text(form("json"))
    Path("other.toml").write_text(form("text"))

    assert validated(capsys, "--config", "other.toml") == "text"
    monkeypatch.setenv("AUDITOR_CONFIG", "other.toml")
    assert validated(capsys) == "text"
    assert validated(capsys, "--config", FILE) == "json"


@pytest.mark.usefixtures("folder")
def test_what_is_wrong_with_one_that_is_found_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """With the file, and what would be right."""
    for text, words in (
        ("[validat]\n", "auditor.toml: unknown table validat; did you mean validate?"),
        ('[validate]\nformt = "json"\n', "auditor.toml: formt: no such option of `validate`; did you mean format?"),
        ("[validate]\nstrict = 1\n", "auditor.toml: strict: write true or false"),
        ("[validate\n", "auditor.toml: "),
    ):
        Path(FILE).write_text(text)
        assert run(["validate", "inventories/shop"]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_a_gate_takes_none_that_it_finds(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be the change's own: whoever opens something would say what fails."""
    Path(FILE).write_text('[gate]\nfail-on = ["nonsense"]\n')

    assert run(["gate", "inventories/shop", "inventories/one.yaml"]) == 0
    assert run(["gate", "inventories/shop", "inventories/one.yaml", "--config", FILE]) == 2
    assert "nonsense" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_doctor_tells_what_holds_and_from_where(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one would type it; where a variable and the file speak of one option, the variable holds."""
    Path("inventories", FILE).write_text(
        '[audit]\nfail-on = ["wide-bind", "silent"]\ndiscover = true\n[plan]\nprofile = "quick"\n[gate]\nquiet = true\n'
    )
    monkeypatch.setenv("AUDITOR_PLAN_PROFILE", "full")
    monkeypatch.setenv("AUDITOR_COLOR", "never")
    run(["doctor", "inventories/shop"])
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("config")]

    assert told == [
        "config  audit --fail-on wide-bind --fail-on silent  (inventories/auditor.toml)",
        "config  audit --discover  (inventories/auditor.toml)",
        "config  plan --profile full  (AUDITOR_PLAN_PROFILE)",
        "config  auditor --color never  (AUDITOR_COLOR)",
    ]


@pytest.mark.usefixtures("folder")
def test_doctor_tells_of_a_file_that_it_is_given() -> None:
    """That one counts for a gate too."""
    Path("other.toml").write_text("[gate]\nquiet = true\n")
    context = click.Context(cli, info_name="auditor")
    command = cli.get_command(context, "doctor")
    assert isinstance(command, Command)
    with command.make_context("doctor", ["--config", "other.toml"], parent=context) as own:
        (only,) = held(own, None)

    assert (only[0], only[1].value, only[1].source) == ("gate", True, "other.toml")
