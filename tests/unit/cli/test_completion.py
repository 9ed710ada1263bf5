"""Completion in the three real shells: what `auditor completion` prints is sourced, and a line is completed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.cli.completing import VARIABLE
from auditor.cli.main import COMMANDS, cli
from tests.commands import AUDITOR, PATIENCE, environment

INVENTORY = """
version: 1
name: shop
scope: {allow: [10.20.0.0/16]}
viewpoints:
  public: {kind: public, addresses: [192.0.2.1]}
  partner: {kind: vpn, addresses: [192.0.2.2]}
hosts:
  web-1: {interfaces: {lan: [10.20.0.1]}}
  web-2: {interfaces: {lan: [10.20.0.2]}}
  db-1: {interfaces: {lan: [10.20.0.3]}}
"""
HOSTILE = """
viewpoints:
  "p a": {}
  "p'q": {}
  'p"q': {}
  "p$(touch EXECUTED)": {}
  "p`touch EXECUTED`": {}
  "p;touch EXECUTED": {}
  "p\\ntouch EXECUTED": {}
  "p:q": {}
  "p,q": {}
  "p*": {}
  "p\\\\": {}
  "-p": {}
  "p\\e[2J": {}
  pods: {}
hosts: [oh, {no: [}
"""
# Each prints one line for every completion that the shell offers in place of the last word.
BASH = """
source <(auditor completion bash)
COMP_WORDS=(@LINE@)
COMP_CWORD=@COUNT@
"$(complete -p auditor | sed 's/.*-F \\([^ ]*\\).*/\\1/')" auditor
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { handler=$1 }
compadd() { print -rl -- ${(P)${@[-1]}} }
_describe() { local -a pairs; pairs=(${(P)${@[-2]}}); print -rl -- ${pairs%%:*} }
_path_files() { }
eval "$(auditor completion zsh)"
words=(@LINE@)
CURRENT=$((@COUNT@ + 1))
$handler
"""
FISH = "auditor completion fish | source\ncomplete -C @LINE@"


def offered(shell: str, *words: str, folder: Path, behind: tuple[str, ...] = ()) -> set[str]:
    """What the shell offers in place of the last word; `behind` are words that follow it."""
    line = ["auditor", *words]
    whole = shlex.join([*line, *behind])
    count = str(len(words))
    script = {
        "bash": BASH.replace("@LINE@", whole).replace("@COUNT@", count),
        "zsh": ZSH.replace("@LINE@", whole).replace("@COUNT@", count),
        "fish": FISH.replace("@LINE@", shlex.quote(" ".join(line))),
    }[shell]
    plain = {"bash": ["bash", "--norc"], "zsh": ["zsh", "-f"], "fish": ["fish", "--no-config"]}[shell]
    env = environment({"PATH": f"{Path(AUDITOR).parent}:{os.environ['PATH']}", "HOME": str(folder)})
    ended = subprocess.run(
        [*plain, "-c", script],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.stderr == ""
    return {row.partition("\t")[0] for row in ended.stdout.splitlines() if row}


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.yaml").write_text(INVENTORY)
    (tmp_path / "bad.yaml").write_text(HOSTILE)
    parts = tmp_path / "parts"
    (parts / "sub").mkdir(parents=True)
    (parts / "views.yaml").write_text("viewpoints: {public: {}, pods: {}}\n")
    (parts / "sub" / "hosts.json").write_text('{"hosts": {"web-1": {}, "app-1": {}}}')
    (parts / "notes.txt").write_text("hosts: {web-9: {}}\n")
    return tmp_path


def test_a_shell_completes_what_is_on_the_line(shell: str, folder: Path) -> None:
    """Commands, options, viewpoints and hosts, of a file and of a folder."""
    assert offered(shell, "va", folder=folder) == {"validate"}
    assert offered(shell, "audit", "--dis", folder=folder) == {"--discover"}
    assert offered(shell, "audit", "shop.yaml", "-V", "p", folder=folder) == {"public", "partner"}
    assert offered(shell, "audit", "parts", "-V", "p", folder=folder) == {"public", "pods"}
    assert offered(shell, "plan", "shop.yaml", "--host", "web", folder=folder) == {"web-1", "web-2"}
    assert offered(shell, "plan", "parts", "--host", "", folder=folder) == {"web-1", "app-1"}


def test_names_that_are_none_never_reach_a_shell(shell: str, folder: Path) -> None:
    """An inventory is someone else's text, and nobody has checked it when a line is completed."""
    assert offered(shell, "audit", "bad.yaml", "-V", "p", folder=folder) == {"pods"}
    assert not (folder / "EXECUTED").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_inventory_may_come_later(shell: str, folder: Path) -> None:
    """Where the shell tells what stands behind the cursor; fish does not."""
    assert offered(shell, "audit", "-V", "pu", folder=folder, behind=("shop.yaml",)) == {"public"}


def test_what_is_on_the_line_may_be_wrong(folder: Path) -> None:
    """No inventory, one that is not there, a configuration that cannot be read: nothing is offered, nothing is said."""
    (folder / "auditor.toml").write_text("[audit\n")
    for line, words in (
        ("auditor audit -V ", 3),
        ("auditor audit nowhere.yaml -V ", 4),
        ("auditor audit shop.yaml -V ", 4),
    ):
        env = {VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(words)}
        ended = subprocess.run(
            [AUDITOR], cwd=folder, env=environment(env), capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        assert (ended.stderr, "plain,all\n" in ended.stdout) == ("", True)


def test_every_command_is_offered() -> None:
    """The list of commands is the one that `--help` shows."""
    env = {VARIABLE: "bash_complete", "COMP_WORDS": "auditor ", "COMP_CWORD": "1"}
    ended = subprocess.run(
        [AUDITOR], env=environment(env), capture_output=True, text=True, timeout=PATIENCE, check=True
    )

    assert {row.partition(",")[2] for row in ended.stdout.splitlines()} == set(COMMANDS)


def test_a_shell_that_is_none() -> None:
    """The three are named."""
    ended = CliRunner().invoke(cli, ["completion", "tcsh"])

    assert (ended.exit_code, "'bash', 'zsh', 'fish'" in ended.output) == (2, True)
