"""Data files that ship with the program: found in the wheel, and beside the package in an editable install."""

from __future__ import annotations

from pathlib import Path


def schema_path(name: str) -> Path:
    """The file of a JSON schema."""
    return _schemas() / f"{name}.schema.json"


def schema_text(name: str) -> str:
    """The text of a JSON schema, `inventory`, `report` or `expect`."""
    return schema_path(name).read_text(encoding="utf-8")


def practice() -> Path:
    """The folder that has the practice estate's inventories as `inventories`."""
    return _shipped("practice", "")


def lab() -> Path:
    """The folder from which Python imports the package `lab`, which builds the practice estate."""
    return _shipped("practice", "script")


def _schemas() -> Path:
    return _shipped("schemas", "schemas")


def _shipped(name: str, in_tree: str) -> Path:
    package = Path(__file__).parent
    shipped = package / name
    return shipped if shipped.is_dir() else package.parent / in_tree
