"""Return paths that lose replies: what comes back to a scanner through a router, as real networks treat it.

    policed   so many packets a second come through, the rest is dropped
    lossy     each is dropped with the same chance
    bursty    for a while nothing comes through, again and again

What is sent arrives; only what is answered is lost. So the targets see every probe, and the scanner sees silence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from lab.estate import Estate

DROPS = {
    "policed": "limit rate over 2000/second burst 100 packets drop",
    "lossy": "numgen random mod 100 < 30 drop",
    "bursty": "jump burst",
}
OPEN, SHUT = 2.0, 1.0  # seconds
_TABLE = """
table inet returns {
    chain burst {}
    chain forward {
        type filter hook forward priority filter + 10
        oifname "%s" %s
    }
}
"""
_BURSTS = """
import subprocess, sys, time
while True:
    time.sleep(float(sys.argv[1]))
    subprocess.run(["nft", "add rule inet returns burst drop"], check=True)
    time.sleep(float(sys.argv[2]))
    subprocess.run(["nft", "flush chain inet returns burst"], check=True)
"""


@contextmanager
def losing(estate: Estate, router: str, towards: str, kind: str, drop: str | None = None) -> Iterator[None]:
    """What `router` forwards to its interface `towards` is lost so, while the context lasts. `drop` is another rule."""
    estate.run(router, "nft", _TABLE % (towards, drop or DROPS[kind]))
    argv = [sys.executable, "-I", "-S", "-c", _BURSTS, str(OPEN), str(SHUT)]
    bursts = estate.start(router, argv) if kind == "bursty" else None
    try:
        yield
    finally:
        if bursts:
            bursts.stop()
            estate.processes.remove(bursts)
        estate.run(router, "nft", "delete table inet returns")
