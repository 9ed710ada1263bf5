"""Commands in a pod of Kubernetes.

With an image they run in an ephemeral container. A pod keeps those for as long as it lives, so there is one for all
commands, which ends with us.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from auditor.errors import TransportError
from auditor.model.inventory import KubectlVia
from auditor.transport.local import not_in
from auditor.transport.prefixes import debugging, in_pod
from auditor.transport.process import start
from auditor.transport.said import last_line, meaning
from auditor.transport.watch import Lifeline, Watched, script

_FOREVER = ("sleep", "2147483647")


class Kubectl:
    """The `kubectl` commands for one pod. `new_name` gives a name that the pod has no container of."""

    def __init__(self, via: KubectlVia, lifeline: Lifeline, new_name: Callable[[], str]) -> None:
        self._via = via
        self._lifeline = lifeline
        self._new_name = new_name
        self._opening = asyncio.Lock()
        self._container: Watched | None = None
        self._failed: TransportError | None = None
        self._inside = via

    @asynccontextmanager
    async def client(self) -> AsyncIterator[list[str]]:
        """The argument list of a client that runs `script` there. Raises TransportError where there is no way in."""
        if self._via.image is not None:
            async with self._opening:
                await self._open()
        yield [*in_pod(self._inside, "--stdin"), "sh", "-c", script(self._lifeline)]

    async def close(self) -> None:
        if self._container is not None:
            await self._container.end()

    def not_started(self, returncode: int, stderr: str) -> str:
        via, said = self._via, last_line(stderr)
        known = {
            "orbidden": "this user may not run commands in pods; it needs the right to create pods/exec, and with "
            "`image` to patch pods/ephemeralcontainers",
            "You must be logged in": "the cluster does not let this user in; log in to it again",
            "onnect to the server": "the cluster cannot be reached; check the context and the way to it",
            "connection to the server": "the cluster cannot be reached; check the context and the way to it",
            " does not exist": "the kubeconfig has no such context; `kubectl config get-contexts` shows what it has",
            'namespaces "': f"there is no namespace {via.namespace}; `kubectl get namespaces` shows what there is",
            'pods "': f"there is no pod {via.pod} in that namespace; `kubectl get pods` shows what runs",
            "in a completed pod": f"the pod {via.pod} has ended; name one that runs",
            "container not found": f"the container {via.container} is not in the pod {via.pod}, or does not run",
            "is not valid for pod": f"the container {via.container} is not in the pod {via.pod}; correct `container`",
            '"sh": executable file not found': f"there is no `sh` in {via.image or 'it'}; set `image` to one that has "
            "it, nmap and iproute2",
        }
        if means := meaning(stderr, known):
            return f"kubectl: {means}: {said}"
        return f"kubectl: no command can be run in {via.pod} (exit status {returncode}): {said or 'it says nothing'}"

    def lost(self, why: str) -> str:
        return f"the connection to the pod {self._via.pod} was lost{': ' if why else ''}{why}"

    def not_installed(self, program: str) -> str:
        where = self._via.image or f"the pod {self._via.pod}"
        return not_in(where, program, chosen=self._via.image is not None)

    async def _open(self) -> None:
        """Start the ephemeral container, once."""
        if self._failed is not None:
            raise self._failed
        if self._container is not None and not self._container.ended:
            return
        name = self._new_name()
        command = [*debugging(self._via, name, "--quiet", "--stdin"), "sh", "-c", script(self._lifeline)]
        try:
            self._container = Watched(await start(command, fed=True), _FOREVER, self, self._lifeline)
            await self._container.started()
        except FileNotFoundError as error:
            self._failed = TransportError("`kubectl` is not installed on this machine; install it")
            raise self._failed from error
        except TransportError as error:
            self._failed = error
            raise
        self._inside = replace(self._via, container=name, image=None)
