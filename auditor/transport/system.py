"""Commands on this machine, in its own or in a named network namespace."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import assert_never

from auditor.errors import TransportError
from auditor.model.inventory import LocalVia, NetnsVia, Via

_CHUNK = 64 * 1024
_STDERR_BYTES = 256 * 1024  # nmap says once, early on, that it could not send; warnings may follow by the thousand
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LIBC = ctypes.CDLL(None)
_GRACE = 2.0  # seconds between TERM and KILL


class SystemTransport:
    """Starts real processes. Stateless."""

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str]) -> AsyncIterator[_SystemProcess]:
        """See `Transport.run`. The command has no standard input and no terminal, and speaks the C locale."""
        command = [*_prefix(via), *argv]
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C goes to us alone; nmap never reads keys
                env={**os.environ, "LC_ALL": "C"},
                preexec_fn=_die_with(os.getpid()),
            )
        except FileNotFoundError as error:
            raise TransportError(_not_installed(command[0], via)) from error
        except OSError as error:
            raise TransportError(f"`{command[0]}` cannot be started ({via}): {error.strerror}") from error
        process = _SystemProcess(child, via, argv[0])
        try:
            yield process
        finally:
            await process.end()


class _SystemProcess:
    def __init__(self, child: asyncio.subprocess.Process, via: Via, program: str) -> None:
        self._child = child
        self._via = via
        self._program = program
        self._stderr = bytearray()
        self._reading = asyncio.create_task(self._read_stderr())

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._child.pid

    async def chunks(self) -> AsyncIterator[bytes]:
        assert self._child.stdout is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while chunk := await self._child.stdout.read(_CHUNK):
            yield chunk

    async def wait(self) -> int:
        returncode = await self._child.wait()
        await self._reading
        if returncode and (problem := _start_problem(self._via, self._program, self.stderr)):
            raise TransportError(problem)
        return returncode

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "replace")

    async def end(self) -> None:
        """Terminate the process group if it still runs, and reap it."""
        try:
            if self._child.returncode is None:
                self._signal(signal.SIGTERM)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GRACE):  # wait_for of Python 3.11 may lose a cancellation
                        await self._child.wait()
        finally:  # cancelled again while waiting: no more patience
            if self._child.returncode is None:
                self._signal(signal.SIGKILL)
                await self._child.wait()
            self._reading.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._child.pid, number)

    async def _read_stderr(self) -> None:
        assert self._child.stderr is not None  # noqa: S101 - asked for as a pipe; tells mypy so
        while chunk := await self._child.stderr.read(_CHUNK):
            self._stderr += chunk
            del self._stderr[:-_STDERR_BYTES]


def _die_with(parent: int) -> Callable[[], None]:
    """Have the kernel end the child where we are killed outright (prctl(2)): nmap would go on scanning for nobody."""

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # killed already
            os.kill(os.getpid(), signal.SIGKILL)

    return before_exec


def _not_installed(program: str, via: Via) -> str:
    package = {"ip": "iproute2"}.get(program, program)
    return f"`{program}` is not installed there ({via}); install the package {package}"


def _netns_problem(via: NetnsVia, program: str, stderr: str) -> str | None:
    """What `ip netns exec` says when it cannot start the command at all (iproute2, lib/namespace.c)."""
    if "Cannot open network namespace" in stderr:
        return f"there is no network namespace {via.name}; `ip netns list` shows those that exist"
    if "setting the network namespace" in stderr or ("Operation not permitted" in stderr and "mount" in stderr):
        return f"entering the network namespace {via.name} is not permitted; run as root"
    if f'exec of "{program}" failed' in stderr:
        return _not_installed(program, via)
    return None


def _prefix(via: Via) -> list[str]:
    match via:
        case LocalVia():
            return []
        case NetnsVia():
            return ["ip", "netns", "exec", via.name]
        case _:
            assert_never(via)


def _start_problem(via: Via, program: str, stderr: str) -> str | None:
    """Why the command never started, where it was another program's to start it."""
    match via:
        case LocalVia():
            return None
        case NetnsVia():
            return _netns_problem(via, program, stderr)
        case _:
            assert_never(via)
