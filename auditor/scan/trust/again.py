"""Whether what answered during a scan still answers at its end: a path that is lost on the way leaves only silence."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from auditor.addresses import any_in, contains
from auditor.model.inventory import Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.nmap import command

GONE = "the address, or its network, answered during the scan and no longer at its end: silence there tells nothing"
_REFUSED = 4  # addresses of one path that only a firewall has answered for


@dataclass(frozen=True, slots=True)
class Question:
    """The same question to several addresses of one family; no port means a ping.

    `on_the_way` is whether a firewall's refusal was the answer: it tells of the path and not of the address, and is
    often limited.
    """

    protocol: Protocol
    ports: PortSet
    addresses: tuple[Address, ...]
    on_the_way: bool = False

    def answered(self, board: Board, address: Address) -> bool:
        """Whether the address has been answered for again, as it was before."""
        return board.answered(address) or (self.on_the_way and bool(board.refused_on_the_way(address, Protocol.TCP)))


def to_ask(
    boards: Collection[Board], addresses: Collection[Address], viewpoint: Viewpoint, pinged: Collection[Address]
) -> Iterator[Question]:
    """What each address that has answered is to answer again, equal questions together.

    None where nothing of `addresses` was silent. Those just `pinged` need no other ping.
    """
    if not any(board.silent(address) for board in boards for address in addresses):
        return
    groups: dict[tuple[Family, Protocol, PortSet, bool], list[Address]] = {}
    rest: list[Address] = []
    for address in dict.fromkeys((*addresses, *(canary.address for canary in viewpoint.canaries))):
        if one := _answering(boards, address):
            groups.setdefault((Family.of(address), *one, False), []).append(address)
        elif address not in pinged:
            if any(board.answered(address) for board in boards):
                groups.setdefault((Family.of(address), Protocol.TCP, PortSet(), False), []).append(address)
            else:
                rest.append(address)
    for address, ports in _refused(boards, rest, viewpoint).items():
        groups.setdefault((Family.of(address), Protocol.TCP, ports, True), []).append(address)
    for (_, protocol, ports, on_the_way), members in groups.items():
        for chunk in command.chunks(members):
            yield Question(protocol, ports, chunk, on_the_way)


def lost(
    viewpoint: Viewpoint,
    addresses: Collection[Address],
    gone: Collection[Address],
    there: Collection[Address],
    unheard: Collection[Address] = (),
) -> set[Address]:
    """Those of `addresses` that are `gone`, or behind a path on which somebody is gone and nobody still `there`.

    `unheard` are gone as far as their path is concerned.
    """
    away = {*gone, *unheard}
    dead = [entry for entry in viewpoint.targets if any_in(entry, away) and not any_in(entry, there)]
    proved = [entry for entry in viewpoint.targets if any_in(entry, there)]
    behind = {address for address in addresses if contains(dead, address) and not contains(proved, address)}
    return behind | (set(gone) & set(addresses))


def _refused(boards: Collection[Board], addresses: Collection[Address], viewpoint: Viewpoint) -> dict[Address, PortSet]:
    """Some addresses of each path for which a firewall refused a port, and that port."""
    found: dict[Address, PortSet] = {}
    ports = {one: PortSet.union(b.refused_on_the_way(one, Protocol.TCP) for b in boards) for one in addresses}
    refused = [one for one in addresses if ports[one]]
    for entry in viewpoint.targets:
        mine = (one for one in refused if contains((entry,), one))
        found |= {one: PortSet.of(ports[one].first) for one in islice(mine, _REFUSED)}
    return found


def _answering(boards: Collection[Board], address: Address) -> tuple[Protocol, PortSet] | None:
    """An open port if there is one, since systems limit how often they refuse; else a closed one."""
    for protocol in (Protocol.TCP, Protocol.UDP):
        for state in (PortState.OPEN, PortState.CLOSED):
            for board in boards:
                if ports := board.ports(address, protocol, state):
                    return protocol, PortSet.of(ports.first)
    return None
