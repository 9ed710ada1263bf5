"""Estates drawn from a seed: no false finding, no missed exposure, and no doubt where there need be none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from lab import drawing, random_estate, truth
from lab.estate import Estate

from auditor import catalogue
from auditor.model.words import Protocol
from tests.live.audits import Audited, audit, seeds
from tests.live.reports import differences

SHORT = (13, 14, 23, 42)
SEEDS = [pytest.param(seed, marks=() if seed in SHORT else pytest.mark.long) for seed in range(50)]
USUAL = {str(protocol): frozenset(catalogue.usual_ports(protocol)) for protocol in Protocol}
_SIDE_BY_SIDE = 6  # they mostly wait
_LONGEST = 1500.0  # seconds; all ports behind a bottleneck, on a busy machine

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def audits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Future[tuple[Audited, int]]]]:
    """The audits of all estates that this session asks for, several side by side."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        yield {seed: pool.submit(audited, seed, tmp_path_factory.mktemp(f"seed-{seed}")) for seed in seeds(request)}


def audited(seed: int, folder: Path) -> tuple[Audited, int]:
    """Build an estate and audit it; also the packets that went where the scope denies."""
    drawn = drawing.draw(seed)
    path = folder / "inventory.json"
    path.write_text(json.dumps(random_estate.inventory(drawn), indent=1), encoding="utf-8")
    with Estate(wires=f"{drawn.prefix}wires") as estate:
        random_estate.build(estate, drawn)
        found = audit(path, folder / "reports", "--profile", drawn.profile, longest=_LONGEST)
        return found, random_estate.strays(estate, drawn)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_report_is_the_truth(seed: int, audits: dict[int, Future[tuple[Audited, int]]]) -> None:
    """Every endpoint has the outcome, and every finding is one, that follows from the installed rules and listeners."""
    found, strays = audits[seed].result()

    assert [] == differences(truth.slots(drawing.draw(seed), USUAL), found.report), f"seed {seed}"
    assert 0 == strays
