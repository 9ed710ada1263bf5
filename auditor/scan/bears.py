"""The rate that a viewpoint's machine bears: so many replies a second its nmap can read, now.

It is tried on the loopback interface of a namespace made for it, where every port refuses at once. That asks more of a
machine than most networks do, and nothing of any network.
"""

from __future__ import annotations

from auditor.model.inventory import Via, places
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol
from auditor.scan import command
from auditor.scan.run import End, run_nmap
from auditor.transport import Transport

_SECONDS = 1.0  # that a try takes where nmap keeps up
_PATIENCE = 20.0  # and that one may take where it does not
_LEAST = 250.0  # packets a second; what bears no more than that is asked at that
_ALL = 0.999  # of the replies
_STEP = 2
_MOST = 65_535  # ports


async def bears(transport: Transport, via: Via, rate: float) -> float | None:
    """The rate, in packets a second, at most the given one; None where it cannot be tried there."""
    each = [await _at(transport, place, rate) for place in places(via)]
    found = [one for one in each if one is not None]
    return min(found) if found and len(found) == len(each) else None


async def _at(transport: Transport, via: Via, rate: float) -> float | None:
    tried = rate
    while True:
        told = await _told(transport, via, tried)
        if told is None:
            return None
        if told >= _ALL or tried <= _LEAST:
            return tried
        # What was told of a second is the first guess: a buffer that overflows once is lost on most of what follows.
        tried = max(_LEAST, tried / _STEP if told > 1 / _STEP else tried / _STEP**2)


async def _told(transport: Transport, via: Via, rate: float) -> float | None:
    """The share of replies that nmap told; None where it did not run."""
    ports = PortSet.span(1, min(_MOST, max(1, int(rate * _SECONDS))))
    run = await run_nmap(transport, via, command.loopback(ports, rate=rate), end=End(_PATIENCE, "it took too long"))
    if not run.records:
        return 0.0 if run.problem == "it took too long" else None
    closed = (
        len(one.ports)
        for record in run.records
        for one in record.seen
        if one.protocol is Protocol.TCP and one.sight.state is PortState.CLOSED
    )
    return sum(closed) / len(ports)
