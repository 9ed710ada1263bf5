"""What every transport gives, and what a fake in a test has to give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from auditor.errors import TransportError
from auditor.model.inventory import Via

_CAPTURED_BYTES = 4 * 1024 * 1024  # short commands print far less; anything longer is cut


class Process(Protocol):
    """A running command. Read `chunks` to the end before `wait`, or the command may block on a full pipe."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The standard output, in pieces as they come."""
        ...

    async def wait(self) -> int:
        """The exit status, negative for a signal. Raises TransportError where the command could not be run there."""
        ...

    @property
    def stderr(self) -> str:
        """The end of the standard error so far, bounded. Hostile text may be in it."""
        ...


class Transport(Protocol):
    """Runs argument lists at a `Via`."""

    def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AbstractAsyncContextManager[Process]:
        """The command, running for as long as the context lasts; leaving it early ends the whole process group.

        A `nice` one leaves processor time to the others (nice(1)). Raises TransportError where it cannot be started.
        """
        ...


@dataclass(frozen=True, slots=True)
class Captured:
    returncode: int
    stdout: str
    stderr: str


async def capture(transport: Transport, via: Via, argv: Sequence[str], timeout: float) -> Captured:
    """Run a short command to its end. Raises TransportError where it cannot run or takes over `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout), transport.run(via, argv) as process:
            output = bytearray()
            async for chunk in process.chunks():
                output += chunk[: _CAPTURED_BYTES - len(output)]
            returncode = await process.wait()
            return Captured(returncode, output.decode("utf-8", "replace"), process.stderr)
    except TimeoutError as error:
        raise TransportError(f"`{argv[0]}` gave no answer within {timeout:g} s ({via})") from error
