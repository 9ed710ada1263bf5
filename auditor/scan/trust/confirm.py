"""What would become a finding is asked again, slower and by another technique where there is one.

A SYN scan believes what it sees on the wire; a connect scan only what a client on this machine would get. Where both
agree, the observation is made twice. Where they do not and go on like that, nothing is known. A firewall that rejects
with "port unreachable" is one that they agree on: a client is told "connection refused" then, as for a reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from auditor.addresses import ProbeTarget, by_address, probe_target
from auditor.model.ports import PortSet
from auditor.model.words import Address, Family, PortState, Protocol, Technique
from auditor.scan.board import ANSWERS, Board, rank, rejection
from auditor.scan.nmap import command
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import Plan, Purpose
from auditor.scan.runs.run import Run
from auditor.scan.runs.runner import Runner
from auditor.scan.together import together

Place = tuple[Address, Protocol]
Disputed = Mapping[Place, PortSet]

_SIDE_BY_SIDE = 4
# Ports of one address that are asked one by one. Of more than that, a sample stands for all: no host has so many open.
_MANY = {PortState.OPEN: 200, PortState.CLOSED: 100, PortState.FILTERED: 200, PortState.OPEN_FILTERED: 200}
_SAMPLE = 50
_RETRIES = 2
_DELAY = 20  # milliseconds between probes to one host that has to refuse: systems limit how often they do
_BY = {Technique.SYN: "SYN", Technique.CONNECT: "connect"}

_ANOTHER_WAY = "replies come back another way (an asymmetric route), or a device answers in place of the host"
_CONNECTS_ONLY = "something on the way treats the scanner's SYN packets unlike a client's"


@dataclass(frozen=True, slots=True)
class _Claim:
    """Ports of one address that were all seen alike: those asked again, and all for which they stand."""

    place: Place
    state: PortState
    asked: PortSet
    all: PortSet


@dataclass(frozen=True, slots=True)
class _Look:
    """One round of questions: by which technique, and what was seen where."""

    technique: Technique
    seen: dict[Place, list[Seen]] = field(default_factory=dict)

    def at(self, place: Place, port: int) -> Sight | None:
        return next((one.sight for one in self.seen.get(place, ()) if port in one.ports), None)

    def ports(self, place: Place, state: PortState | None = None) -> PortSet:
        """The ports seen in that state, or in any."""
        return PortSet.union(one.ports for one in self.seen.get(place, ()) if state in (None, one.sight.state))


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Second looks at what one viewpoint's scan saw.

    `rate` is in packets a second, all together. `stopped` tells whether an address that answered does so no more.
    """

    plan: Plan
    runner: Runner
    board: Board
    rate: float
    stopped: Callable[[Address], Awaitable[bool]]

    async def ask(self, disputed: Disputed) -> None:
        """Ask again; count what agrees, and take out what does not come to rest."""
        claims = list(self._claims(disputed))
        if not claims:
            return
        count = sum(len(one.asked) for one in claims)
        self.runner.tell(f"asking again what would be a finding: {count:,} {'endpoint' if count == 1 else 'endpoints'}")
        second = await self._look(claims, Technique.CONNECT)
        differing = [left for claim in claims if (left := self._differing(claim, second))]
        if not differing:
            return
        third = await self._look(differing, self.plan.abilities.technique)
        fourth = await self._look(differing, Technique.CONNECT)
        for claim in differing:
            await self._settle(claim, (second, third, fourth))

    def _claims(self, disputed: Disputed) -> Iterator[_Claim]:
        """What is to be asked. A port that a version probe had a conversation on has been asked in the hardest way."""
        for place, ports in sorted(disputed.items(), key=lambda one: (by_address(one[0][0]), one[0][1])):
            left = ports - self.board.recognised(*place)
            for state, many in _MANY.items():
                mine = self.board.ports(*place, state) & left
                if mine:
                    asked = mine if len(mine) <= many else mine.spread(_SAMPLE)
                    yield _Claim(place, state, asked, mine)

    async def _look(self, claims: Sequence[_Claim], technique: Technique) -> _Look:
        """Ask once what is claimed; over UDP there is but one technique."""
        groups: dict[tuple[Protocol, int, PortSet, bool], list[ProbeTarget]] = {}
        for claim in claims:
            (address, protocol), refused = claim.place, claim.state is PortState.CLOSED
            key = protocol, address.version, claim.asked, refused
            groups.setdefault(key, []).append(probe_target(address, self.plan.scope))
        look = _Look(technique)
        gate = asyncio.Semaphore(_SIDE_BY_SIDE)
        rate = self.rate / min(_SIDE_BY_SIDE, max(1, len(groups)))
        refusals = technique is Technique.CONNECT and self.plan.abilities.raw

        async def one(protocol: Protocol, ports: PortSet, refused: bool, targets: Sequence[ProbeTarget]) -> None:
            argv = command.probe(
                technique if protocol is Protocol.TCP else Technique.SYN,
                protocol,
                ports,
                targets,
                rate=rate,
                retries=_RETRIES,
                patient=protocol is Protocol.UDP,
                delay=_DELAY if refused and protocol is Protocol.TCP else None,
            )
            async with gate:
                run = await self.runner.run(f"{Purpose.CONFIRM}-{Family.of(targets[0].address)}", argv)
            for target in targets:
                place = target.address, protocol
                look.seen.setdefault(place, []).extend(_seen(run, place, ports, unread=refusals))

        await together(
            *(
                one(protocol, ports, refused, chunk)
                for (protocol, _, ports, refused), targets in groups.items()
                for chunk in command.chunks(targets)
            )
        )
        return look

    def _differing(self, claim: _Claim, look: _Look) -> _Claim | None:
        """Count the ports that were seen alike again, with those for which they stand; what is left of the claim."""
        alike = look.ports(claim.place, claim.state) & claim.asked
        if claim.state is PortState.FILTERED and look.technique is Technique.CONNECT:
            alike |= look.ports(claim.place, PortState.CLOSED) & claim.asked & self.board.rejected(*claim.place)
        other = (look.ports(claim.place) & claim.asked) - alike
        self.board.agree(*claim.place, claim.all if alike == claim.asked else alike)
        if not other:
            return None  # what nmap did not come to has its error, and stays as it was seen
        if claim.asked != claim.all and claim.state is PortState.OPEN and self.board.nearly_all_open(*claim.place):
            self.runner.note(
                f"{claim.place[0]}: {len(claim.all):,} ports look open to SYN probes, but connections to {len(other)} "
                f"of a sample of {len(claim.asked)} fail: a device answers in place of the host"
            )
            return None
        return _Claim(claim.place, claim.state, other, other if other != claim.asked else claim.all)

    async def _settle(self, claim: _Claim, looks: Sequence[_Look]) -> None:
        """What both techniques see in the end, and none saw better, holds; all else is unstable."""
        answered = any(look.ports(claim.place, state) & claim.asked for look in looks for state in ANSWERS)
        if claim.state in ANSWERS and not answered and await self.stopped(claim.place[0]):
            return  # the answer was one, and whoever gave it can no longer be asked
        unstable: dict[str, int] = {}
        for port in claim.asked:
            after = _unmasked(claim, [(look.technique, look.at(claim.place, port)) for look in looks])
            states = [claim.state, *(one.state for one in after if one is not None)]
            last = after[-1]
            if (
                len(states) > len(looks)
                and last
                and states[-1] is states[-2]
                and rank(last.state) <= min(map(rank, states))
            ):
                seen = tuple(
                    Seen(claim.place[1], PortSet.of(port), one) for one in after if one and one.state is last.state
                )
                for one in seen[-2:]:
                    self.board.add(HostRecord(claim.place[0], one.sight.at, (one,)))
                continue
            reason = self._unstable(claim, [(look.technique, look.at(claim.place, port)) for look in looks])
            unstable[reason] = unstable.get(reason, 0) | 1 << port
        sampled = PortSet.union(map(PortSet, unstable.values())) == claim.asked
        for reason, bits in unstable.items():
            self.board.take_out(*claim.place, PortSet(bits), reason)
        if sampled and (rest := claim.all - claim.asked):
            some = f"of a sample of {len(claim.asked)} of {len(claim.all):,} such ports, none is stable: "
            self.board.take_out(*claim.place, rest, some + next(iter(unstable)))

    def _unstable(self, claim: _Claim, looks: Sequence[tuple[Technique, Sight | None]]) -> str:
        """Who saw what, and what that means where it is known."""
        first = self.plan.abilities.technique
        every = [(first, claim.state), *((how, one.state) for how, one in looks if one is not None)]
        if claim.place[1] is Protocol.UDP:
            return f"unstable: {', then '.join(state for _, state in every)}"
        said = ", then ".join(f"{state} by {_BY[how]}" for how, state in every)
        opened = {how: {state is PortState.OPEN for how_, state in every if how_ is how} for how, _ in every}
        if opened.get(Technique.SYN) == {True} and opened.get(Technique.CONNECT) == {False}:
            return f"unstable: {said}: {_ANOTHER_WAY}"
        if opened.get(Technique.SYN) == {False} and opened.get(Technique.CONNECT) == {True}:
            return f"unstable: {said}: {_CONNECTS_ONLY}"
        return f"unstable: {said}"


def _unmasked(claim: _Claim, looks: Sequence[tuple[Technique, Sight | None]]) -> list[Sight | None]:
    """What each look saw, with what a client takes for a reset where SYN probes saw what it is."""
    told = next((one for how, one in looks if how is Technique.SYN and one and rejection(one)), None)
    if claim.state is not PortState.FILTERED or told is None:
        return [one for _, one in looks]
    closed = PortState.CLOSED
    return [
        replace(told, at=one.at) if how is Technique.CONNECT and one and one.state is closed else one
        for how, one in looks
    ]


def _seen(run: Run, place: Place, ports: PortSet, *, unread: bool) -> Iterator[Seen]:
    """What the run saw of the ports.

    A connect scan cannot tell a refusal on the way from an error of its own machine, and leaves both unread. Where the
    other technique has been that way, what is `unread` counts as filtered.
    """
    for record in run.of(place[0]):
        for one in record.seen:
            if one.protocol is place[1] and (mine := one.ports & ports):
                yield Seen(one.protocol, mine, one.sight)
        for left in record.unread if unread and run.unsent is None else ():
            if left.protocol is place[1] and (mine := left.ports & ports):
                yield Seen(left.protocol, mine, Sight(PortState.FILTERED, "refused", record.at))
