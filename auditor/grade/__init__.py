"""Drifts → findings: class, severity, diagnosis, and the verdict over all of them. Pure."""
