"""Lint of waivers."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import date

from auditor.inventory.lint.note import Note
from auditor.inventory.reading.literals import is_literal
from auditor.inventory.reading.text import clean, counted, listed
from auditor.model.inventory import LOOPBACK, SOON, Inventory, Match, Path, Policy, Waiver
from auditor.model.patterns import pattern
from auditor.model.words import ABOUT_AN_ADDRESS, OF_INVENTORY, Kind

# Keys of a match, and the kinds whose findings have no such thing.
_LACKING = {
    "ports": ABOUT_AN_ADDRESS | OF_INVENTORY,
    "protocol": ABOUT_AN_ADDRESS | OF_INVENTORY,
    "service": ABOUT_AN_ADDRESS | {Kind.BOUNDARY_LEAK, Kind.UNDECLARED_PORT},
    "class": ABOUT_AN_ADDRESS | {Kind.BOUNDARY_LEAK},
    "interface": OF_INVENTORY | {Kind.UNKNOWN_HOST},
    "tag": frozenset({Kind.UNKNOWN_HOST}),
    "address": OF_INVENTORY,
    "family": OF_INVENTORY,
    "viewpoint": OF_INVENTORY,
}


def waiver_notes(inventory: Inventory, today: date) -> Iterator[Note]:
    names = _Names(inventory) if inventory.waivers else None
    for index, waiver in enumerate(inventory.waivers):
        path: Path = ("waivers", index)
        yield from _of_time(waiver, inventory.policy, path, today)
        if waiver.severity is None:
            message = "no `severity` says what is accepted, so that anything is"
            yield Note("open-waiver", path, f"{message}; add the severity of what it is for")
        idle = _lacking(waiver.match) or (names.idle(waiver.match) if names else None)
        if idle:
            yield Note("idle-waiver", (*path, "match"), f"{idle}; correct it, or remove the waiver")


def _of_time(waiver: Waiver, policy: Policy, path: Path, today: date) -> Iterator[Note]:
    last = waiver.last_day(policy.max_waiver_days)
    days = (last - today).days
    cut = "" if last == waiver.expires else ", by `max_waiver_days` of the policy"
    if days < 0:
        message = f"expired on {last}, before today, {today}{cut}"
        yield Note("expired-waiver", (*path, "expires"), f"{message}; remove it, or agree on a new day")
    elif days <= SOON:
        left = f"expires in {counted(days, 'day')}, on {last}" if days else "today is its last day"
        message = f"{left}{cut}"
        yield Note("expiring-waiver", (*path, "expires"), f"{message}; mend what it is for, or agree on a new day")


def _lacking(match: Match) -> str | None:
    """Why no finding of its kinds can fit the match; None where one may."""
    kinds = frozenset(match.kinds)
    for key in json.loads(match.written) if kinds else ():
        if kinds <= _LACKING.get(key, frozenset()):
            return f"no finding of kind {listed(sorted(kinds))} has its `{key}`"
    return None


class _Names:
    """The names that waivers can match. What a pattern fits is worked out once."""

    def __init__(self, inventory: Inventory) -> None:
        hosts = inventory.hosts.values()
        tags: dict[str, set[str]] = {}
        services: dict[str, set[str]] = {}
        for host in hosts:
            for tag in host.tags:
                tags.setdefault(tag, set()).add(host.name)
            for service in host.services:
                services.setdefault(service.name, set()).add(host.name)
        self._hosts = {name: {name} for name in inventory.hosts}
        self._tags = tags
        self._services = services
        self._interfaces = {LOOPBACK, *(name for host in hosts for name in host.interfaces)}
        self._viewpoints = set(inventory.viewpoints)
        self._fitting: dict[tuple[str, str], frozenset[str]] = {}

    def idle(self, match: Match) -> str | None:
        """Why the match fits nothing declared; None where it may fit something."""
        if any(map(is_literal, match.hosts)):  # an address that no host declares
            return None
        of_hosts = (
            ("host", match.hosts, self._hosts),
            ("tag", match.tags, self._tags),
            ("service", match.services, self._services),
        )
        others = (
            ("interface", match.interfaces, self._interfaces),
            ("viewpoint", match.viewpoints, self._viewpoints),
        )
        for key, given, known in (*of_hosts, *others):
            lost = [one for one in given if not self._fit(key, one, known)]
            if lost:
                return f"no {key} fits `{clean(lost[0])}`"
        wanted = [(key, given, known) for key, given, known in of_hosts if given]
        hosts = [
            {host for one in given for name in self._fit(key, one, known) for host in known[name]}
            for key, given, known in wanted
        ]
        if hosts and not set.intersection(*hosts):
            return f"no host fits its {' and '.join(f'`{key}`' for key, _, _ in wanted)} together"
        return None

    def _fit(self, key: str, given: str, known: Collection[str]) -> Iterable[str]:
        if "*" not in given:
            return (given,) if given in known else ()
        if (key, given) not in self._fitting:
            self._fitting[key, given] = frozenset(filter(pattern(given).match, known))
        return self._fitting[key, given]
