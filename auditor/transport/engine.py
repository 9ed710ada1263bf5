"""Who runs the commands of an audit: this machine, or the workers of a dask cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from auditor.errors import TransportError
from auditor.model.inventory import Viewpoint
from auditor.transport.base import Transport
from auditor.transport.system import SystemTransport


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: who is trusted, and who we are. The cluster asks for both."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Cluster:
    """A dask cluster, by the address of its scheduler; with `tls` exactly where that is `tls://…`."""

    scheduler: str
    tls: Tls | None = None

    @property
    def open_to_others(self) -> bool:
        """Whether what is sent there goes over a network as it is, which a cluster obeys from whomever it comes."""
        host = self.scheduler.partition("://")[2].rpartition(":")[0].strip("[]")
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:  # a name
            loopback = host == "localhost"
        return self.tls is None and not loopback


@dataclass(frozen=True, slots=True)
class Hold:
    """That an audit of the inventory wants the places of workers for itself, and whether it can `wait` for them.

    `tell` is told whom for.
    """

    inventory: str
    wait: bool
    tell: Callable[[str], None]


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
            f"--engine dask: {error}; install what it needs with: pip install 'exposure-drift-auditor[dask]'"
        ) from error
    async with connected(cluster, warn) as workers:
        vias = await workers.stand([viewpoint.name for viewpoint in viewpoints])
        async with workers.alone(vias, hold) if hold else nullcontext():
            yield workers, tuple(replace(v, via=via) for v, via in zip(viewpoints, vias, strict=True))
