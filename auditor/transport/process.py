"""A process of this machine: its output as it comes, and its end, whatever happens."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

CHUNK = 64 * 1024
_STDERR_BYTES = 256 * 1024  # nmap says once, early on, that it could not send; warnings may follow by the thousand
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)
_GRACE = 2.0  # seconds between TERM and KILL
NICENESS = 15  # of nice commands: a thirtieth of the processor time of any other (sched(7)), so a crowd gets on too


async def start(
    command: Sequence[str], *, fed: bool = False, nice: bool = False, session: bool = True
) -> asyncio.subprocess.Process:
    """Start it in a process group of its own, in the C locale, and have it end with us. Raises OSError.

    Only where it is to be `fed` has it a standard input. Without a `session` of its own it may find our terminal; but
    Linux shares out processor time by sessions first, and niceness counts within one (autogroup, sched(7)).
    """
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if fed else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=session,  # either way, Ctrl-C goes to us alone
        process_group=None if session else 0,
        env={**os.environ, "LC_ALL": "C"},
        preexec_fn=_before_exec(os.getpid(), nice=nice),
    )


class Running:
    """A started process. See `Process` for what it gives."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self._stderr = bytearray()
        self._reading = asyncio.create_task(self._read_stderr())

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        return self._child.returncode is not None

    async def chunks(self) -> AsyncIterator[bytes]:
        assert self._child.stdout is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while chunk := await self._child.stdout.read(CHUNK):
            yield chunk

    async def wait(self) -> int:
        returncode = await self._child.wait()
        await self._reading
        return returncode

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "replace")

    async def end(self) -> None:
        """Terminate the process group if it still runs, and reap it."""
        try:
            if not self.ended:
                self.signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GRACE):  # wait_for of Python 3.11 may lose a cancellation
                        await self._child.wait()
        finally:  # cancelled again while waiting: no more patience
            if not self.ended:
                self.signal(signal.SIGKILL)
                await self._child.wait()
            self._reading.cancel()
            # What it has left behind may hold its pipes open, and asyncio waits for their end to close ours.
            self._child._transport.close()  # type: ignore[attr-defined]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process group."""
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    def _hear(self, chunk: bytes) -> None:
        """Take a piece of the standard error."""
        self._stderr += chunk
        del self._stderr[:-_STDERR_BYTES]

    async def _read_stderr(self) -> None:
        assert self._child.stderr is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while chunk := await self._child.stderr.read(CHUNK):
            self._hear(chunk)


def _before_exec(parent: int, *, nice: bool) -> Callable[[], None]:
    """Have the kernel end the child where we are killed outright (prctl(2)): nmap would go on scanning for nobody.

    It is made nice here, since starting up may be what costs it most.
    """

    def before_exec() -> None:
        if nice:
            with suppress(OSError):  # where a sandbox forbids it
                os.nice(NICENESS)
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # killed already
            os.kill(os.getpid(), signal.SIGKILL)

    return before_exec
