"""Keys that the language knows and this version does not support: using one is an error, never ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.inventory.reading.events import Document
from auditor.model.inventory import Path

# Where such keys stand; `*` is any name.
_KEYS: tuple[tuple[Path, tuple[str, ...]], ...] = (
    (("hosts", "*"), ("access",)),
    (("hosts", "*", "interfaces", "*"), ("bind",)),
    (("hosts", "*", "services", "*"), ("http", "listens", "bind")),
    (("roles", "*", "services", "*"), ("http", "listens", "bind")),
)


def unsupported(name: str) -> str:
    return f"`{name}` is known but not supported by this version; remove it"


def refuse_later_keys(document: Document) -> None:
    """Report each such key in the document. A null takes nothing into use."""
    for pattern, keys in _KEYS:
        for path, mapping in _matches(document.data, pattern):
            for key in keys:
                if mapping.get(key) is not None:
                    document.problem((*path, key), "unsupported-key", unsupported(key))


def _matches(data: Any, pattern: Path, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    if not isinstance(data, dict):
        return
    if not pattern:
        yield path, data
        return
    for step in data if pattern[0] == "*" else pattern[:1]:
        if step in data:
            yield from _matches(data[step], pattern[1:], (*path, step))
