"""Every path of the schema, with a value of every wrong type."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.inventory.reading.text import dotted
from auditor.inventory.reading.wording import wording
from auditor.resources import schema_text

SCHEMA: dict[str, Any] = json.loads(schema_text("inventory"))
HEAD = {
    "version": 1,
    "name": "case",
    "scope": {"allow": ["10.0.0.0/8"]},
    "hosts": {"h": {"interfaces": {"lan": ["10.0.0.1"]}}},
}
VALUES: list[Any] = [None, True, False, 0, -1, 5, 1.5, 10**30, "", "~ no such ~", [], [None], [[]], {}, {"?": None}]

Step = str | int


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema if "$ref" in schema else schema


def places(schema: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], dict[str, Any]]]:
    """Every path that the schema describes, with what it says of it; a name of one's own is `n`."""
    if not isinstance(schema, dict):
        return
    whole = resolved(schema)
    if path:
        yield path, schema
    for name, inner in whole.get("properties", {}).items():
        yield from places(inner, (*path, name))
    yield from places(whole.get("additionalProperties"), (*path, "n"))
    yield from places(whole.get("items"), (*path, 0))


PLACES = list(places(SCHEMA))


def example(schema: dict[str, Any]) -> Any:
    return [*schema.get("examples", []), *schema.get("enum", [])][0]


def holding(schema: dict[str, Any], path: tuple[Step, ...], value: Any) -> Any:
    """What follows the schema but for the value at the path."""
    if not path:
        return deepcopy(value)
    whole = resolved(schema)
    step, *rest = path
    if isinstance(step, int):
        return [holding(whole["items"], tuple(rest), value)]
    inner = whole.get("properties", {}).get(step) or whole["additionalProperties"]
    needed = {key: example(resolved(whole["properties"][key])) for key in whole.get("required", []) if path != (key,)}
    return needed | {step: holding(inner, tuple(rest), value)}


@pytest.mark.parametrize(("path", "schema"), [pytest.param(*one, id=dotted(one[0])) for one in PLACES])
def test_a_wrong_value_is_told_at_its_place(path: tuple[Step, ...], schema: dict[str, Any], tmp_path: Path) -> None:
    """Whatever does not follow the schema is a problem where it stands, or within; nothing else comes out."""
    file = tmp_path / "inventory.json"
    wrong = [value for value in VALUES if not wording().evolve(schema=schema).is_valid(value)]

    assert len(wrong) >= 8
    for value in wrong:
        data = HEAD | {path[0]: holding(SCHEMA["properties"][path[0]], path[1:], value)}
        file.write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(InventoryError) as caught:
            load(file)
        assert any(problem.path.startswith(dotted(path)) for problem in caught.value.problems), (value, caught.value)


def test_the_places_are_many() -> None:
    """The walk reaches what stands deepest."""
    reached = {path for path, _ in PLACES}

    assert len(reached) > 150
    assert ("roles", "n", "services", "n", "families", 0) in reached
    assert ("policy", "forbid", 0, "except", 0) in reached
    assert ("viewpoints", "n", "via", "ssh", "port") in reached
