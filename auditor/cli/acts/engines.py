"""Who scans: what the options about it mean."""

from __future__ import annotations

import re

from auditor.cli.style import Engine
from auditor.errors import UsageError
from auditor.transport.scheduler import Cluster, Tls

_SCHEDULER = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")


def cluster(engine: Engine) -> Cluster | None:
    """The cluster that scans; None for this machine. Raises UsageError."""
    scheduler = engine.scheduler
    files = {"--tls-ca": engine.tls_ca, "--tls-cert": engine.tls_cert, "--tls-key": engine.tls_key}
    given = [name for name, path in files.items() if path is not None]
    if engine.name != "dask":
        if scheduler is not None or given:
            raise UsageError(f"{'--scheduler' if scheduler is not None else given[0]} goes with --engine dask only")
        return None
    if scheduler is None:
        raise UsageError("--engine dask needs --scheduler ADDRESS, as in tls://scanners.example:8786")
    if not (parts := _SCHEDULER.fullmatch(scheduler)):
        raise UsageError(f"--scheduler {scheduler}: write tls://HOST:PORT, or tcp://HOST:PORT in a trusted network")
    if parts[1] == "tcp":
        if given:
            raise UsageError(f"{given[0]} goes with a scheduler at tls://… only, and this one is {scheduler}")
        return Cluster(scheduler)
    ca, certificate, key = files.values()
    if ca is None or certificate is None or key is None:
        missing = [name for name, path in files.items() if path is None]
        raise UsageError(f"--scheduler {scheduler} needs {' and '.join(missing)} too")
    return Cluster(scheduler, Tls(ca, certificate, key))
