"""Commands in a Docker container, or in one beside it that shares its network."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from auditor.model.inventory import DockerVia
from auditor.transport.local import not_in
from auditor.transport.prefixes import in_docker
from auditor.transport.said import last_line, meaning
from auditor.transport.watch import Lifeline, script


class Docker:
    """The `docker` commands for one container. Keeps nothing open."""

    def __init__(self, via: DockerVia, lifeline: Lifeline) -> None:
        self._via = via
        self._lifeline = lifeline

    @asynccontextmanager
    async def client(self) -> AsyncIterator[list[str]]:
        yield [*in_docker(self._via, "--interactive"), "sh", "-c", script(self._lifeline)]

    async def close(self) -> None:
        """Nothing to close."""

    def not_started(self, returncode: int, stderr: str) -> str:
        via, said = self._via, last_line(stderr)
        known = {
            "permission denied while trying to connect": "this user may not use Docker; add it to the group docker, or "
            "run as root",
            "Cannot connect to the Docker daemon": "Docker does not run, or not where DOCKER_HOST says; start it",
            "No such container": f"there is no container {via.container}; `docker ps` shows those that run",
            "is not running": f"the container {via.container} does not run; `docker start {via.container}` starts it",
            "cannot join network of a non running": f"the container {via.container} does not run; "
            f"`docker start {via.container}` starts it",
            "is paused": f"the container {via.container} is paused; `docker unpause {via.container}` wakes it",
            "No such image": f"the image {via.image} is not on this machine; `docker pull {via.image}` gets it",
            '"sh": executable file not found': f"there is no `sh` in {via.image or via.container}; set `image` to one "
            "that has it, nmap and iproute2",
        }
        if means := meaning(stderr, known):
            return f"docker: {means}"
        return (
            f"docker: no command can be run in {via.container} (exit status {returncode}): {said or 'it says nothing'}"
        )

    def lost(self, why: str) -> str:
        return f"the connection to the container {self._via.container} was lost{': ' if why else ''}{why}"

    def not_installed(self, program: str) -> str:
        return not_in(self._via.image or self._via.container, program, chosen=self._via.image is not None)
