"""A dask cluster by its scheduler, and what an audit wants of it: plain values, without dask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path


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
