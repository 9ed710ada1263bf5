"""The source address that the system uses for a target, before any probe is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from auditor.errors import TransportError
from auditor.model.inventory import Via, Viewpoint, WorkerVia, places
from auditor.model.words import Address, Family
from auditor.scan.together import together
from auditor.transport.base import Transport, capture

_SIDE_BY_SIDE = 16
_PATIENCE = 20.0  # seconds; `ip route get` asks the kernel, nothing else


@dataclass(frozen=True, slots=True)
class Sources:
    """`failure` says why the viewpoint is not what the inventory declares; `no_route` says it for single addresses.

    `neighbours` are on the viewpoint's own link, without a router in between.
    """

    failure: str | None = None
    no_route: tuple[tuple[Address, str], ...] = ()
    neighbours: tuple[Address, ...] = ()


async def check_sources(transport: Transport, viewpoint: Viewpoint, addresses: Iterable[Address]) -> Sources:
    """Ask the viewpoint's system which way each address goes, each where there are several. Sends nothing to them."""
    gate = asyncio.Semaphore(_SIDE_BY_SIDE)
    asked = [(place, address) for address in addresses for place in places(viewpoint.via)]

    async def ask(place: Via, address: Address) -> _Way:
        async with gate:
            return await _way(transport, viewpoint, place, address)

    try:
        ways = await together(*(ask(*each) for each in asked))
    except TransportError as error:
        return Sources(failure=str(error))
    wrong = sorted({way.wrong for way in ways if way.wrong is not None})
    return Sources(
        wrong[0] if wrong else None,
        tuple({way.address: way.none for way in ways if way.none is not None}.items()),
        tuple(dict.fromkeys(way.address for way in ways if way.none is None and way.link)),
    )


@dataclass(frozen=True, slots=True)
class _Way:
    address: Address
    none: str | None = None  # why there is no way
    wrong: str | None = None  # why it is not the declared one
    link: bool = False


async def _way(transport: Transport, viewpoint: Viewpoint, place: Via, address: Address) -> _Way:
    answer = await capture(transport, place, ["ip", "-j", "route", "get", str(address)], _PATIENCE)
    said = " ".join(answer.stderr.split())[:200]
    if answer.returncode:
        return _Way(address, none=f"the viewpoint has no route to it: {said}")
    route = _first_route(answer.stdout)
    if route is None:
        return _Way(address, wrong=f"`ip -j route get` gave no route that can be read ({place}): {said}")
    if route.get("type", "unicast") not in ("unicast", "local"):
        return _Way(address, none=f"the viewpoint's route to it is of type {route['type']}")
    if route.get("type") == "local" and not address.is_loopback:
        return _Way(address, none="it is an address of the viewpoint's own machine")
    link = "gateway" not in route and "via" not in route and route.get("type") != "local"
    if viewpoint.nat:
        return _Way(address, link=link)
    wrong = _mismatch(viewpoint, Family.of(address), str(route.get("prefsrc", "")))
    if wrong is not None and isinstance(place, WorkerVia):
        wrong = f"{place}: {wrong}"
    return _Way(address, wrong=wrong, link=link)


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


def _mismatch(viewpoint: Viewpoint, family: Family, used: str) -> str | None:
    declared = viewpoint.address_of(family)
    try:
        same = ip_address(used) == declared
    except ValueError:
        same = False
    if same:
        return None
    return (
        f"the system sends {family.spelled} probes from {used or 'no known address'}, but viewpoint {viewpoint.name} "
        f"is declared as {declared or 'without an address of that family'}; correct `addresses`, or set `nat: true`"
    )
