"""The benchmark of big inventories measures what it says."""

from __future__ import annotations

from pathlib import Path

from lab import scale

from auditor.inventory.loading import load


def test_the_inventory_is_as_big_as_it_says(tmp_path: Path, monkeypatch) -> None:
    """Every host has six services and both families, over as many files as are needed."""
    monkeypatch.setattr(scale, "HOSTS_A_FILE", 10)

    found = load(scale.write(tmp_path / "estate", 25))

    assert len(found.files) == 4
    assert [(6, 2)] * 25 == [
        (len(host.services), len(host.interfaces["public"].addresses)) for host in found.hosts.values()
    ]


def test_head_differs_in_one_host_of_a_hundred(tmp_path: Path) -> None:
    """The gate is measured on inventories of which one service in six hundred differs."""
    base = load(scale.write(tmp_path / "base", 200))
    head = load(scale.write(tmp_path / "head", 200, changed=True))

    sources = [
        [
            (host.name, one.name, tuple(source.name for source in one.sources))
            for host in each.hosts.values()
            for one in host.services
        ]
        for each in (base, head)
    ]
    assert [("host-0", "ssh", ("bastion", "app")), ("host-100", "ssh", ("bastion", "app"))] == sorted(
        set(sources[1]) - set(sources[0])
    )


def test_a_measurement_is_a_process_of_its_own(tmp_path: Path) -> None:
    """Its figures come back with its own processor time and memory."""
    found = scale.here("measure", scale.write(tmp_path / "estate", 3))

    assert {"load", "expect"} == set(found.figures)
    assert found.seconds >= sum(found.figures.values())
    assert found.megabytes > 1
