"""Options that commands share, and reading their defaults from `--config`."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from auditor.cli.output import Style, clean
from auditor.cli.rooted import from_root
from auditor.errors import UsageError
from auditor.inventory import denying, expect, load
from auditor.model.inventory import Inventory, Viewpoint
from auditor.model.words import Profile, Severity
from auditor.report import FORMATS, GATE_FORMATS, is_gate, sarif_lacks
from auditor.rundir import write_anywhere
from auditor.sweeps import Sweeps
from auditor.transport import Answer, Cluster, Tls, look_up


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
    help="Where to look from; repeats; `all` is every one. May be left out where only one is declared.",
)
hosts = click.option("--host", "hosts", multiple=True, metavar="NAME", help="Only this host; repeats.")
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
_SCHEDULER = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def engine(command: Callable[..., int]) -> Callable[..., int]:
    """The options about who scans, given to the command as one `cluster`, which is None for this machine."""

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
        files = {"--tls-ca": tls_ca, "--tls-cert": tls_cert, "--tls-key": tls_key}
        return command(cluster=_cluster(engine_name, scheduler, files), **rest)

    for option in reversed(_ENGINE):
        chosen = option(chosen)
    return chosen


def _cluster(engine_name: str, scheduler: str | None, files: Mapping[str, Path | None]) -> Cluster | None:
    given = [name for name, path in files.items() if path is not None]
    if engine_name != "dask":
        if scheduler is not None or given:
            raise UsageError(f"{'--scheduler' if scheduler is not None else given[0]} goes with --engine dask only")
        return None
    if scheduler is None:
        raise UsageError("--engine dask needs --scheduler ADDRESS, as in tls://scanners.example:8786")
    if not (parts := _SCHEDULER.fullmatch(scheduler)):
        raise UsageError(f"--scheduler {scheduler}: write tls://HOST:PORT, or tcp://HOST:PORT in a trusted network")
    if parts[1] == "tcp":
        if given:
            raise UsageError(f"{given[0]} goes with a scheduler at tls://… only, and this one is {scheduler}")
        return Cluster(scheduler)
    ca, certificate, key = files.values()
    if ca is None or certificate is None or key is None:
        missing = [name for name, path in files.items() if path is None]
        raise UsageError(f"--scheduler {scheduler} needs {' and '.join(missing)} too")
    return Cluster(scheduler, Tls(ca, certificate, key))


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


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.BadParameter(f"{path}: {error}", context) from error
    root = context.find_root().command
    commands = set(root.commands) if isinstance(root, click.Group) else set()
    unknown = sorted(set(tables) - commands)
    if unknown:
        raise click.BadParameter(
            f"{path}: unknown table {unknown[0]}; there are {', '.join(sorted(commands))}", context
        )
    mine = tables.get(context.command.name or "", {})
    known = {
        word.removeprefix("--"): option
        for option in context.command.params
        if isinstance(option, click.Option) and option.expose_value  # not --config itself
        for word in option.opts
        if word.startswith("--")
    }
    if not isinstance(mine, dict) or (strangers := sorted(set(mine) - set(known))):
        wrong = strangers[0] if isinstance(mine, dict) else context.command.name
        raise click.BadParameter(
            f"{path}: {wrong}: no such option of `{context.command.name}`; there are {', '.join(sorted(known))}",
            context,
        )
    context.default_map = {
        str(known[key].name): _default(context, f"{path}: {key}", known[key], value) for key, value in mine.items()
    }


def _default(context: click.Context, where: str, option: click.Option, value: object) -> object:
    """A value of the configuration, as click wants it for the option."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise click.BadParameter(f"{where}: write true or false", context)
        return value
    if not option.multiple:
        if not isinstance(value, str):
            raise click.BadParameter(f"{where}: write one text, in quotes", context)
        return value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise click.BadParameter(f"{where}: write a text in quotes, or a list of them", context)
    return texts


_COMMON = (
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Only warnings, no summary where the exit code is 0, and of a plan no commands.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Every step on stderr."),
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
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        metavar="FILE",
        help="Defaults for options, TOML: a table for each command.",
    ),
)


def today(names: Collection[str]) -> Mapping[str, Answer]:
    """Where DNS names lead today."""
    return look_up(names)


def load_resolved(path: Path) -> Inventory:
    """The inventory, its DNS names looked up. Raises InventoryError."""
    return load(path, today)


def expecting(command: Callable[..., int]) -> Callable[..., int]:
    """The options of commands about what an audit would look at, given to it as the inventory and its expectations."""

    @wraps(command)
    def expected(
        *,
        inventory_path: Path,
        viewpoints: Sequence[str],
        hosts: Sequence[str],
        tags: Sequence[str],
        profile: str,
        deny: Sequence[str],
        reports: Path,
        style: Style,
        **rest: Any,
    ) -> int:
        declared = denying(load_resolved(inventory_path), deny)
        chosen = pick_viewpoints(declared, viewpoints)
        sweeps = Sweeps(reports, lambda message: click.echo(clean(f"auditor: {message}"), err=True))
        rotations = sweeps.rotations(declared.name, chosen, datetime.now(UTC))
        found = [
            expect(declared, each, Profile(profile), hosts=hosts, tags=tags, rotation=rotations.get(each.name))
            for each in chosen
        ]
        return command(declared=declared, expected=found, style=style, **rest)

    asked = common(expected)
    for option in (past_reports, deny, profile, tags, hosts, viewpoints, inventory):
        asked = option(asked)
    return asked


def pick_viewpoints(declared: Inventory, names: Sequence[str]) -> tuple[Viewpoint, ...]:
    """The viewpoints that `-V` names, in sorted order. Raises UsageError."""
    known = declared.viewpoints
    if not known:
        raise UsageError("the inventory declares no viewpoint; add one under `viewpoints`")
    if not names and len(known) > 1:
        raise UsageError(f"several viewpoints are declared: choose with -V, one of {', '.join(known)}, or all")
    unknown = sorted(set(names) - set(known) - {"all"})
    if unknown:
        raise UsageError(f"no viewpoint is named {unknown[0]}; there are {', '.join(known)}")
    chosen = set(known) if not names or "all" in names else set(names)
    return tuple(viewpoint for name, viewpoint in sorted(known.items()) if name in chosen)


def check_fail_on(words: Sequence[str], known: Collection[str]) -> None:
    """Refuse words of `--fail-on` that mean nothing, or nothing together. Raises UsageError."""
    unknown = sorted(set(words) - set(known))
    if unknown:
        raise UsageError(f"--fail-on {unknown[0]}: not a severity, a kind or none; there are {', '.join(known)}")
    alone = [word for word in words if word == "none" or word in set(Severity)]
    if len(words) > 1 and alone:
        raise UsageError(f"--fail-on {alone[0]}: a severity or none stands alone; only kinds repeat")


def parse_formats(wanted: Sequence[str], known: Collection[str] = FORMATS.keys()) -> dict[str, Path | None]:
    """`F[=PATH]`, each format at most once and at most one to stdout. Raises UsageError."""
    parsed: dict[str, Path | None] = {}
    for item in wanted:
        name, equals, path = item.partition("=")
        if name not in known:
            raise UsageError(f"--format {item}: no format is named {name}; there are {', '.join(known)}")
        if name in parsed:
            raise UsageError(f"--format {item}: {name} is asked for twice")
        if equals and not path:
            raise UsageError(f"--format {item}: the path after = is empty")
        target = Path(path) if equals and path != "-" else None
        _check_path(item, target, parsed.values())
        parsed[name] = target
    if sum(path is None for path in parsed.values()) > 1:
        raise UsageError("only one --format can go to stdout; give the others a path, as in html=report.html")
    return parsed


def _check_path(item: str, path: Path | None, taken: Iterable[Path | None]) -> None:
    """What cannot be written is better known before an audit than after it."""
    if path is None:
        return
    if path in taken:
        raise UsageError(f"--format {item}: another format goes to {path} too")
    if path.is_dir():
        raise UsageError(f"--format {item}: {path} is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"--format {item}: there is no folder {path.parent}; create it first")


_AS_GIVEN = frozenset({"json", "html", "text"})


def write_formats(document: dict[str, Any], wanted: dict[str, Path | None]) -> None:
    """Write every format that was asked for. Raises RunError.

    Formats for CI name files from the repository's root; the report keeps the names that were given.
    """
    formats = GATE_FORMATS if is_gate(document) else FORMATS
    rooted = document if _AS_GIVEN.issuperset(wanted) else from_root(document)
    for name, path in wanted.items():
        text = formats[name](document if name in _AS_GIVEN else rooted)
        if path is None:
            to_stdout(text if text.endswith("\n") else f"{text}\n")
        else:
            write_anywhere(path, text)
    if "sarif" in wanted and (lacks := sarif_lacks(document)):
        click.echo(f"auditor: sarif: {lacks}", err=True)


def to_stdout(text: str) -> None:
    """In UTF-8 whatever the locale, as in a file: a page and a document say so of themselves."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8"))
    sys.stdout.buffer.flush()
