"""Carrying a run out: its stream, its record, and what an earlier attempt has finished."""
