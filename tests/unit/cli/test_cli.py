"""The commands as their users run them: what they print where, what they write, and how they are configured."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import stat
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from auditor import __version__
from auditor.cli import commands
from auditor.cli.main import COMMANDS, cli
from auditor.report.formats import FORMATS
from tests.commands import ANY_DAY, AUDITOR, CASES, PATIENCE, FakeNmap, auditor, compare, environment

CLEAN = CASES / "clean.exit0" / "inventory.yaml"
BAD = CASES / "bad-inventory.exit2" / "inventory.yaml"
TWO_VIEWPOINTS = CASES / "two-viewpoints.exit1" / "inventory.yaml"
PROBLEM = re.compile(
    r"(?P<file>[^:]+):(?P<line>\d+):(?P<column>\d+): (?P<path>[\w.\[\]-]+): (?P<message>.+) \[(?P<id>[a-z0-9-]+)\]"
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def on_a_terminal(columns: int, *arguments: str | Path) -> list[str]:
    """The lines that a command prints on a terminal so many columns wide; few, as nothing reads them meanwhile."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    with os.fdopen(end, "wb") as stdout, os.fdopen(terminal, "rb", buffering=0) as screen:
        command = [AUDITOR, *arguments, "--color", "never"]
        subprocess.run(command, env=environment({"TERM": "xterm"}), stdout=stdout, timeout=PATIENCE, check=True)
        return [line.rstrip() for line in screen.read(65_536).decode().splitlines()]


# ------------------------------------------------------------------ help


def test_version() -> None:
    """The version is the package's."""
    ended = auditor("--version")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"auditor, version {__version__}\n", "")


def test_the_commands_are_those_that_exist() -> None:
    """Each has a module, and each module a command, which says of itself what the list of all says of it."""
    modules = {path.stem for path in Path(commands.__file__).parent.glob("*.py")} - {"__init__", "options"}
    with cli.make_context("auditor", ["--version"], resilient_parsing=True) as context:
        found = {name: cli.get_command(context, name) for name in COMMANDS}
        told = {name: command.get_short_help_str(200) for name, command in found.items() if command is not None}

    assert modules == set(COMMANDS)
    assert COMMANDS == told


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS)], ids=lambda words: " ".join(words) or "auditor"
)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help(command: tuple[str, ...], option: str) -> None:
    """It shows an example that can be typed and every exit code."""
    ended = auditor(*command, option)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"Examples?:\n +auditor ", ended.stdout)
    assert "Exit codes" in ended.stdout


def test_no_arguments_is_bad_usage() -> None:
    """A script that forgot its arguments has no verdict; what is known is told on stderr."""
    ended = auditor()

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Usage: auditor" in ended.stderr


# ------------------------------------------------------------------ validate, expect, plan


def test_validate_a_good_inventory() -> None:
    """It says what was found; -q says nothing."""
    loud, quiet = auditor("validate", CLEAN), auditor("validate", CLEAN, "-q")

    assert (loud.returncode, loud.stderr) == (0, "")
    assert "\nshop: valid: 1 host, 1 service, 1 viewpoint in 1 file; 2 lint\n" in loud.stdout
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_validate_tells_every_problem_at_its_place() -> None:
    """Each on a line of its own: file, line, column, path, message, id; sorted by place. The place is shown below."""
    ended = auditor("validate", BAD)
    lines = ended.stderr.splitlines()
    found = [PROBLEM.fullmatch(line) for line in lines[::3]]

    assert (ended.returncode, ended.stdout) == (2, "")
    assert [each and each["path"] for each in found] == [
        "scope.allow[0]",
        "ranges.internet.trust",
        "viewpoints.public.addresses[1]",
        "hosts.web-1.services.https.ports",
        "hosts.web-1.services.https.from[0]",
        "hosts.web-1.services.ssh.ports",
        "hosts.web-1.services.db",
        "hosts.web-1.services.typo.reson",
        "hosts.web-2.interfaces.public[0]",
        "waivers[0]",
        "waivers[0].match",
    ]
    assert {each["file"] for each in found if each} == {str(BAD)}
    for each in found:
        assert each is not None
        line = BAD.read_text().splitlines()[int(each["line"]) - 1]
        key = each["path"].rpartition(".")[2]
        there = line[int(each["column"]) - 1 :]
        shown, caret = lines[lines.index(each[0]) + 1 :][:2]
        assert there.startswith(shown[caret.index("^") :].removesuffix("…"))
        assert there.startswith(key) or "[" in key  # an item of a list stands where its value does


def test_expect_lists_what_should_be_reachable_and_why() -> None:
    """One row each, with the range that admits the viewpoint and where that is declared."""
    ended = auditor("expect", TWO_VIEWPOINTS, "-V", "public")
    (row,) = (line.split() for line in ended.stdout.splitlines() if "203.0.113.10" in line)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert row[:5] == ["public", "web-1", "public", "203.0.113.10", "443/tcp"]
    assert " ".join(row[5:]) == "reachable: https, from internet, inventory.yaml:15"


def test_expect_on_a_narrow_terminal() -> None:
    """Where the table is wider than the terminal, each endpoint is two lines, and no word is cut to pieces."""
    lines = on_a_terminal(60, "expect", TWO_VIEWPOINTS, "-V", "public")

    assert "public  web-1  public  203.0.113.10  443/tcp" == lines[0]
    assert "    reachable: https, from internet, inventory.yaml:" == lines[1].rstrip("0123456789")


@pytest.mark.parametrize("names", [("-V", "all"), ("-V", "vpn", "-V", "public")], ids=" ".join)
def test_expect_from_several_viewpoints(names: tuple[str, ...]) -> None:
    """`all` is every one; -V repeats; the order is that of the names."""
    ended = auditor("expect", TWO_VIEWPOINTS, *names)
    first = [line.split()[0] for line in ended.stdout.splitlines() if "203.0.113.10" in line]

    assert first == ["public", "vpn", "vpn"]


def test_several_viewpoints_must_be_chosen_from() -> None:
    """The message names them."""
    assert "public, vpn" in auditor("expect", TWO_VIEWPOINTS).stderr


def test_plan_sends_nothing(tmp_path: Path) -> None:
    """nmap is only asked for its version; the commands that it would run are shown."""
    fake = FakeNmap(tmp_path / "bin")
    ended = auditor("plan", CLEAN, env={**fake.env, "NMAP_PRIVILEGED": "1"})

    assert (ended.returncode, fake.started()) == (0, [])
    assert re.search(r"^  nmap .* 203\.0\.113\.10$", ended.stdout, re.MULTILINE)


# ------------------------------------------------------------------ compare


def test_evidence_without_a_viewpoint(tmp_path: Path) -> None:
    """Where only one is declared it is meant; where there are several, the message names them."""
    single, several = CASES / "clean.exit0", CASES / "two-viewpoints.exit1"
    one = auditor("compare", CLEAN, "--nmap-xml", single / "public.xml", "-o", tmp_path)
    two = auditor("compare", TWO_VIEWPOINTS, "--nmap-xml", several / "public.xml", "-o", tmp_path)

    assert (one.returncode, two.returncode) == (0, 2)
    assert "say from which it was made" in two.stderr
    assert "there are public, vpn" in two.stderr


def test_evidence_in_a_file_with_an_equals_sign(tmp_path: Path) -> None:
    """What stands before the sign is a viewpoint only where one is called so."""
    file = tmp_path / "date=today.xml"
    file.write_bytes((CASES / "clean.exit0" / "public.xml").read_bytes())

    for argument in (str(file), f"public={file}"):
        assert auditor("compare", CLEAN, "--nmap-xml", argument, *ANY_DAY, "-o", tmp_path / "reports").returncode == 0


# ------------------------------------------------------------------ the report's folder


def test_a_run_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    """Named by time, inventory and id; readable by the owner alone; `latest` points to the newest."""
    reports = tmp_path / "reports"
    compare("clean.exit0", reports)
    first = (reports / "latest").readlink()
    compare("behind.exit1", reports)
    second = (reports / "latest").readlink()

    assert re.fullmatch(r"\d{8}T\d{6}Z-shop-[0-9a-f]{8}", str(first))
    assert sorted(path.name for path in reports.iterdir()) == sorted(["latest", str(first), str(second)])
    assert first != second
    assert mode(reports / first) == 0o700
    assert {path.name: mode(path) for path in (reports / first).iterdir()} == {
        "report.html": 0o600,
        "report.json": 0o600,
    }


def test_no_verdict_leaves_no_folder_and_latest_alone(tmp_path: Path) -> None:
    """The newest complete report stays the newest."""
    compare("clean.exit0", tmp_path)
    before = (tmp_path / "latest").readlink()
    compare("not-xml.exit2", tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["latest", str(before)])
    assert (tmp_path / "latest").readlink() == before


@pytest.mark.parametrize("case", ["behind.exit1", "udp-no-answer.exit3"])
@pytest.mark.parametrize("options", [(), ("-q",)])
def test_the_summary_says_where_the_report_is(case: str, options: tuple[str, ...], tmp_path: Path) -> None:
    """At the end of stdout, in a mail of cron too."""
    ended = compare(case, tmp_path, *options)
    run = tmp_path / (tmp_path / "latest").readlink()

    assert f"\nReport: {run / 'report.html'}\n        {run / 'report.json'}\n" in ended.stdout
    assert ended.stdout.startswith(("DRIFT", "INCOMPLETE"))


def test_quiet_says_nothing_of_a_clean_audit_and_counts_of_others(tmp_path: Path) -> None:
    """A night without drift sends no mail; one with it lists what drifted, and of the rest how much there is."""
    clean, drifted = compare("clean.exit0", tmp_path, "-q"), compare("behind.exit1", tmp_path, "-q")

    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    assert "control-bypass" in drifted.stdout
    assert re.search(r"^Left out  \d+ entries$", drifted.stdout, re.MULTILINE)
    assert not re.search(r"^(Left out|Silent|Waived)  [a-z]", drifted.stdout, re.MULTILINE)


def test_the_text_is_as_wide_as_the_terminal(tmp_path: Path) -> None:
    """Where there is none it is 100 columns wide."""
    compare("behind.exit1", tmp_path)
    report = tmp_path / "latest" / "report.json"
    on_terminal = on_a_terminal(64, "render", report, "--format", "text")
    elsewhere = auditor("render", report, "--format", "text").stdout.splitlines()

    assert 58 < max(map(len, on_terminal)) <= 64
    assert 94 < max(map(len, elsewhere)) <= 100


def test_the_options_are_in_the_report(tmp_path: Path) -> None:
    """A reader sees with what eyes it was made."""
    compare("tag-chosen.exit1", tmp_path, "--tag", "staging", "--fail-on", "none", "--allow-unverified")
    report = json.loads((tmp_path / "latest" / "report.json").read_text())

    assert report["audit"]["options"] == {
        "max_age": "any",
        "tags": ["staging"],
        "fail_on": ["none"],
        "allow_unverified": True,
    }


# ------------------------------------------------------------------ formats


def test_json_on_stdout_is_pure(tmp_path: Path) -> None:
    """A pipe into another program gets the report and nothing else; where the files lie is told on stderr."""
    ended = compare("behind.exit1", tmp_path, "--format", "json")

    assert ended.returncode == 1
    assert ended.stdout == (tmp_path / "latest" / "report.json").read_text()
    assert json.loads(ended.stdout)["verdict"]["exit_code"] == 1
    assert "Report:" in ended.stderr


def test_formats_to_files(tmp_path: Path) -> None:
    """Each is the same as in the run's folder, and the summary still goes to stdout."""
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    ended = compare("behind.exit1", tmp_path / "reports", "--format", f"html={page}", "--format", f"json={data}")
    run = tmp_path / "reports" / "latest"

    assert page.read_text() == (run / "report.html").read_text()
    assert data.read_text() == (run / "report.json").read_text()
    assert (mode(page), mode(data)) == (0o600, 0o600)
    assert "Report:" in ended.stdout


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        (("json", "html"), "only one --format can go to stdout"),
        (("json", "html=-"), "only one --format can go to stdout"),
        (("pdf",), f"no format is named pdf; there are {', '.join(FORMATS)}"),
        (("json", "json=x"), "json is asked for twice"),
        (("html=",), "the path after = is empty"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_formats_that_cannot_be(formats: tuple[str, ...], message: str, tmp_path: Path) -> None:
    """They are refused before anything is done."""
    ended = compare("behind.exit1", tmp_path, *(word for name in formats for word in ("--format", name)))

    assert (ended.returncode, ended.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert message in ended.stderr


def test_a_format_that_cannot_be_written_is_no_verdict(tmp_path: Path) -> None:
    """Who asked for a file and has none must not read the exit code as the verdict."""
    ended = compare("behind.exit1", tmp_path / "reports", "--format", "json=/dev/full")

    assert (ended.returncode, "DRIFT" in ended.stdout, "Report:" in ended.stdout) == (2, True, True)
    assert "cannot write /dev/full" in ended.stderr


@pytest.mark.parametrize(
    ("formats", "said"),
    [
        (("json=no/such/x.json",), "there is no folder no/such; create it first"),
        (("json=.",), ". is a folder; name a file"),
        (("json=same", "html=same"), "another format goes to same too"),
    ],
)
def test_a_format_that_cannot_be_written_is_known_before(formats: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Better than after an hour of scanning: nothing is begun."""
    ended = compare("behind.exit1", tmp_path / "reports", *(f"--format={one}" for one in formats))

    assert (ended.returncode, list(tmp_path.iterdir())) == (2, [])
    assert said in ended.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_no_locale_costs_the_verdict(encoding: str, tmp_path: Path) -> None:
    """An arrow that stdout cannot show is shown as an escape; documents are UTF-8 whatever the locale."""
    case, reports = CASES / "behind.exit1", tmp_path / "reports"

    def run(*arguments: object) -> subprocess.CompletedProcess[bytes]:
        env = environment({"PYTHONIOENCODING": encoding})
        return subprocess.run([AUDITOR, *map(str, arguments)], env=env, capture_output=True, check=False)

    ended = run("compare", case / "inventory.yaml", f"--nmap-xml=public={case / 'public.xml'}", *ANY_DAY, "-o", reports)
    page = run("render", reports / "latest" / "report.json", "--format", "html")

    assert (ended.returncode, page.returncode) == (1, 0)
    assert b"DRIFT" in ended.stdout
    assert (
        page.stdout.decode("utf-8").rstrip()
        == (reports / "latest" / "report.html").read_text(encoding="utf-8").rstrip()
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("verbose = 2", "verbose: write true or false"),
        ("allow-unverified = [true]", "allow-unverified: write true or false"),
        ("fail-on = 3", "fail-on: write a text in quotes, or a list of them"),
        ("host = {a = 1}", "host: write a text in quotes, or a list of them"),
        ("color = true", "color: write one text, in quotes"),
        ('fail_on = "none"', "fail_on: no such option of `compare`; did you mean fail-on? There are allow-unverified"),
    ],
)
def test_a_wrong_value_in_the_configuration(line: str, said: str, tmp_path: Path) -> None:
    """It names the file and the key, and says what would be right."""
    config = tmp_path / "auditor.toml"
    config.write_text(f"[compare]\n{line}\n")
    ended = compare("behind.exit1", tmp_path / "reports", "--config", config)

    assert ended.returncode == 2
    assert f"{config}: {said}" in ended.stderr


def test_expect_cuts_no_address(tmp_path: Path) -> None:
    """On a pipe each row is one line, whole."""
    ports = ", ".join(f"{port}/tcp" for port in range(1000, 1040, 2))
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        'version: 1\nname: long\nscope: {allow: ["2001:db8::/32"]}\n'
        'viewpoints: {a-viewpoint-of-a-long-name: {kind: vpn, addresses: ["2001:db8:ffff::1"]}}\n'
        "hosts: {a-host-of-quite-a-long-name: {\n"
        '  interfaces: {an-interface: ["2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff"]},\n'
        f'  services: {{service: {{ports: [{ports}], from: ["2001:db8:ffff::1"], reason: r}}}}}}}}\n'
    )
    (row,) = (line for line in auditor("expect", inventory).stdout.splitlines() if "reachable" in line)

    assert "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff" in row
    assert f"{','.join(str(port) for port in range(1000, 1040, 2))}/tcp" in row


# ------------------------------------------------------------------ render


def test_render_says_what_the_run_said(tmp_path: Path) -> None:
    """The stored report holds everything that each format needs."""
    run = compare("behind.exit1", tmp_path)
    report = tmp_path / "latest" / "report.json"
    text, page = auditor("render", report), auditor("render", report, "--format", "html")
    data = auditor("render", report, "--format", "json")

    assert [each.returncode for each in (text, page, data)] == [0, 0, 0]
    assert text.stdout == run.stdout.partition("\nReport: ")[0]
    assert page.stdout == (tmp_path / "latest" / "report.html").read_text() + "\n"
    assert data.stdout == report.read_text()


# ------------------------------------------------------------------ colour and noise


@pytest.mark.parametrize(
    ("options", "env", "colored"),
    [
        ((), {}, False),
        (("--color", "always"), {}, True),
        (("--color", "never"), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "always"), {"TERM": "dumb"}, True),
    ],
    ids=["a pipe", "always", "never", "NO_COLOR", "always over NO_COLOR", "always on a dumb terminal"],
)
def test_color(options: tuple[str, ...], env: dict[str, str], colored: bool, tmp_path: Path) -> None:
    """Only on a terminal, or where asked for."""
    ended = compare("behind.exit1", tmp_path, *options, env=env)

    assert ("\x1b[" in ended.stdout) == colored


def test_color_changes_no_word(tmp_path: Path) -> None:
    """What is coloured reads the same without."""
    plain = compare("behind.exit1", tmp_path, "-q").stdout
    colored = compare("behind.exit1", tmp_path, "-q", "--color", "always").stdout
    at = re.compile(r"\d{4}-\d\d-\d\d [\d:]+ to [\d:]+ UTC, \d+ s|\d{8}T\d{6}Z-shop-[0-9a-f]+")

    assert at.sub("", re.sub(r"\x1b\[[0-9;]*m", "", colored)) == at.sub("", plain)


def test_hostile_text_cannot_drive_a_terminal(tmp_path: Path) -> None:
    """Neither control nor bidirectional characters from the network are printed."""
    ended = compare("hostile-strings.exit1", tmp_path)

    assert "gnp.exe" in (tmp_path / "latest" / "report.json").read_text()
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", ended.stdout + ended.stderr) == []


def test_quiet_and_verbose(tmp_path: Path) -> None:
    """-q has only warnings on stderr, the default adds what is being done, -v every command, and when."""
    inventory = tmp_path / "inventory.yaml"
    inventory.write_text(
        CLEAN.read_text().replace("203.0.113", "127.0.0").replace("198.51.100.20]", "127.0.0.1], nat: true")
    )
    fake = FakeNmap(tmp_path / "bin")
    common = ("audit", inventory, "-o", tmp_path / "reports", "--profile", "quick")
    quiet, plain, verbose = (auditor(*common, *more, env=fake.env).stderr for more in (("-q",), (), ("-v",)))

    assert "nmap ended with exit status 1" in quiet
    assert "probing declared ports" not in quiet
    at = re.compile(r"\d\d:\d\d:\d\d auditor: ")
    untimed = {at.sub("auditor: ", line) for line in verbose.splitlines()}
    assert set(quiet.splitlines()) < set(plain.splitlines()) < untimed
    assert "\nauditor: public: " not in verbose
    assert "--max-rate" in verbose  # the commands themselves


# ------------------------------------------------------------------ --config


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "auditor.toml"
    path.write_text(text)
    return path


def test_config_gives_defaults(tmp_path: Path) -> None:
    """A table for each command; only the command's own counts."""
    file = config(
        tmp_path,
        f'[compare]\nfail-on = "none"\noutput = "{tmp_path}/elsewhere"\ncolor = "always"\nformat = ["json"]\n'
        '[audit]\nfail-on = ["boundary-leak"]\n',
    )
    case = CASES / "behind.exit1"
    ended = auditor("compare", case / "inventory.yaml", "--nmap-xml", case / "public.xml", *ANY_DAY, "--config", file)

    assert ended.returncode == 0
    assert json.loads(ended.stdout)["audit"]["options"] == {"max_age": "any", "fail_on": ["none"]}
    assert (tmp_path / "elsewhere" / "latest").is_symlink()


def test_the_command_line_outweighs_config(tmp_path: Path) -> None:
    """What is typed now was meant now."""
    file = config(tmp_path, '[compare]\nfail-on = ["none"]\n')
    ended = compare("behind.exit1", tmp_path / "reports", "--config", file, "--fail-on", "control-bypass")

    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[compare]\nfail-onn = []\n", "fail-onn"),
        ('[compare]\nformats = ["json"]\n', "formats"),
        ("[gates]\n", "unknown table gates"),
        ('color = "always"\n', "unknown table color"),
        ("compare = 1\n", "compare"),
        ("[compare\n", "auditor.toml"),
        ('[compare]\nfail-on = ["severe"]\n', "severe"),
        ('[compare]\ncolor = "purple"\n', "purple"),
        ("[compare]\nfail-on = 3\n", "fail-on"),
        ('[compare]\nquiet = "perhaps"\n', "quiet"),
        ('[compare]\nconfig = "other.toml"\n', "config"),
    ],
)
def test_config_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    """A misspelt or misplaced setting is refused, never ignored."""
    file = config(tmp_path, text)
    ended = compare("clean.exit0", tmp_path / "reports", "--config", file)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "internal error" not in ended.stderr


@pytest.mark.parametrize(("case", "code"), [("clean.exit0", 0), ("unknown-host.exit1", 1)])
def test_quiet_says_nothing_on_a_clean_night(tmp_path: Path, case: str, code: int) -> None:
    """cron mails whatever is printed, so -q prints a summary only where there is something to tell."""
    ended = compare(case, tmp_path, "-q")

    assert (ended.returncode, ended.stdout == "", ended.stderr) == (code, code == 0, "")
