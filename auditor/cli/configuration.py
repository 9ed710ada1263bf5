"""Defaults for options, from `AUDITOR_…` variables and from `auditor.toml`. What stands on the command line holds."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from auditor.cli.meant import meant
from auditor.errors import UsageError

FILE = "auditor.toml"
_NAMED = "auditor.config"  # where a context keeps the file that `--config` names
_EVERYWHERE = frozenset({"quiet", "verbose", "color", "config"})  # options of all commands


class Command(click.Command):
    """A command whose options have variables named after them, and defaults in a configuration file.

    Without `found`, only a file that is named counts: one that is found belongs to what is looked at.
    """

    def __init__(self, *given: Any, found: bool = True, **rest: Any) -> None:
        super().__init__(*given, **rest)
        self.found = found
        for option in self.params:
            if isinstance(option, click.Option):
                name = _long(option)
                own = f"AUDITOR_{_as_variable(f'{self.name}_{name}')}"
                option.envvar = [own, f"AUDITOR_{_as_variable(name)}"] if name in _EVERYWHERE else own

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if context.resilient_parsing:  # a line that is completed: nothing of it is done
            return super().parse_args(context, args)
        try:
            given, _, _ = self.make_parser(context).parse_args(args=list(args))
        except click.UsageError as error:
            error.ctx = error.ctx or context  # which click leaves out of some
            with suppress(click.UsageError):  # the same once more, but help that is asked for comes first
                super().parse_args(context, args)
            raise
        if (path := _chosen(self, context, given)) is not None:
            context.default_map = {
                str(one.option.name): one.value for one in settings(self, read(path, context), str(path))
            }
        return super().parse_args(context, args)


@dataclass(frozen=True, slots=True)
class Setting:
    """A default that holds unless the command line says otherwise, and where it is from."""

    option: click.Option
    value: Any
    source: str


def beside(inventory: Path | None) -> Path | None:
    """The configuration that is found: in or beside the inventory's folder, else where the command runs."""
    folders = [Path()]
    if inventory is not None:
        folders = [*((inventory,) if inventory.is_dir() else ()), inventory.parent, *folders]
    return next((path for folder in folders if (path := folder / FILE).is_file()), None)


def read(path: Path, context: click.Context) -> Mapping[str, Any]:
    """The tables of a configuration, one for each command. Raises UsageError."""
    import tomllib

    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path}: {error}") from error
    root = context.find_root().command
    commands = root.list_commands(context) if isinstance(root, click.Group) else [str(context.command.name)]
    if unknown := sorted(set(tables) - set(commands)):
        raise UsageError(f"{path}: unknown table {unknown[0]}; {meant(unknown[0], sorted(commands))}")
    return tables


def settings(command: click.Command, tables: Mapping[str, Any], source: str) -> Iterator[Setting]:
    """What the tables say of the options of a command, as click wants it. Raises UsageError."""
    mine = tables.get(command.name or "", {})
    known = {
        _long(option): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value  # not --config itself
    }
    if not isinstance(mine, dict):
        raise UsageError(f"{source}: {command.name}: write a table of options")
    if strangers := sorted(set(mine) - set(known)):
        what = f"{source}: {strangers[0]}: no such option of `{command.name}`"
        raise UsageError(f"{what}; {meant(strangers[0], sorted(known))}")
    for key, value in mine.items():
        yield Setting(known[key], _default(f"{source}: {key}", known[key], value), source)


def variables(command: click.Command) -> Iterator[Setting]:
    """What the environment says of the options of a command."""
    for option in command.params:
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
        name = next((name for name in names if os.environ.get(name)), None)
        if name is not None and isinstance(option, click.Option):
            yield Setting(option, os.environ[name], name)


def held(context: click.Context, inventory: Path | None) -> Iterator[tuple[str, Setting]]:
    """What holds for each command, by its name, unless its command line says otherwise. Raises UsageError.

    Where a variable and the file speak of one option, the variable does. What holds for all is told of `auditor`, once.
    """
    root = context.find_root().command
    every: dict[str, Setting] = {}
    for name in root.list_commands(context) if isinstance(root, click.Group) else ():
        command = root.get_command(context, name) if isinstance(root, click.Group) else None
        if not isinstance(command, Command):
            continue
        found = {one.option.name: one for one in variables(command)}
        path = context.meta.get(_NAMED) or (beside(inventory) if command.found else None)
        for one in settings(command, read(path, context), str(path)) if path else ():
            found.setdefault(one.option.name, one)
        for one in found.values():
            if one.source == f"AUDITOR_{_as_variable(_long(one.option))}":
                every[one.source] = one
            else:
                yield name, one
    yield from (("auditor", one) for one in every.values())


def _chosen(command: Command, context: click.Context, given: Mapping[str, Any]) -> Path | None:
    """The file of `--config`, whether or not it is any good, else one that is found."""
    if (named := _named(command, given)) is not None:
        context.meta[_NAMED] = named
        return named if named.is_file() else None  # click says what is wrong with it
    inventory = given.get("inventory_path")
    return beside(Path(inventory) if isinstance(inventory, str) else None) if command.found else None


def _named(command: Command, given: Mapping[str, Any]) -> Path | None:
    said = given.get("config") or next((one.value for one in variables(command) if one.option.name == "config"), None)
    return None if said is None else Path(said)


def _long(option: click.Option) -> str:
    return next((word.removeprefix("--") for word in option.opts if word.startswith("--")), str(option.name))


def _as_variable(text: str) -> str:
    return text.upper().replace("-", "_")


def _default(where: str, option: click.Option, value: object) -> object:
    """A value of the configuration, as click wants it for the option."""
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{where}: write true or false")
        return value
    if not option.multiple:
        if not isinstance(value, str):
            raise UsageError(f"{where}: write one text, in quotes")
        return value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise UsageError(f"{where}: write a text in quotes, or a list of them")
    return texts
