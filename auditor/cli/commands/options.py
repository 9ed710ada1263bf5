"""Options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from auditor.cli import completing
from auditor.cli.style import Engine, Style
from auditor.model.words import FORMATS, Profile


def common(command: Callable[..., int]) -> Callable[..., int]:
    """The options that every command has, given to it as one `style`."""

    @wraps(command)
    def styled(*, quiet: bool, verbose: bool, color: str, **rest: Any) -> int:
        return command(style=Style(int(verbose) - int(quiet), color), **rest)

    for option in reversed(_COMMON):
        styled = option(styled)
    return styled


inventory = click.argument("inventory_path", metavar="INVENTORY", type=click.Path(path_type=Path))
viewpoints = click.option(
    "-V",
    "--viewpoint",
    "viewpoints",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.viewpoints,
    help="Where to look from; repeats; `all` is every one. May be left out where only one is declared.",
)
hosts = click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="NAME",
    shell_complete=completing.hosts,
    help="Only this host; repeats.",
)
tags = click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only hosts with this tag; repeats.")
profile = click.option(
    "--profile",
    type=click.Choice([profile.value for profile in Profile if profile is not Profile.COMPARE]),
    default=Profile.STANDARD.value,
    show_default=True,
    help="quick: declared and usual ports; standard: all TCP ports, declared and usual UDP ports; full: more UDP.",
)
deny = click.option(
    "--deny",
    multiple=True,
    metavar="NETWORK",
    help="Never probe this network or address, whatever the inventory allows; repeats.",
)
discover = click.option(
    "--discover", is_flag=True, help="Search the targets for live addresses that no host declares, and audit those too."
)


def _reports(text: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    return click.option(
        "-o",
        "--output",
        "reports",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("reports"),
        show_default=True,
        metavar="DIR",
        help=text,
    )


reports_dir = _reports("Folder that gets a folder for this run.")
past_reports = _reports("Folder of the reports, which knows what was swept last.")
_ENGINE = (
    click.option(
        "--engine",
        "engine_name",
        type=click.Choice(["local", "dask"]),
        default="local",
        show_default=True,
        help="Who scans: this machine, or the workers of a dask cluster that stand at the viewpoints.",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="The cluster's, as in tls://scanners.example:8786."),
    *(
        click.option(
            f"--tls-{name}", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE", help=text
        )
        for name, text in (
            ("ca", "Whom to trust in the cluster, PEM."),
            ("cert", "Our certificate for it, PEM."),
            ("key", "The certificate's key, PEM."),
        )
    ),
)


def engine(command: Callable[..., int]) -> Callable[..., int]:
    """The options about who scans, given to the command as one `engine`."""

    @wraps(command)
    def chosen(
        *,
        engine_name: str,
        scheduler: str | None,
        tls_ca: Path | None,
        tls_cert: Path | None,
        tls_key: Path | None,
        **rest: Any,
    ) -> int:
        return command(engine=Engine(engine_name, scheduler, tls_ca, tls_cert, tls_key), **rest)

    for option in reversed(_ENGINE):
        chosen = option(chosen)
    return chosen


def formats_of(names: Iterable[str]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """The option --format, with these names of formats."""
    return click.option(
        "--format",
        "formats",
        multiple=True,
        metavar="F[=PATH]",
        help=f"Also write this format ({', '.join(names)}) to PATH, or to stdout in place of the summary; repeats.",
    )


formats = formats_of(FORMATS)


_COMMON = (
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Only warnings; a short summary where the exit code is not 0; of a plan no commands.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Every step on stderr, with its time (UTC)."),
    click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colour; auto is on a terminal, unless NO_COLOR is set.",
    ),
    click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        expose_value=False,  # `configuration` has read it by then
        metavar="FILE",
        help="Defaults for options, TOML: a table for each command.",
    ),
)


def expecting(command: Callable[..., int]) -> Callable[..., int]:
    """The options of commands about what an audit would look at."""
    asked = common(command)
    for option in (past_reports, deny, profile, tags, hosts, viewpoints, inventory):
        asked = option(asked)
    return asked


_JUDGING = (
    hosts,
    tags,
    reports_dir,
    formats,
    click.option(
        "--fail-on",
        multiple=True,
        metavar="WORD",
        help="What exits 1: a severity (it and all above), or kinds (repeats), or none. Default: any finding.",
    ),
    click.option("--allow-unverified", is_flag=True, help="Exit 0 though something could not be verified."),
)


def judging(command: Callable[..., int]) -> Callable[..., int]:
    """The options of commands that give a verdict."""
    judged = common(command)
    for option in reversed(_JUDGING):
        judged = option(judged)
    return judged
