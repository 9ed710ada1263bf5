"""Coroutines side by side: whose error is raised, and who is ended."""

from __future__ import annotations

import asyncio

import pytest

from auditor.scan.together import beside, crew


async def forever(ended: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        ended.append("forever")


async def fail() -> None:
    raise ValueError("of its own")


def test_an_error_of_one_in_the_crew_ends_the_others_and_is_raised_as_it_is() -> None:
    """Also where the one who started them is busy."""
    ended: list[str] = []

    async def start() -> None:
        async with crew() as tasks:
            tasks.create_task(forever(ended))
            tasks.create_task(fail())
            await forever(ended)

    with pytest.raises(ValueError, match="of its own"):
        asyncio.run(start())
    assert ["forever", "forever"] == ended


def test_what_goes_on_beside_something_ends_with_it() -> None:
    """It is cancelled, and has cleaned up by then."""
    ended: list[str] = []

    async def leave() -> list[str]:
        async with beside(forever(ended)):
            await asyncio.sleep(0)
        return list(ended)

    assert ["forever"] == asyncio.run(leave())


def test_an_error_beside_something_is_not_lost() -> None:
    """Nobody goes on as if the other had done its work."""

    async def leave() -> None:
        async with beside(fail()):
            await asyncio.sleep(0)

    with pytest.raises(ValueError, match="of its own"):
        asyncio.run(leave())
