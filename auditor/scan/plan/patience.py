"""For how long a run of nmap is waited for: far longer than it needs, and never without a bound.

The bound is no estimate of a calm run (`Job.seconds` is one): it has to hold for a scanner that is short of processor
time and on a path that loses every other probe, or it would end what still brings results.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from itertools import pairwise
from math import ceil

from auditor.model.inventory import ClusterVia, Via
from auditor.model.ports import PortSet
from auditor.scan.nmap import command

_LEAST = 300.0  # seconds for any run: a far side may have to fetch an image first
_STARVED = 10.0  # times as long as at the rate that nmap has to keep: at a twentieth of a core it was 12 times 15 s
_SLOWEST = 20.0  # packets a second where it may choose, and chooses badly: far fewer than it ever did
_RETRIES = 6  # at most, of -T4 (nmap's timing.cc)
_UDP_DELAY = 1.0  # seconds between probes to a host that limits its refusals, at most (the same)
_PINGS = 16  # of one address, all kinds and tries
_TALK = 60.0  # seconds with one port, where no time is given
_GROUP = 64  # hosts that nmap has in work at a time, at least, where it may choose
_TALKS = 8  # conversations at a time, at least, where it may choose
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}  # of nmap's times; seconds where there is none
_QUEUE = 8.0  # times as long on a cluster, where a run may have to wait for a place


def longest(argv: Sequence[str], via: Via) -> float:
    """Seconds after which a run of one of `command`'s argument lists is ended."""
    words = dict(pairwise(argv))
    hosts = _hosts(argv)
    ports = len(PortSet.parse(words["-p"])) if "-p" in words else 0
    tries = int(words.get("--max-retries", _RETRIES)) + 1
    packets = hosts * (ports * tries if ports else _PINGS)
    if "--min-rate" in words:
        sending = _STARVED * packets / float(words["--min-rate"])
    else:
        sending = packets / min(_SLOWEST, float(words.get("--max-rate", _SLOWEST)))
    group = int(words.get("--max-hostgroup", _GROUP))
    waiting = ceil(hosts / group) * ports * tries * _delay(words)
    talking = 0.0
    if command.talks(argv):
        each = _seconds(words["--host-timeout"]) if "--host-timeout" in words else _TALK * ports
        talking = hosts * each / int(words.get("--max-parallelism", _TALKS))
    seconds = _LEAST + sending + 2 * (waiting + talking)
    return _QUEUE * seconds if isinstance(via, ClusterVia) else seconds


def why(seconds: float) -> str:
    """Why a run was ended."""
    return f"nmap had not ended after {seconds:,.0f} s, which is far more than it needs, and was ended"


def _hosts(argv: Sequence[str]) -> int:
    """How many addresses a run asks; one where it asks all neighbours at once."""
    _, addresses = command.split(argv)
    if addresses:
        return len(addresses)
    count = 0
    for word in reversed(argv):
        try:
            count += ip_network(word).num_addresses if "/" in word else 0
        except ValueError:
            break
        if "/" not in word:
            break
    return max(1, count)


def _delay(words: dict[str, str]) -> float:
    """Seconds between probes to one host."""
    if "--scan-delay" in words:
        return _seconds(words["--scan-delay"])
    return _UDP_DELAY if "-sU" in words else 0.0


def _seconds(time: str) -> float:
    number = time.rstrip("msh")
    return float(number) * _UNITS.get(time.removeprefix(number), 1.0)
