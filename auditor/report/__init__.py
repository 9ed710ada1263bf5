"""Findings → the report document, and the formats that are rendered from it alone."""
