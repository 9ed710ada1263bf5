"""Commands elsewhere, which must end when we do: neither sshd nor Docker nor Kubernetes ends them with the connection.

So a line of shell over there (`script`) starts the command and watches us. Its standard input is the whole protocol:
the first line is the command, and every other a beat that says that we are alive. With the end of the input, or where
no beat comes for too long, it kills the command. It tells that it has begun, in front of the command's output; that it
heard us, on the standard error; and there at last how the command ended. What does not tell so was broken off.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from auditor.errors import TransportError
from auditor.transport.process import CHUNK, NICENESS, Running
from auditor.transport.said import last_error

_STARTED = b"auditor:started\n"
_TOLD = re.compile(rb"auditor:(?:alive|ended (\d+))\r?\n")
_NOISE = 1024 * 1024  # bytes that a login shell's start-up files may print before the command begins
_FAREWELL = 6.0  # seconds for the other side to end the command, itself 2 seconds after having asked it to
_START = 180.0  # seconds until a command that has not begun counts as lost: an image may have to come first
_BY_SIGNAL = 128  # a shell's exit status is a signal's number more than it (POSIX, XCU 2.8.2)
_SIGNALS = range(_BY_SIGNAL + 1, _BY_SIGNAL + 65)
_NICE = ("nice", "-n", str(NICENESS))  # less than it says where sshd's sessions are autogroups (sched(7))
_NOT_FOUND = 127  # and this one says that there is no such command


@dataclass(frozen=True, slots=True)
class Lifeline:
    """How often each side says that it is alive, and after how long without that it counts as gone, in seconds."""

    every: int = 15
    patience: int = 60


class Words(Protocol):
    """What to say of a command that did not come to its end; each says what to do, too."""

    def not_started(self, returncode: int, stderr: str) -> str: ...

    def lost(self, why: str) -> str: ...

    def not_installed(self, program: str) -> str: ...


def script(lifeline: Lifeline) -> str:
    """The line for `sh -c`.

    No single quote, backslash or line end is in it, and a blank follows each exclamation mark: sshd gives it to the
    user's login shell, and fish and csh take those otherwise. `timeout` and `dd` belong to coreutils and to BusyBox.
    """
    one = f'test -n "$(timeout {lifeline.patience} dd bs=64 count=1 2>/dev/null)"'
    return "; ".join(
        (
            "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin",
            "LC_ALL=C",
            "export PATH LC_ALL",
            f"beat() {{ if command -v timeout >/dev/null; then {one}; else read -r line; fi; }}",
            "IFS= read -r line || exit 1",
            'eval "set -- $line"',
            "exec 3<&0",
            "echo auditor:started",
            '"$@" </dev/null 3<&- & child=$! ',
            "{ while beat; do echo auditor:alive >&2; done; kill $child 2>/dev/null; sleep 2 2>/dev/null; "
            "kill -9 $child 2>/dev/null; } <&3 3<&- >/dev/null & watch=$! ",
            "wait $child",
            "status=$?",
            "kill $watch 2>/dev/null",
            "echo auditor:ended $status >&2",
        )
    )


class Watched(Running):
    """A client program that runs `script` at the other side; the standard input of `child` is ours."""

    def __init__(
        self,
        child: asyncio.subprocess.Process,
        argv: Sequence[str],
        words: Words,
        lifeline: Lifeline,
        *,
        nice: bool = False,
    ) -> None:
        self._words = words
        self._lifeline = lifeline
        self._program = argv[0]
        self._started = False
        self._status: int | None = None
        self._heard = monotonic()
        self._silent = False
        self._noise = b""
        super().__init__(child)
        line = shlex.join([*_NICE, *argv] if nice else argv)
        if "\n" in line:
            raise ValueError("no argument has a line end")
        self._beating = asyncio.create_task(self._beat(line))

    async def started(self) -> None:
        """Wait until the command runs. Nothing of its output is kept. Raises TransportError where it never does."""
        assert self._child.stdout is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while not self._started:
            chunk = await self._child.stdout.read(CHUNK)
            if not chunk:
                await self.wait()
                return
            self._skip(chunk)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The command's standard output, without what a login shell said before."""
        async for chunk in super().chunks():
            if wanted := chunk if self._started else self._skip(chunk):
                yield wanted

    def _skip(self, chunk: bytes) -> bytes:
        """What of the output is the command's."""
        noise, mark, rest = (self._noise + chunk).partition(_STARTED)
        self._started = bool(mark)
        self._noise = noise[-_NOISE:]
        return rest

    async def wait(self) -> int:
        returncode = await super().wait()
        if not self._started:
            raise TransportError(self._words.not_started(returncode, self.stderr or self._why_lost(returncode)))
        if self._status is None:
            raise TransportError(self._words.lost(self._why_lost(returncode)))
        if self._status == _NOT_FOUND:
            raise TransportError(self._words.not_installed(self._program))
        return _BY_SIGNAL - self._status if self._status in _SIGNALS else self._status

    async def end(self) -> None:
        """Have the other side end the command, then end the client."""
        try:
            if not self.ended:
                self._hang_up()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_FAREWELL):
                        await self._drained()
        finally:
            self._beating.cancel()
            await super().end()

    async def _drained(self) -> None:
        """The client's end; unread output would hold it up."""
        assert self._child.stdout is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while await self._child.stdout.read(CHUNK):
            pass
        await self._child.wait()

    def _why_lost(self, returncode: int) -> str:
        """What is known of it, where the client has ended and the command has not."""
        if self._silent:
            return f"no sign of life for {self._patience:g} s"
        if returncode < 0:
            return f"the client was killed by signal {-returncode}"
        return last_error(self.stderr)

    def _hear(self, chunk: bytes) -> None:
        super()._hear(chunk)
        for told in _TOLD.finditer(self._stderr):
            self._heard = monotonic()
            if told[1]:
                self._status = int(told[1])
                self._hang_up()
        self._stderr[:] = _TOLD.sub(b"", self._stderr)

    @property
    def _patience(self) -> float:
        return self._lifeline.patience if self._started else _START

    def _hang_up(self) -> None:
        assert self._child.stdin is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        self._child.stdin.close()

    async def _beat(self, line: str) -> None:
        assert self._child.stdin is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        with suppress(ConnectionError):  # the client has ended, and `wait` tells why
            self._child.stdin.write(f"{line}\n".encode())
            while not self._child.stdin.is_closing():
                await self._child.stdin.drain()
                await asyncio.sleep(self._lifeline.every)
                if monotonic() - self._heard > self._patience:
                    self._silent = True
                    self.signal(signal.SIGKILL)
                    return
                if not self._child.stdin.is_closing():
                    self._child.stdin.write(b"beat\n")
