"""Whether what answered during a scan still answers at its end: a path that is lost on the way leaves only silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from auditor.addresses import any_in, contains
from auditor.model.inventory import Viewpoint
from auditor.model.words import Address, Family, PortState, Protocol
from auditor.scan.merge import Board

GONE = "the address, or its network, answered during the scan and no longer at its end: silence there tells nothing"
_CHUNK = 512  # addresses in one nmap run: keeps argument lists short


def to_ask(board: Board, canaries: Board, addresses: Collection[Address]) -> Iterator[tuple[int, list[Address]]]:
    """One TCP port of each address that has answered on one, equal ports together; none where nothing was silent."""
    if not any(board.silent(address) for address in addresses):
        return
    groups: dict[tuple[Family, int], list[Address]] = {}
    for address in dict.fromkeys((*addresses, *canaries.addresses())):
        port = _answering(board, address) or _answering(canaries, address)
        if port is not None:
            groups.setdefault((Family.of(address), port), []).append(address)
    for (_, port), members in groups.items():
        for start in range(0, len(members), _CHUNK):
            yield port, members[start : start + _CHUNK]


def lost(
    viewpoint: Viewpoint, addresses: Collection[Address], gone: Collection[Address], there: Collection[Address]
) -> set[Address]:
    """Those of `addresses` that are `gone`, or behind a path on which somebody is gone and nobody still `there`."""
    dead = [entry for entry in viewpoint.targets if any_in(entry, gone) and not any_in(entry, there)]
    proved = [entry for entry in viewpoint.targets if entry not in dead]
    behind = {address for address in addresses if contains(dead, address) and not contains(proved, address)}
    return behind | (set(gone) & set(addresses))


def _answering(board: Board, address: Address) -> int | None:
    """An open port if there is one, since systems limit how often they refuse; else a closed one."""
    for state in (PortState.OPEN, PortState.CLOSED):
        if ports := board.ports(address, Protocol.TCP, state):
            return ports.first
    return None
