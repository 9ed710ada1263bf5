"""Whether what answered during a scan still answers at its end: a path that is lost on the way leaves only silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from auditor.addresses import any_in, contains
from auditor.model.inventory import Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol
from auditor.scan.merge import Board

GONE = "the address, or its network, answered during the scan and no longer at its end: silence there tells nothing"
_CHUNK = 512  # addresses in one nmap run: keeps argument lists short


@dataclass(frozen=True, slots=True)
class Question:
    """The same question to several addresses of one family; no port means a ping."""

    protocol: Protocol
    ports: PortSet
    addresses: tuple[Address, ...]


def to_ask(
    boards: Collection[Board],
    addresses: Collection[Address],
    canaries: Collection[Address],
    pinged: Collection[Address],
) -> Iterator[Question]:
    """What each address that has answered is to answer again, equal questions together.

    None where nothing of `addresses` was silent. Those just `pinged` need no other ping.
    """
    if not any(board.silent(address) for board in boards for address in addresses):
        return
    groups: dict[tuple[Family, Protocol, PortSet], list[Address]] = {}
    for address in dict.fromkeys((*addresses, *canaries)):
        answered = _answering(boards, address)
        if answered is not None and (answered[1] or address not in pinged):
            groups.setdefault((Family.of(address), *answered), []).append(address)
    for (_, protocol, ports), members in groups.items():
        for start in range(0, len(members), _CHUNK):
            yield Question(protocol, ports, tuple(members[start : start + _CHUNK]))


def lost(
    viewpoint: Viewpoint, addresses: Collection[Address], gone: Collection[Address], there: Collection[Address]
) -> set[Address]:
    """Those of `addresses` that are `gone`, or behind a path on which somebody is gone and nobody still `there`."""
    dead = [entry for entry in viewpoint.targets if any_in(entry, gone) and not any_in(entry, there)]
    proved = [entry for entry in viewpoint.targets if any_in(entry, there)]
    behind = {address for address in addresses if contains(dead, address) and not contains(proved, address)}
    return behind | (set(gone) & set(addresses))


def _answering(boards: Collection[Board], address: Address) -> tuple[Protocol, PortSet] | None:
    """An open port if there is one, since systems limit how often they refuse; else a closed one; else a ping."""
    for protocol in (Protocol.TCP, Protocol.UDP):
        for state in (PortState.OPEN, PortState.CLOSED):
            for board in boards:
                if ports := board.ports(address, protocol, state):
                    return protocol, PortSet.of(ports.first)
    return (Protocol.TCP, PortSet()) if any(board.answered(address) for board in boards) else None
