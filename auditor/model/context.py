"""What the outside world lends to a stage: the clock, chance and a place to tell of progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a stage. `done` of `total` are probes, where the event tells of progress.

    `task` identifies one line of progress; events without one are messages.
    """

    stage: str
    message: str
    viewpoint: str = ""
    task: str = ""
    done: float | None = None
    total: float | None = None
    level: str = "info"  # debug, info, warning


@dataclass(frozen=True, slots=True)
class Context:
    """`now` gives the time in UTC; `emit` takes events and must not raise."""

    now: Callable[[], datetime]
    random: Random
    emit: Callable[[Event], None]
