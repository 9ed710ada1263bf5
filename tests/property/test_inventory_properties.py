"""Any text is an inventory or an InventoryError, and expectations partition the coverage."""

from __future__ import annotations

import json
from copy import deepcopy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.errors import InventoryError
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.inventory.reading.schema import decider
from auditor.inventory.reading.text import dotted
from auditor.inventory.reading.wording import wording
from auditor.model.inventory import Inventory
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState, Family, Profile, Protocol

SLOW_FIXTURES = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)

GOOD: dict[str, Any] = {
    "version": 1,
    "name": "estate",
    "scope": {"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.9.0.0/16"]},
    "ranges": {"net": {"cidrs": ["0.0.0.0/0", "::/0"], "trust": "untrusted"}, "one": ["10.0.0.9"]},
    "viewpoints": {
        "v": {
            "kind": "internal",
            "addresses": ["10.0.0.9"],
            "targets": ["10.0.0.0/8"],
            "canaries": ["10.0.0.8:22/tcp"],
            "via": {"netns": "n"},
            "limits": {"rate": 10, "hosts": 2, "windows": ["22:00-06:00 Europe/Berlin"]},
        }
    },
    "roles": {"r": {"owner": "o", "tags": ["t"], "services": {"s": {"ports": "22/tcp", "from": ["one"]}}}},
    "hosts": {
        "a": {
            "roles": ["r"],
            "interfaces": {"lan": ["10.0.0.1", "2001:db8::1"], "wan": {"addresses": ["10.1.0.1"]}},
            "services": {
                "s": {"interfaces": ["lan"]},
                "w": {"ports": ["443/tcp", "1-9/udp"], "interfaces": ["wan"], "from": ["net"], "behind": "s"},
                "n": None,
            },
        },
        "b": {"interfaces": {"lan": ["10.0.0.2"]}, "members": ["a"]},
    },
}
WORDS = st.sampled_from(
    [
        "",
        "a",
        "s",
        "lan",
        "net",
        "host:a",
        "role:r",
        "db.example.com",
        "10.0.0.1",
        "10.0.0.1/8",
        "22/tcp",
        "0/tcp",
        "x-y",
        "..",
        "-",
    ]
)
KEYS = st.sampled_from(["a", "s", "ports", "from", "cidrs", "x-k"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70000) | FLOATS | WORDS | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in the data."""
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(deeper for step, value in steps for deeper in paths(value, (*path, step)))]


SECTIONS = {"ranges", "viewpoints", "roles", "hosts", "services", "interfaces"}
PATHS = paths(GOOD)[1:]
NAMES = st.sampled_from(["", "a", "all", "a/b", "a~1b", "0", "lan", "interfaces", " ", "x-k", "10.0.0.1", "\x1b", "é"])

# Where the parts of an inventory meet in every way there is.
RICH: dict[str, Any] = deepcopy(GOOD)
RICH["ranges"]["less"] = {"cidrs": ["10.0.0.0/8"], "except": ["10.0.0.0/9"], "trust": "trusted"}
RICH["viewpoints"]["public"] = {
    "kind": "public",
    "addresses": ["192.0.2.1", "2001:db8:1::1"],
    "canaries": ["2001:db8::1"],
}
RICH["roles"]["r"]["services"]["s"] |= {
    "reason": "a",
    "class": "remote-admin",
    "protocol": "ssh",
    "interfaces": ["lan"],
}
RICH["roles"]["other"] = {"services": {"s": deepcopy(RICH["roles"]["r"]["services"]["s"]) | {"reason": "b"}}}
RICH["roles"]["third"] = deepcopy(RICH["roles"]["r"])
RICH["hosts"]["a"] |= {"owner": "me", "tags": ["t"], "firewall": ["ufw"], "roles": ["r", "other", "third"]}
RICH["hosts"]["a"]["services"]["s"] |= {"reason": "c", "review_by": "2026-12-31", "optional": True}
RICH["hosts"]["a"]["services"]["w"] |= {"class": "public-web", "families": ["ipv4"]}
RICH["hosts"]["a"]["services"]["w2"] = {
    "ports": "443/tcp",
    "interfaces": ["wan"],
    "from": ["less"],
    "class": "public-web",
    "behind": "a.s",
}
RICH["hosts"]["b"]["services"] = {"x": {"ports": "1/tcp", "from": ["net", "10.0.0.7"], "behind": "a.w"}}
RICH["hosts"]["b"]["services"]["local"] = {"ports": "2/tcp", "interfaces": ["loopback"]}
NAMED = [path for path in paths(RICH) if SECTIONS.intersection(path[-2:-1]) and isinstance(path[-1], str)]


@SLOW_FIXTURES
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    """Bytes of any kind are an InventoryError at worst."""
    path = tmp_path / "any.yaml"
    path.write_bytes(content)

    with pytest.raises(InventoryError):
        load(path)


@settings(SLOW_FIXTURES, max_examples=400)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK, st.none() | NAMES), min_size=1, max_size=3))
def test_any_change(tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any, str | None]]) -> None:
    """Whatever value or key is put into a good inventory, it loads or is told what is wrong; both validators agree."""
    data = deepcopy(GOOD)
    for path, junk, name in changes:
        parent = data
        try:
            for step in path[:-1]:
                parent = parent[step]
            if isinstance(parent, dict) and not isinstance(path[-1], str):
                continue  # an earlier change put a map where the list was; JSON has no such key
            if name is None:
                parent[path[-1]] = junk
            elif isinstance(parent, dict):
                parent[name] = parent.pop(path[-1])
        except (KeyError, IndexError, TypeError):
            continue
    file = tmp_path / "changed.json"
    file.write_text(json.dumps(data), encoding="utf-8")

    assert decider().is_valid(data) == wording().is_valid(data)
    try:
        assert isinstance(load(file), Inventory)
    except InventoryError as error:
        assert error.problems
        assert all(str(problem).isprintable() for problem in error.problems)


def problems(folder: Path, data: dict[str, Any]) -> list[str]:
    """The paths of what is wrong."""
    file = folder / "inventory.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    try:
        load(file)
    except InventoryError as error:
        return [problem.path for problem in error.problems]
    return []


def test_the_rich_inventory_is_good(tmp_path: Path) -> None:
    """What the next properties break is whole before."""
    assert problems(tmp_path, RICH) == []


@pytest.mark.parametrize("path", paths(RICH)[1:], ids=dotted)
def test_one_wrong_part_is_one_problem(tmp_path: Path, path: tuple[Any, ...]) -> None:
    """A part of the wrong kind is told where it stands, and nothing else seems wrong because of it."""
    data = deepcopy(RICH)
    parent = data
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = 1.5

    assert problems(tmp_path, data) == [dotted(path)]


@pytest.mark.parametrize("path", NAMED, ids=dotted)
def test_one_bad_name_is_one_problem(tmp_path: Path, path: tuple[Any, ...]) -> None:
    """What has a bad name is told by it, and whatever may mean it is not called unknown."""
    data = deepcopy(RICH)
    parent = data
    for step in path[:-1]:
        parent = parent[step]
    parent["k k"] = parent.pop(path[-1])

    assert problems(tmp_path, data) == [dotted((*path[:-1], "k k"))]


PORT, PROTOCOL = st.integers(1, 12), st.sampled_from(["tcp", "udp"])
SPAN = st.builds(lambda one, other, protocol: f"{min(one, other)}-{max(one, other)}/{protocol}", PORT, PORT, PROTOCOL)
SERVICES = st.lists(
    st.fixed_dictionaries(
        {
            "ports": st.lists(SPAN, min_size=1, max_size=2),
            "interfaces": st.lists(st.sampled_from(["lan", "wan", "loopback"]), min_size=1, max_size=2, unique=True),
            "from": st.lists(st.sampled_from(["net", "one", "192.0.2.0/24"]), min_size=1, max_size=2),
            "families": st.sampled_from([["ipv4"], ["ipv6"], ["ipv4", "ipv6"]]),
            "optional": st.booleans(),
        }
    ),
    max_size=5,
)
ADDRESSES = ["10.0.0.1", "10.1.0.1", "2001:db8::1", "10.0.0.77", "10.9.0.1", "192.0.2.1", "10.0.0.9"]
ASKED = st.none() | st.dictionaries(
    st.tuples(st.sampled_from(ADDRESSES).map(ip_address), st.sampled_from(Protocol)),
    st.sets(st.integers(1, 14), max_size=6).map(lambda ports: PortSet.of(*ports)),
)


@settings(SLOW_FIXTURES, max_examples=150)
@given(SERVICES, ASKED, st.sampled_from([Profile.QUICK, Profile.STANDARD, Profile.FULL]))
def test_expectations_partition_the_coverage(
    tmp_path: Path, services: list[dict[str, Any]], asked: Any, profile: Profile
) -> None:
    """Each endpoint is in exactly one expectation, and each is as the rules say, worked out one endpoint at a time."""
    data = deepcopy(GOOD)
    data["viewpoints"]["v"] |= {"addresses": ["10.0.0.9", "2001:db8::9"], "targets": ["10.0.0.0/8", "2001:db8::/32"]}
    data["hosts"]["a"] |= {"roles": [], "services": {f"s{i}": service for i, service in enumerate(services)}}
    file = tmp_path / "estate.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    inventory = load(file)
    viewpoint = inventory.viewpoints["v"]

    found = expect(inventory, viewpoint, profile, asked=asked)

    assert sum(len(each.ports) for each in found.expectations) == sum(map(len, found.coverage().values()))
    for each in found.expectations:
        assert each.ports
        for port in [port for port in each.ports if port <= 15]:
            assert (each.state, each.basis, each.service and each.service.name) == worked_out(inventory, each, port)


@settings(SLOW_FIXTURES, max_examples=60)
@given(SERVICES, SERVICES, ASKED, st.sampled_from([Profile.QUICK, Profile.STANDARD]))
def test_company_changes_no_expectation(
    tmp_path: Path, services: list[dict[str, Any]], others: list[dict[str, Any]], asked: Any, profile: Profile
) -> None:
    """What hosts have in common is worked out once, and each is expected to be as it would be alone."""
    data = deepcopy(GOOD)
    data["viewpoints"]["v"] |= {"addresses": ["10.0.0.9", "2001:db8::9"], "targets": ["10.0.0.0/8", "2001:db8::/32"]}
    for name, number, declared in (("a", 1, services), ("b", 2, services), ("c", 3, others), ("d", 4, services)):
        interfaces = {"lan": [f"10.0.0.{number}", f"2001:db8::{number}"], "wan": [f"10.1.0.{number}"]}
        own = {f"{name}{i}": service for i, service in enumerate(declared)}
        data["hosts"][name] = {"interfaces": interfaces, "services": own}
    file = tmp_path / "estate.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    inventory = load(file)
    viewpoint = inventory.viewpoints["v"]

    found = expect(inventory, viewpoint, profile, asked=asked)

    for name in inventory.hosts:
        alone = expect(inventory, viewpoint, profile, asked=asked, hosts=[name])
        assert alone.expectations == tuple(one for one in found.expectations if one.host == name)


def worked_out(inventory: Inventory, each: Any, port: int) -> tuple[ExpectedState, Basis, str | None]:
    """The rules in their plainest form."""
    host = inventory.hosts.get(each.host)
    family = Family.of(each.address)
    source = inventory.viewpoints["v"].address_of(family)
    declaring = [one for one in (host.services if host else ()) if port in one.ports(each.protocol)]
    attached = [one for one in declaring if each.interface in one.interfaces]
    here = [one for one in attached if family in one.families]
    first = (here or attached or declaring or [None])[0]
    name = first.name if first else None
    if here and source and any(one.admits(source) for one in here):
        state = ExpectedState.PERMITTED if all(one.optional for one in here) else ExpectedState.REACHABLE
        return state, Basis.DECLARED, name
    if here:
        return ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES, name
    if attached:
        return ExpectedState.BLOCKED, Basis.OTHER_FAMILY, name
    return ExpectedState.BLOCKED, Basis.OTHER_INTERFACE if declaring else Basis.UNDECLARED, name
