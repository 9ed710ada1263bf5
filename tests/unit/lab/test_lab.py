"""The practice estate: its machines, its inventory and its list of findings agree."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from lab import loopback, practice, responders
from lab.bench import union

from auditor.inventory.loading import load
from auditor.model.words import Family, Kind, ServiceClass, Severity

ROOT = Path(__file__).parents[3]


def test_the_machines_are_the_declared_hosts() -> None:
    """Each host of the inventory is built, with its addresses on its interfaces, and nothing else is."""
    inventory = load(ROOT / "inventories/practice")
    declared = {
        name: {each.name: {str(a) for a in each.addresses} for each in host.interfaces.values() if each.addresses}
        for name, host in inventory.hosts.items()
    }
    built = {
        machine.name: {
            name: set(addresses)
            for name, addresses in (("public", machine.public), ("private", machine.private))
            if addresses
        }
        for machine in practice.MACHINES
    }

    assert declared == built


def test_the_committed_findings_use_the_program_s_words() -> None:
    """Five exposures; every finding names a declared host and service, and known words."""
    inventory = load(ROOT / "inventories/practice")
    exposures = yaml.safe_load((ROOT / "script/lab/practice-findings.yaml").read_text(encoding="utf-8"))

    assert len(exposures) == 5
    for finding in (finding for found in exposures.values() for finding in found):
        assert finding["service"] in {service.name for service in inventory.hosts[finding["host"]].services}
        assert finding["viewpoint"] in inventory.viewpoints
        Kind(finding["kind"]), Family(finding["family"]), ServiceClass(finding["class"]), Severity(finding["severity"])


def test_the_loopback_inventory_is_valid() -> None:
    """The fallback declares only loopback addresses beyond 127.0.0.1."""
    inventory = load(ROOT / "inventories/practice-loopback.yaml")
    addresses = {a for host in inventory.hosts.values() for each in host.interfaces.values() for a in each.addresses}

    assert all(address.is_loopback for address in addresses)
    assert {listener.split(",")[1] for listener in loopback.LISTENS + loopback.MISTAKES} <= {str(a) for a in addresses}


@pytest.mark.parametrize("listener", [each for machine in practice.MACHINES for each in machine.listens])
def test_every_listener_has_a_responder(listener: str) -> None:
    """What a machine listens with is something that the responders speak."""

    assert listener.split(",", maxsplit=1)[0] in responders.TCP.keys() | responders.UDP.keys()


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [([], 0.0), ([(1.0, 3.0)], 2.0), ([(1.0, 3.0), (2.0, 5.0), (7.0, 8.0)], 5.0), ([(1.0, 9.0), (2.0, 3.0)], 8.0)],
)
def test_the_benchmark_counts_no_second_twice(spans: list[tuple[float, float]], seconds: float) -> None:
    """Overlapping processes count once, gaps not at all."""

    assert seconds == union(spans)


def test_no_module_of_the_lab_needs_one_that_needs_it() -> None:
    """Whoever reads one can read what it stands on before; imports within functions count."""
    lab = ROOT / "script" / "lab"
    needs: dict[str, set[str]] = {}
    for path in lab.glob("*.py"):
        found: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "lab":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lab."):
                found.add(str(node.module).removeprefix("lab."))
        needs[path.stem] = found

    assert list(TopologicalSorter(needs).static_order())  # raises CycleError, which names the circle
    assert {"drawing", "truth", "drawn"} <= needs["random_estate"]
