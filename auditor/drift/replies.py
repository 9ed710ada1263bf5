"""Who answered, and which paths that proves.

A perfect firewall and a broken scanner look the same. So silence counts only where, in this audit, a reply reached the
viewpoint from an address in the same `targets` entry. What a device answers for everybody is no reply of an address.
nmap's reasons are those of its portreasons.cc.
"""

from __future__ import annotations

from auditor.addresses import any_in, contains
from auditor.drift.alike import Alike
from auditor.model.inventory import Viewpoint
from auditor.model.observation import ICMP_ERRORS, LINK_REPLIES, PROHIBITED, Observation, Scan
from auditor.model.words import Address, PortState

_ANSWERED = frozenset({PortState.OPEN, PortState.CLOSED, PortState.UNFILTERED})  # by the address itself, always
_HOST_REPLIES = frozenset(
    {
        "syn-ack",
        "split-handshake-syn",
        "reset",
        "conn-refused",
        "udp-response",
        "tcp-response",
        "echo-reply",
        "timestamp-reply",
        "addressmask-reply",
        "port-unreach",
        "proto-unreach",
        "proto-response",
        "init-ack",
        "abort",
    }
)


class Replies:
    """Everything that came back to one viewpoint, asked about one address or one endpoint at a time."""

    def __init__(self, viewpoint: Viewpoint, scan: Scan, alike: Alike) -> None:
        self._viewpoint = viewpoint
        self._alike = alike
        seen = (*scan.observations, *scan.canaries)
        sources = {source for observation in seen if (source := self._source(observation)) is not None}
        sources |= {reply.address for reply in scan.replies if reply.reason in _HOST_REPLIES and alike.lives(reply)}
        sources -= set(viewpoint.addresses)  # what the viewpoint sends to itself takes no path
        perhaps = {one for one in sources if viewpoint.may_be(one)}  # of a family at most one of them is itself
        self._proved = tuple(
            entry
            for entry in viewpoint.targets
            if any_in(entry, sources - perhaps) or sum(any_in(entry, (one,)) for one in perhaps) > 1
        )
        near = {reply.address for reply in scan.replies if reply.reason in LINK_REPLIES}
        self._alive = sources | near | {reply.address for reply in scan.found if alike.lives(reply)}
        self._prohibited = {observation.address for observation in seen if self.prohibited(observation)}

    def path_proved(self, address: Address) -> bool:
        """Whether a reply came from an address in a targets entry that holds this address too."""
        return contains(self._proved, address)

    def answered(self, observation: Observation) -> bool:
        """Whether the probed address itself replied."""
        return self._source(observation) == observation.address

    def prohibited(self, observation: Observation) -> bool:
        """Whether somebody on the way said that the endpoint is administratively prohibited."""
        return observation.reason in PROHIBITED and not self.made_here(observation)

    def made_here(self, observation: Observation) -> bool:
        """Whether the viewpoint's own machine sent the error: nothing of the endpoint is known then.

        What nmap itself tells of such states (TTL 0, the kernel's word) is sorted out where its output is read.
        """
        sender, address = observation.reply_from, observation.address
        own = sender is not None and sender != address and self._viewpoint.may_be(sender)
        return own and address not in self._viewpoint.addresses

    def alive(self, address: Address) -> bool:
        """Whether anything shows that the address lives."""
        return address in self._alive

    def prohibited_at(self, address: Address) -> bool:
        return address in self._prohibited

    def _source(self, observation: Observation) -> Address | None:
        """Who sent the deciding reply; None where none came, nmap tells no sender, or a device answers for all."""
        if observation.state in _ANSWERED:
            return observation.address if observation.ports - self._alike.answered(observation) else None
        if observation.reason not in ICMP_ERRORS or self.made_here(observation):
            return None
        if observation.reply_from is None and not observation.ttl:
            return None  # collapsed, and nmap keeps no sender; or at TTL 0, and the scanner's own machine said it
        return observation.reply_from or observation.address
