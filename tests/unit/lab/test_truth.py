"""Reports of drawn estates are held against the truth: a right one passes, and nothing false or missing does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import pytest
from lab import drawing, truth
from lab.truth import Slot

from tests.live.reports import differences

USUAL: Mapping[str, frozenset[int]] = {"tcp": frozenset({22, 80, 443, 5432}), "udp": frozenset({53, 123})}
SEEDS = range(8)


def right(slots: Iterable[Slot]) -> dict[str, Any]:
    """A report that says of each endpoint one of the things that are right."""
    report: dict[str, Any] = {"findings": {}, "unverified": [], "silent": [], "summary": {"endpoints": {"verified": 0}}}
    for slot in slots:
        option = min(slot.options, key=lambda option: (option.finding is None, option.outcome))
        endpoint = {"address": slot.address, "protocol": slot.protocol, "state": slot.state, "reason": "r"}
        endpoint["ports"] = f"{slot.first}-{slot.last}"
        report["summary"]["endpoints"]["verified"] += slot.last - slot.first + 1
        if option.finding is None:
            report.get(option.outcome, []).append({**endpoint, "viewpoint": slot.view})
            continue
        kind, viewpoint, host, interface, family, *what = option.finding
        place = {"kind": kind, "viewpoint": viewpoint, "host": host, "interface": interface, "family": family}
        found = report["findings"].setdefault(option.finding, {**place, "endpoints": []})
        found["endpoints"].append({**endpoint, "ports": str(slot.first)} if kind == "undeclared-port" else endpoint)
        found |= {"address": what[0]} if kind == "host-unreachable" else {"service": what[0]} if what else {}
    report["findings"] = list(report["findings"].values())
    return report


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_report_passes(seed: int) -> None:
    """What the truth says is a report without a difference from it."""
    slots = truth.slots(drawing.draw(seed), USUAL)

    assert [] == differences(slots, right(slots))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_finding_too_few_or_too_many_is_told(seed: int) -> None:
    """Each finding in turn is left out, or is said of another host; nothing of that goes unnoticed."""
    slots = truth.slots(drawing.draw(seed), USUAL)
    report = right(slots)
    for index in range(len(report["findings"])):
        missed, false = deepcopy(report), deepcopy(report)
        del missed["findings"][index]
        false["findings"][index]["host"] = "another"

        assert differences(slots, missed)
        assert differences(slots, false)


@pytest.mark.parametrize("seed", SEEDS)
def test_doubt_without_reason_is_told(seed: int) -> None:
    """An endpoint that can be told and is called unverified, or is not counted, is a difference."""
    slots = truth.slots(drawing.draw(seed), USUAL)
    report = right(slots)
    plain = next(slot for slot in slots if {"verified"} == {option.outcome for option in slot.options})
    doubt = {"viewpoint": plain.view, "address": plain.address, "protocol": plain.protocol, "reason": "r"}
    report["unverified"].append({**doubt, "ports": str(plain.first)})
    fewer = deepcopy(right(slots))
    fewer["summary"]["endpoints"]["verified"] -= 1

    assert differences(slots, report)
    assert differences(slots, fewer)
