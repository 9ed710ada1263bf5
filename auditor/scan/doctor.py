"""Whether a viewpoint can do what an audit needs of it. Sends no probe to any network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import assert_never

from auditor.errors import TransportError
from auditor.model.inventory import (
    ClusterVia,
    DockerVia,
    KubectlVia,
    LocalVia,
    NetnsVia,
    SshVia,
    Via,
    Viewpoint,
    WorkerVia,
    places,
)
from auditor.model.words import Address, Family
from auditor.scan.nmap.abilities import Abilities, caution, probe_abilities
from auditor.scan.plan.source import check_sources
from auditor.scan.trust.bears import bears, tried
from auditor.transport.base import Transport, capture

_RATE = 5000  # packets a second, which viewpoints have unless they say otherwise
_NAMED = 4  # addresses that fail for one reason
_PATIENCE = 20.0  # seconds; `ip addr` asks the kernel, nothing else


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `what` says what was found and, where it failed, what to do.

    `doubtful` is what passed with a caution.
    """

    where: str
    what: str
    passed: bool
    doubtful: bool = False


async def examine(
    transport: Transport, via: Via, viewpoint: Viewpoint | None = None, addresses: Collection[Address] = ()
) -> tuple[Check, ...]:
    """Check nmap, privileges and IPv6 at a `Via`, and the source address where a viewpoint declares it.

    `addresses` are those that an audit from the viewpoint would probe; the kernel is asked for its way to each.
    """
    where = viewpoint.name if viewpoint else str(via)
    abilities = await probe_abilities(transport, via)
    checks = [_nmap(where, abilities)]
    if abilities.problem is not None:
        return tuple(checks)
    checks.append(_privileges(where, abilities, via))
    if viewpoint is None or Family.IPV6 in viewpoint.families:
        checks += [await _ipv6(where, transport, place) for place in places(via)]
    if abilities.raw:
        checks += await _bears(where, transport, via, viewpoint.rate if viewpoint else _RATE)
    if viewpoint is not None:
        checks += await _sources(transport, viewpoint, addresses)
    return tuple(checks)


def _nmap(where: str, abilities: Abilities) -> Check:
    if abilities.problem is not None:
        return Check(where, abilities.problem, passed=False)
    if why := caution(abilities.nmap_version):
        return Check(where, f"nmap {abilities.nmap_version}: {why}", passed=True, doubtful=True)
    return Check(where, f"nmap {abilities.nmap_version}", passed=True)


def _privileges(where: str, abilities: Abilities, via: Via) -> Check:
    if abilities.raw:
        return Check(where, "raw sockets: SYN scan and UDP", passed=True)
    return Check(where, f"no raw sockets: connect scan only and no UDP; {_how_to_get_raw(via)}", passed=False)


def _how_to_get_raw(via: Via) -> str:
    match via:
        case LocalVia() | NetnsVia():
            return "run as root or grant CAP_NET_RAW"
        case SshVia():
            return "set `sudo: true`, or log in as root"
        case DockerVia() | KubectlVia():
            return "grant NET_RAW to the container, or set `image`: a container of that has it"
        case ClusterVia() | WorkerVia():
            return "start the workers as root or grant them CAP_NET_RAW"
        case _:
            assert_never(via)


async def _bears(where: str, transport: Transport, via: Via, rate: int) -> list[Check]:
    """No failure: an audit finds out by itself, and slows down. Nothing where no namespace can be made to try it in."""
    found = await bears(transport, via, float(rate))
    if found is None:
        return []
    if found < tried(rate):
        what = f"busy: nmap can read about {found:,.0f} replies a second now, not {rate:,}; an audit slows down to that"
        return [Check(where, what, passed=True)]
    return [Check(where, f"nmap can read {tried(rate):,.0f} replies a second", passed=True)]


async def _ipv6(where: str, transport: Transport, via: Via) -> Check:
    try:
        answer = await capture(transport, via, ["ip", "-6", "-o", "addr", "show"], _PATIENCE)
    except TransportError as error:
        return Check(where, f"IPv6: {error}", passed=False)
    if answer.returncode == 0 and answer.stdout.strip():
        return Check(where, "IPv6 is up", passed=True)
    there = f"on {via}" if isinstance(via, WorkerVia) else "there"
    return Check(where, f"IPv6 is down: nothing can be audited over it; enable it {there}", passed=False)


async def _sources(transport: Transport, viewpoint: Viewpoint, addresses: Collection[Address]) -> list[Check]:
    if not addresses:
        return [Check(viewpoint.name, "source address: no declared address lies in its targets", passed=False)]
    sources = await check_sources(transport, viewpoint, addresses)
    if sources.failure is not None:
        return [Check(viewpoint.name, sources.failure, passed=False)]
    lost: dict[str, list[str]] = {}
    for address, why in sources.lost:
        lost.setdefault(why, []).append(str(address))
    if lost:
        return [Check(viewpoint.name, f"{_few(each)}: {why}", passed=False) for why, each in lost.items()]
    used = f"source address {' and '.join(map(str, viewpoint.addresses))}" if viewpoint.within else "source address"
    towards = f"{len(addresses):,} {'address' if len(addresses) == 1 else 'addresses'}"
    return [Check(viewpoint.name, f"{used} as declared towards {towards}", passed=True)]


def _few(addresses: Sequence[str]) -> str:
    more = len(addresses) - _NAMED
    return ", ".join(addresses[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
