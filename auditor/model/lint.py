"""What is valid in an inventory and all the same probably wrong, and how much of it the viewpoints see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.model.breach import Breach
from auditor.model.inventory import Inventory, Location
from auditor.model.words import Address, Family


@dataclass(frozen=True, slots=True, order=True)
class Lint:
    """One thing that is allowed and probably not meant: where it stands, the rule, what it is and what would be right.

    `path` is dotted, as in `hosts.web-1.services.https.from[0]`.
    """

    location: Location
    path: str
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Sight:
    """How much of an inventory its viewpoints see.

    `ranges` are the sources that services name, and `unseen` those of them in which no viewpoint stands. `addresses`
    counts the declared ones, `watched` those that a viewpoint looks at; `unwatched` are the others, each with its host,
    and `denied` those that `scope.deny` keeps out.
    """

    ranges: tuple[str, ...]
    unseen: tuple[str, ...]
    addresses: Mapping[Family, int]
    watched: Mapping[Family, int]
    unwatched: tuple[tuple[str, Address], ...]
    denied: tuple[tuple[str, Address], ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """What is to be said about a valid inventory: breaches of its policy, each with its path, lint, and its sight."""

    inventory: Inventory
    breaches: tuple[tuple[Breach, str], ...]
    lint: tuple[Lint, ...]
    sight: Sight
