"""What makes audits by HEAD see less, or accept more, than audits by BASE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.change.accepting import accepting
from auditor.change.checks import checks
from auditor.change.exposure import Overlay
from auditor.change.seeing import seeing
from auditor.change.waiving import waiving
from auditor.model.change import Change, Written


def weakened(base: Written, head: Written, laid: Iterable[Overlay]) -> Iterator[Change]:
    """One change for each key that is weakened: where audits look, what they accept, what they check."""
    yield from seeing(base, head)
    yield from accepting(base, head)
    yield from waiving(base, head)
    yield from checks(head, laid)
