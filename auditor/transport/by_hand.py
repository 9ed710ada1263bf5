"""The same ways for people, who paste commands into a terminal."""

from __future__ import annotations

import shlex
from typing import assert_never

from auditor.model.inventory import ClusterVia, DockerVia, KubectlVia, LocalVia, NetnsVia, SshVia, Via, WorkerVia
from auditor.transport import local
from auditor.transport.prefixes import in_docker, in_pod


def by_hand(via: Via) -> str:
    """What to write before a command of plain words, with the space in between, to run it there."""
    return "".join(f"{shlex.quote(word)} " for word in _words(via))


def _words(via: Via) -> list[str]:
    match via:
        case LocalVia() | NetnsVia():
            return local.prefix(via)
        case SshVia():
            port = ["-p", str(via.port)] if via.port else []
            return ["ssh", *port, via.login, *(["sudo"] if via.sudo else [])]
        case DockerVia():
            return in_docker(via)
        case KubectlVia():
            return in_pod(via, *(["--stdin"] if via.image else []))
        case ClusterVia() | WorkerVia():
            return []  # nothing runs one command on a worker for somebody at a terminal
        case _:
            assert_never(via)
