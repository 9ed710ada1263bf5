"""How far a run has come: as far as nmap says, by the clock as long as it says nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from auditor.model.context import Context, Event
from auditor.scan.runs.progress import Progress, Share
from auditor.scan.together import beside

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def told(
    during: Callable[[Share], None], monkeypatch: pytest.MonkeyPatch, *, seconds: float, ticks: int
) -> list[float]:
    """The percentages that a run over 4 hosts, 2 at a time, brings until `ticks` of the clock have passed."""
    monkeypatch.setattr("auditor.scan.runs.progress._TICK", 0.01)
    events: list[Event] = []

    async def run() -> None:
        progress = Progress(Context(lambda: NOW, random.Random(1), events.append), "vp", "probes")
        progress.grow(100)
        share = progress.share(100, 4, 2, seconds)
        async with beside(share.clock()):
            during(share)
            await asyncio.sleep(0.01 * ticks)

    asyncio.run(run())
    return [event.done or 0.0 for event in events]


def begins(share: Share) -> None:
    share.tell(0.0, 0)


def test_the_clock_goes_on_where_nmap_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap 7.95 prints no `taskprogress`: a bar that stood still would look like a scan that does."""
    steps = told(begins, monkeypatch, seconds=60, ticks=20)

    assert len(steps) >= 3
    assert sorted(steps) == steps
    assert 0 < steps[-1] < 5


def test_the_clock_never_says_that_a_run_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than planned is nearly done until it has ended."""
    assert [99] == told(begins, monkeypatch, seconds=0.001, ticks=10)


def test_a_run_that_waits_for_its_turn_does_not_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time begins with it."""
    assert [] == told(lambda _share: None, monkeypatch, seconds=0.001, ticks=5)


def test_finished_hosts_are_known_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """nmap gives them group by group, whatever the time."""

    def two_are_finished(share: Share) -> None:
        begins(share)
        share.tell(0.0, 2)

    assert [50] == told(two_are_finished, monkeypatch, seconds=1000, ticks=3)


def test_what_nmap_says_goes_before_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """7.93 says every second how far it is: a run that is late is not taken for one that is nearly done."""

    def half_of_two(share: Share) -> None:
        begins(share)
        share.tell(50.0, 0)

    assert [25] == told(half_of_two, monkeypatch, seconds=0.001, ticks=10)
