"""Lets a process run for a share of the time, as long as it lives: `stop_and_go.py PID SHARE`."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

PERIOD = 0.1  # seconds in which it runs for its share, and then waits: that of the kernel's own quota (sched-bwc)


def stop_and_go(pid: int, share: float) -> None:
    """Until there is no such process any more. `share` is from 0 to 1."""
    with suppress(ProcessLookupError):
        process = os.pidfd_open(pid)
        while True:
            signal.pidfd_send_signal(process, signal.SIGSTOP)
            time.sleep(PERIOD * (1 - share))
            signal.pidfd_send_signal(process, signal.SIGCONT)
            time.sleep(PERIOD * share)


if __name__ == "__main__":
    stop_and_go(int(sys.argv[1]), float(sys.argv[2]))
