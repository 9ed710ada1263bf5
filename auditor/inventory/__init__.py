"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""

from auditor.inventory.carrying import carrying
from auditor.inventory.coverage import NOT_LOOKED_FOR, choose
from auditor.inventory.cycles import no_cycles
from auditor.inventory.denying import denying
from auditor.inventory.draft_hosts import fit_name, usable
from auditor.inventory.drafting import Draft, Outlook, Wanted, draft
from auditor.inventory.expecting import expect
from auditor.inventory.lint import lint, sight
from auditor.inventory.loading import absent, load, load_with_places
from auditor.inventory.moving import earlier
from auditor.inventory.names import Lookup, as_then, resolve_names
from auditor.inventory.policy import breaches
from auditor.inventory.revisions import copied, revision

__all__ = [
    "NOT_LOOKED_FOR",
    "Draft",
    "Lookup",
    "Outlook",
    "Wanted",
    "absent",
    "as_then",
    "breaches",
    "carrying",
    "choose",
    "copied",
    "denying",
    "draft",
    "earlier",
    "expect",
    "fit_name",
    "lint",
    "load",
    "load_with_places",
    "no_cycles",
    "resolve_names",
    "revision",
    "sight",
    "usable",
]
