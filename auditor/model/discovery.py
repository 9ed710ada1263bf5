"""What a search for addresses that nobody declared has found from one viewpoint."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.expectation import LeftOut
from auditor.model.observation import Label, Reply, Swept
from auditor.model.words import Address


@dataclass(frozen=True, slots=True)
class Discovery:
    """`found` are the signs of life of addresses that were not known before.

    `labels` have the hardware addresses of the viewpoint's neighbours, declared ones too. `errors` say what broke off:
    nothing can be said of the addresses that were not asked then.
    """

    viewpoint: str
    found: tuple[Reply, ...] = ()
    labels: tuple[Label, ...] = ()
    swept: tuple[Swept, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    commands: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def addresses(self) -> frozenset[Address]:
        return frozenset(reply.address for reply in self.found)
