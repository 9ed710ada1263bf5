"""YAML to plain data with places, at this and at earlier revisions; messages about it."""
