"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""

from auditor.inventory.coverage import choose
from auditor.inventory.draft_hosts import fit_name, usable
from auditor.inventory.drafting import Draft, Wanted, draft
from auditor.inventory.expecting import expect
from auditor.inventory.loading import load, load_with_places
from auditor.inventory.policy import breaches

__all__ = [
    "Draft",
    "Wanted",
    "breaches",
    "choose",
    "draft",
    "expect",
    "fit_name",
    "load",
    "load_with_places",
    "usable",
]
