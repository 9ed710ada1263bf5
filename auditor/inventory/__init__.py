"""YAML to an inventory, and the inventory to what each endpoint should be from one viewpoint."""
