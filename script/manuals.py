"""Write docs/man, the manual pages, from the commands themselves: `script/manuals`.

click-man asks a group for the commands that it has loaded, of which ours has none, sets the day of its run into each
page, and takes click's `\\b` for text. What remains is small.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from auditor import __version__
from auditor.cli.main import cli

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "man"
_AS_IT_STANDS = "\b"  # click's sign for a paragraph whose lines stay lines


def pages() -> dict[str, str]:
    """Each page by the name of its file."""
    root = click.Context(cli, info_name="auditor", **cli.context_settings)
    found = {"auditor.1": _page(root)}
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is not None:
            found[f"auditor-{name}.1"] = _page(click.Context(command, info_name=name, parent=root))
    return found


def _page(context: click.Context) -> str:
    return "\n".join(_lines(context)) + "\n"


def _lines(context: click.Context) -> Iterator[str]:
    command, name = context.command, context.command_path.replace(" ", "-")
    first, *rest = cleandoc(command.help or "").split("\n\n")
    yield f'.TH "{name.upper()}" "1" "" "auditor {__version__}" "User Commands"'
    yield ".SH NAME"
    yield rf"{_text(name)} \- {_text(' '.join(first.split()).removesuffix('.'))}"
    yield ".SH SYNOPSIS"
    yield rf"\fB{_text(context.command_path)}\fR {_text(' '.join(command.collect_usage_pieces(context)))}"
    yield ".SH DESCRIPTION"
    for paragraph in (first, *rest):
        yield from _paragraph(paragraph)
    yield ".SH OPTIONS"
    for option in (one for one in command.get_params(context) if isinstance(one, click.Option)):
        record = option.get_help_record(context)
        if record is not None:
            yield from (".TP", rf"\fB{_text(record[0])}\fR", _text(record[1]))
    if isinstance(command, click.Group):
        yield ".SH COMMANDS"
        for each in command.list_commands(context):
            yield from (".TP", rf"\fBauditor\-{_text(each)}\fR(1)", _text(_short(command, context, each)))
    else:
        yield from (".SH SEE ALSO", r"\fBauditor\fR(1)")


def _short(group: click.Group, context: click.Context, name: str) -> str:
    command = group.get_command(context, name)
    return command.get_short_help_str(limit=200) if command else ""


def _paragraph(text: str) -> Iterator[str]:
    yield ".PP"
    if not text.startswith(_AS_IT_STANDS):
        yield _text(" ".join(text.split()))
        return
    yield ".nf"
    yield from map(_text, text.removeprefix(_AS_IT_STANDS).strip("\n").split("\n"))
    yield ".fi"


def _text(text: str) -> str:
    """Text in which nothing is a request or an escape of roff."""
    safe = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in FOLDER.glob("*.1"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {len(written)} pages to {FOLDER.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
