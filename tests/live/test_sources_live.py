"""A viewpoint without a fixed address, on the wire: where it stands is found out, and decides what is meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import Audited, audit

pytestmark = pytest.mark.live
INVENTORY = """
version: 1
name: sources
scope: {allow: [10.81.1.0/24, 10.81.2.0/24]}
ranges: {pods: [10.81.1.0/25]}
viewpoints:
  pod: {kind: container, addresses: auto, within: WITHIN, targets: [10.81.1.0/24, 10.81.2.0/24], via: {netns: src-pod}}
hosts:
  web: {owner: o, interfaces: {lan: [10.81.1.3]}, services: {ssh: {ports: 22/tcp, from: [10.81.1.2], reason: r}}}
  db: {owner: o, interfaces: {lan: [10.81.2.3]}, services: {redis: {ports: 6379/tcp, from: [10.81.2.2], reason: r}}}
"""


@pytest.fixture(scope="module")
def _estate() -> Iterator[None]:
    """A pod with an address in each of two networks, and a host in each."""
    with Estate() as built:
        for segment in ("src-one", "src-two"):
            built.segment(segment)
        built.namespace("src-pod")
        for name, net, service in (("src-web", 1, "ssh,0.0.0.0,22"), ("src-db", 2, "redis,0.0.0.0,6379")):
            segment = "src-one" if net == 1 else "src-two"
            built.attach("src-pod", f"eth{net}", segment, [f"10.81.{net}.2/24"])
            built.namespace(name)
            built.attach(name, "eth0", segment, [f"10.81.{net}.3/24"])
            built.settings(name, {"ipv4/icmp_ratelimit": 0, "ipv4/icmp_msgs_per_sec": 100000})
            built.respond(name, service)
        yield


def audited(folder: Path, within: str, *options: str) -> Audited:
    path = folder / "inventory.yaml"
    path.write_text(INVENTORY.replace("WITHIN", within), encoding="utf-8")
    return audit(path, folder / "reports", "--profile", "quick", *options)


def why(found: Audited, host: str) -> set[str]:
    return {one["reason"] for one in found.report["unverified"] if one["host"] == host}


@pytest.mark.usefixtures("_estate")
def test_the_address_that_is_used_decides(tmp_path: Path) -> None:
    """The range is wider than the service's clients; the address found is one of them. It is recorded, and for good."""
    found = audited(tmp_path, "pods", "--host", "web")
    (view,) = found.report["audit"]["viewpoints"]
    run = tmp_path / "reports" / "latest" / "run.json"

    assert (found.code, found.report["findings"], found.report["unverified"]) == (0, [], []), found.stdout
    assert (view["addresses"], view["within"]) == (["10.81.1.2"], ["10.81.1.0/25"])
    assert json.loads(run.read_text())["sources"] == {"pod": ["10.81.1.2"]}


@pytest.mark.usefixtures("_estate")
def test_outside_the_range_nothing_is_probed_and_nothing_verified(tmp_path: Path) -> None:
    """Whoever stands elsewhere sees something else."""
    found = audited(tmp_path, "10.82.0.0/16")
    (view,) = found.report["audit"]["viewpoints"]

    assert (found.code, found.report["findings"], view["addresses"]) == (3, [], [])
    assert found.report["summary"]["endpoints"]["verified"] == 0
    assert not [line for line in view["commands"] if "10.81." in line]
    (reason,) = why(found, "web")
    assert "from 10.81.1.2, but viewpoint pod is declared within 10.82.0.0/16; correct `within`" in reason


@pytest.mark.usefixtures("_estate")
def test_what_is_reached_from_elsewhere_is_unverified_alone(tmp_path: Path) -> None:
    """Whether from outside the range, or from another address within it."""
    outside = audited(tmp_path, "pods")
    assert (outside.code, why(outside, "web")) == (3, set())
    (reason,) = why(outside, "db")
    assert "from 10.81.2.2, but viewpoint pod is declared within 10.81.1.0/25" in reason

    other = audited(tmp_path, "10.81.0.0/16")
    assert (other.code, why(other, "web")) == (3, set())
    (reason,) = why(other, "db")
    assert "probes to it from 10.81.2.2, and others from 10.81.1.2" in reason
