"""How many packets a second go through an interface, at worst: sampled while something runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile

_SAMPLER = """
import sys, time
while True:
    with open(sys.argv[1]) as file:
        print(time.monotonic(), file.read().strip(), flush=True)
    time.sleep(0.02)
"""
_PYTHON = (sys.executable, "-I", "-S", "-c", _SAMPLER)


@dataclass
class Meter:
    """Samples of one counter: when, and how many packets by then."""

    samples: list[tuple[float, int]] = field(default_factory=list)

    @property
    def packets(self) -> int:
        return self.samples[-1][1] - self.samples[0][1]

    def most(self, seconds: float = 1.0) -> int:
        """The most packets in any span of so many seconds."""
        most, first = 0, 0
        for when, count in self.samples:
            while self.samples[first][0] < when - seconds:
                first += 1
            most = max(most, count - self.samples[first][1])
        return most


@contextmanager
def metered(*interfaces: tuple[str, str, str]) -> Iterator[list[Meter]]:
    """One meter for each (namespace, interface, `rx` or `tx`), filled when the block ends.

    They write into files: a pipe is full after a minute, and what writes into it then samples no more.
    """
    meters = [Meter() for _ in interfaces]
    with ExitStack() as stack:
        samples = [stack.enter_context(TemporaryFile("w+")) for _ in interfaces]
        running = [
            stack.enter_context(
                subprocess.Popen(
                    [
                        "ip",
                        "netns",
                        "exec",
                        namespace,
                        *_PYTHON,
                        f"/sys/class/net/{interface}/statistics/{way}_packets",
                    ],
                    stdout=file,
                )
            )
            for (namespace, interface, way), file in zip(interfaces, samples, strict=True)
        ]
        try:
            while not all(os.fstat(file.fileno()).st_size for file in samples):
                assert all(one.poll() is None for one in running)
                time.sleep(0.01)
            yield meters
        finally:
            for one in running:
                one.terminate()
                one.wait()
            for meter, file in zip(meters, samples, strict=True):
                file.seek(0)
                lines = [line.split() for line in file]
                meter.samples = [(float(words[0]), int(words[1])) for words in lines if len(words) == 2]
