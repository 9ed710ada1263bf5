"""Whether a document follows the schema, decided by jsonschema-rs; what is wrong, worded from jsonschema's errors.

What fails is replaced by `BROKEN` in the data, part by part, so that the rest can still be resolved and no name in it
seems unknown only because its part was wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, ValidationError, validators

from auditor.inventory.events import Document
from auditor.inventory.text import Path, clean, listed, shown, suggest
from auditor.resources import schema_text


class Broken:
    """Stands for a part that is there but wrong, and already reported."""


BROKEN = Broken()

_SERVICE_LEAVES = frozenset(
    {"protocol", "optional", "answers", "behind", "reason", "owner", "ticket", "approved_by", "patching", "review_by"}
    | {"http", "listens", "bind"}
)

# The parts that break alone; `*` is any name. Longest first.
_PARTS: tuple[Path, ...] = (
    *(
        (section, "*", "services", "*", key)
        for section in ("roles", "hosts")
        for key in ("ports", "interfaces", "from", "class", "families")
    ),
    ("hosts", "*", "roles"),
    ("viewpoints", "*", "kind"),
    ("roles", "*", "services", "*"),
    ("hosts", "*", "services", "*"),
    ("hosts", "*", "interfaces", "*"),
    ("ranges", "*"),
    ("viewpoints", "*"),
    ("roles", "*"),
    ("hosts", "*"),
    ("*",),
)
# Keys without which the rest of such a part can still be resolved: they are dropped instead.
_LEAVES: tuple[tuple[Path, frozenset[str]], ...] = (
    (("hosts", "*"), frozenset({"owner", "tags", "members", "firewall", "access", "limits"})),
    (("viewpoints", "*"), frozenset({"nat", "canaries", "boundary", "limits", "via", "sweep"})),
    (("ranges", "*"), frozenset({"trust"})),
    (("roles", "*", "services", "*"), _SERVICE_LEAVES),
    (("hosts", "*", "services", "*"), _SERVICE_LEAVES),
)
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def check(document: Document) -> None:
    """Report what does not follow the schema, and break those parts of the data."""
    if not isinstance(document.data, dict) or decider().is_valid(document.data):
        return
    suspect = _suspects(document.data)
    errors = list(wording().iter_errors(suspect))
    if not errors:  # the two libraries disagree, which a test rules out for all we know of: refuse all the same
        errors = [ValidationError("does not follow the schema of inventories")]
    for error in errors:
        for path, message in _worded(error):
            document.problem(path, message)
    for error in errors:
        if error.validator != "additionalProperties":
            _break(document.data, _place(error))


@cache
def _schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_text("inventory"))
    return loaded


@cache
def decider() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(_schema())


@cache
def wording() -> Draft202012Validator:
    """jsonschema, with `$` at the end of a pattern as JSON Schema means it: not before a newline."""

    def pattern(validator: Any, wanted: str, instance: Any, _: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", wanted), instance):
            yield ValidationError("")

    untyped: Any = validators  # `extend` has no types
    validator: Draft202012Validator = untyped.extend(Draft202012Validator, {"pattern": pattern})(_schema())
    return validator


def _suspects(data: Mapping[str, Any]) -> dict[str, Any]:
    """Only the entries with errors in them: jsonschema is 200 times slower, and most of an inventory is right."""
    large = {key for key in ("ranges", "viewpoints", "roles", "hosts") if isinstance(data.get(key), dict)}
    suspect = {key: value for key, value in data.items() if key not in large}
    for error in decider().iter_errors(data):
        match error.instance_path:
            case [str(section), str(name), *_] if section in large and name in data[section]:
                suspect.setdefault(section, {})[name] = data[section][name]
            case [str(section), *_]:
                suspect[section] = data[section]
            case _:
                pass
    return suspect


def _break(data: Any, path: Path) -> None:
    """Put BROKEN in place of the smallest part that holds the path, or drop the key that nothing hangs on."""
    for part, leaves in _LEAVES:
        if _within(path, part) and path[len(part) : len(part) + 1] and path[len(part)] in leaves:
            _parent(data, path[: len(part) + 1]).pop(path[len(part)], None)
            return
    for part in _PARTS:
        if _within(path, part):
            _parent(data, path[: len(part)])[path[len(part) - 1]] = BROKEN
            return


def _within(path: Path, part: Path) -> bool:
    return len(path) >= len(part) and all(want in ("*", step) for want, step in zip(part, path, strict=False))


def _parent(data: Any, path: Path) -> Any:
    """The mapping that holds the last step; an empty one where an earlier error has broken that already."""
    for step in path[:-1]:
        data = data.get(step) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _place(error: ValidationError) -> Path:
    """The path of what is wrong; for a bad name, of the entry that has it."""
    path: Path = tuple(error.absolute_path)
    return (*path, str(error.instance)) if "propertyNames" in error.absolute_schema_path else path


def _worded(error: ValidationError) -> Iterator[tuple[Path, str]]:
    path = _place(error)
    wanted: Any = error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    value: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = list(schema.get("properties", {}))
            for key in sorted(set(value) - set(known)):
                yield (*path, key), f"unknown key {shown(key)}{suggest(key, known)}"
        case "required":
            # One error comes for each missing key; its message alone tells which.
            key = next(key for key in wanted if error.message.startswith(repr(key)))
            yield path, f"`{key}` is missing{_example(schema.get('properties', {}).get(key, {}))}"
        case "enum":
            yield path, _not_one_of(value, wanted, schema)
        case "const":
            what = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
            yield path, f"{what} is not {_titled(schema)}; write the number {wanted}"
        case "minItems" | "minProperties" | "minLength":
            yield path, f"is empty; write {_titled(schema)}{_example(schema)}"
        case "maxProperties":
            yield path, f"has {listed(value)}; write only one of them"
        case "minimum" | "maximum":
            way = "below" if error.validator == "minimum" else "above"
            yield path, f"{shown(value)} is {way} {wanted}; write {_titled(schema)}{_example(schema)}"
        case "uniqueItems":
            yield path, "holds the same item twice; keep one"
        case "type":
            what = next(name for kind, name in _TYPES.items() if wording().is_type(value, kind))
            is_what = what if value is None or isinstance(value, dict | list) else f"{what}, {shown(value)}"
            hint = ", in quotes" if "string" in wanted and not isinstance(value, dict | list) else ""
            yield path, f"is {is_what}; write {_titled(schema)}{hint if value is not None else ''}{_example(schema)}"
        case _:
            yield path, f"{shown(value)} is not {_titled(schema)}{_example(schema)}" if schema else error.message


def _not_one_of(value: Any, allowed: Any, schema: Mapping[str, Any]) -> str:
    words = [str(word) for word in allowed if word is not None]
    meant = suggest(value, words) if isinstance(value, str) else f"; known: {listed(words)}"
    return f"{shown(value)} is not {_titled(schema)}{meant}"


def _titled(schema: Mapping[str, Any]) -> str:
    return str(_resolved(schema).get("title", "what the schema allows")).removesuffix(", or null")


def _example(schema: Mapping[str, Any]) -> str:
    found = _resolved(schema)
    examples = found.get("examples", found.get("enum", []))
    return f", such as `{clean(json.dumps(examples[0]).strip(chr(34)), 120)}`" if examples else ""


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = _schema()["$defs"][reference.rpartition("/")[2]]
    return found
