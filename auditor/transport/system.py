"""Commands by real processes: on this machine, or by a client program that runs them elsewhere."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Protocol, Self, assert_never

from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, DockerVia, KubectlVia, LocalVia, NetnsVia, SshVia, Via, WorkerVia
from auditor.transport import local
from auditor.transport.docker import Docker
from auditor.transport.kubectl import Kubectl
from auditor.transport.local import package
from auditor.transport.process import Running, start
from auditor.transport.ssh import Ssh
from auditor.transport.watch import Lifeline, Watched, Words


class _Far(Words, Protocol):
    """A way to somewhere else, and what it keeps open."""

    def client(self) -> AbstractAsyncContextManager[list[str]]:
        """The argument list of a client that runs `watch.script` there. Raises TransportError."""
        ...

    async def close(self) -> None: ...


class SystemTransport:
    """Starts real processes. As a context manager it closes what it has opened on the way; local commands open nothing.

    `new_name` names ephemeral containers.
    """

    def __init__(
        self, lifeline: Lifeline | None = None, new_name: Callable[[], str] = lambda: f"auditor-{secrets.token_hex(4)}"
    ) -> None:
        self._lifeline = lifeline or Lifeline()
        self._new_name = new_name
        self._far: dict[Via, _Far] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for far in self._far.values():
            await far.close()

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[Running]:
        """See `Transport.run`. The command has no standard input and no terminal, and speaks the C locale."""
        match via:
            case LocalVia() | NetnsVia():
                process: Running = await _here(via, argv, nice=nice)
                try:
                    yield process
                finally:
                    await process.end()
            case SshVia() | DockerVia() | KubectlVia():
                far = self._far.get(via) or self._far.setdefault(via, self._way(via))
                async with far.client() as client:
                    process = await self._there(far, client, argv, nice=nice)
                    try:
                        yield process
                    finally:
                        await process.end()
            case ClusterVia() | WorkerVia():
                raise TransportError(f"only --engine dask reaches a cluster ({via})")
            case _:
                assert_never(via)

    def _way(self, via: SshVia | DockerVia | KubectlVia) -> _Far:
        match via:
            case SshVia():
                return Ssh(via, self._lifeline)
            case DockerVia():
                return Docker(via, self._lifeline)
            case KubectlVia():
                return Kubectl(via, self._lifeline, self._new_name)
            case _:
                assert_never(via)

    async def _there(self, far: _Far, client: Sequence[str], argv: Sequence[str], *, nice: bool) -> Running:
        try:
            return Watched(await start(client, fed=True), argv, far, self._lifeline, nice=nice)
        except FileNotFoundError as error:
            message = f"`{client[0]}` is not installed on this machine; install the package {package(client[0])}"
            raise TransportError(message) from error
        except OSError as error:
            raise TransportError(f"`{client[0]}` cannot be started: {error.strerror}") from error


async def _here(via: LocalVia | NetnsVia, argv: Sequence[str], *, nice: bool) -> Running:
    command = [*local.prefix(via), *argv]
    try:
        return _Here(await start(command, nice=nice, session=False), via, argv[0])
    except FileNotFoundError as error:
        raise TransportError(local.not_installed(command[0], via)) from error
    except OSError as error:
        raise TransportError(f"`{command[0]}` cannot be started ({via}): {error.strerror}") from error


class _Here(Running):
    """A command of this machine, which another program may have failed to start."""

    def __init__(self, child: asyncio.subprocess.Process, via: LocalVia | NetnsVia, program: str) -> None:
        super().__init__(child)
        self._via = via
        self._program = program

    async def wait(self) -> int:
        returncode = await super().wait()
        if returncode and (problem := local.start_problem(self._via, self._program, self.stderr)):
            raise TransportError(problem)
        return returncode
