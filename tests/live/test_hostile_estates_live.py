"""Estates drawn from a seed in which something is against the audit: nothing open passed over, nothing false said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import hostile_truth, random_hostile

from auditor import catalogue
from auditor.model.words import Protocol
from tests.live.audits import Audited, result, seeds, start

SHORT = (8, 17)
SEEDS = [pytest.param(seed, marks=() if seed in SHORT else pytest.mark.long) for seed in range(30)]
USUAL = frozenset(catalogue.usual_ports(Protocol.TCP))
_SIDE_BY_SIDE = 6
_LONGEST = 3000.0  # seconds; nmap with a twentieth of a processor takes its time

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def audits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Future[Audited]]]:
    """The audits of all estates that this session asks for, several side by side.

    Those that share one processor with what spins come one after the other: it is the same processor for all of them.
    """
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as several, ThreadPoolExecutor(1) as alone:
        yield {
            seed: (alone if random_hostile.draw(seed).spinning else several).submit(
                audited, seed, tmp_path_factory.mktemp(f"hostile-{seed}")
            )
            for seed in seeds(request)
        }


def audited(seed: int, folder: Path) -> Audited:
    """Build an estate and audit it."""
    drawn = random_hostile.draw(seed)
    path = folder / "inventory.json"
    path.write_text(json.dumps(random_hostile.inventory(drawn), indent=1), encoding="utf-8")
    options = ["-V", "all", "--profile", drawn.profile, *(["--discover"] if drawn.discover else [])]
    with random_hostile.built(drawn, folder / "bin") as (prefix, env):
        out = folder / "reports"
        return result(start(path, out, *options, prefix=prefix, env=env), out, _LONGEST)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_open_is_passed_over(seed: int, audits: dict[int, Future[Audited]]) -> None:
    """Every open port is found or unverified, every finding is one, and devices that answer for all prove nothing."""
    found = audits[seed].result()

    wrong = hostile_truth.wrong(random_hostile.draw(seed), found.report, found.code, USUAL)
    assert [] == wrong, random_hostile.show(random_hostile.draw(seed))
