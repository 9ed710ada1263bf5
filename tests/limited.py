"""Loading inventories in a process of its own with bounded memory and time, which dies where it exceeds them."""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

MEMORY = 1 << 30  # bytes of address space
SECONDS = 20  # of one processor, for one inventory


class Loader:
    """The other end of such a process; started again after a death."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def problems(self, files: Mapping[str, bytes]) -> list[str]:
        """What is wrong with the inventory that these files are; fails where loading ends in anything else."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        request = {name: base64.b64encode(content).decode() for name, content in files.items()}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(request), file=self._in(self._process.stdin), flush=True)
        answer = self._in(self._process.stdout).readline()
        if not answer:
            raise AssertionError(f"loading ended with {self._end()}, given {dict(files)!r:.2000}")
        told: list[str] = json.loads(answer)
        return told

    def close(self) -> None:
        if self._process is not None:
            self._in(self._process.stdin).close()
            self._end()

    def _end(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        said = self._in(process.stderr).read()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                self._in(stream).close()
        return f"{process.wait()}: {said[-3000:]}"

    @staticmethod
    def _in(stream: IO[str] | None) -> IO[str]:
        assert stream is not None
        return stream


def load(files: Mapping[str, bytes]) -> list[str]:
    from auditor.errors import InventoryError
    from auditor.inventory.loading import load as load_inventory

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (path,) = [folder] if len(files) > 1 else [folder / name for name in files]
        try:
            load_inventory(path)
        except InventoryError as error:
            assert error.problems
            return [str(problem) for problem in error.problems]
    return []


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        files = {name: base64.b64decode(content) for name, content in json.loads(line).items()}
        used = resource.getrusage(resource.RUSAGE_SELF)
        most = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        sys.stdout.write(f"{json.dumps(load(files))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
