"""Run a command cut off from the machine's networks: `python3 -m lab.enter COMMAND…`.

The command gets network, mount and process namespaces of its own, an empty `/run` (where `ip netns` keeps its names)
and nothing but loopback. All processes started in there die with it, and with them every namespace. Root uses plain
namespaces; an ordinary user also gets a user namespace, in which files it writes still belong to the caller.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from types import FrameType

INSIDE = "AUDITOR_LAB"
# A single line of shell, fixed text: the arguments of `sh -c` carry the command.
# `/proc` follows the process namespace where it may be mounted, which an ordinary user in a container may not.
_PREPARE = (
    "{ mount -t proc proc /proc 2>/dev/null || :; } && mount -t tmpfs -o mode=0755 lab /run"
    ' && ip link set lo up && exec "$@"'
)
_ROUTES_AND_FIREWALLS = (
    "ip netns add probe && ip netns exec probe sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'"
    " && ip netns exec probe nft add table inet probe"
    " && ip link add probe type veth peer name probe2 && ip netns del probe"
)


def isolated() -> bool:
    """Whether this process already runs inside a lab: marked so, and with no interface but loopback and a lab's own."""
    return os.environ.get(INSIDE) == "1" and os.path.ismount("/run")


def command(argv: list[str]) -> list[str]:
    """The argument list that runs `argv` in namespaces of its own."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child"]
    return [*unshare, "sh", "-c", _PREPARE, "lab", *argv]


def why_not() -> str | None:
    """Why a lab cannot be made here; None where it can be."""
    try:
        probe = subprocess.run(
            command(["sh", "-c", _ROUTES_AND_FIREWALLS]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    if probe.returncode == 0:
        return None
    lines = probe.stderr.strip().splitlines()
    return lines[-1] if lines else f"unshare ended with {probe.returncode}"


def run(argv: list[str]) -> int:
    """Run `argv` in a lab and give its exit code. Signals that end this process end everything inside."""
    dying_with_us = ["setpriv", "--pdeathsig", "KILL"]
    child = subprocess.Popen([*dying_with_us, *command(argv)], env={**os.environ, INSIDE: "1"})

    def end(_number: int, _frame: FrameType | None) -> None:
        child.kill()  # unshare itself blocks SIGTERM; its death takes the namespaces with it

    return wait_for(child, end)


def wait_for(child: subprocess.Popen[bytes], end: Callable[[int, FrameType | None], None]) -> int:
    """The child's exit code, as a shell would give it. `end` is the handler for signals that ask this process to go."""
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            continue  # the terminal has told the child too; let it end in its own way
        return code if code >= 0 else 128 - code


def main() -> int:
    argv = sys.argv[1:]
    if not argv:
        print("usage: python3 -m lab.enter COMMAND…", file=sys.stderr)
        return 2
    if isolated():
        return subprocess.call(argv)
    reason = why_not()
    if reason is not None:
        print(f"lab: network namespaces cannot be made here: {reason}", file=sys.stderr)
        return 3
    return run(argv)


if __name__ == "__main__":
    sys.exit(main())
