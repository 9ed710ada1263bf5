"""Slices of the undeclared ports over several audits: what is due, what is left out, what the folder remembers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor import catalogue
from auditor.drift.compare import compare
from auditor.inventory.expecting.expecting import expect
from auditor.model.expectation import Expectations
from auditor.model.inventory import Host, Interface, Inventory, Scope, Service
from auditor.model.observation import Scan
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.rotation import Rotation, slices
from auditor.model.words import Profile, Protocol, Technique
from auditor.rundir.folder import RunDir
from auditor.sweeps import Sweeps, read_rotations, rotations_as_read
from tests.builders import viewpoint

NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)
ADDRESS = ip_address("203.0.113.10")
HERE = replace(viewpoint(), slices=7)
ODD = Service("odd", PortSet.of(40001), PortSet(), ("public",), ())
ESTATE = Inventory(
    "estate",
    Scope((ip_network("203.0.113.0/24"),)),
    {},
    {"public": HERE},
    {"web": Host("web", {"public": Interface("public", (ADDRESS,))}, (ODD,))},
)


def never(count: int = 7, now: datetime = NOW) -> Rotation:
    return Rotation((None,) * count, now)


def tcp(expected: Expectations) -> PortSet:
    return expected.coverage()[ADDRESS, Protocol.TCP]


def told(sweeps: Sequence[str]) -> None:
    assert sweeps == []


def test_slices_share_the_ports_out() -> None:
    """Each from one port to another, none in two, of the same size but for one."""
    ports = ALL_PORTS - PortSet.of(22, 80)
    parts = slices(ports, 7)

    assert ports == PortSet.union(parts)
    assert (7, len(ports)) == (len(parts), sum(map(len, parts)))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_audits_one_after_the_other_cover_all_ports(tmp_path: Path) -> None:
    """Declared ports and the usual ones in each, every slice once in seven, and then the first again."""
    warned: list[str] = []
    sweeps = Sweeps(tmp_path, warned.append)
    usual = catalogue.usual_ports(Protocol.TCP)
    covered = []
    for day in range(8):
        (rotation,) = sweeps.rotations("estate", [HERE], NOW + timedelta(days=day)).values()
        covered.append(tcp(expect(ESTATE, HERE, Profile.STANDARD, rotation=rotation)))
        sweeps.note("estate", "public", rotation)

    assert ALL_PORTS == PortSet.union(covered[:7])
    assert (covered[0], []) == (covered[7], warned)
    assert all(not (usual | PortSet.of(40001)) - one for one in covered)
    assert 65535 + 6 * len(usual) <= sum(map(len, covered[:7])) <= 65535 + 6 * (len(usual) + 1)


def test_other_slices_are_left_out_with_their_age() -> None:
    """As parts of the coverage's account, by the ports that they hold."""
    rotation = Rotation((NOW - timedelta(days=3), None, NOW - timedelta(hours=30)), NOW)
    left_out = [
        (one.what, one.reason)
        for one in expect(ESTATE, HERE, Profile.STANDARD, rotation=rotation).left_out
        if one.what.startswith("TCP ")
    ]

    assert [reason for _, reason in left_out] == [
        "slice 1 of 3, last looked at 3 days ago (2026-11-21T02:00Z)",
        "slice 3 of 3, last looked at 1 day ago (2026-11-22T20:00Z)",
    ]
    assert [True, True] == [
        what.startswith(start) for (what, _), start in zip(left_out, ("TCP 2-", "TCP 4"), strict=True)
    ]


@pytest.mark.parametrize("profile", [Profile.QUICK, Profile.COMPARE])
def test_where_nothing_is_swept_there_are_no_slices(profile: Profile) -> None:
    """The profile quick looks at no undeclared ports but the usual ones, and saved evidence is what it is."""
    asked = {} if profile is Profile.COMPARE else None
    expected = expect(ESTATE, HERE, profile, rotation=never(), asked=asked)

    assert ([], None) == ([one for one in expected.left_out if "slice" in one.reason], expected.rotation)


def test_an_audit_of_some_hosts_completes_no_slice() -> None:
    """The others would never see it."""

    assert expect(ESTATE, HERE, Profile.STANDARD, hosts=["web"], rotation=never()).rotation is None
    assert never() == expect(ESTATE, HERE, Profile.STANDARD, rotation=never()).rotation


@pytest.mark.parametrize(
    ("scan", "swept"),
    [
        (Scan("public", Technique.SYN, "7.93"), True),
        (Scan("public", Technique.SYN, "7.93", errors=("nmap was killed",)), False),
        (Scan("public", Technique.SYN, "7.93", failure="no namespace"), False),
    ],
)
def test_only_a_whole_scan_has_swept_its_slice(scan: Scan, swept: bool) -> None:
    """One that was cut short, or failed, has to be made again."""

    assert swept is compare(expect(ESTATE, HERE, Profile.STANDARD, rotation=never()), scan).swept


def test_another_number_of_slices_begins_anew(tmp_path: Path) -> None:
    """What was swept before is no slice of the new ones; other inventories and viewpoints are left alone."""
    sweeps = Sweeps(tmp_path, lambda message: told([message]))
    sweeps.note("estate", "public", never())
    sweeps.note("estate", "vpn", never(2))
    sweeps.note("other", "public", never(2))

    assert never(8) == sweeps.rotation("estate", "public", 8, NOW)
    assert Rotation((NOW, None), NOW) == sweeps.rotation("other", "public", 2, NOW)
    assert [1, 1, 0] == [
        sweeps.rotation(*key, NOW).due for key in (("estate", "public", 7), ("estate", "vpn", 2), ("new", "public", 2))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": "auditor/sweeps/v1"}',
        '{"schema": "auditor/sweeps/v1", "inventories": []}',
        '{"schema": "auditor/sweeps/v1", "inventories": {"estate": {"public": {"swept": [1, 2]}}}}',
        '{"schema": "auditor/sweeps/v1", "inventories": {"estate": {"public": {"swept": ["yesterday", null]}}}}',
        '{"schema": "auditor/sweeps/v2", "inventories": {}}',
    ],
)
def test_a_record_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """It is told, begins with the first slice, and is written anew."""
    warned: list[str] = []
    sweeps = Sweeps(tmp_path, warned.append)
    path = tmp_path / "sweeps.json"
    path.write_text(text, encoding="utf-8")

    assert never(2) == sweeps.rotation("estate", "public", 2, NOW)
    assert [True] == [one.startswith(f"{path}: cannot be read (") for one in warned]
    sweeps.note("estate", "public", never(2))
    assert Rotation((NOW, None), NOW) == sweeps.rotation("estate", "public", 2, NOW)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The audit has its verdict already, and the next one sweeps the same slice."""
    warned: list[str] = []
    Sweeps(tmp_path / "missing", warned.append).note("estate", "public", never(2))

    assert [True] == [one.endswith(": the next audit sweeps the same slice again") for one in warned]


def test_audits_that_end_together_lose_nothing(tmp_path: Path) -> None:
    """Each writes what the others have written, and its own."""
    names = [f"viewpoint-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Sweeps(tmp_path, lambda m: told([m])).note("estate", name, never(2)), names))
    found = json.loads((tmp_path / "sweeps.json").read_text(encoding="utf-8"))

    assert sorted(names) == sorted(found["inventories"]["estate"])
    assert ["sweeps.json"] == [path.name for path in tmp_path.iterdir()]


def begun(tmp_path: Path, number: int, name: str = "estate", *, now: datetime = NOW) -> tuple[RunDir, Rotation]:
    """An audit in work, three slices to sweep, as the command begins one."""
    sweeps = Sweeps(tmp_path, lambda message: told([message]))
    run = RunDir(tmp_path, name, f"{number:08x}{'0' * 24}", now)
    with sweeps.choosing():
        rotations = sweeps.rotations(name, [replace(HERE, slices=3)], now)
        run.begin(rotations_as_read(rotations))
    return run, rotations["public"]


def test_audits_beside_each_other_take_different_slices(tmp_path: Path) -> None:
    """Where there are more audits than slices, the oldest again; what an ended one had taken is free."""
    runs, rotations = zip(*(begun(tmp_path, number) for number in range(4)), strict=True)
    begun(tmp_path, 9, "estate-2")
    runs[1].close()

    assert [0, 1, 2, 0] == [one.due for one in rotations]
    assert 1 == begun(tmp_path, 5)[1].due
    assert "slice 1 of 3, not looked at yet; another audit is looking at it" == dict(rotations[1].left())[0]
    assert "slice 3 of 3, not looked at yet" == dict(rotations[1].left())[2]


def test_they_do_so_where_they_begin_at_once(tmp_path: Path) -> None:
    """One looks which are taken when the one before it has taken its own."""
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda number: begun(tmp_path, number), range(3)))

    assert {0, 1, 2} == {rotation.due for _, rotation in found}


def test_what_was_taken_is_kept_for_those_who_go_on(tmp_path: Path) -> None:
    """An audit that is resumed goes on with the slice that it began with."""
    begun(tmp_path, 1)
    run, rotation = begun(tmp_path, 2)
    (again,) = read_rotations(run.request(), NOW).values()

    assert (rotation, 1) == (again, again.due)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"swept": 1}', '{"swept": {"public": []}}', "[" * 100_000, "\0"])
def test_a_damaged_request_takes_nothing(tmp_path: Path, text: str) -> None:
    """Nor does it stop those who look."""
    run, _ = begun(tmp_path, 1)
    (run.path / "run.json").write_text(text)

    assert 0 == begun(tmp_path, 2)[1].due
