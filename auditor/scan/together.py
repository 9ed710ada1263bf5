"""Coroutines side by side, none of which outlives the others' failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def together(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    """Their results, in order. The first error cancels the rest, waits for them to clean up, and is raised as it is."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def crew() -> AsyncIterator[asyncio.TaskGroup]:
    """For coroutines that start as one goes. Leaving waits for all; errors are as in `together`."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


@asynccontextmanager
async def beside(coroutine: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """For a coroutine that goes on until one leaves, and is cancelled then; an error of it is raised then, too."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        task.result()


class Room:
    """So many places, of which each user takes as many as it needs, or all where it needs more."""

    def __init__(self, places: int) -> None:
        self.places = self._free = places
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def take(self, places: int) -> AsyncIterator[None]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= min(places, self.places))
            wanted = min(places, self.places)
            self._free -= wanted
        try:
            yield
        finally:
            self._free += wanted
            async with self._changed:
                self._changed.notify_all()

    async def widen(self, places: int) -> None:
        """From now on there are so many places, no fewer than before."""
        async with self._changed:
            self._free += places - self.places
            self.places = places
            self._changed.notify_all()


class Crowd:
    """The runs of nmap on this machine, of all viewpoints: how many there may be, and that one may be alone.

    `talking` is how many version probes run side by side; each takes 40 MB and 0.3 s of processor time, then mostly
    waits.
    """

    talking = 24
    _SWEEPS = 1000  # more than there ever are

    def __init__(self) -> None:
        self._talks, self._sweeps = Room(self.talking), Room(self._SWEEPS)
        self.trying = asyncio.Lock()  # what a machine bears: two at a time would take it from each other
        self.borne: dict[object, tuple[float, float, float]] = {}  # by place: when, seconds; the rates tried and borne

    def talk(self) -> AbstractAsyncContextManager[None]:
        """For a version probe."""
        return self._talks.take(1)

    def sweep(self) -> AbstractAsyncContextManager[None]:
        """For a sweep with all its repeats."""
        return self._sweeps.take(1)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """For runs beside which there is to be no sweep and no version probe; it waits for those under way."""
        async with self._sweeps.take(self._SWEEPS), self._talks.take(self.talking):
            yield
