"""Whether the time left is true: audits of the practice estate, each with its estimate after a tenth of its time.

    python3 -m lab.enter python3 -m lab.estimates [--runs N] [--record FILE]

The runs take turns at what an audit may be asked: profiles, rates, one viewpoint or all, with the mistakes and without.
Of each is printed how long it took, what was left after a tenth of that, and what had been estimated then; at the end,
in how many the estimate was within a factor of two. Exit status 1 where that is less than nine of ten.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from time import monotonic

from auditor.inventory.loading import load
from auditor.model.context import Context, Event
from auditor.model.inventory import Inventory
from auditor.model.words import Profile
from auditor.pipeline import auditing
from auditor.pipeline.judging import Request
from lab import practice
from lab.estate import Estate

_ENOUGH = 0.9
_WITHIN = 2.0  # times too much, or too little
_INVENTORY = Path("inventories/practice")


@dataclass(frozen=True)
class Case:
    profile: str
    rate: int
    viewpoints: str  # one, or all


CASES = (
    Case("quick", 2_000, "public"),
    Case("quick", 1_000, "internal"),
    Case("standard", 20_000, "vpn"),
    Case("quick", 5_000, "all"),
    Case("standard", 40_000, "internal"),
    Case("quick", 500, "vpn"),
    Case("standard", 40_000, "public"),
    Case("quick", 40_000, "all"),
    Case("standard", 10_000, "vpn"),
    Case("quick", 1_000, "all"),
)


@dataclass(frozen=True)
class Told:
    """One event of progress: when, and the seconds left as estimated then."""

    at: float
    viewpoint: str
    phase: str
    done: float
    total: float
    left: float


def audit(declared: Inventory, case: Case) -> tuple[float, list[Told]]:
    """Carry out one audit. Gives its seconds, and all that it told of its progress."""
    names = sorted(declared.viewpoints) if case.viewpoints == "all" else [case.viewpoints]
    chosen = [replace(declared.viewpoints[name], rate=case.rate) for name in names]
    began, told = monotonic(), list[Told]()

    def emit(event: Event) -> None:
        if event.left is not None and event.done is not None and event.total is not None:
            at = monotonic() - began
            told.append(Told(at, event.viewpoint, event.message, event.done, event.total, event.left))

    request = Request("estimates", datetime.now(UTC), Profile(case.profile))
    context = Context(lambda: datetime.now(UTC), SystemRandom(), emit)
    asyncio.run(auditing.audit(declared, chosen, request, context))
    return monotonic() - began, told


def at(told: Sequence[Told], when: float) -> float:
    """How many seconds were said to be left then, as who looks at the screen sees it: of the longest viewpoint."""
    last = {one.viewpoint: one for one in told if one.at <= when}
    return max((max(0.0, one.left - (when - one.at)) for one in last.values()), default=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench estimates", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="audits (default 20)")
    parser.add_argument("--record", type=Path, help="write all events there, a line of JSON for each")
    options = parser.parse_args()
    declared = load(_INVENTORY, lambda _names: {})
    right = 0
    print(f"{'audit':<34} {'load':>5} {'took':>7} {'left':>7} {'told':>7} {'factor':>6}")
    with Estate() as estate:
        practice.build(estate)
        for number in range(options.runs):
            case = CASES[number % len(CASES)]
            load_before = os.getloadavg()[0]
            took, told = audit(declared, case)
            estimated, left = at(told, took / 10), took * 0.9
            factor = max(estimated, 0.1) / left
            right += 1 / _WITHIN <= factor <= _WITHIN
            name = f"{case.profile}, {case.rate:,}/s, {case.viewpoints}"
            cells = f"{name:<34} {load_before:>5.1f} {took:>7.1f} {left:>7.1f} {estimated:>7.1f} {factor:>6.2f}"
            print(cells, flush=True)
            if options.record:
                with options.record.open("a", encoding="utf-8") as file:
                    for one in told:
                        file.write(json.dumps({"run": number, "took": took, **asdict(one)}) + "\n")
    print(f"{right} of {options.runs} within a factor of {_WITHIN:g} after a tenth of the time")
    return int(right < _ENOUGH * options.runs)


if __name__ == "__main__":
    sys.exit(main())
