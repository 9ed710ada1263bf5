"""Whether a viewpoint can do what an audit needs of it. Sends no probe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from auditor.errors import TransportError
from auditor.model.inventory import Via, Viewpoint
from auditor.model.words import Address, Family
from auditor.scan.abilities import Abilities, probe_abilities
from auditor.scan.source import check_sources
from auditor.transport import Transport, capture

_PATIENCE = 20.0  # seconds; `ip addr` asks the kernel, nothing else


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at; `what` says what was found and, where it failed, what to do."""

    where: str
    what: str
    passed: bool


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
    checks.append(_privileges(where, abilities))
    if viewpoint is None or viewpoint.address_of(Family.IPV6) is not None:
        checks.append(await _ipv6(where, transport, via))
    if viewpoint is not None:
        checks += await _sources(transport, viewpoint, addresses)
    return tuple(checks)


def _nmap(where: str, abilities: Abilities) -> Check:
    if abilities.problem is not None:
        return Check(where, abilities.problem, passed=False)
    return Check(where, f"nmap {abilities.nmap_version}", passed=True)


def _privileges(where: str, abilities: Abilities) -> Check:
    if abilities.raw:
        return Check(where, "raw sockets: SYN scan and UDP", passed=True)
    return Check(where, "no raw sockets: connect scan only and no UDP; run as root or grant CAP_NET_RAW", passed=False)


async def _ipv6(where: str, transport: Transport, via: Via) -> Check:
    try:
        answer = await capture(transport, via, ["ip", "-6", "-o", "addr", "show"], _PATIENCE)
    except TransportError as error:
        return Check(where, f"IPv6: {error}", passed=False)
    if answer.returncode == 0 and answer.stdout.strip():
        return Check(where, "IPv6 is up", passed=True)
    return Check(where, "IPv6 is down: nothing can be audited over it; enable it on this machine", passed=False)


async def _sources(transport: Transport, viewpoint: Viewpoint, addresses: Collection[Address]) -> list[Check]:
    if not addresses:
        return [Check(viewpoint.name, "source address: no declared address lies in its targets", passed=False)]
    sources = await check_sources(transport, viewpoint, addresses)
    if sources.failure is not None:
        return [Check(viewpoint.name, sources.failure, passed=False)]
    lost = [Check(viewpoint.name, f"{address}: {why}", passed=False) for address, why in sources.no_route]
    return lost or [
        Check(viewpoint.name, f"source address as declared towards {len(addresses)} addresses", passed=True)
    ]
