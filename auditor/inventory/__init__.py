"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""

from auditor.inventory.coverage import choose
from auditor.inventory.expecting import expect
from auditor.inventory.lint import lint, sight
from auditor.inventory.loading import absent, load, load_with_places
from auditor.inventory.policy import breaches
from auditor.inventory.revisions import copied, revision

__all__ = [
    "absent",
    "breaches",
    "choose",
    "copied",
    "expect",
    "lint",
    "load",
    "load_with_places",
    "revision",
    "sight",
]
