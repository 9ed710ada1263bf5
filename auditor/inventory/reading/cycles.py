"""Sparing Python a search that finds nothing."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_cycles() -> Iterator[None]:
    """For what makes many objects and no cycles of them: Python does not look for any meanwhile.

    Among millions of objects that search takes a third of the time of loading and more than half of that of expecting.
    """
    searching = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searching:
            gc.enable()
