"""The viewpoint's own links and neighbours, as its kernel knows them (ip-address(8), ip-neighbour(8))."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from auditor.errors import TransportError
from auditor.model.inventory import Via
from auditor.model.observation import Label
from auditor.model.words import Address, Network
from auditor.scan.nmap.host import MAC
from auditor.transport.base import Transport, capture

_PATIENCE = 20.0  # seconds; the kernel is asked, nothing else
_MOST = 65_536  # neighbours; kernels keep far fewer


@dataclass(frozen=True, slots=True)
class Link:
    """An address of an interface that is up, and the prefix of its neighbours there."""

    interface: str
    address: Address
    prefix: Network


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour that has answered for its address; the label has its hardware address."""

    interface: str
    label: Label


async def links(transport: Transport, via: Via) -> tuple[Link, ...]:
    """All but loopback and link-local ones. Raises TransportError where the viewpoint cannot be asked."""
    answer = await capture(transport, via, ["ip", "-j", "address", "show", "up"], _PATIENCE)
    return tuple(_links(_read(answer.stdout, "ip -j address", via)))


async def neighbours(transport: Transport, via: Via) -> tuple[Neighbour, ...]:
    """Those with a hardware address. Raises TransportError where the viewpoint cannot be asked."""
    answer = await capture(transport, via, ["ip", "-j", "neighbour", "show"], _PATIENCE)
    return tuple(_neighbours(_read(answer.stdout, "ip -j neighbour", via)))[:_MOST]


def _read(text: str, command: str, via: Via) -> list[dict[str, Any]]:
    try:
        found = json.loads(text or "[]")
    except ValueError as error:
        raise TransportError(f"`{command}` gave no answer that can be read ({via})") from error
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _links(interfaces: list[dict[str, Any]]) -> Iterator[Link]:
    for one in interfaces:
        for each in one.get("addr_info", ()):
            try:
                address = ip_address(each["local"])
                prefix = ip_network((address, int(each["prefixlen"])), strict=False)
            except (ValueError, KeyError, TypeError):
                continue
            if not (address.is_loopback or address.is_link_local):
                yield Link(str(one.get("ifname", "")), address, prefix)


def _neighbours(entries: list[dict[str, Any]]) -> Iterator[Neighbour]:
    for one in entries:
        mac = str(one.get("lladdr", "")).lower()
        if not MAC.fullmatch(mac) or "FAILED" in one.get("state", ()):
            continue
        try:
            address = ip_address(str(one.get("dst", "")).partition("%")[0])
        except ValueError:
            continue
        yield Neighbour(str(one.get("dev", "")), Label(address, mac=mac))
