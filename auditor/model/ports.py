"""A set of port numbers that stays small and fast at 65,535 members."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_RUN = re.compile("1+")


@dataclass(frozen=True, slots=True)
class PortSet:
    """An immutable set of port numbers 0 to 65535, held as the bits of one integer.

    nmap collapses thousands of ports into one line; one integer of 8 KB holds any of those, and union, intersection
    and difference are single operations on it.
    """

    bits: int = 0

    @classmethod
    def of(cls, *ports: int) -> PortSet:
        if len(ports) == 1:
            return cls(1 << ports[0])
        if min(ports, default=0) < 0:
            raise ValueError(f"not a port: {min(ports)}")
        flags = bytearray((max(ports, default=0) >> 3) + 1)
        for port in ports:
            flags[port >> 3] |= 1 << (port & 7)
        return cls(int.from_bytes(flags, "little"))

    @classmethod
    def span(cls, first: int, last: int) -> PortSet:
        """Every port from `first` to `last`, both included."""
        return cls(((1 << (last - first + 1)) - 1) << first)

    @classmethod
    def union(cls, sets: Iterable[PortSet]) -> PortSet:
        bits = 0
        for ports in sets:
            bits |= ports.bits
        return cls(bits)

    @classmethod
    def parse(cls, text: str) -> PortSet:
        """Read nmap's notation, `22,80-90`; the empty string is the empty set. Raises ValueError.

        Ranges in ascending order, as nmap writes them, are the difference of two numbers: one has the bits after the
        ranges, the other their first bits. So 8 KB are gone through twice, however many ranges there are.
        """
        parts = [*filter(None, text.split(","))]
        if "-" not in text:
            ports = [*map(int, parts)]
            if max(ports, default=0) > 65535:
                raise ValueError(f"not a port: {max(ports)}")
            return cls.of(*ports)
        bits, end = 0, -1
        many = len(parts) > 8
        firsts, afters = bytearray(8193 * many), bytearray(8193 * many)
        for part in parts:
            first, dash, last = part.partition("-")
            low = int(first)
            high = int(last) if dash else low
            if not 0 <= low <= high <= 65535:
                raise ValueError(f"not a port range: {part}")
            if many and low > end:
                firsts[low >> 3] |= 1 << (low & 7)
                end = high
                high += 1
                afters[high >> 3] |= 1 << (high & 7)
            else:
                bits |= ((1 << (high - low + 1)) - 1) << low
        return cls(bits | int.from_bytes(afters, "little") - int.from_bytes(firsts, "little"))

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The runs of consecutive ports, each as (first, last), ascending."""
        first = self.first
        run = self.bits >> max(first, 0)
        if not run & run + 1:  # a single one, as most sets are, or none
            if run:
                yield first, self.bits.bit_length() - 1
            return
        for match in _RUN.finditer(format(self.bits, "b")[::-1]):
            yield match.start(), match.end() - 1

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges():
            yield from range(first, last + 1)

    def __contains__(self, port: int) -> bool:
        return bool(self.bits >> port & 1)

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __bool__(self) -> bool:
        return bool(self.bits)

    def __or__(self, other: PortSet) -> PortSet:
        return PortSet(self.bits | other.bits)

    def __and__(self, other: PortSet) -> PortSet:
        return PortSet(self.bits & other.bits)

    def __sub__(self, other: PortSet) -> PortSet:
        return PortSet(self.bits & ~other.bits)

    def __repr__(self) -> str:
        """Short, and never an error: Python refuses to print an integer of more than 4,300 digits."""
        return f"PortSet({str(self)!r})"

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in self.ranges())

    def spread(self, most: int) -> PortSet:
        """At most so many of them, evenly spread from the first to the last."""
        members = list(self)
        if len(members) <= most:
            return self
        return PortSet.of(*(members[number * (len(members) - 1) // (most - 1)] for number in range(most)))

    @property
    def first(self) -> int:
        """The lowest port; -1 for the empty set."""
        return (self.bits & -self.bits).bit_length() - 1


ALL_PORTS = PortSet.span(1, 65535)


def partition(sets: Sequence[PortSet]) -> list[tuple[PortSet, tuple[int, ...]]]:
    """All the ports as disjoint sets, each with the indexes of all the `sets` that hold it, by lowest port.

    Goes through the ports once, from where one set begins or ends to the next: there may be thousands of sets.
    """
    changes: dict[int, int] = {}  # by port, the sets that begin there or have ended before, as bits
    for index, ports in enumerate(sets):
        for first, last in ports.ranges():
            changes[first] = changes.get(first, 0) ^ 1 << index
            changes[last + 1] = changes.get(last + 1, 0) ^ 1 << index
    parts: dict[int, int] = {}
    owners = 0
    for first, after in pairwise(sorted(changes)):
        owners ^= changes[first]
        if owners:
            parts[owners] = parts.get(owners, 0) | PortSet.span(first, after - 1).bits
    return [(PortSet(bits), tuple(PortSet(owners))) for owners, bits in parts.items()]
