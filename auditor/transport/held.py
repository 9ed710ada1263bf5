"""One audit at a time at the places where a cluster's workers stand: each worker holds its own, for whoever asks first.

Like that, audits that other machines start see each other, and so do those of the workers' own machines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia
from auditor.transport import worker
from auditor.transport.alone import Holder, in_use, refusal
from auditor.transport.scheduler import Hold

_HELD_FOR = 20.0  # seconds for which a worker holds its place where nobody says that the audit still runs
_LEAVING = 5.0  # seconds for letting go

Ask = Callable[..., Awaitable[Any]]  # what a function says that is run on one worker, at once; raises TransportError


@asynccontextmanager
async def held(
    ask: Ask, vias: Sequence[ClusterVia], hold: Hold, warn: Callable[[str], None], look: float
) -> AsyncIterator[None]:
    """Hold the places of all workers while the context lasts; look every so many seconds whether they are free.

    A worker lets go by itself where nobody has said for a while that the audit still runs. One that cannot hold its
    place stops no audit: `warn` is told. Raises TransportError.
    """
    places = _Places(ask, vias, hold.inventory, warn)
    waiting_for = ""
    try:
        while busy := await places.take():
            await places.let_go()
            if not hold.wait:
                raise refusal(busy)
            if busy != waiting_for:
                hold.tell(f"waiting: {busy}")
            waiting_for = busy
            await asyncio.sleep(look)
        keeping = asyncio.create_task(places.keep())
        try:
            yield
        finally:
            keeping.cancel()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await places.let_go()


class _Places:
    """Those of one audit, which the workers know by a token."""

    def __init__(self, ask: Ask, vias: Sequence[ClusterVia], inventory: str, warn: Callable[[str], None]) -> None:
        self._ask = ask
        self._warn = warn
        self._token = uuid4().hex
        self._holders: Mapping[str, Holder] = {
            address: Holder.of(inventory, via.viewpoint, self._token) for via in vias for address in via.workers
        }
        self._told: set[str] = set()

    async def take(self) -> str:
        """Have each worker hold its place; who has one of them, if anybody.

        One after the other: of two at one place the second finds that the first holds it for the same audit.
        """
        for address in self._holders:
            if busy := await self._take(address):
                return busy
        return ""

    async def keep(self) -> None:
        """Say to each again and again that the audit still runs. One that is lost holds nobody up."""
        await asyncio.gather(*map(self._keep, self._holders))

    async def let_go(self) -> None:
        await asyncio.gather(*map(self._let_go, self._holders))

    async def _take(self, address: str) -> str:
        try:
            who = await self._hold(address)
        except TransportError as error:
            if address not in self._told:
                self._told.add(address)
                self._warn(f"{error}: its place is not held, so another audit from there goes unseen")
            return ""
        return in_use(self._holders[address].viewpoint, f"worker {address}", who) if who else ""

    async def _keep(self, address: str) -> None:
        while True:
            await asyncio.sleep(_HELD_FOR / 4)
            with suppress(TransportError):  # lost: whoever runs something there tells
                await self._hold(address)

    async def _hold(self, address: str) -> Any:
        return await self._ask(address, worker.hold, self._holders[address], _HELD_FOR)

    async def _let_go(self, address: str) -> None:
        with suppress(TransportError):
            await self._ask(address, worker.let_go, self._token)
