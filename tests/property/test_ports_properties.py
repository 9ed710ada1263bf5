"""Port sets against Python's own sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auditor.model.ports import PortSet

PORTS = st.integers(0, 65535)
SETS = st.sets(PORTS, max_size=40) | st.tuples(PORTS, PORTS).map(lambda ends: set(range(min(ends), max(ends) + 1)))


@given(SETS, SETS)
def test_algebra_is_that_of_sets(one: set[int], other: set[int]) -> None:
    """Union, intersection, difference, size, order and membership agree with sets of integers."""
    a, b = PortSet.of(*one), PortSet.of(*other)

    assert set(a | b) == one | other
    assert set(a & b) == one & other
    assert set(a - b) == one - other
    assert PortSet.union([a, b]) == a | b
    assert (len(a), bool(a), a.first) == (len(one), bool(one), min(one, default=-1))
    assert list(a) == sorted(one)


@given(SETS)
def test_text_round_trip(ports: set[int]) -> None:
    """What is written is read back the same, and the runs are those of the set."""
    found = PortSet.of(*ports)

    assert PortSet.parse(str(found)) == found
    assert all(
        last < first - 1 for (_, last), (first, _) in zip(found.ranges(), list(found.ranges())[1:], strict=False)
    )
