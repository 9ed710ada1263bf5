"""The reference of the inventory's format says what the schema says."""

from __future__ import annotations

import re
from typing import Any

import pytest
import reference


def test_it_is_current() -> None:
    """What is in the repository is what script/reference writes."""
    assert reference.page() == reference.PAGE.read_text(encoding="utf-8"), "run script/reference"


def keys(schema: Any) -> set[str]:
    """Every key that the schema knows, at any depth."""
    found: set[str] = set()
    if isinstance(schema, dict):
        found.update(schema["properties"] if isinstance(schema.get("properties"), dict) else ())
        for name, inner in schema.items():
            found |= keys(inner) if name != "sweep" else set()
    return found


@pytest.mark.parametrize("key", sorted(keys(reference.SCHEMA)))
def test_every_key_is_in_it(key: str) -> None:
    """No key of the schema is without a row."""
    page = reference.PAGE.read_text(encoding="utf-8")

    assert f"| `{key}` |" in page


def test_every_error_is_in_it() -> None:
    """What `auditor explain` tells of the ids of errors, this page tells too."""
    errors = reference.PAGE.read_text(encoding="utf-8").partition("\n## Errors\n")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `([a-z0-9-]+)` \|", errors, re.MULTILINE) == list(reference.FAULTS)


def test_its_links_lead_somewhere() -> None:
    """Each section that a row points to is there, and each file."""
    page = reference.PAGE.read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE)}
    links = re.findall(r"\]\(([^)]+)\)", page)

    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []
    assert [
        link for link in links if not link.startswith("#") and not (reference.PAGE.parent / link).resolve().exists()
    ] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["a", "2001:db8::/32"], '[a, "2001:db8::/32"]'),
        ({"a": {"b": True}}, "{a: {b: true}}"),
        ("*", '"*"'),
        (5000, "5000"),
        ("22/tcp", "22/tcp"),
    ],
)
def test_values_are_written_as_people_write_them(value: Any, text: str) -> None:
    """Examples and defaults are YAML in one line."""
    assert text == reference.written(value)
