"""Names of an inventory, for completion: read as they stand, since a line is completed before anything is checked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import click

VARIABLE = "_AUDITOR_COMPLETE"  # which shell asks, and for what, as click has it
_MOST = 4_000_000  # bytes that are read of an inventory: nobody waits longer at a key
_SUFFIXES = (".yaml", ".yml", ".json")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,62}")  # as the schema has it


def viewpoints(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The viewpoints of the inventory on the line that begin so, and `all`."""
    return _fitting([*_names(context, "viewpoints"), "all"], incomplete)


def hosts(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The hosts of the inventory on the line that begin so."""
    return _fitting(_names(context, "hosts"), incomplete)


def _fitting(names: list[str], incomplete: str) -> list[str]:
    """Those that begin so and are names: whatever else an inventory calls something, no shell gets to see it."""
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete) and _NAME.fullmatch(name)]


def _names(context: click.Context, key: str) -> list[str]:
    path = context.params.get("inventory_path") or _on_the_line()
    return [name for file in _files(path) for name in _below(file, key)] if isinstance(path, Path) else []


def _on_the_line() -> Path | None:
    """The inventory, where click has not got to it: behind the option that is completed, or before its value."""
    from click.shell_completion import split_arg_string  # only where a name is completed

    words = split_arg_string(os.environ.get("COMP_WORDS", ""))[2:]
    paths = (Path(word) for word in words if not word.startswith("-"))
    return next((path for path in paths if path.is_dir() or (path.suffix in _SUFFIXES and path.is_file())), None)


def _files(path: Path) -> Iterator[Path]:
    """The files of an inventory, as many as are read while somebody waits at a key."""
    below = sorted(path.rglob("*")) if path.is_dir() else [path]
    left = _MOST
    for file in (one for one in below if one == path or one.suffix in _SUFFIXES):
        if file.is_file():
            left -= file.stat().st_size
            if left < 0:
                return
            yield file


def _below(file: Path, key: str) -> list[str]:
    """The keys of the table under a key of a YAML file, from its events: nothing in it is made an object of.

    What cannot be read has no names; `validate` says why.
    """
    import yaml  # only where a name is completed

    names = list[str]()
    path: list[str | None] = []  # of open mappings, the key whose value is read; None where a key comes next
    try:
        for event in yaml.parse(file.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            match event:
                case yaml.MappingStartEvent():
                    path.append(None)
                case yaml.SequenceStartEvent():
                    path.append("-")
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    path.pop()
                    _next(path)
                case yaml.ScalarEvent(value=text) if path and path[-1] is None:
                    path[-1] = text
                    names += [text] if len(path) == 2 and path[0] == key else []
                case yaml.ScalarEvent() | yaml.AliasEvent():
                    _next(path)
                case _:
                    pass
    except (OSError, ValueError, yaml.YAMLError):
        pass
    return names


def _next(path: list[str | None]) -> None:
    if path and path[-1] != "-":
        path[-1] = None
