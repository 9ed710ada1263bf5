"""Inventory × viewpoint → what each endpoint should be there, and what is looked at."""
