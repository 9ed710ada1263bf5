"""`auditor completion`: what a shell needs to complete our commands."""

from __future__ import annotations

import click

from auditor.cli.commands import options
from auditor.cli.completing import VARIABLE
from auditor.cli.configuration import Command
from auditor.cli.style import Style


@click.command("completion", cls=Command)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.common
@click.pass_context
def command(context: click.Context, /, *, shell: str, **_style: Style) -> int:
    """Print what a shell needs to complete commands, options, viewpoints and hosts.

    Viewpoints and hosts are those of the inventory that stands on the line before them.

    Exit codes: 0 printed, 2 bad usage.

    \b
    Examples:
      auditor completion bash > ~/.local/share/bash-completion/completions/auditor
      auditor completion zsh > ~/.zfunc/_auditor          # a folder of your fpath
      auditor completion fish > ~/.config/fish/completions/auditor.fish
    """
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    if complete is None:
        raise click.UsageError(f"click knows no completion for {shell}", context)
    click.echo(complete(context.find_root().command, {}, "auditor", VARIABLE).source())
    return 0
