"""Whether a document follows the schema, decided by jsonschema-rs."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema_rs

from auditor.resources import schema_text


@cache
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(schema_text("inventory"))
    return loaded


@cache
def decider() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema())
