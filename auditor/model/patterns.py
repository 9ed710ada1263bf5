"""Names with `*`, as waivers match them."""

from __future__ import annotations

import fnmatch
import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def pattern(name: str) -> re.Pattern[str]:
    """The whole of a name in which `*` stands for any text.

    fnmatch writes expressions that no name makes slow; its other wildcards stand for themselves here.
    """
    return re.compile(fnmatch.translate(re.sub(r"[\[?]", r"[\g<0>]", name)))
