"""What the outside world lends to a stage: the clock, chance and a place to tell of progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import Random


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a stage. `task` identifies one line of progress; events without one are messages.

    Of progress, the message is the name of the phase, `done` of `total` are planned seconds, and `left` is for how many
    seconds it is held to go on, from the time of the event.
    """

    stage: str
    message: str
    viewpoint: str = ""
    task: str = ""
    done: float | None = None
    total: float | None = None
    left: float | None = None
    level: str = "info"  # debug, info, warning


@dataclass(frozen=True, slots=True)
class Context:
    """`now` gives the time in UTC; `emit` takes events and must not raise."""

    now: Callable[[], datetime]
    random: Random
    emit: Callable[[Event], None]
