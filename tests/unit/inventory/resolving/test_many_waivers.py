"""Thousands of waivers: what is said of each costs no look at all the others."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from time import process_time

from auditor.inventory.loading import load_with_places
from auditor.model.change import Written
from auditor.pipeline import gating, validating

TODAY = date(2026, 11, 22)
MANY = 3000
ESTATE = """version: 1
name: many
scope: {allow: [10.0.0.0/8]}
viewpoints: {v: {kind: internal, addresses: [10.9.0.1]}}
policy: {max_waiver_days: 10}
hosts:
  web-1: {interfaces: {a: [10.0.0.1]}, services: {s: {ports: 80/tcp, from: [10.0.0.0/24], reason: x}}}
waivers:
"""
WAIVER = (
    "  - {{match: {{host: web-1, ports: {port}/tcp}}, reason: r, owner: o, since: 2026-11-20, expires: 2026-12-31}}\n"
)


def test_many_waivers(tmp_path: Path) -> None:
    """To validate and to gate takes no more than some times what it takes to load them."""
    path = tmp_path / "inventory.yaml"
    path.write_text(ESTATE + "".join(WAIVER.format(port=1 + port) for port in range(MANY)), encoding="utf-8")
    before = process_time()
    written = Written(*load_with_places(path))
    loading = process_time() - before
    validated = validating.validate(path, TODAY)
    gate = gating.gate(("base", written), ("head", written), ["none"], TODAY)
    judging = process_time() - before - 2 * loading

    assert MANY == len({one.path for one in validated.breaches})
    assert (0, 0) == (len(gate.findings), len(gate.waived))
    assert judging < 20 * loading
