"""Playbooks and the meanings of the drift kinds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from auditor.catalogue.entry import read

PLAYBOOK_KEYS = (
    "traffic_flow",
    "layer",
    "controls",
    "failure_symptom",
    "immediate_check",
    "root_cause",
    "fix_action",
    "blast_radius",
)


@cache
def playbooks() -> Mapping[str, Mapping[str, str]]:
    """Every playbook by id; its texts hold `{placeholders}` that a finding's values fill."""
    return read("playbooks")


@cache
def kinds() -> Mapping[str, str]:
    """What each drift kind means, in one sentence."""
    return read("kinds")


@cache
def firewalls() -> Mapping[str, Mapping[str, str]]:
    """For each packet filter that a host may declare: `rules`, `allow`, `restrict` and `deny`, as command templates."""
    return read("firewalls")
