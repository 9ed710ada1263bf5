"""The command `auditor`: its subcommands, and the one place where exceptions become exit codes."""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn, TextIO

import click

from auditor import __version__
from auditor.cli import signals
from auditor.cli.completing import VARIABLE
from auditor.cli.meant import meant
from auditor.cli.style import clean, say
from auditor.errors import AuditorError, InventoryError

NO_VERDICT, CLOSED_PIPE = 2, 141
_LOADED = 50_000  # objects; a command that only imports and loads makes about as many, and none of them in cycles


# Every command with what the list of them says: to read that of the command would import all of them.
COMMANDS = {
    "audit": "Look from viewpoints, compare, write reports.",
    "compare": "Compare saved nmap XML with the inventory.",
    "validate": "Check an inventory: errors, breaches of its policy, lint.",
    "expect": "List what should be reachable from a viewpoint, and why.",
    "plan": "Show what an audit would probe, and send nothing.",
    "gate": "Tell what an inventory change opens, closes and audits less.",
    "render": "Write a stored report again in another format.",
    "init": "Draft a first inventory from nmap XML, listeners or both.",
    "explain": "Tell what an id means: why it is there, what would be right.",
    "doctor": "Check whether audits can run from here.",
    "demo": "Audit a practice estate that has five mistakes.",
    "schema": "Print a JSON schema: of inventories, or of what a command writes as JSON.",
    "completion": "Print what a shell needs to complete commands, options, viewpoints and hosts.",
}


class _Commands(click.Group):
    """Imports a command when it is named."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"auditor.cli.commands.{name}").command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and not context.resilient_parsing:
            raise click.UsageError(f"no command is named {args[0]}; {meant(args[0], list(COMMANDS))}", context)
        return super().resolve_command(context, args)

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="auditor")
def cli() -> None:
    """Compare what your hosts expose, seen from a viewpoint, with the inventory of what they should expose.

    \b
    Examples:
      auditor validate inventories/practice
      auditor plan inventories/practice -V public
      auditor audit inventories/practice -V all -o reports/
      auditor compare inventories/practice --nmap-xml public=scan.xml
      auditor gate git:origin/main:inventories/practice inventories/practice

    \b
    Exit codes of audit and compare:
      0  everything looked at is as declared
      1  drift: a finding at or above --fail-on
      2  no verdict: bad usage, bad inventory, nmap missing, a crash
      3  incomplete: something could not be verified
    """


def main() -> NoReturn:
    """Run the command line and exit with a code of the table; never 1 without a verdict."""
    gc.set_threshold(_LOADED)  # Python would look for cycles a hundred times by then
    try:
        signals.listen()
        sys.stdout = sys.stdout or _nowhere()  # None where the caller closed them
        sys.stderr = sys.stderr or _nowhere()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # an arrow must cost nobody the verdict
        code = run(sys.argv[1:])
        signals.deafen()
    except signals.Stopped as stop:  # outside of what `run` covers, or while it worded another end
        code = stop.exit_code
        signals.deafen()
    sys.exit(_flushed(code))


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _flushed(code: int) -> int:
    """The exit code once all is written. The interpreter would flush on its way out and exit 120 where that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            code = CLOSED_PIPE
        except OSError:
            code = NO_VERDICT
        else:
            continue
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


def run(arguments: list[str]) -> int:
    """The exit code of one command line. click's own `main` would answer 1 to Ctrl-C, crashes and closed pipes."""
    try:
        return _answer(arguments)
    except BrokenPipeError:
        return CLOSED_PIPE
    except OSError:  # stderr is full or gone: nobody can be told what was wrong
        return NO_VERDICT


def _answer(arguments: list[str]) -> int:
    try:
        if instruction := os.environ.get(VARIABLE):
            from click.shell_completion import shell_complete

            return shell_complete(cli, {}, "auditor", VARIABLE, instruction)
        with cli.make_context("auditor", arguments) as context:
            result = cli.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        from auditor.cli.usage import refuse

        refuse(error)
        return NO_VERDICT
    except InventoryError as error:
        from auditor.inventory.reading.excerpt import told

        for line in told(error.problems):  # as compilers write places, so that editors find them
            click.echo(clean(line), err=True)
        return NO_VERDICT
    except AuditorError as error:
        say(str(error))
        _advise(error)
        return NO_VERDICT
    except signals.Stopped as stop:
        word = "interrupted" if stop.interrupted else "terminated"
        say(f"{word}; the reports of earlier runs are as they were")
        _advise(stop)
        return stop.exit_code
    except BrokenPipeError:
        raise
    except OSError as error:
        say(f"cannot read or write: {error}")
        _advise(error)
        return NO_VERDICT
    except Exception as error:  # noqa: BLE001 -- the outermost frame: a crash must exit 2, since 1 would read as drift
        return _crashed(error)
    return result if isinstance(result, int) else 0


def _crashed(error: Exception) -> int:
    say(f"internal error, no verdict: {type(error).__name__}: {error}")
    if os.environ.get("AUDITOR_TRACEBACK"):
        import traceback

        click.echo(clean("".join(traceback.format_exception(error))), err=True)
    else:
        say("this is a defect; AUDITOR_TRACEBACK=1 shows where it happened")
    _advise(error)
    return NO_VERDICT


def _advise(error: BaseException) -> None:
    """What those that the error has passed on its way know to do next."""
    for note in getattr(error, "__notes__", ()):
        say(note)
