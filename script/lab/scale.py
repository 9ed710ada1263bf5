"""How loading, validating, expecting and the gate grow with the inventory: 1,000, 10,000 and 100,000 hosts.

Each host has six services and an address of both families; 10,000 hosts stand in one file. Every measurement is made in
a process of its own: its processor time, which other work on the machine hardly changes, and its biggest memory. Beside
each stands PyYAML's own loader on the same files, since that is what a figure of another machine can be compared by.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from statistics import median
from time import process_time

import yaml

from auditor.addresses import difference
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.words import Profile

SIZES = {1_000: 3, 10_000: 3, 100_000: 1}  # hosts: measurements, of which the median counts
PEER_UP_TO = 10_000  # hosts; 100,000 take PyYAML minutes and 4 GB
HOSTS_A_FILE = 10_000
TARGETS = {10_000: (6, 300), 100_000: (60, 2000)}  # hosts: seconds and MB in all
GATE_SECONDS, SETS_SECONDS = 15, 0.5
NETWORKS = 10_000
CHANGED = 100  # one host in so many differs between BASE and HEAD

_HEAD = """version: 1
name: scale
scope:
  allow: [10.0.0.0/8, "2001:db8::/32"]
ranges:
  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}
  bastion: [203.0.113.7, "2001:db8:1::7"]
  app: [10.20.0.0/16]
viewpoints:
  internal:
    kind: internal
    addresses: [10.20.1.50, "2001:db8:f::50"]
"""
_SERVICES = (
    ("ssh", 22, "bastion", "remote-admin"),
    ("https", 443, "internet", "public-web"),
    ("http", 80, "internet", "public-web"),
    ("app", 8080, "app", "public-web"),
    ("db", 5432, "app", "data-store"),
    ("metrics", 9100, "bastion", "diagnostics"),
)


def write(folder: Path, hosts: int, *, changed: bool = False) -> Path:
    """Write an inventory; with `changed`, one host in a hundred shows its SSH to the application subnet too."""
    folder.mkdir()
    (folder / "estate.yaml").write_text(_HEAD, encoding="utf-8")
    for first in range(0, hosts, HOSTS_A_FILE):
        lines = ["version: 1\nhosts:\n"]
        for number in range(first, min(hosts, first + HOSTS_A_FILE)):
            lines += _host(number, changed=changed and number % CHANGED == 0)
        (folder / f"hosts-{first // HOSTS_A_FILE:02}.yaml").write_text("".join(lines), encoding="utf-8")
    return folder


def _host(number: int, *, changed: bool) -> Iterator[str]:
    high, low = divmod(number, 65536)
    yield f"  host-{number}:\n    owner: team-{number % 20}\n    tags: [production]\n    interfaces:\n"
    yield f'      public: [10.{32 + high}.{low >> 8}.{low & 255}, "2001:db8:{high:x}:1::{low:x}"]\n    services:\n'
    for name, port, source, service_class in _SERVICES:
        sources = "bastion, app" if changed and name == "ssh" else source
        yield f"      {name}: {{ports: {port}/tcp, class: {service_class}, interfaces: [public], from: [{sources}], "
        yield "reason: some reason here}\n"


# What runs in processes of their own, and prints seconds as JSON.


def measure(folder: Path) -> dict[str, float]:
    start = process_time()
    inventory = load(folder)
    loaded = process_time()
    expect(inventory, inventory.viewpoints["internal"], Profile.STANDARD)
    return {"load": loaded - start, "expect": process_time() - loaded}


def peer(folder: Path) -> dict[str, float]:
    start = process_time()
    for path in sorted(folder.iterdir()):
        with path.open(encoding="utf-8") as file:
            yaml.load(file, Loader=yaml.CSafeLoader)
    return {"load": process_time() - start}


def sets(_: Path) -> dict[str, float]:
    """Two sides of 10,000 CIDRs, half of them the same, as a widened and narrowed source range has them."""
    chance = random.Random(1)
    lengths = [chance.randint(16, 32) for _ in range(NETWORKS * 3 // 2)]
    every = [IPv4Network((chance.getrandbits(length) << 32 - length, length)) for length in lengths]
    start = process_time()
    difference(every[:NETWORKS], every[NETWORKS // 2 :])
    return {"sets": process_time() - start}


MEASURES: dict[str, Callable[[Path], dict[str, float]]] = {"measure": measure, "peer": peer, "sets": sets}


@dataclass(frozen=True, slots=True)
class Run:
    """One process: what it printed, its processor time, and the most memory it had."""

    figures: dict[str, float]
    seconds: float
    megabytes: float


def run(argv: list[str], *, allowed: tuple[int, ...] = (0,)) -> Run:
    """Run a command to its end. Raises RuntimeError where it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode not in allowed:
            raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}: {err.read(500).decode()}")
        figures = json.loads(out.read()) if argv[1] == "-m" else {}
    return Run(figures, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def here(name: str, folder: Path) -> Run:
    return run([sys.executable, "-m", "lab.scale", name, str(folder)])


def auditor(*arguments: str | Path, allowed: tuple[int, ...] = (0,)) -> Run:
    main = "from auditor.cli.main import main; main()"
    return run([sys.executable, "-c", main, *map(str, arguments)], allowed=allowed)


def _growth(folder: Path) -> None:
    print(f"{'hosts':>7} {'load':>7} {'validate':>9} {'expect':>7} {'in all':>7} {'ms/host':>8} {'growth':>7} ", end="")
    print(f"{'peak MB':>8} {'PyYAML':>7} {'load/PyYAML':>12}  target")
    first = 0.0
    for hosts, times in SIZES.items():
        path = write(folder / str(hosts), hosts)
        runs = [(here("measure", path), auditor("validate", path)) for _ in range(times)]
        loading, expecting = (median(one.figures[name] for one, _ in runs) for name in ("load", "expect"))
        validating = median(one.seconds for _, one in runs)  # the whole command: start, load, policy, lint
        peak = max(one.megabytes for pair in runs for one in pair)
        whole = validating + expecting
        first = first or whole / hosts
        cells = f"{hosts:>7,} {loading:>7.2f} {validating:>9.2f} {expecting:>7.2f} {whole:>7.2f} "
        cells += f"{whole / hosts * 1000:>8.2f} {whole / hosts / first:>7.2f} {peak:>8.0f} "
        if hosts <= PEER_UP_TO:
            other = median(here("peer", path).figures["load"] for _ in range(times))
            cells += f"{other:>7.2f} {loading / other:>12.2f}"
        else:
            cells += f"{'–':>7} {'–':>12}"
        seconds, megabytes = TARGETS.get(hosts, (None, None))
        print(cells + (f"  {seconds} s, {megabytes:,} MB" if seconds else "").rstrip(), flush=True)


def main() -> int:
    match sys.argv[1:]:
        case [name, folder] if name in MEASURES:
            print(json.dumps(MEASURES[name](Path(folder))))
            return 0
    print("processor seconds; six services a host, both families, one viewpoint, profile standard")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _growth(folder)
        base, head = folder / "10000", write(folder / "head", 10_000, changed=True)
        gate = auditor("gate", base, head, allowed=(0, 1))
        print(f"gate of two inventories of 10,000 hosts, 1 % of them changed: {gate.seconds:.1f} s, ", end="")
        print(f"{gate.megabytes:.0f} MB (target: at most {GATE_SECONDS} s)")
        seconds = median(here("sets", folder).figures["sets"] for _ in range(3))
        print(f"difference of two sets of {NETWORKS:,} CIDRs: {seconds:.2f} s (target: at most {SETS_SECONDS} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
