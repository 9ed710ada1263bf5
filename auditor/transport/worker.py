"""What runs on the workers of a dask cluster: the auditor's own commands, as plain processes where the worker stands.

Imported there, by name, and by whoever sends work there. A cluster runs whatever its scheduler is sent, so the list of
programs here guards against mistakes, not against attackers; those are kept out by TLS.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distributed import get_worker

from auditor import __version__
from auditor.errors import TransportError
from auditor.model.inventory import LocalVia
from auditor.transport.alone import Holder, lock_here
from auditor.transport.system import SystemTransport

PROGRAMS = ("cat", "ip", "nmap")
_LOOK = 0.5  # seconds between looks at whether anybody still wants the result
_HERE = LocalVia()


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. `packed` is its standard output, compressed by zlib; `problem` is why it never started."""

    returncode: int = 0
    packed: bytes = b""
    stderr: str = ""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """The place where this worker stands, held for an audit until it `ends`, or says again that it is there."""

    file: int
    ends: asyncio.TimerHandle


_HELD: dict[str, _Held] = {}  # by the audit's token: a worker is one process, and outlives those who ask it


def about() -> str:
    """The auditor's version there."""
    return __version__


async def hold(holder: Holder, seconds: float) -> str:
    """Hold the place where this worker stands for an audit, for so long from now. Empty, or who else has it.

    Another worker that stands there may hold it for the same audit. Raises OSError where it cannot be locked.
    """
    token = holder.token
    if (held := _HELD.get(token)) is not None:
        held.ends.cancel()
        file: int | None = held.file
    else:
        file, other = lock_here(holder)
        if file is None:
            return "" if other and other.token == token else str(other or "it does not say which")
    if file is not None:
        _HELD[token] = _Held(file, asyncio.get_running_loop().call_later(seconds, _let_go, token))
    return ""


async def let_go(token: str) -> None:
    """Hold nothing any more for that audit."""
    _let_go(token)


def _let_go(token: str) -> None:
    if (held := _HELD.pop(token, None)) is not None:
        held.ends.cancel()
        os.close(held.file)


async def ask(argv: Sequence[str], patience: float) -> Done:
    """Run a short command, past the cluster's queue. It is ended after `patience` seconds."""
    try:
        async with asyncio.timeout(patience):
            return await _run(argv)
    except TimeoutError:
        return Done(problem=f"`{argv[0]}` gave no answer within {patience:g} s")


async def shard(argv: Sequence[str], key: str, nice: bool) -> Done:
    """Run a command as the task `key`. It is ended where nobody wants the result any more.

    dask itself never stops a task that has begun: it only marks it, and so this looks at the mark.
    """
    worker = get_worker()
    running = asyncio.ensure_future(_run(argv, nice=nice))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=_LOOK)
            if not _wanted(worker, key):
                return Done(problem="it was called off")
        return running.result()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError, TransportError):
            await running


def _wanted(worker: Any, key: str) -> bool:
    task = worker.state.tasks.get(key)
    return task is not None and task.state in ("executing", "long-running")


async def _run(argv: Sequence[str], *, nice: bool = False) -> Done:
    if argv[0] not in PROGRAMS:
        return Done(problem=f"`{argv[0]}` is none of the programs that the auditor runs on workers")
    packer = zlib.compressobj()
    packed = bytearray()
    try:
        async with SystemTransport().run(_HERE, argv, nice=nice) as process:
            async for chunk in process.chunks():
                packed += packer.compress(chunk)
            returncode = await process.wait()
            return Done(returncode, bytes(packed + packer.flush()), process.stderr)
    except TransportError as error:
        return Done(problem=str(error))
