"""What stands in the data for what is wrong there, so that all the rest can still be resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Broken:
    """Stands for a part that is wrong or missing, and already reported."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a value that may stand in many places: the id of the kind of fault, and the message."""

    fault: str
    message: str


BROKEN = Broken()
MISNAMED = Broken()  # stands for a part with a bad name: any other name may be the right one


def told(values: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """The value of a key; the default where it is not there or broken."""
    value = values.get(key, default)
    return default if isinstance(value, Broken) else value


def items(value: Any) -> list[Any]:
    """The items of a list, each of which may be broken; a broken one where the list is broken as a whole."""
    return [value] if isinstance(value, Broken) else list(value)


def sound(value: Any) -> bool:
    """Whether a value, or each item of a list, is not broken."""
    if not isinstance(value, list):
        return not isinstance(value, Broken)
    return not any(isinstance(one, Broken) for one in value)
