"""What is valid in an inventory and all the same probably wrong, and how much of it the viewpoints see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.model.breach import Breach
from auditor.model.finding import Finding
from auditor.model.inventory import Inventory, Location
from auditor.model.words import Address, Family


@dataclass(frozen=True, slots=True)
class Rule:
    """What the id of an error or of lint stands for: why there is it, what would be right, and that in YAML."""

    why: str
    right: str
    example: str = ""


@dataclass(frozen=True, slots=True)
class Lint:
    """One thing that is allowed and probably not meant: where it stands, the rule, what it is and what would be right.

    `reason` says why there is the rule. `path` is dotted, as in `hosts.web-1.services.https.from[0]`.
    """

    location: Location
    path: str
    rule: str
    message: str
    reason: str


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
class JudgedBreach:
    """A breach of the policy, the dotted path of what breaks it, and the finding that it gives."""

    breach: Breach
    path: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Validation:
    """What is to be said about a valid inventory beside that. A waiver covers the `waived` ones of the breaches."""

    inventory: Inventory
    breaches: tuple[JudgedBreach, ...]
    waived: tuple[JudgedBreach, ...]
    lint: tuple[Lint, ...]
    sight: Sight
