"""Limits hold on the wire: packets a second in all and to one host, time windows, what is denied, printers, slices."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.estate import Estate

from auditor.model.ports import ALL_PORTS, PortSet
from auditor.scan.plan.pace import OVER
from tests.live.audits import Audited, audit
from tests.live.meter import metered

pytestmark = pytest.mark.live
PAPER = Path("/run/paper")  # what printers have been sent; a lab's /run is its own
DROPS = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname lo accept
        tcp dport 22 accept
    }
}
"""
OPEN = """
table inet filter {
    chain input {
        type filter hook input priority filter
        udp dport 9100 accept
        meta l4proto udp drop
    }
}
"""
SCANNER = """
table inet filter {
    counter denied {}
    counter sent {}
    chain output {
        type filter hook output priority filter
        ip daddr 10.40.0.3 counter name denied
        oifname eth0 ip daddr 10.40.0.0/24 counter name sent
    }
}
"""
PRINTER = """
import socket, sys, threading
def tcp(port):
    listening = socket.create_server(("0.0.0.0", port))
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=take, args=(connection.recv,), daemon=True).start()
def udp(port):
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("0.0.0.0", port))
    while True:
        take(bound.recv, 1)
def take(receive, times=1000000):
    for _ in range(times):
        try:
            data = receive(65535)
        except ConnectionError:
            return
        if not data:
            return
        with open(sys.argv[1], "ab") as paper:
            paper.write(data)
for port in (515, 9100, 9107):
    threading.Thread(target=tcp, args=(port,), daemon=True).start()
threading.Thread(target=udp, args=(9100,), daemon=True).start()
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    """Hosts 1 to 3 that drop what is not ssh, 4 that refuses, and 5, a printer."""
    with Estate() as built:
        built.segment("lan")
        built.namespace("scanner")
        built.attach("scanner", "eth0", "lan", ["10.40.0.99/24"])
        built.firewall("scanner", SCANNER)
        for last in range(1, 6):
            name = f"h{last}"
            built.namespace(name)
            built.attach(name, "net", "lan", [f"10.40.0.{last}/24"])
            built.firewall(name, DROPS if last < 4 else OPEN)
            if last < 4:
                built.respond(name, "ssh,0.0.0.0,22", "redis,0.0.0.0,6379")
        built.respond("h4", "ssh,0.0.0.0,22", "ssh,0.0.0.0,60123")
        printing = [sys.executable, "-I", "-S", "-c", PRINTER, str(PAPER)]
        built.start("h5", printing, ["515/tcp", "9100/tcp", "9107/tcp", "9100/udp"])
        yield built


def inventory(folder: Path, *hosts: int, rates: dict[int, int] | None = None, **viewpoint: Any) -> Path:
    """An inventory of these hosts, each with ssh, but for the printer."""
    printing = {"printing": {"ports": ["515/tcp", "9100/tcp", "9107/tcp"], "from": ["10.40.0.99"], "reason": "paper"}}
    ssh = {"ssh": {"ports": "22/tcp", "from": ["10.40.0.99"], "class": "remote-admin", "reason": "administration"}}
    here = {"kind": "internal", "addresses": ["10.40.0.99"], "via": {"netns": "scanner"}, **viewpoint}
    document = {
        "version": 1,
        "name": "limits",
        "scope": {"allow": ["10.40.0.0/24"]},
        "viewpoints": {"here": here},
        "hosts": {
            f"h{last}": {
                "interfaces": {"lan": [f"10.40.0.{last}"]},
                "services": printing if last == 5 else ssh,
                **({"limits": {"host_rate": rates[last]}} if rates and last in rates else {}),
            }
            for last in hosts
        },
    }
    path = folder / "inventory.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def reasons(audited: Audited) -> set[str]:
    return {entry["reason"] for entry in audited.report["unverified"]}


def test_packets_a_second_in_all_and_to_one_host(estate: Estate, tmp_path: Path) -> None:
    """No second holds more than the limits: ports, UDP, versions, pings and last looks, counted at the interface."""
    path = inventory(tmp_path, 1, 2, 4, rates={2: 300}, limits={"rate": 1500})
    with metered(("scanner", "eth0", "tx"), ("h2", "net", "rx")) as (everything, frail):
        audited = audit(path, tmp_path / "out", "--profile", "quick")

    assert ([], set()) == (audited.report["findings"], reasons(audited))
    assert 1000 < everything.most() <= 1500 * 1.05, (everything.packets, everything.most())
    assert 200 < frail.most() <= 300 * 1.05, (frail.packets, frail.most())


def test_the_end_of_max_duration(estate: Estate, tmp_path: Path) -> None:
    """What is running is ended, paths are proved, what was not asked says so: exit 3; and 0s sends nothing at all."""
    path = inventory(tmp_path, 1, 2, limits={"rate": 2000})
    first = estate.packets("scanner", "sent")
    ended = audit(path, tmp_path / "out", "--max-duration", "15s")
    before = estate.packets("scanner", "sent")
    nothing = audit(path, tmp_path / "nothing", "--max-duration", "0s")

    assert 3 == ended.code
    assert OVER in reasons(ended)
    assert 0 < before - first < 65_535  # the sweep alone sends twice as many, and was ended midway
    assert [] == ended.report["findings"]
    assert ({OVER}, 3, before) == (reasons(nothing), nothing.code, estate.packets("scanner", "sent"))


def test_what_is_denied_gets_no_packet(estate: Estate, tmp_path: Path) -> None:
    """Not as a host, not as a canary, not by a ping."""
    path = inventory(tmp_path, 1, 3, canaries=["10.40.0.3:22/tcp"])
    audited = audit(path, tmp_path / "out", "--profile", "quick", "--deny", "10.40.0.3")

    left_out = {(entry["what"], entry["reason"]) for entry in audited.report["left_out"]}
    assert 0 == estate.packets("scanner", "denied")
    assert {("h3: 10.40.0.3", "denied by --deny"), ("canary 10.40.0.3", "denied by --deny")} <= left_out
    assert ([], 0) == (audited.report["findings"], audited.code)


def test_outside_its_time_windows_a_viewpoint_sends_nothing(estate: Estate, tmp_path: Path) -> None:
    """Every endpoint is unverified, and it is said when the window opens."""
    hour = datetime.now(UTC).hour
    window = f"{(hour + 2) % 24:02}:00-{(hour + 3) % 24:02}:00"
    before = estate.packets("scanner", "sent")
    audited = audit(inventory(tmp_path, 1, 2, limits={"windows": [window]}), tmp_path / "out")
    (reason,) = reasons(audited)

    assert (before, 3) == (estate.packets("scanner", "sent"), audited.code)
    assert reason.startswith(f"outside the time window {window}; it opens next at 20")


@pytest.mark.parametrize("prefix", [(), ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")])
def test_printers_print_nothing(estate: Estate, tmp_path: Path, prefix: tuple[str, ...]) -> None:
    """9100 to 9107 and 515 are looked at, and never sent a payload: by SYN, by connect, over UDP, as canaries."""
    path = inventory(tmp_path, 5, canaries=["10.40.0.5:9101/tcp", "10.40.0.5:9100/udp"])
    audited = audit(path, tmp_path / "out", "--profile", "quick", prefix=prefix)
    looked_at = {(row["protocol"], row["port"]): row["observed"] for row in audited.report["matrix"]}

    assert {"open"} == {looked_at["tcp", port] for port in (515, 9100, 9107)}
    assert not PAPER.exists() or b"" == PAPER.read_bytes()


def test_slices_add_up_to_all_ports(estate: Estate, tmp_path: Path) -> None:
    """Each audit sweeps the slice that waited longest; a port in the last slice is found when that is due."""
    path = inventory(tmp_path, 4, sweep={"slices": 2}, limits={"rate": 8000})
    audits = [audit(path, tmp_path / "out") for _ in range(2)]
    first, second = map(swept, audits)
    left_out = [e["reason"] for one in audits for e in one.report["left_out"] if e["what"].startswith("TCP ")]

    assert first != second
    assert ALL_PORTS == first | second
    assert [[], ["60123"]] == [[f["endpoints"][0]["ports"] for f in one.report["findings"]] for one in audits]
    assert ["slice 2 of 2, not looked at yet", "slice 1 of 2"] == [
        reason.partition(", last looked at ")[0] for reason in left_out
    ]


def swept(audited: Audited) -> PortSet:
    """The TCP ports that the audit's commands asked about."""
    commands = audited.report["audit"]["viewpoints"][0]["commands"]
    return PortSet.union(PortSet.parse(found[1]) for line in commands if (found := re.search(r"-sS .*-p (\S+)", line)))
