"""The same servers on loopback addresses of this machine, for places where no namespace can be made.

What `inventories/practice-loopback.yaml` declares, with the exposures that need no firewall: redis, the backend and the
exporter also listen on the public interface, and SSH answers to everyone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.estate import RESPONDERS, LabError

LISTENS = (
    "https,127.20.1.10,8443",
    "app,127.20.2.10,8080",
    "redis,127.20.2.20,6379",
    "exporter,127.20.2.40,9100",
)
MISTAKES = (
    "app,127.20.1.10,8080",
    "redis,127.20.1.20,6379",
    "ssh,127.20.1.30,2222",
    "exporter,127.20.1.40,9100",
)


@contextmanager
def responders(*, repaired: bool = False) -> Iterator[None]:
    """The servers, while the context lasts."""
    listeners = LISTENS if repaired else LISTENS + MISTAKES
    argv = [sys.executable, "-I", "-S", str(RESPONDERS), *listeners]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline() != b"ready\n":
            raise LabError("the responders did not start: is one of their ports taken on loopback?")
        yield
    finally:
        process.stdin.close()
        process.wait()
