"""Whatever the files hold, loading gives an inventory or our own errors, in bounded time and memory.

The same inputs each time; `FUZZ_EXAMPLES=50000` tries as many new ones instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.limited import Loader
from tests.property.inventories import SEEDS, TOKENS, WHOLE, changed, mutated, split

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
FUZZ = settings(
    max_examples=EXAMPLES or 400,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    one = Loader()
    yield one
    one.close()


def fine(problems: list[str]) -> bool:
    """Each is one line, fit to be shown."""
    return all(problem.isprintable() for problem in problems)


def test_the_seeds_are_there(loader: Loader) -> None:
    """What is mutated are this repository's inventories, and what is changed is whole before."""
    assert len(SEEDS) > 200
    assert loader.problems({"inventory.json": json.dumps(WHOLE).encode()}) == []


@FUZZ
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(loader: Loader, content: bytes) -> None:
    """Bytes are no inventory, and that is told."""
    problems = loader.problems({"inventory.yaml": content})

    assert problems
    assert fine(problems)


@FUZZ
@given(st.lists(TOKENS, max_size=40).map("".join))
def test_any_tokens(loader: Loader, text: str) -> None:
    """What YAML is made of, in any order."""
    assert fine(loader.problems({"inventory.yaml": text.encode()}))


@FUZZ
@given(mutated(), st.sampled_from(["yaml", "yaml", "json"]))
def test_mutated_files(loader: Loader, content: bytes, suffix: str) -> None:
    """Files of this repository, good and bad, with a few bytes, lines and tokens changed."""
    assert fine(loader.problems({f"inventory.{suffix}": content}))


@FUZZ
@given(changed())
def test_changed_trees(loader: Loader, data: dict[str, Any]) -> None:
    """Whole inventories with other values and keys in any place."""
    assert fine(loader.problems({"inventory.json": json.dumps(data).encode()}))


@FUZZ
@given(changed(), st.lists(st.integers(-1, 2), min_size=9, max_size=9))
def test_changed_folders(loader: Loader, data: dict[str, Any], parts: list[int]) -> None:
    """The same in several files, some of which have the same keys."""
    files = split(data, parts)

    assert fine(loader.problems({"0.yaml": b"", **files} if len(files) == 1 else files))
