"""Which slice of the undeclared ports an audit sweeps, where one audit does not sweep them all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from auditor.model.ages import ago
from auditor.model.ports import PortSet


@dataclass(frozen=True, slots=True)
class Rotation:
    """When each of the slices was swept last, None where it never was, seen from `now`."""

    swept: tuple[datetime | None, ...]
    now: datetime

    @property
    def due(self) -> int:
        """The slice that was swept longest ago, counted from 0; the first of those that never were."""
        return min(range(len(self.swept)), key=lambda index: (_when(self.swept[index]), index))

    def left(self) -> tuple[tuple[int, str], ...]:
        """The other slices, each with its name and age."""
        count = len(self.swept)
        return tuple(
            (
                index,
                f"slice {index + 1} of {count}, {f'last looked at {ago(self.now, at)}' if at else 'not looked at yet'}",
            )
            for index, at in enumerate(self.swept)
            if index != self.due
        )


def slices(ports: PortSet, count: int) -> tuple[PortSet, ...]:
    """The ports in so many parts, each from one port to another, of the same size but for one port."""
    members = list(ports)
    ends = [index * len(members) // count for index in range(count + 1)]
    return tuple(PortSet.of(*members[begin:end]) for begin, end in pairwise(ends))


def _when(at: datetime | None) -> float:
    return at.timestamp() if at else float("-inf")
