"""What does not follow the schema, worded from jsonschema's errors.

What fails is replaced by `BROKEN` in the data, just where it stands, so that all the rest can still be resolved, and
nothing seems unknown or missing only because it was wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from itertools import islice
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator, ValidationError, validators

from auditor.inventory.reading.broken import BROKEN, MISNAMED, Broken
from auditor.inventory.reading.events import MAX_PROBLEMS, Document
from auditor.inventory.reading.literals import ports_meant
from auditor.inventory.reading.schema import schema as _schema
from auditor.inventory.reading.text import Suggestions, clean, listed, shown
from auditor.model.inventory import Path
from auditor.model.words import USUAL_SEVERITIES, Severity

_MOST_KEYS = 20
_PORTS = "ports with their protocol"
_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}


def report(document: Document, data: dict[str, Any]) -> None:
    """Report what is wrong in the document's data, and break it there."""
    unread = set(document.unread)
    errors = list(islice(pruned().iter_errors(data), MAX_PROBLEMS))
    whole = len(errors) < MAX_PROBLEMS  # else not all that is wrong is known
    if (
        not errors and not unread
    ):  # the libraries disagree, which a test rules out for all we know of: refuse all the same
        document.problem((), "not-in-schema", "does not follow the schema of inventories")
        whole = False
    suggestions = Suggestions()
    worded = (one for error in errors if _place(error) not in unread for one in _worded(error, suggestions))
    for path, fault, message in islice(worded, MAX_PROBLEMS):
        document.problem(path, fault, message)
    if not whole:
        data.update(dict.fromkeys(data, BROKEN))
        return
    for error in errors:
        _break(data, error)
    for path in unread:
        with suppress(KeyError, IndexError, TypeError):  # it may stand in an `x-` key, or in one that is here twice
            _put_broken(data, path, BROKEN)


@cache
def wording() -> Draft202012Validator:
    """jsonschema, with `$` at the end of a pattern as JSON Schema means it, and with `uniqueItems` in linear time."""

    def pattern(validator: Any, wanted: str, instance: Any, _: Any) -> Iterator[ValidationError]:
        if validator.is_type(instance, "string") and not re.search(re.sub(r"\$$", r"\\Z", wanted), instance):
            yield ValidationError("")

    def unique(validator: Any, wanted: bool, instance: Any, _: Any) -> Iterator[ValidationError]:
        if wanted and validator.is_type(instance, "array") and any(True for _ in _twice(instance)):
            yield ValidationError("")

    untyped: Any = validators  # `extend` has no types
    keywords = {"pattern": pattern, "uniqueItems": unique}
    validator: Draft202012Validator = untyped.extend(Draft202012Validator, keywords)(_schema())
    return validator


@cache
def pruned() -> Draft202012Validator:
    """The same, but it looks only into what jsonschema-rs says is wrong: jsonschema is 200 times slower."""

    def in_list(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        wrong = _wrong(schema, enumerate(instance)) if validator.is_type(instance, "array") else ()
        for index, item in wrong:
            yield from validator.descend(item, schema, path=index)

    def in_mapping(validator: Any, schema: Any, instance: Any, parent: Any) -> Iterator[ValidationError]:
        if not isinstance(schema, dict):
            yield from Draft202012Validator.VALIDATORS["additionalProperties"](validator, schema, instance, parent)
        elif validator.is_type(instance, "object"):  # which has no other properties in our schema
            for name, value in _wrong(schema, instance.items()):
                yield from validator.descend(value, schema, path=name)

    def of_names(validator: Any, schema: Any, instance: Any, _: Any) -> Iterator[ValidationError]:
        names = ((name, name) for name in instance) if validator.is_type(instance, "object") else ()
        for name, _ in _wrong(schema, names):
            yield from validator.descend(name, schema)

    untyped: Any = validators
    keywords = {"items": in_list, "additionalProperties": in_mapping, "propertyNames": of_names}
    validator: Draft202012Validator = untyped.extend(type(wording()), keywords)(_schema())
    return validator


def _wrong(schema: Any, values: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    decider = _part(json.dumps(schema))
    return (one for one in values if not decider.is_valid(one[1]))


@cache
def _part(schema: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(schema) | {"$defs": _schema()["$defs"]})


def _break(data: Any, error: ValidationError) -> None:
    """Put BROKEN in place of what is wrong, and where what is missing should be. Some errors harm nothing."""
    path = _place(error)
    if error.validator == "additionalProperties":
        for key in _misspelled(error.instance, error.schema):
            _put_broken(data, (*path, key), BROKEN)
    if error.validator in ("additionalProperties", "uniqueItems"):
        return
    if error.validator == "required":
        path = (*path, _missing(error))
    _put_broken(data, path, MISNAMED if _misnamed(error) else BROKEN)


def _put_broken(data: Any, path: Path, broken: Broken) -> None:
    for step in path[:-1]:
        if isinstance(data, Broken):  # by an earlier error
            return
        data = data[step]
    if not isinstance(data, Broken):
        data[path[-1]] = broken


def _twice(items: Iterable[Any]) -> Iterator[int]:
    """The index of each item that is there before, as JSON Schema sees it: 1 is 1.0, and true is not 1."""
    seen = set()
    for index, item in enumerate(items):
        key = _hashable(item)
        if key in seen:
            yield index
        seen.add(key)


def _hashable(value: Any) -> Any:
    match value:
        case bool():
            return str, value
        case dict():
            return frozenset((key, _hashable(one)) for key, one in value.items())
        case list():
            return tuple(map(_hashable, value))
        case _:
            return value


def _unknown(value: Mapping[str, Any], schema: Any) -> list[str]:
    return sorted(set(value) - set(schema.get("properties", {})))


def _misspelled(value: Any, schema: Any) -> set[str]:
    """The keys that are not there, but seem to be meant by unknown ones; not looked for where nearly all is wrong."""
    unknown = _unknown(value, schema)[:_MOST_KEYS]
    known = set(schema.get("properties", {})) - set(value)
    return {meant for key in unknown for meant in get_close_matches(key[:64], known, n=1)}


def _place(error: ValidationError) -> Path:
    """The path of what is wrong; for a bad name, of the entry that has it."""
    path: Path = tuple(error.absolute_path)
    return (*path, str(error.instance)) if _misnamed(error) else path


def _misnamed(error: ValidationError) -> bool:
    return "propertyNames" in error.absolute_schema_path


def _missing(error: ValidationError) -> str:
    """One error comes for each missing key; its message alone tells which."""
    wanted: Any = error.validator_value
    return next(str(key) for key in wanted if error.message.startswith(repr(key)))


def _worded(error: ValidationError, suggestions: Suggestions) -> Iterator[tuple[Path, str, str]]:
    """Where each thing that is wrong stands, the id of its kind, and the message."""
    path = _place(error)
    wanted: Any = error.validator_value
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
    value: Any = error.instance
    match error.validator:
        case "additionalProperties":
            known = list(schema.get("properties", {}))
            for key in _unknown(value, schema):
                yield (*path, key), "unknown-key", f"unknown key {shown(key)}{suggestions.of(key, known)}"
        case "required":
            lacking = _lacking(error, schema)
            yield from ((path, "missing-key", f"`{key}` is missing{example}") for key, example in lacking)
        case "uniqueItems":
            twice = ((index, f"{shown(value[index])} is here twice; keep one") for index in _twice(value))
            yield from (((*path, index), "item-twice", message) for index, message in twice)
        case "enum":
            yield path, "unknown-word", _not_one_of(value, wanted, schema, suggestions)
        case "const":
            what = f"the text {shown(value)}" if isinstance(value, str) else shown(value)
            yield path, "unsupported-version", f"{what} is not {_titled(schema)}; write the number {wanted}"
        case "minItems" | "minProperties" | "minLength":
            yield path, "empty-value", f"is empty; write {_titled(schema)}{_example(schema)}"
        case "maxProperties":
            yield path, "too-many-values", f"has {listed(value)}; write only one of them"
        case "maxItems":
            message = f"holds {len(value)} items; write {_titled(schema)} of at most {wanted}"
            yield path, "too-many-values", message
        case "minimum" | "maximum":
            way = "below" if error.validator == "minimum" else "above"
            message = f"{shown(value)} is {way} {wanted}; write {_titled(schema)}{_example(schema)}"
            yield path, "out-of-bounds", message
        case "type":
            what = next(name for kind, name in _TYPES.items() if wording().is_type(value, kind))
            is_what = what if value is None or isinstance(value, dict | list) else f"{what}, {shown(value)}"
            bare = "string" in wanted and not isinstance(value, dict | list | None) and not _of_ports(schema)
            hint = ", in quotes" if bare else ""
            yield path, "wrong-type", f"is {is_what}; write {_titled(schema)}{hint}{_example(schema, value)}"
        case _:
            message = f"{shown(value)} is not {_titled(schema)}{_example(schema, value)}" if schema else error.message
            yield path, "not-in-schema", message


def _lacking(error: ValidationError, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    key = _missing(error)
    if key not in _misspelled(error.instance, schema):
        yield key, _example(schema.get("properties", {}).get(key, {}))


def _of_ports(schema: Mapping[str, Any]) -> bool:
    return str(_resolved(schema).get("title")).startswith(_PORTS)


def _not_one_of(value: Any, allowed: Any, schema: Mapping[str, Any], suggestions: Suggestions) -> str:
    words = [str(word) for word in allowed if word is not None]
    if set(words) == set(Severity) and isinstance(value, str) and value.lower() in USUAL_SEVERITIES:
        meant = f"; what others call so is {shown(USUAL_SEVERITIES[value.lower()].value)}; from worst: {listed(words)}"
    else:
        meant = suggestions.of(value, words) if isinstance(value, str) else f"; known: {listed(words)}"
    return f"{shown(value)} is not {_titled(schema)}{meant}"


def _titled(schema: Mapping[str, Any]) -> str:
    return str(_resolved(schema).get("title", "what the schema allows")).removesuffix(", or null")


def _example(schema: Mapping[str, Any], value: Any = None) -> str:
    found = _resolved(schema)
    meant = ports_meant(str(value)) if _of_ports(schema) and isinstance(value, str | int) else None
    if meant:
        return f", such as `{meant}`"
    examples = found.get("examples", found.get("enum", []))
    return f", such as `{clean(json.dumps(examples[0]).strip(chr(34)), 120)}`" if examples else ""


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = _schema()["$defs"][reference.rpartition("/")[2]]
    return found
