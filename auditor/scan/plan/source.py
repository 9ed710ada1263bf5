"""The source address that the system uses for a target, before any probe is sent."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from auditor.addresses import by_address, contains
from auditor.errors import TransportError
from auditor.model.inventory import Via, Viewpoint, WorkerVia, places
from auditor.model.words import Address, Family
from auditor.scan.together import together
from auditor.transport.base import Transport, capture

_SIDE_BY_SIDE = 16
_PATIENCE = 20.0  # seconds; `ip route get` asks the kernel, nothing else


@dataclass(frozen=True, slots=True)
class Sources:
    """`failure` says why the viewpoint is not what the inventory declares; `lost` says it for single addresses.

    `neighbours` are on the viewpoint's own link, without a router in between.
    """

    failure: str | None = None
    lost: tuple[tuple[Address, str], ...] = ()
    neighbours: tuple[Address, ...] = ()


async def check_sources(transport: Transport, viewpoint: Viewpoint, addresses: Iterable[Address]) -> Sources:
    """Ask the viewpoint's system which way each address goes, each where there are several. Sends nothing to them.

    A fixed address that is not used fails the viewpoint. Where it has none, what goes another way is lost alone.
    """
    try:
        ways = await _ways(transport, viewpoint, addresses)
    except TransportError as error:
        return Sources(failure=str(error))
    unread = [way.unread for way in ways if way.unread]
    wrong = [(way.address, why) for way in ways if not way.unread and (why := _wrong(viewpoint, way))]
    if failures := sorted({*unread, *(() if viewpoint.within else (why for _, why in wrong))}):
        return Sources(failures[0])
    lost = {**dict(wrong), **{way.address: way.none for way in ways if way.none is not None}}
    near = dict.fromkeys(way.address for way in ways if way.link and way.address not in lost)
    return Sources(None, tuple(lost.items()), tuple(near))


async def located(transport: Transport, viewpoint: Viewpoint, addresses: Iterable[Address]) -> Viewpoint:
    """A viewpoint without fixed addresses at those that its system uses towards `addresses`; others as they are.

    Of each family it is the one within the declared range that most of them are reached from. Where none is, nothing
    is found, and `check_sources` says so of each address. Sends nothing to them.
    """
    if not viewpoint.within:
        return viewpoint
    try:
        ways = await _ways(transport, viewpoint, addresses)
    except TransportError:
        return viewpoint  # nothing can be asked there, as the scan will find too
    used = Counter(way.source for way in ways if way.source and _within(viewpoint, way.source))
    usual = sorted(used, key=lambda one: (-used[one], by_address(one)))
    found = [next((one for one in usual if Family.of(one) is family), None) for family in Family]
    return replace(viewpoint, addresses=tuple(filter(None, found)))


@dataclass(frozen=True, slots=True)
class _Way:
    """How the system at one place goes to an address: from which `source`, or why not at all."""

    place: Via
    address: Address
    none: str | None = None  # why there is no way
    unread: str | None = None  # why nothing is known of it
    source: Address | None = None
    link: bool = False


async def _ways(transport: Transport, viewpoint: Viewpoint, addresses: Iterable[Address]) -> list[_Way]:
    gate = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def ask(place: Via, address: Address) -> _Way:
        async with gate:
            return await _way(transport, place, address)

    return await together(*(ask(place, address) for address in addresses for place in places(viewpoint.via)))


async def _way(transport: Transport, place: Via, address: Address) -> _Way:
    answer = await capture(transport, place, ["ip", "-j", "route", "get", str(address)], _PATIENCE)
    said = " ".join(answer.stderr.split())[:200]
    if answer.returncode:
        return _Way(place, address, none=f"the viewpoint has no route to it: {said}")
    route = _first_route(answer.stdout)
    if route is None:
        return _Way(place, address, unread=f"`ip -j route get` gave no route that can be read ({place}): {said}")
    if route.get("type", "unicast") not in ("unicast", "local"):
        return _Way(place, address, none=f"the viewpoint's route to it is of type {route['type']}")
    if route.get("type") == "local" and not address.is_loopback:
        return _Way(place, address, none="it is an address of the viewpoint's own machine")
    link = "gateway" not in route and "via" not in route and route.get("type") != "local"
    try:
        source = ip_address(str(route.get("prefsrc", "")))
    except ValueError:
        source = None
    return _Way(place, address, source=source, link=link)


async def unresolved(transport: Transport, viewpoint: Viewpoint, neighbours: Sequence[Address]) -> list[Address]:
    """Those whose link-layer address the viewpoint's kernel does not know (ip-neighbour(8))."""
    known: set[str] = set()
    for place in places(viewpoint.via):
        known |= await _known(transport, place)
    return [address for address in neighbours if str(address) not in known]


async def _known(transport: Transport, place: Via) -> set[str]:
    try:
        answer = await capture(transport, place, ["ip", "-j", "neighbour", "show"], _PATIENCE)
        entries = json.loads(answer.stdout or "[]")
        return {entry["dst"] for entry in entries if "lladdr" in entry and "FAILED" not in entry.get("state", ())}
    except (TransportError, ValueError, KeyError, TypeError):
        return set()


def _first_route(text: str) -> dict[str, object] | None:
    try:
        routes = json.loads(text)
    except ValueError:
        return None
    return routes[0] if isinstance(routes, list) and routes and isinstance(routes[0], dict) else None


def _wrong(viewpoint: Viewpoint, way: _Way) -> str | None:
    """Why the way is not what the inventory declares; None where it is, or where there is none."""
    known = viewpoint.address_of(Family.of(way.address))
    if way.none or viewpoint.nat or (way.source is not None and way.source == known):
        return None
    family, used = Family.of(way.address).spelled, way.source or "no known address"
    if not viewpoint.within:
        why = (
            f"the system sends {family} probes from {used}, but viewpoint {viewpoint.name} is declared as "
            f"{known or 'without an address of that family'}; correct `addresses`, or set `nat: true`"
        )
    elif known is None or way.source is None or not _within(viewpoint, way.source):
        declared = ", ".join(str(one) for one in viewpoint.within if one.version == way.address.version)
        why = (
            f"the system sends {family} probes from {used}, but viewpoint {viewpoint.name} is declared within "
            f"{declared}; correct `within`"
        )
    else:
        why = (
            f"the system sends probes to it from {used}, and others from {known}, where alone it is known what is "
            "meant to be reachable; narrow `within` or `targets` to one of them"
        )
    return f"{way.place}: {why}" if isinstance(way.place, WorkerVia) else why


def _within(viewpoint: Viewpoint, address: Address) -> bool:
    return contains(viewpoint.within, address)
