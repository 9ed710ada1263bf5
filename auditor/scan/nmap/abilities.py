"""What a viewpoint is able to do: which nmap it has, and whether it may send raw packets."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import nmap

from auditor.errors import TransportError
from auditor.model.inventory import LocalVia, NetnsVia, Via, WorkerVia, places
from auditor.model.words import Technique
from auditor.scan.nmap.records import bounded
from auditor.transport.base import Transport, capture

_OLDEST = (7, 92)  # the first whose XML says which ports it collapsed
_NEWEST_TRIED = (7, 95)
_FAULTY = (7, 991)
_CAP_NET_RAW = 1 << 13  # linux/capability.h
_PATIENCE = 20.0  # seconds for a command that only prints
_PATIENCE_TO_CONNECT = 200.0  # and for the first one elsewhere: a transport knows itself when to give up


@dataclass(frozen=True, slots=True)
class Abilities:
    """`problem` says why nothing can be scanned from there at all; `raw` is only assumed then, so that a plan shows.

    `nmap_version` is empty where there is no nmap.
    """

    nmap_version: str = ""
    raw: bool = True
    problem: str | None = None

    @property
    def technique(self) -> Technique:
        return Technique.SYN if self.raw else Technique.CONNECT


def find_nmap() -> tuple[int, int]:
    """The version of the nmap on this machine's PATH. Raises TransportError where there is none."""
    try:
        major, minor = nmap.PortScanner(nmap_search_path=("nmap",)).nmap_version()
    except nmap.PortScannerError as error:
        raise TransportError("`nmap` is not installed; install the package nmap") from error
    return int(major), int(minor)


async def probe_abilities(transport: Transport, via: Via, find: Callable[[], tuple[int, int]] = find_nmap) -> Abilities:
    """Ask the viewpoint. Never raises: what is wrong there becomes `problem`.

    `find` looks for nmap in this machine's file system, which network namespaces share. Where there are several places,
    all of them can do what is said.
    """
    each = [await _probe(transport, place, find) for place in places(via) or (via,)]
    return min(each, key=lambda one: (one.problem is None, one.raw, _numbers(one.nmap_version)))


async def _probe(transport: Transport, via: Via, find: Callable[[], tuple[int, int]]) -> Abilities:
    here = isinstance(via, LocalVia | NetnsVia)
    try:
        version = await (asyncio.to_thread(find) if here else _find_there(transport, via))
    except TransportError as error:
        return Abilities(problem=str(error))
    have, need = (".".join(map(str, numbers)) for numbers in (version, _OLDEST))
    if version < _OLDEST:
        where = f" ({via})" if isinstance(via, WorkerVia) else ""
        return Abilities(have, problem=f"nmap {have} is too old{where}; {need} or newer is needed")
    try:
        status = await capture(transport, via, ["cat", "/proc/self/status"], _PATIENCE)
    except TransportError as error:
        return Abilities(have, problem=str(error))
    return Abilities(have, (here and "NMAP_PRIVILEGED" in os.environ) or _may_send_raw(status.stdout))


async def _find_there(transport: Transport, via: Via) -> tuple[int, int]:
    """The version of the nmap elsewhere, as it tells it. Raises TransportError where there is none."""
    told = await capture(transport, via, ["nmap", "--version"], _PATIENCE_TO_CONNECT)
    found = re.search(r"^Nmap version (\d+)\.(\d+)", told.stdout, re.MULTILINE)
    if found is None:
        said = bounded(" ".join((told.stdout + told.stderr).split()), 100) or f"exit status {told.returncode}"
        raise TransportError(f"`nmap --version` does not tell a version there ({via}): {said}")
    return int(found[1]), int(found[2])


def fault_after_syn(version: str) -> str | None:
    """What is wrong with what this nmap says of services that a SYN scan found; None where nothing is known to be."""
    if _numbers(version) != _FAULTY:
        return None
    return "after a SYN scan its version probes say at random what is not true (false `tcpwrapped`, TLS lost)"


def caution(version: str) -> str | None:
    """What to know of an nmap that audits can use all the same; None where there is nothing."""
    if why := fault_after_syn(version):
        return f"{why}; audits ask what answers by connections, where it was always right"
    if _numbers(version) > _NEWEST_TRIED:
        newest = ".".join(map(str, _NEWEST_TRIED))
        return f"audits have been tried with nmap up to {newest}, and not with this one"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _may_send_raw(status: str) -> bool:
    """Whether the effective capabilities in a `/proc/self/status` hold CAP_NET_RAW."""
    found = re.search(r"^CapEff:\s*([0-9a-fA-F]+)$", status, re.MULTILINE)
    return bool(found and int(found[1], 16) & _CAP_NET_RAW)
