"""Durations as people write them: `30s`, `90m`, `2h`, `1d`."""

from __future__ import annotations

import re
from datetime import timedelta

import click

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,6})([smhd])")


def duration(
    context: click.Context, parameter: click.Parameter, value: str | None, *, also: str = ""
) -> timedelta | None:
    """The callback of an option whose value is a whole number and its unit; `also` says what else it may be."""
    if value is None:
        return None
    found = _DURATION.fullmatch(value)
    if not found:
        message = f"{value!r} is not a duration; write a whole number and s, m, h or d, such as 90m{also}"
        raise click.BadParameter(message, context, parameter)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def age(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """The same of an option that may be `any`, which is None."""
    return None if value == "any" else duration(context, parameter, value, also=" or any")
