"""The exposure drift auditor: what your hosts expose, from where, compared with what the inventory says they should."""

__version__ = "0.1.0"
