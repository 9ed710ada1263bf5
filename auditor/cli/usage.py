"""How a command line is refused that click cannot read: in the words and the form of all other messages."""

from __future__ import annotations

import click

from auditor.cli.meant import likely
from auditor.cli.style import say


def refuse(error: click.ClickException) -> None:
    """Print the message, and in a line of its own where the right words are."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        say("no command is given")
    elif isinstance(error, click.UsageError):
        say(f"{_what(error)}\n{_where(error)}")
    else:
        say(_plain(error.format_message()))


def _what(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption(option_name=name, possibilities=close):
            return f"there is no option {name}" + (f"; did you mean {close[0]}?" if close else "")
        case click.MissingParameter(param=click.Option(help=text) as option):
            return f"{_name(option)} is missing: {_plain(text or '')}"
        case click.MissingParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)} is missing"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)}: {_plain(error.message)}{_chosen(parameter, error.message)}"
        case _:
            return _plain(error.format_message())


def _name(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len) if isinstance(parameter, click.Option) else parameter.human_readable_name


def _chosen(parameter: click.Parameter, message: str) -> str:
    """Which of the words that there are was meant, of a message that begins with the wrong one in quotes."""
    word = message.partition("' is not one of ")[0].removeprefix("'")
    close = likely(word, list(parameter.type.choices)) if isinstance(parameter.type, click.Choice) else None
    return f"; did you mean {close}?" if close else ""


def _plain(message: str) -> str:
    """As our messages are: no capital, no full stop."""
    return f"{message[:1].lower()}{message[1:]}".removesuffix(".")


def _where(error: click.UsageError) -> str:
    context = error.ctx
    if context is None:
        return "`auditor --help` shows the commands"
    what = "the commands" if isinstance(context.command, click.Group) else "its options"
    return f"`{context.command_path} --help` shows {what}"
