"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""

from auditor.inventory.expecting import expect
from auditor.inventory.loading import load, load_with_places

__all__ = ["expect", "load", "load_with_places"]
