"""The schema that ships: what editors complete from and what decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor.inventory.reading.schema import decider
from auditor.inventory.reading.wording import wording
from auditor.model.words import NOTICES, Boundary, Family, Kind, Protocol, ServiceClass, Severity, Trust, ViewpointKind
from auditor.resources import schema_text

SCHEMA: dict[str, Any] = json.loads(schema_text("inventory"))
MATCH = SCHEMA["$defs"]["waiver"]["properties"]["match"]["properties"]
WAIVABLE = [kind for kind in Kind if kind not in NOTICES]


def subschemas(schema: Any, where: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema that describes a value, with its place."""
    if not isinstance(schema, dict):
        return
    yield where, schema
    for key in ("properties", "$defs"):
        for name, inner in schema.get(key, {}).items():
            yield from subschemas(inner, f"{where}/{key}/{name}")
    for key in ("items", "additionalProperties"):
        yield from subschemas(schema.get(key), f"{where}/{key}")


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def test_schema_is_valid() -> None:
    """It follows the draft that it names."""
    Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize(("where", "schema"), [pytest.param(*one, id=one[0]) for one in subschemas(SCHEMA)])
def test_every_value_is_described(where: str, schema: dict[str, Any]) -> None:
    """Messages and editors take their words from here: each value has a title, a description and fitting examples."""
    whole = resolved(schema)

    assert whole["title"], where
    assert whole["description"].endswith("."), where
    assert whole["examples"], where
    for example in whole["examples"]:
        assert wording().evolve(schema=schema).is_valid(example), (where, example)


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("viewpoint.nat", False),
        ("viewpoint.boundary", "any"),
        ("viewpoint.via", "local"),
        ("limits.rate", 5000),
        ("service.families", ["ipv4", "ipv6"]),
        ("service.optional", False),
        ("service.answers", True),
    ],
)
def test_defaults(path: str, default: Any) -> None:
    """An editor shows what holds where a key is left out, and that value follows the schema."""
    name, key = path.split(".")
    schema = SCHEMA["$defs"][name]["properties"][key]

    assert default == resolved(schema)["default"]
    assert wording().evolve(schema=schema).is_valid(default)


@pytest.mark.parametrize(
    ("words", "members"),
    [
        (SCHEMA["$defs"]["class"]["enum"], ServiceClass),
        (SCHEMA["$defs"]["viewpoint"]["properties"]["kind"]["enum"], ViewpointKind),
        (SCHEMA["$defs"]["viewpoint"]["properties"]["boundary"]["enum"], Boundary),
        (SCHEMA["$defs"]["trust"]["enum"], Trust),
        (SCHEMA["$defs"]["service"]["properties"]["families"]["items"]["enum"], Family),
        (SCHEMA["$defs"]["waiver"]["properties"]["severity"]["enum"], Severity),
        (MATCH["kind"]["then"]["enum"], WAIVABLE),
        (MATCH["kind"]["items"]["enum"], WAIVABLE),
        (resolved(MATCH["class"]["items"])["enum"], ServiceClass),
        (resolved(MATCH["family"]["items"])["enum"], Family),
        (resolved(MATCH["protocol"]["items"])["enum"], Protocol),
    ],
)
def test_words_are_those_of_the_model(words: list[str], members: Any) -> None:
    """The closed vocabularies are the same in the schema and in the code."""
    assert words == [str(member) for member in members]


@pytest.mark.parametrize(
    "data",
    [
        {"version": 1},
        {"version": 1.0},
        {"version": True},
        {"version": 1, "name": "a\n"},
        {"version": 1, "name": "a" * 64},
        {"version": 1, "name": "é"},
        {"version": 1, "x-free": {"anything": [None]}},
        {"version": 10**30},
        {"version": 1, "scope": {"allow": [""]}},
        {"version": 1, "hosts": {"": {}}},
        {"version": 1, "hosts": {"x-": 1}},
        {"version": 1, "viewpoints": {"v": {"kind": "vpn", "addresses": ["a"], "limits": {"rate": 1.5}}}},
        {"version": 1, "viewpoints": {"v": {"kind": "vpn", "addresses": ["a"], "limits": {"rate": 5.0}}}},
    ],
)
def test_both_validators_agree_at_the_edges(data: dict[str, Any]) -> None:
    """Newlines after a name, floats that are integers, booleans that are not: one answer."""
    assert decider().is_valid(data) == wording().is_valid(data)
