"""Commands on the workers of a dask cluster. The one module that talks to dask, imported only where it is asked for.

nmap runs are tasks: each takes one place of the resource `viewpoint:NAME`, which workers advertise, and where its
worker is lost dask runs it again on another. Short questions go to one named worker at once.

What dask, tornado and the functions that run elsewhere raise has no root of its own, so `Exception` is what is caught
around each call to the cluster, and becomes a TransportError.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError
from distributed.security import Security

from auditor import __version__
from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, Via, WorkerVia
from auditor.transport import worker
from auditor.transport.base import Process
from auditor.transport.held import held
from auditor.transport.scheduler import Cluster, Hold
from auditor.transport.system import SystemTransport

_CONNECTING = 10.0  # seconds until a scheduler counts as unreachable
_ANSWERING = 20.0  # seconds in which a worker or the scheduler answers a question
_LEAVING = 5.0  # seconds for saying goodbye
_LOOK = 2.0  # seconds between looks at which workers are there
_GRACE = 10.0  # seconds without any worker: one that is started again at the same address is back by then
_CHUNK = 64 * 1024


def resource(viewpoint: str) -> str:
    """What workers advertise that stand at a viewpoint."""
    return f"viewpoint:{viewpoint}"


@asynccontextmanager
async def connected(
    cluster: Cluster, warn: Callable[[str], None], patience: float = _CONNECTING
) -> AsyncIterator[ClusterTransport]:
    """A transport to the cluster, while the context lasts. Raises TransportError where it cannot be reached."""
    _silence()
    if cluster.open_to_others:
        warn(f"--scheduler {cluster.scheduler}: anybody on the way can read and change what is run; use tls://")
    async with AsyncExitStack() as leaving:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that versions of packages differ; those which cannot talk are refused
                async with asyncio.timeout(patience + 1):
                    security = _security(cluster)
                    await _knock(cluster.scheduler, security)
                    client: Any = Client(
                        cluster.scheduler, asynchronous=True, set_as_default=False, timeout=patience, security=security
                    )
                    leaving.push_async_callback(_close, client)
                    await client
                    await _examine_scheduler(client, cluster.scheduler)
        except TransportError:
            raise
        except Exception as error:
            raise TransportError(_unreachable(cluster, error)) from error
        yield ClusterTransport(client, cluster.scheduler, warn)


async def _examine_scheduler(client: Any, scheduler: str) -> None:
    """It reads what it hands on, so it needs the auditor too. One that refuses to be asked is believed."""
    try:
        version = await client.run_on_scheduler(worker.about)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever came up there when it looked for our module
        if "disallowed" in str(error):  # dask's words about blocked handlers
            return
        version = f"none ({_worded(error)})"
    if version != __version__:
        raise TransportError(f"--scheduler {scheduler}: auditor there is {version}; install {__version__} there")


class ClusterTransport:
    """Runs commands at a `ClusterVia` or a `WorkerVia` by a client of dask, and at any other `Via` from here."""

    def __init__(
        self, client: Any, scheduler: str, warn: Callable[[str], None], *, look: float = _LOOK, grace: float = _GRACE
    ) -> None:
        self._client = client
        self._scheduler = scheduler
        self._warn = warn
        self._look = look
        self._grace = grace
        self._there: frozenset[str] = frozenset()
        self._looked = 0.0
        self._seen: dict[str, float] = {}  # by worker, when it was last there
        self._looking = asyncio.Lock()
        self._used: set[str] = set()
        self._unfit: dict[str, str] = {}  # by worker, why it is not used
        self._nobody: dict[str, str] = {}  # by viewpoint, why no worker can be used

    async def stand(self, viewpoints: Sequence[str]) -> tuple[ClusterVia, ...]:
        """Where the workers of each viewpoint are, those that cannot be used left out. Raises TransportError."""
        info = await self._identity()
        offers = {
            name: sorted(
                address for address, one in info["workers"].items() if one["resources"].get(resource(name), 0) >= 1
            )
            for name in viewpoints
        }
        everyone = sorted({address for addresses in offers.values() for address in addresses})
        for address, problem in zip(everyone, await asyncio.gather(*map(self._examine, everyone)), strict=True):
            if problem is not None:
                self._unfit[address] = problem
                self._warn(f"{problem}; it is not used")
        return tuple(self._stand(name, addresses) for name, addresses in offers.items())

    def _stand(self, viewpoint: str, offered: Sequence[str]) -> ClusterVia:
        fit = tuple(address for address in offered if address not in self._unfit)
        self._used |= set(fit)
        if not fit:
            why = [self._unfit[address] for address in offered]
            self._nobody[viewpoint] = "; ".join(why) or self._how_to_start(viewpoint)
        return ClusterVia(viewpoint, self._scheduler, fit)

    async def _examine(self, address: str) -> str | None:
        """Why a worker cannot be used; None where it can."""
        try:
            version = await self._ask(address, worker.about)
        except TransportError as error:
            return f"{error}; it needs auditor {__version__}"
        if version == __version__:
            return None
        return f"worker {address} has auditor {version}, and this is {__version__}; install the same version there"

    def _how_to_start(self, viewpoint: str) -> str:
        tls = " --tls-ca-file CA --tls-cert CERT --tls-key KEY" if self._scheduler.startswith("tls:") else ""
        return (
            f"no worker of the cluster stands at viewpoint {viewpoint}; start one there, as root: "
            f'dask worker {self._scheduler} --resources "{resource(viewpoint)}=4" --nthreads 4{tls}'
        )

    def alone(self, vias: Sequence[ClusterVia], hold: Hold) -> AbstractAsyncContextManager[None]:
        """Hold the places of all workers that are used, while the context lasts. Raises TransportError."""
        return held(self._ask, vias, hold, self._warn, self._look)

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[Process]:
        """See `Transport.run`. On workers, the output comes when the command has ended."""
        match via:
            case WorkerVia():
                yield _Process(via, lambda: self._ask(via.worker, worker.ask, list(argv), _ANSWERING))
            case ClusterVia():
                async with self._shard(via, argv, nice=nice) as process:
                    yield process
            case _:
                async with SystemTransport() as system, system.run(via, argv, nice=nice) as process:
                    yield process

    async def _ask(self, address: str, function: Callable[..., Any], *arguments: object) -> Any:
        """What a function says that is run on one worker, at once."""
        try:
            async with asyncio.timeout(_ANSWERING + 1):
                said = await self._client.run(function, *arguments, workers=[address], on_error="return")
        except TimeoutError as error:
            raise TransportError(f"worker {address} gives no answer") from error
        except Exception as error:
            raise TransportError(f"worker {address} cannot be asked: {_worded(error)}") from error
        answer = said.get(address)
        if answer is None or isinstance(answer, Exception):
            raise TransportError(f"worker {address} cannot be asked: {_worded(answer)}")
        return answer

    @asynccontextmanager
    async def _shard(self, via: ClusterVia, argv: Sequence[str], *, nice: bool) -> AsyncIterator[Process]:
        """A command as a task of the cluster, which is called off where it has not ended by then."""
        if not via.workers:
            raise TransportError(self._nobody.get(via.viewpoint) or self._how_to_start(via.viewpoint))
        await self._check(via)
        key = f"auditor-{via.viewpoint}-{uuid4().hex}"
        future = self._client.submit(
            worker.shard,
            list(argv),
            key,
            nice,
            key=key,
            pure=False,
            workers=list(via.workers),
            allow_other_workers=False,
            resources={resource(via.viewpoint): 1},
        )
        result = asyncio.ensure_future(_result(future))
        try:
            yield _Process(via, lambda: self._follow(via, result))
        finally:
            result.cancel()
            with suppress(Exception):  # the scheduler is gone, and our work on it with it
                async with asyncio.timeout(_LEAVING):
                    await self._client.cancel([future], force=True)

    async def _follow(self, via: ClusterVia, result: asyncio.Future[worker.Done]) -> worker.Done:
        """The end of a task, or TransportError where there is nobody to run it any more."""
        while not result.done():
            await asyncio.wait({result}, timeout=self._look)
            if not result.done():
                await self._check(via)
        try:
            return result.result()
        except KilledWorker as error:
            times = error.allowed_failures + 1
            raise TransportError(f"{times} workers were lost while they ran it ({via.viewpoint})") from error
        except FutureCancelledError as error:
            raise TransportError(f"the scheduler {self._scheduler} was lost, and what ran there with it") from error
        except Exception as error:
            raise TransportError(f"the cluster could not run it: {_worded(error)}") from error

    async def _check(self, via: ClusterVia) -> None:
        """Raise TransportError where none of the workers has been there for too long."""
        there = await self._present()
        if there.intersection(via.workers):
            return
        now = time.monotonic()
        if now - max(self._seen.get(address, 0.0) for address in via.workers) > self._grace:
            lost = " and ".join(via.workers)
            one = f"the worker {lost} was lost" if len(via.workers) == 1 else f"the workers {lost} were lost"
            raise TransportError(f"{one}, and no other of those that were checked stands at viewpoint {via.viewpoint}")

    async def _present(self) -> frozenset[str]:
        """The workers that the scheduler knows, asked for at most so often."""
        async with self._looking:
            if time.monotonic() - self._looked >= self._look:
                there = frozenset((await self._identity())["workers"])
                self._looked = time.monotonic()
                for address in sorted((self._there - there) & self._used):
                    self._warn(f"worker {address} was lost; what it was running goes to another, where there is one")
                self._there = there
                self._seen |= dict.fromkeys(there, self._looked)
            return self._there

    async def _identity(self) -> Any:
        try:
            async with asyncio.timeout(_ANSWERING):
                return await self._client.scheduler.identity(n_workers=-1)
        except Exception as error:
            raise TransportError(f"the scheduler {self._scheduler} no longer answers: {_worded(error)}") from error


class _Process:
    """A command on a worker. Nothing of it comes before its end, which `wait_for_it` gives."""

    def __init__(self, via: Via, wait_for_it: Callable[[], Awaitable[worker.Done]]) -> None:
        self._via = via
        self._wait_for_it = wait_for_it
        self._done = worker.Done()

    async def chunks(self) -> AsyncIterator[bytes]:
        self._done = await self._wait_for_it()
        if self._done.problem is not None:
            raise TransportError(f"{self._done.problem} ({self._via})")
        unpacker = zlib.decompressobj()
        rest = self._done.packed
        while rest:
            yield unpacker.decompress(rest, _CHUNK)
            rest = unpacker.unconsumed_tail
        yield unpacker.flush()

    async def wait(self) -> int:
        return self._done.returncode

    @property
    def stderr(self) -> str:
        return self._done.stderr


async def _result(future: Any) -> worker.Done:
    """A coroutine of what dask lets be awaited only."""
    done: worker.Done = await future
    return done


async def _close(client: Any) -> None:
    with suppress(Exception):  # nobody is left to be told
        async with asyncio.timeout(_LEAVING):
            await client.close(timeout=_LEAVING)


async def _knock(scheduler: str, security: Security) -> None:
    """Connect once by ourselves: dask tries again and again, and then does not say why."""
    host, _, port = scheduler.partition("://")[2].rpartition(":")
    context = security.get_connection_args("client")["ssl_context"]
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _security(cluster: Cluster) -> Security:
    if cluster.tls is None:
        return Security()
    files = {
        "tls_ca_file": str(cluster.tls.ca),
        "tls_client_cert": str(cluster.tls.certificate),
        "tls_client_key": str(cluster.tls.key),
    }
    return Security(require_encryption=True, **files)


def _unreachable(cluster: Cluster, error: Exception) -> str:
    said = "nothing there answers as a scheduler does" if isinstance(error, TimeoutError) else _worded(error)
    hint = "it has to speak TLS, with a certificate of the same authority" if cluster.tls else "it may want tls://"
    return f"--scheduler {cluster.scheduler}: it cannot be reached: {said}; {hint}"


def _worded(error: object) -> str:
    """An error of dask and what it was caused by, in one line."""
    words: list[str] = []
    cause = error if isinstance(error, BaseException) else None
    while cause is not None and len(words) < 3:
        words.append(" ".join(str(cause).split())[:200] or type(cause).__name__)
        cause = cause.__cause__
    return ": ".join(dict.fromkeys(words)) or str(error)


def _silence() -> None:
    """Keep what dask and tornado log away from the user's terminal: what matters comes back as an error."""
    for name in ("distributed", "distributed.client", "tornado", "tornado.application", "bokeh"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
