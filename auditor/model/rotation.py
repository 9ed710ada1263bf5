"""Which slice of the undeclared ports an audit sweeps, where one audit does not sweep them all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from auditor.model.ages import ago
from auditor.model.ports import PortSet


@dataclass(frozen=True, slots=True)
class Rotation:
    """When each of the slices was swept last, None where it never was, seen from `now`.

    Those that are `taken` are swept just now, by audits beside this one.
    """

    swept: tuple[datetime | None, ...]
    now: datetime
    taken: frozenset[int] = frozenset()

    @property
    def due(self) -> int:
        """The slice that was swept longest ago, counted from 0; the first of those that never were.

        A taken one only where all are.
        """
        order = sorted(range(len(self.swept)), key=lambda index: (_when(self.swept[index]), index))
        return next((index for index in order if index not in self.taken), order[0])

    def left(self) -> tuple[tuple[int, str], ...]:
        """The other slices, each with its name and age."""
        count = len(self.swept)
        return tuple(
            (index, f"slice {index + 1} of {count}, {self._age(index)}") for index in range(count) if index != self.due
        )

    def _age(self, index: int) -> str:
        at = self.swept[index]
        age = f"last looked at {ago(self.now, at)}" if at else "not looked at yet"
        return f"{age}; another audit is looking at it" if index in self.taken else age


def slices(ports: PortSet, count: int) -> tuple[PortSet, ...]:
    """The ports in so many parts, each from one port to another, of the same size but for one port."""
    members = list(ports)
    ends = [index * len(members) // count for index in range(count + 1)]
    return tuple(PortSet.of(*members[begin:end]) for begin, end in pairwise(ends))


def _when(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")
