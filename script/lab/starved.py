"""What an audit finds where its scanner is short of processor time, or replies are lost on the way back.

    python3 -m lab.enter python3 -m lab.starved [CASE…] [--runs N] [--rate R] [--auditor CHECKOUT]

calm     8 hosts × 5 open ports, and nothing in the way: what the others are held against
crowded  the same hosts; the whole audit shares one processor with 4 to 8 processes that spin, and comes last
beside   the same hosts, from two viewpoints by two audits at a time, both on one processor with two that spin
paths    one host with 40 open ports, whose replies are policed, lost at random, or lost in bursts
held     the same host; nmap gets a twentieth of a processor; declared is a port that nmap asks late, 443, or nothing

An open port counts as found, or as unverified, or it was passed over; that, or a finding that is none, in any run makes
the exit status 1. Nothing else does: an audit that can tell nothing says so, and is right.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import Any

from lab import paths, starving
from lab.estate import Estate

RATES = (5_000, 30_000)
CASES = ("calm", "crowded", "beside", "paths", "held")
USUAL = (22, 443)  # among the first thirty that nmap asks
_LAN, _UPLINK = ip_network("10.41.0.0/24"), ip_network("198.51.100.0/24")
_SCANNERS = {"scanner": str(_UPLINK[20]), "second": str(_UPLINK[21])}
_KINDS = ("ssh", "nginx", "app", "redis", "postgres")
_ROOT = Path(__file__).parents[2]
_LONGEST = 7200.0  # seconds until an audit counts as hanging
_SHARE = 0.05  # of a processor
_RETURNS = ("policed", "lossy", "bursty")
Ports = set[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Host:
    """One that refuses all but some ports. The first of them are usual ones."""

    name: str
    address: str
    ports: tuple[int, ...]


def hosts(number: int, opened: int) -> list[Host]:
    """So many hosts, with so many open ports each, two of them usual ones; always the same."""
    chance = random.Random(11)
    late = [port for port in range(1100, 60_000) if port not in range(9100, 9108)]
    return [
        Host(f"host-{n + 1}", str(_LAN[n + 10]), (*USUAL, *sorted(chance.sample(late, opened - len(USUAL)))))
        for n in range(number)
    ]


def build(estate: Estate, there: Iterable[Host]) -> None:
    """Two scanners, a router, and the hosts behind it."""
    for segment in ("uplink", "lan"):
        estate.segment(segment)
    estate.namespace("router", forwarding=True)
    estate.attach("router", "up", "uplink", [f"{_UPLINK[1]}/24"])
    estate.attach("router", "lan", "lan", [f"{_LAN[1]}/24"])
    for name, address in _SCANNERS.items():
        estate.namespace(name)
        estate.attach(name, "eth0", "uplink", [f"{address}/24"], via=[str(_UPLINK[1])])
    for host in there:
        estate.namespace(host.name)
        estate.attach(host.name, "net", "lan", [f"{host.address}/24"], via=[str(_LAN[1])])
        kinds = (_KINDS[place % len(_KINDS)] for place in range(len(host.ports)))
        estate.respond(host.name, *(f"{kind},0.0.0.0,{port}" for kind, port in zip(kinds, host.ports, strict=True)))


def inventory(path: Path, there: Iterable[Host], rate: int, declared: Mapping[str, Sequence[int]]) -> Path:
    """What is declared of it: some ports of each host; the others are exposures."""
    own = list(_SCANNERS.values())
    text = {
        "version": 1,
        "name": "starved",
        "scope": {"allow": [str(_LAN)], "deny": [str(_LAN[1])]},
        "viewpoints": {
            name: {"kind": "internal", "addresses": [address], "via": {"netns": name}, "limits": {"rate": rate}}
            for name, address in _SCANNERS.items()
        },
        "hosts": {
            host.name: {
                "interfaces": {"lan": [host.address]},
                "services": {
                    f"service-{port}": {"ports": f"{port}/tcp", "from": own, "reason": "made for this"}
                    for port in declared[host.name]
                },
            }
            for host in there
        },
    }
    path.write_text(json.dumps(text, indent=1), encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one audit said of the ports that are open, and of others."""

    found: Ports
    unverified: Ports
    passed_over: Ports
    false: list[str]
    complete: bool
    code: int
    seconds: float
    notes: list[str]

    @property
    def wrong(self) -> bool:
        return bool(self.passed_over or self.false)


def judged(report: Mapping[str, Any], opened: Ports, declared: Ports, code: int, seconds: float) -> Outcome:
    """Hold a report against what is open there."""
    findings = report["findings"]
    matrix = {(row["address"], int(row["port"])) for row in report["matrix"] if row["observed"] == "open"}
    told = {one: kind for kind, one in _places(findings)}
    doubted = {one for _, one in _places([{"endpoints": [row]} for row in report["unverified"]])}
    found = opened & matrix & ({one for one, kind in told.items() if kind == "undeclared-port"} | declared)
    unverified = (opened - found) & doubted
    false = [
        f"{finding['kind']} {one['address']}:{one['ports']}/{one['protocol']}"
        for finding in findings
        for one in finding.get("endpoints") or [{"address": finding.get("address"), "ports": "", "protocol": ""}]
        if finding["kind"] != "undeclared-port" or one["protocol"] != "tcp" or not _are(one, opened - declared)
    ]
    notes = [note for view in report["audit"]["viewpoints"] for note in view.get("notes", ())]
    complete = bool(report["verdict"]["complete"])
    return Outcome(found, unverified, opened - found - unverified, false, complete, code, seconds, notes)


def _are(endpoint: Mapping[str, str], opened: Ports) -> bool:
    return all((endpoint["address"], port) in opened for port in _ports(endpoint["ports"]))


def _places(findings: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, tuple[str, int]]]:
    for finding in findings:
        for one in finding.get("endpoints", ()):
            if one["protocol"] == "tcp":
                yield from ((finding.get("kind", ""), (one["address"], port)) for port in _ports(one["ports"]))


def _ports(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@dataclass(frozen=True, slots=True)
class Bench:
    """Runs audits by one checkout of the auditor, and prints what becomes of them."""

    checkout: Path
    folder: Path
    verbose: bool = False

    def audit(
        self,
        name: str,
        there: Sequence[Host],
        rate: int,
        declared: Mapping[str, Sequence[int]],
        *,
        view: str = "scanner",
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """One audit, of all TCP ports. `prefix` are words before the command."""
        out = Path(tempfile.mkdtemp(dir=self.folder))
        path = inventory(out / "inventory.json", there, rate, declared)
        argv = [*prefix, sys.executable, "-c", "from auditor.cli.main import main; main()", "audit", str(path)]
        argv += ["-V", view, "-v", "-o", str(out / "reports"), "--color", "never"]
        where = {**os.environ, **(env or {}), "PYTHONPATH": str(self.checkout)}
        began = monotonic()
        with (out / "log").open("wb") as log:  # from `out`: where we were started there may be another auditor
            code = subprocess.run(
                argv, env=where, cwd=out, stdout=log, stderr=log, timeout=_LONGEST, check=False
            ).returncode
        seconds = monotonic() - began
        report = out / "reports" / "latest" / "report.json"
        if not report.exists():
            sys.exit(f"starved: no report, exit code {code}:\n{(out / 'log').read_text(errors='replace')[-2000:]}")
        opened = {(host.address, port) for host in there for port in host.ports}
        known = {(host.address, port) for host in there for port in declared[host.name]}
        found = judged(json.loads(report.read_text(encoding="utf-8")), opened, known, code, seconds)
        self.show(name, found)
        return found

    def show(self, name: str, one: Outcome) -> None:
        number = len(one.found | one.unverified | one.passed_over)
        words = f"{name:<40} {len(one.found):>4} of {number} found {len(one.unverified):>4} unverified"
        words += f" {len(one.passed_over):>4} passed over   {'complete' if one.complete else 'not complete'}"
        print(f"{words}, exit {one.code}, {one.seconds:.0f} s", flush=True)
        if one.passed_over:
            each = [f"{address}:{port}" for address, port in sorted(one.passed_over)]
            print(f"    passed over: {', '.join(each[:10])}{', …' if each[10:] else ''}")
        for text in one.false[:10]:
            print(f"    false: {text}")
        for note in one.notes if self.verbose else one.notes[:4]:
            print(f"    note: {note if self.verbose else note[:220]}")
        if not self.verbose and one.notes[4:]:
            print(f"    and {len(one.notes) - 4} more notes", flush=True)


def _usual(there: Iterable[Host]) -> dict[str, tuple[int, ...]]:
    return {host.name: USUAL for host in there}


def calm(bench: Bench, rates: Sequence[int]) -> Iterator[Outcome]:
    """Nothing in the way; once."""
    there = hosts(8, 5)
    with Estate() as estate:
        build(estate, there)
        for rate in rates:
            yield bench.audit(f"calm: rate {rate:,}", there, rate, _usual(there))


def crowded(bench: Bench, runs: int, rates: Sequence[int], spinning: int | None, lower: int) -> Iterator[Outcome]:
    """One processor, shared with 4, 5, … 8 that spin."""
    there = hosts(8, 5)
    with Estate() as estate:
        build(estate, there)
        for rate in rates:
            for run in range(runs):
                number = spinning or 4 + run % 5
                with starving.crowded(number, lower=lower) as prefix:
                    name = f"crowded: rate {rate:,}, {number} spin"
                    yield bench.audit(name, there, rate, _usual(there), prefix=prefix)


def beside(bench: Bench, runs: int, rates: Sequence[int]) -> Iterator[Outcome]:
    """Two audits at a time, from a viewpoint each."""
    there = hosts(8, 5)
    with Estate() as estate, ThreadPoolExecutor(len(_SCANNERS)) as pool:
        build(estate, there)
        for rate in rates:
            for _ in range(runs):
                with starving.crowded(2) as prefix:
                    running = [
                        pool.submit(
                            bench.audit,
                            f"beside: rate {rate:,}, {view}",
                            there,
                            rate,
                            _usual(there),
                            view=view,
                            prefix=prefix,
                        )
                        for view in _SCANNERS
                    ]
                    yield from (one.result() for one in running)


def lossy(bench: Bench, runs: int, rates: Sequence[int]) -> Iterator[Outcome]:
    """40 open ports behind return paths that lose replies."""
    there = hosts(1, 40)
    with Estate() as estate:
        build(estate, there)
        for rate in rates:
            for run in range(runs):
                kind = _RETURNS[run % len(_RETURNS)]
                with paths.losing(estate, "router", "up", kind):
                    yield bench.audit(f"paths: rate {rate:,}, {kind}", there, rate, _usual(there))


def held(bench: Bench, runs: int, rates: Sequence[int], *, quota: bool | None) -> Iterator[Outcome]:
    """nmap with a twentieth of a processor, but for asking what answers: that would take hours."""
    there = hosts(1, 40)
    shim = bench.folder / "bin"
    late = {"a late port": (there[0].ports[-1],), "443": (443,), "nothing": ()}
    with Estate() as estate:
        build(estate, there)
        for rate in rates:
            for run in range(runs):
                what, ports = list(late.items())[run % len(late)]
                with starving.held(_SHARE, shim, spared="-sV", quota=quota) as env:
                    name = f"held: rate {rate:,}, declared is {what}"
                    yield bench.audit(name, there, rate, {there[0].name: ports}, env=env)


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    with nullcontext(str(keep)) if keep else tempfile.TemporaryDirectory() as name:
        Path(name).mkdir(parents=True, exist_ok=True)
        yield Path(name)


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench starved", description=__doc__.split("\n")[0])
    parser.add_argument("case", nargs="*", metavar="CASE", help=f"{', '.join(CASES)} (default: all of them)")
    parser.add_argument("--runs", type=int, default=20, help="of each case, at each rate (default 20)")
    parser.add_argument("--rate", type=int, action="append", help=f"packets a second (repeats; default {RATES})")
    parser.add_argument("--spinning", type=int, help="processes that spin (default 4 to 8 in turn)")
    parser.add_argument("--lower", type=int, default=starving.LOWER, help="how much nicer the audit is than those")
    parser.add_argument("--auditor", type=Path, default=_ROOT, help="the checkout that is run (default this one)")
    parser.add_argument("--no-quota", action="store_true", help="hold nmap by stopping it, not by the kernel's quota")
    parser.add_argument("--keep", type=Path, help="a folder for inventories, logs and reports")
    parser.add_argument("-v", "--verbose", action="store_true", help="show every note to its end")
    options = parser.parse_args()
    if unknown := set(options.case) - set(CASES):
        parser.error(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    rates = options.rate or RATES
    done: list[Outcome] = []
    with _folder(options.keep) as folder:
        bench = Bench(options.auditor.resolve(), folder, options.verbose)
        runs = {
            "calm": lambda: calm(bench, rates),
            "crowded": lambda: crowded(bench, options.runs, rates, options.spinning, options.lower),
            "beside": lambda: beside(bench, options.runs, rates),
            "paths": lambda: lossy(bench, options.runs, rates),
            "held": lambda: held(bench, options.runs, rates, quota=False if options.no_quota else None),
        }
        for case in options.case or CASES:
            done += runs[case]()
    wrong = sum(one.wrong for one in done)
    print(f"{len(done)} audits, {sum(len(one.passed_over) for one in done)} open ports passed over, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
