"""Write docs/inventory.md, the format's reference, from its schema, errors and lint rules: `script/reference`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from auditor.inventory.lint import RULES
from auditor.inventory.reading.faults import FAULTS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "inventory.md"
SCHEMA: dict[str, Any] = json.loads((ROOT / "schemas" / "inventory.schema.json").read_text(encoding="utf-8"))
# The objects that get a section, in reading order: heading, and where the object stands in the schema.
SECTIONS = {
    "The inventory": "",
    "scope": "properties/scope",
    "ranges": "$defs/range",
    "viewpoints": "$defs/viewpoint",
    "via": "$defs/via",
    "ssh": "$defs/via/properties/ssh",
    "docker": "$defs/via/properties/docker",
    "kubectl": "$defs/via/properties/kubectl",
    "limits": "$defs/limits",
    "roles": "$defs/role",
    "hosts": "$defs/host",
    "interfaces": "$defs/interface",
    "services": "$defs/service",
    "http": "$defs/service/properties/http",
    "waivers": "$defs/waiver",
    "match": "$defs/waiver/properties/match",
    "policy": "$defs/policy",
    "forbid": "$defs/policy/properties/forbid/items",
}
_LATER = " Known, but not supported by this version."
_LEAST, _MOST = "minimum", "maximum"


@dataclass(frozen=True, slots=True)
class Row:
    """A key of an object."""

    key: str
    what: str
    default: str
    example: str


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    description: str
    rows: tuple[Row, ...]
    example: str


def page() -> str:
    """The whole page."""
    environment = Environment(
        loader=FileSystemLoader(ROOT / "script"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 -- Markdown out of our own schema
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    sections = {heading: _section(heading, _at(place)) for heading, place in SECTIONS.items()}
    return environment.get_template("reference.md.j2").render(sections=sections, errors=FAULTS, lint=RULES)


def _at(place: str) -> dict[str, Any]:
    here: Any = SCHEMA
    for step in filter(None, place.split("/")):
        here = here[step]
    return _resolved(here)


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A value's schema; what it says of itself goes before what it refers to says."""
    if "$ref" not in schema:
        return schema
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] | schema


def _section(heading: str, schema: dict[str, Any]) -> Section:
    required = schema.get("required", [])
    rows = tuple(_row(key, value, required=key in required) for key, value in schema["properties"].items())
    return Section(heading, schema["description"], rows, written(schema["examples"][-1]))


def _row(key: str, schema: dict[str, Any], *, required: bool) -> Row:
    whole = _resolved(schema)
    what = " ".join(filter(None, (whole["description"].removesuffix(_LATER), *_bounds(whole), _more(schema))))
    if whole["description"].endswith(_LATER):
        what = f"*Not yet.* {what}"
    default = written(whole["default"]) if "default" in whole else ""
    return Row(key, what, "**required**" if required else f"`{default}`" if default else "", f"`{_example(whole)}`")


def _bounds(schema: dict[str, Any]) -> Iterator[str]:
    """Which values there are, where they are few or within bounds."""
    inner = schema.get("items", {})
    words = [word for word in schema.get("enum", inner.get("enum", ())) if word is not None]
    if len(words) > 1:
        yield f"One{' or more' if 'items' in schema else ''} of {', '.join(f'`{word}`' for word in words)}."
    if _LEAST in schema and _MOST in schema:
        yield f"From {schema[_LEAST]:,} to {schema[_MOST]:,}."


def _more(schema: dict[str, Any]) -> str:
    """The section that a key's value is described in."""
    inner = schema
    for _ in range(4):
        target = inner.get("$ref", "")
        heading = next((name for name, place in SECTIONS.items() if target and target.endswith(f"/{place}")), None)
        inner = _resolved(inner)
        heading = heading or next((name for name, place in SECTIONS.items() if place and _at(place) is inner), None)
        if heading:
            return f"See [{heading}](#{heading})."
        inner = inner.get("additionalProperties") or inner.get("items") or {}
        if not isinstance(inner, dict):
            break
    return ""


def _example(schema: dict[str, Any]) -> str:
    return written(schema["examples"][0])


def written(value: Any, depth: int = 0) -> str:
    """A value as YAML in one line, as people write it."""
    match value:
        case dict():
            inside = ", ".join(f"{key}: {written(one, depth + 1)}" for key, one in value.items())
            return f"{{{inside}}}"
        case list():
            return f"[{', '.join(written(one, depth + 1) for one in value)}]"
        case str():
            quoted = value == "" or value[0] in "[{*&!|>%@`'\"#" or (depth and (":" in value or "*" in value))
            return json.dumps(value, ensure_ascii=False) if quoted else value
        case _:
            return json.dumps(value)


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
