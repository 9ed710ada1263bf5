"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""

from auditor.inventory.draft.drafting import Draft, Outlook, Wanted, draft
from auditor.inventory.draft.hosts import fit_name, usable
from auditor.inventory.expecting.carrying import carrying
from auditor.inventory.expecting.coverage import NOT_LOOKED_FOR, choose
from auditor.inventory.expecting.denying import denying
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.lint import lint, sight
from auditor.inventory.loading import absent, load, load_with_places
from auditor.inventory.reading.cycles import no_cycles
from auditor.inventory.reading.moving import earlier
from auditor.inventory.reading.revisions import copied, revision
from auditor.inventory.resolving.names import Lookup, as_then, resolve_names
from auditor.inventory.resolving.policy import breaches

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
