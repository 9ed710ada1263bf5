"""Who runs the commands of an audit: this machine, or the workers of a dask cluster."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace

from auditor.errors import TransportError
from auditor.model.inventory import Viewpoint
from auditor.transport.base import Transport
from auditor.transport.scheduler import Cluster, Hold
from auditor.transport.system import SystemTransport


@asynccontextmanager
async def engine(
    cluster: Cluster | None, viewpoints: Sequence[Viewpoint], warn: Callable[[str], None], hold: Hold | None = None
) -> AsyncIterator[tuple[Transport, tuple[Viewpoint, ...]]]:
    """The transport for these viewpoints, and the viewpoints as it reaches them, for as long as the context lasts.

    With a cluster each of them is where its workers stand, and its own `via` does not count. `warn` is told of workers
    that are lost or cannot be used. With `hold`, no other audit is where those workers stand meanwhile; places that are
    reached from here are held by `alone`. Raises TransportError where the cluster cannot be reached, or is in use.
    """
    if cluster is None:
        async with SystemTransport() as transport:
            yield transport, tuple(viewpoints)
        return
    try:
        from auditor.transport.cluster import connected  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise TransportError(
            f"--engine dask: {error}; install what it needs with: {sys.executable} -m pip install distributed"
        ) from error
    async with connected(cluster, warn) as workers:
        vias = await workers.stand([viewpoint.name for viewpoint in viewpoints])
        async with workers.alone(vias, hold) if hold else nullcontext():
            yield workers, tuple(replace(v, via=via) for v, via in zip(viewpoints, vias, strict=True))
