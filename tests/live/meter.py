"""How many packets a second go through an interface, at worst: sampled while something runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

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
    """One meter for each (namespace, interface, `rx` or `tx`), filled when the block ends."""
    running = [
        subprocess.Popen(
            ["ip", "netns", "exec", namespace, *_PYTHON, f"/sys/class/net/{interface}/statistics/{way}_packets"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for namespace, interface, way in interfaces
    ]
    meters = [Meter() for _ in running]
    try:
        for one in running:
            assert one.stdout is not None
            one.stdout.readline()  # it samples now
        yield meters
    finally:
        for one, meter in zip(running, meters, strict=True):
            one.terminate()
            text, _ = one.communicate()
            lines = [line.split() for line in text.splitlines()]
            meter.samples = [(float(words[0]), int(words[1])) for words in lines if len(words) == 2]
