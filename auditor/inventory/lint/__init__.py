"""Lint: what is valid in an inventory, and all the same probably not meant."""

from __future__ import annotations

from datetime import date

from auditor.inventory.lint.ranges import range_notes, role_notes
from auditor.inventory.lint.services import service_notes
from auditor.inventory.lint.sight import sight, sight_notes
from auditor.inventory.lint.waivers import waiver_notes
from auditor.inventory.reading.places import Places
from auditor.model.inventory import Inventory
from auditor.model.lint import Lint

# Each rule and why there is one.
RULES = {
    "exposed-data-store": "whoever on the internet reaches a data store can try to read and change what it holds",
    "exposed-remote-admin": "whoever on the internet reaches it can try passwords and known flaws until one works",
    "exposed-dev-debug": "development servers and debuggers run what they are sent, and ask nobody who they are",
    "no-client": "a service whose sources have none of its families can never be reached",
    "ipv4-only": "IPv6 is the way around a firewall that was thought of in IPv4 only",
    "overdue-review": "what nobody looked at again since the promised day may be needed no more",
    "wildcard-range": "everybody is better said by name, so that a review sees it",
    "literal-range": "a network that has a name is written once, and changes in one place",
    "shadowed-range": "a source that another one covers opens nothing, and suggests that the other is narrower",
    "unused-range": "a range that no service names protects nothing",
    "unused-role": "a role that no host has declares nothing",
    "no-viewpoint": "without a viewpoint nothing can be audited",
    "public-boundary": "a closed port seen from outside means that packets pass the boundary",
    "unseen-range": "what no viewpoint stands in is never shown to reach what it should",
    "unwatched-family": "a family that no viewpoint has is a way in that nobody looks at",
    "unwatched-address": "what is exposed at an address that no viewpoint looks at stays unseen",
    "expired-waiver": "an expired waiver covers nothing any more",
    "expiring-waiver": "what a waiver covers fails audits from the day after it expires",
    "open-waiver": "a waiver without a `severity` accepts whatever turns up there later",
    "idle-waiver": "a waiver that fits nothing covers nothing, or silences what comes later under that name",
}


def lint(inventory: Inventory, places: Places, today: date) -> tuple[Lint, ...]:
    """All there is to say about the inventory, in the order of files and lines."""
    notes = {
        *service_notes(inventory, places, today),
        *range_notes(inventory, places),
        *role_notes(inventory, places),
        *sight_notes(inventory, places),
        *waiver_notes(inventory, today),
    }
    told = (Lint(places.at(n.path), places.dotted(n.path), n.rule, n.message, RULES[n.rule]) for n in notes)
    return tuple(sorted(told, key=_order))


def _order(one: Lint) -> tuple[object, ...]:
    where = one.location
    return where.file, where.line, where.column, one.path, one.rule, one.message


__all__ = ["RULES", "lint", "sight"]
