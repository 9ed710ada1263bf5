"""This machine, and its network namespaces."""

from __future__ import annotations

from auditor.model.inventory import LocalVia, NetnsVia


def prefix(via: LocalVia | NetnsVia) -> list[str]:
    return ["ip", "netns", "exec", via.name] if isinstance(via, NetnsVia) else []


def not_installed(program: str, via: LocalVia | NetnsVia) -> str:
    return f"`{program}` is not installed there ({via}); install the package {package(program)}"


def not_in(where: str, program: str, *, chosen: bool) -> str:
    """The same of a container; `chosen` is whether it is of an image that the inventory names."""
    other = "" if chosen else ", or set `image` to one that has it"
    return f"`{program}` is not in {where}; add the package {package(program)} to it{other}"


def package(program: str) -> str:
    """Debian's name of the package that has it."""
    return {"ip": "iproute2", "ssh": "openssh-client", "docker": "docker.io"}.get(program, program)


def start_problem(via: LocalVia | NetnsVia, program: str, stderr: str) -> str | None:
    """Why the command never started, as `ip netns exec` says it (iproute2, lib/namespace.c)."""
    if isinstance(via, LocalVia):
        return None
    if "Cannot open network namespace" in stderr:
        return f"there is no network namespace {via.name}; `ip netns list` shows those that exist"
    if "setting the network namespace" in stderr or ("Operation not permitted" in stderr and "mount" in stderr):
        return f"entering the network namespace {via.name} is not permitted; run as root"
    if f'exec of "{program}" failed' in stderr:
        return not_installed(program, via)
    return None
