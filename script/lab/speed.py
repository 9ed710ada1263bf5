"""A `standard` audit of 20 addresses, side by side with nmap by hand: how long each takes, and what each finds.

    python3 -m lab.enter python3 -m lab.speed [--only a|b|c] [--rounds N] [--rate R] [--ports 1-9999]

The lab: ten hosts that drop all but a few ports, two that refuse by ICMP, two by reset, six without a firewall, one of
them with real servers and one with a service that says nothing; 94 TCP ports are open. What is compared:

a  our audit with `nmap -sV -p-` of the same addresses
b  our audit with the best that can be tuned by hand: a SYN sweep, then `-sV` of what is open, eight runs side by side
c  our audit with the nmap processes that it ran itself

all at one packet rate. The audit does more than they: UDP, pings, a second look at what is silent. Every run has to
find all open ports; what it misses is named. Figures, no verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import monotonic, time

from lab.bench import union
from lab.estate import Estate

RATE = 45_000
GOALS = {"a": "at least 10", "b": "at most 1.1", "c": "at most 1.03"}
SIDE_BY_SIDE = 8
Ports = set[tuple[str, int]]

_ROUTER, _SCANNER = "10.40.0.1", "198.51.100.20"
_DROP = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname lo accept
        %s
    }
}
"""
_REFUSALS = {"icmp": "reject with icmpx admin-prohibited", "rst": "meta l4proto tcp reject with tcp reset"}
_PRINTERS = {515, *range(9100, 9108)}
_KINDS = ("ssh", "nginx", "app", "redis", "postgres", "https", "dns-tcp")
_SHIM = """#!/bin/sh
start=$(date +%s.%N)
{nmap} "$@"
code=$?
echo "$start $(date +%s.%N) $*" >>{spans}
exit $code
"""


@dataclass(frozen=True)
class Machine:
    """A host of the lab: `listens` are (what, port); what it refuses with, or `drop`, or `open`."""

    name: str
    address: str
    kind: str
    listens: tuple[tuple[str, int], ...]

    @property
    def ports(self) -> tuple[int, ...]:
        return tuple(port for _, port in self.listens)


def machines() -> list[Machine]:
    chance = random.Random(1)
    few = [(("ssh", 22), ("https", 443))] * 3
    few += [(("redis", 6379),), (("postgres", 5432),), (("exporter", 9100),), (("ssh", 2222),), (), (), ()]
    kinds = [("drop", listens) for listens in few]
    kinds += [(kind, (("ssh", 22), ("nginx", 80))) for kind in ("icmp", "icmp", "rst", "rst")]
    kinds += [("open", (("sshd", 22), ("dnsmasq", 53), ("real-nginx", 80), ("real-nginx", 443), ("real-redis", 6379)))]
    for number in range(5):
        count = 15 if number == 4 else 14
        chosen = chance.sample([port for port in range(1, 60_000) if port not in _PRINTERS], count)
        listens = [(_KINDS[place % len(_KINDS)], port) for place, port in enumerate(chosen)]
        listens[0] = (("silent", "odd", "app", "app", "app")[number], listens[0][1])
        kinds.append(("open", tuple(listens)))
    return [Machine(f"{kind}-{n}", f"10.40.0.{n + 10}", kind, listens) for n, (kind, listens) in enumerate(kinds)]


def build(estate: Estate, state: Path) -> None:
    for segment in ("transit", "lan"):
        estate.segment(segment)
    estate.namespace("router", forwarding=True)
    estate.attach("router", "up", "transit", ["198.51.100.1/24"])
    estate.attach("router", "lan", "lan", [f"{_ROUTER}/24"])
    estate.namespace("scanner")
    estate.attach("scanner", "eth0", "transit", [f"{_SCANNER}/24"], via=["198.51.100.1"])
    for machine in machines():
        estate.namespace(machine.name)
        estate.attach(machine.name, "net", "lan", [f"{machine.address}/24"], via=[_ROUTER])
        if machine.kind != "open":
            admit = f"tcp dport {{ {', '.join(map(str, machine.ports))} }} accept" if machine.ports else ""
            estate.firewall(machine.name, _DROP % f"{admit}\n{_REFUSALS.get(machine.kind, '')}")
        made_up = [f"{what},0.0.0.0,{port}" for what, port in machine.listens if what not in _REAL]
        if made_up:
            estate.respond(machine.name, *made_up)
        for what in dict.fromkeys(what for what, _ in machine.listens if what in _REAL):
            _REAL[what](estate, machine.name, state)


def _sshd(estate: Estate, name: str, state: Path) -> None:
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(state / "key")], check=True)
    options = ["-D", "-f", "/dev/null", "-h", str(state / "key"), "-o", "PidFile=none"]
    estate.start(name, [_program("sshd"), *options], ["22/tcp"])


def _nginx(estate: Estate, name: str, state: Path) -> None:
    tls = Path(__file__).with_name("tls")
    config = state / "nginx.conf"
    config.write_text(
        f"user root; daemon off; pid {state}/nginx.pid; error_log stderr crit;\nevents {{}}\n"
        "http { access_log off; server { listen 80; listen 443 ssl;"
        f" ssl_certificate {tls}/cert.pem; ssl_certificate_key {tls}/key.pem; }} }}\n",
        encoding="utf-8",
    )
    estate.start(name, [_program("nginx"), "-e", "stderr", "-c", str(config)], ["80/tcp", "443/tcp"])


def _redis(estate: Estate, name: str, state: Path) -> None:
    options = ["--bind", "*", "--protected-mode", "no", "--save", "", "--dir", str(state)]
    estate.start(name, [_program("redis-server"), *options], ["6379/tcp"])


def _dnsmasq(estate: Estate, name: str, _state: Path) -> None:
    options = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file",
    ]
    estate.start(name, [_program("dnsmasq"), *options], ["53/tcp"])


_REAL = {"sshd": _sshd, "real-nginx": _nginx, "real-redis": _redis, "dnsmasq": _dnsmasq}


def _program(name: str) -> str:
    return shutil.which(name) or sys.exit(f"speed: {name} is not installed")


def inventory(folder: Path, rate: int) -> Path:
    """Four of five open ports are declared; the others are what an audit is for."""
    hosts, count = {}, 0
    for machine in machines():
        services = {}
        for what, port in machine.listens:
            count += 1
            if count % 5:
                services[f"{what}-{port}"] = {"ports": f"{port}/tcp", "from": ["scanner"], "reason": "made for a race"}
        hosts[machine.name] = {"interfaces": {"net": [machine.address]}, "services": services}
    path = folder / "inventory.json"
    viewpoint = {"kind": "internal", "addresses": [_SCANNER], "via": {"netns": "scanner"}, "limits": {"rate": rate}}
    text = {
        "version": 1,
        "name": "speed",
        "scope": {"allow": ["10.40.0.0/24"]},
        "ranges": {"scanner": [_SCANNER]},
        "viewpoints": {"scanner": viewpoint},
        "hosts": hosts,
    }
    path.write_text(json.dumps(text), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Outcome:
    """One run: seconds, what it found open, and how many of those it recognised by what they said."""

    seconds: float
    found: Ports
    recognised: int
    nmap: float = 0.0  # seconds in which a process of nmap ran
    start: float = 0.0  # seconds until the first of them


def audit(folder: Path, rate: int) -> Outcome:
    nmap, spans_file, out = _program("nmap"), folder / "spans", folder / "reports"
    shim = folder / "bin" / "nmap"
    shim.parent.mkdir(exist_ok=True)
    shim.write_text(_SHIM.format(nmap=nmap, spans=spans_file), encoding="utf-8")
    shim.chmod(0o755)
    spans_file.unlink(missing_ok=True)
    path = f"{shim.parent}:{os.environ['PATH']}"
    auditor = [sys.executable, "-c", "from auditor.cli.main import main; main()"]
    argv = [*auditor, "audit", str(inventory(folder, rate)), "-v", "-o", str(out)]
    with (folder / "log").open("wb") as log:
        began, started = time(), monotonic()
        code = subprocess.run(argv, env={**os.environ, "PATH": path}, stdout=log, stderr=log, check=False).returncode
        wall = monotonic() - started
    if keep := os.environ.get("KEEP"):  # to see where the time goes
        shutil.copy(folder / "log", keep)
        shutil.copy(spans_file, f"{keep}.spans")
    if code not in (1, 3):
        sys.exit(f"speed: the audit ended with exit code {code}:\n{(folder / 'log').read_text()[-2000:]}")
    report = json.loads((out / "latest" / "report.json").read_text(encoding="utf-8"))
    rows = [row for row in report["matrix"] if row["observed"] == "open" and row["protocol"] == "tcp"]
    runs = [line.split(" ", 2) for line in spans_file.read_text(encoding="utf-8").splitlines()]
    spans = [(float(start), float(end)) for start, end, words in runs if "-oX" in words]
    return Outcome(
        wall,
        {(row["address"], int(row["port"])) for row in rows},
        sum("identity" in row for row in rows),
        union(spans),
        min(start for start, _ in spans) - began,
    )


def nmap_alone(rate: int, ports: str) -> Outcome:
    """What people do: all ports, and what answers there.

    It waits for 19 of 20 seconds, so several of them side by side take as long as one.
    """
    started = monotonic()
    found, recognised = _nmap("-sV", "-p", ports, "-Pn", "-n", "--max-rate", str(rate), *_addresses())
    return Outcome(monotonic() - started, found, recognised)


def nmap_by_hand(rate: int, ports: str) -> Outcome:
    """A sweep at a minimum rate, then what answers, on each host its open ports, eight hosts side by side."""
    started = monotonic()
    sweep = ("-sS", "-n", "-Pn", "-T4", "--min-rate", str(rate), "--max-rate", str(rate), "--max-retries", "1")
    found, _ = _nmap(*sweep, "-p", ports, *_addresses())
    hosts: dict[str, list[int]] = {}
    for address, port in sorted(found):
        hosts.setdefault(address, []).append(port)

    def ask(address: str) -> tuple[Ports, int]:
        return _nmap("-sV", "-n", "-Pn", "-T4", "-p", ",".join(map(str, hosts[address])), address)

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        asked = list(pool.map(ask, sorted(hosts, key=lambda host: -len(hosts[host]))))
    return Outcome(monotonic() - started, found, sum(recognised for _, recognised in asked))


def _addresses() -> list[str]:
    return [machine.address for machine in machines()]


def _nmap(*words: str) -> tuple[Ports, int]:
    done = subprocess.run(
        ["ip", "netns", "exec", "scanner", "nmap", *words, "-oX", "-"], capture_output=True, check=True
    )
    found, recognised = set(), 0
    for host in ET.fromstring(done.stdout).iterfind("host"):  # noqa: S314 - from our own nmap
        address = host.find("address")
        for port in host.iterfind("ports/port"):
            state, service = port.find("state"), port.find("service")
            if address is not None and state is not None and state.get("state") == "open":
                found.add((address.get("addr", ""), int(port.get("portid", "0"))))
                recognised += service is not None and service.get("method") == "probed"
    return found, recognised


def truth(ports: str) -> Ports:
    first, last = map(int, ports.split("-"))
    return {(m.address, port) for m in machines() for port in m.ports if first <= port <= last}


def show(name: str, runs: Iterable[Outcome], expected: Ports, *, against: float = 0.0) -> float:
    runs = list(runs)
    seconds = median(run.seconds for run in runs)
    missed = [len(expected - run.found) for run in runs]
    wrong = sum(len(run.found - expected) for run in runs)
    cells = f"{name:<34} {seconds:>8.1f} {min(r.seconds for r in runs):>8.1f}-{max(r.seconds for r in runs):<8.1f}"
    cells += f" {'+'.join(map(str, missed)):>8} {wrong:>6} {median(run.recognised for run in runs):>11.0f}"
    print(cells + (f" {against / seconds:>7.2f}" if against else ""), flush=True)
    for address, port in sorted(expected - set.intersection(*(run.found for run in runs)))[:10]:
        print(f"    missed: {address} {port}/tcp")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench speed", description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices="abc", help="one of the comparisons")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each, of which the median counts (default 3)")
    parser.add_argument("--rounds-a", type=int, default=3, help="runs of plain nmap, all side by side (default 3)")
    parser.add_argument("--rate", type=int, default=RATE, help=f"packets a second (default {RATE})")
    options = parser.parse_args()
    wanted = options.only or "abc"
    ports = "1-65535"
    runs: dict[str, list[Outcome]] = {"audit": [], "hand": [], "alone": []}
    say = lambda text: print(f"== {text}", file=sys.stderr, flush=True)  # noqa: E731
    with tempfile.TemporaryDirectory() as name, Estate() as estate:
        folder = Path(name)
        say("building the lab")
        build(estate, folder)
        expected = truth(ports)
        say(f"{len(expected)} ports are open; {options.rate:,} packets a second; 5 minutes a round, 15 for (a)")
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}: our audit")
            runs["audit"].append(audit(folder, options.rate))
            say(f"{runs['audit'][-1].seconds:.1f} s")
            if "b" in wanted:
                say(f"round {number + 1} of {options.rounds}: nmap tuned by hand")
                runs["hand"].append(nmap_by_hand(options.rate, ports))
                say(f"{runs['hand'][-1].seconds:.1f} s")
        if "a" in wanted:
            say(f"{options.rounds_a} runs of nmap -sV -p- side by side")
            with ThreadPoolExecutor(options.rounds_a) as pool:
                runs["alone"] += pool.map(lambda _: nmap_alone(options.rate, ports), range(options.rounds_a))
    report(runs, expected)
    return 0


def report(runs: Mapping[str, list[Outcome]], expected: Ports) -> None:
    print(f"{'':<34} {'s':>8} {'from-to':>17} {'missed':>8} {'wrong':>6} {'recognised':>11}")
    ours = show("our audit", runs["audit"], expected)
    if runs["alone"]:
        other = show("nmap -sV -p-", runs["alone"], expected)
        print(f"(a) {other / ours:.1f} times as fast (goal: {GOALS['a']})")
    if runs["hand"]:
        other = show("nmap tuned by hand, two stages", runs["hand"], expected)
        print(f"(b) our time over theirs: {ours / other:.2f} (goal: {GOALS['b']})")
    inner = median(run.nmap for run in runs["audit"])
    start = median(run.start for run in runs["audit"])
    ratio = median((run.seconds - run.start) / run.nmap for run in runs["audit"])
    print(f"(c) our time over that of our own nmap processes, {inner:.1f} s: {ratio:.3f} beyond start-up ", end="")
    print(f"of {start:.1f} s (goal: {GOALS['c']})")


if __name__ == "__main__":
    sys.exit(main())
