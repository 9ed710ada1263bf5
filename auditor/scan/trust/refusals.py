"""Second looks at UDP ports whose refusals were held back.

A host answers for closed ports, but limits how often: Linux sends one ICMP error a second to one peer, after a burst of
six, whichever of its addresses was asked. Silence may then be a closed port whose refusal was held back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from auditor.addresses import ProbeTarget
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.board import Board
from auditor.scan.plan.plan import Job


def second_looks(job: Job, board: Board, hosts: Mapping[Address, str]) -> tuple[Job, ...]:
    """The looks to take after a UDP job, one after the other; none where no host of it refuses anything.

    Hosts go side by side into one run, which waits for each by itself; the addresses of one host go into one run each.
    """
    refusing = {hosts.get(target.address) for target in job.targets if _ports(board, target, PortState.CLOSED)}
    looks: list[list[ProbeTarget]] = []
    taken: dict[str | None, int] = {}
    for target in job.targets:
        host = hosts.get(target.address)
        if host in refusing and _ports(board, target, PortState.OPEN_FILTERED) & job.ports:
            turn = taken[host] = taken.get(host, -1) + 1
            looks += [[]] if turn == len(looks) else []
            looks[turn].append(target)
    return tuple(
        replace(job, ports=_silent(board, look) & job.ports, targets=tuple(look), patient=True) for look in looks
    )


def refusals(job: Job, board: Board, hosts: Mapping[Address, str]) -> Counter[str | None]:
    """How many ports of the job each host has refused."""
    found: Counter[str | None] = Counter()
    for target in job.targets:
        found[hosts.get(target.address)] += len(_ports(board, target, PortState.CLOSED) & job.ports)
    return found


def _silent(board: Board, targets: list[ProbeTarget]) -> PortSet:
    return PortSet.union(_ports(board, target, PortState.OPEN_FILTERED) for target in targets)


def _ports(board: Board, target: ProbeTarget, state: PortState) -> PortSet:
    return board.ports(target.address, Protocol.UDP, state)
