"""Looks of different times at the same endpoints → what holds, or who contradicts whom. For saved evidence.

A scan of our own is one look, however often it asks, and there answers outweigh silence (see `merge`). Saved evidence
is of many days, and what was open on Monday may have been closed on Friday, so:

- A look that began after another had ended decides against it. Where they overlap or have no time, nobody knows which
  of two is the younger: where they contradict, nothing is known of the endpoint.
- Silence is no reply. A lost probe looks the same, so it cannot take back an answer of the same time, nor an older one.
  But an older answer is of the past, and whoever gave it may have been shut off since. "Could not tell" is the one
  thing to say of an answer and a younger silence: neither is the exposure gone for sure, nor does the service answer.
- A state that leaves it open, such as `open|filtered`, contradicts only what it excludes.
- Who answers is told by the youngest look that heard something, as long as nobody has seen the port shut since.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import combinations

from auditor.model.observation import UNDATED, Failure, Identity
from auditor.model.ports import PortSet, partition
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.board import ANSWERS, SILENCE, UNHEARD, rank
from auditor.scan.nmap.records import Seen, Sight, bounded

_MEANT = {
    PortState.OPEN: {PortState.OPEN},
    PortState.CLOSED: {PortState.CLOSED},
    PortState.FILTERED: {PortState.FILTERED},
    PortState.UNFILTERED: {PortState.OPEN, PortState.CLOSED},
    PortState.OPEN_FILTERED: {PortState.OPEN, PortState.FILTERED},
    PortState.CLOSED_FILTERED: {PortState.CLOSED, PortState.FILTERED},
}
_NEVER = datetime.min.replace(tzinfo=UTC)
_LONGEST_NAME = 200  # characters of a file's name


_View = tuple[PortState | None, bool]  # the state, None where nothing lived; and whether nobody replied


@dataclass(frozen=True, slots=True)
class Look:
    """How some ports were seen, between two times and in which file. `sight` is None where nothing of the address was.

    A time is None where the file does not tell it; `at` is the nearest that it tells.
    """

    sight: Sight | None
    began: datetime | None
    ended: datetime | None
    at: datetime | None
    source: str

    def younger(self, other: Look) -> bool:
        """Whether it surely came after the other."""
        return self.began is not None and other.ended is not None and self.began > other.ended

    @property
    def view(self) -> _View:
        """What it saw, apart from when."""
        return (None, True) if self.sight is None else (self.sight.state, self.sight.reason in UNHEARD)

    @property
    def silent(self) -> bool:
        """Whether nobody replied."""
        return self.view[1]

    @property
    def when(self) -> str:
        """`at 2026-11-22T00:42Z in scan.xml`."""
        at = f"at {self.at:%Y-%m-%dT%H:%MZ}" if self.at else "at a time that is not told"
        return f"{at} in {bounded(self.source, _LONGEST_NAME)}"

    def __str__(self) -> str:
        """`open (syn-ack) at 2026-11-22T00:42Z in scan.xml`. Hostile text."""
        what = f"{self.sight.state} ({self.sight.reason})" if self.sight else "no sign of life"
        return f"{what} {self.when}"


@dataclass(frozen=True, slots=True)
class Held:
    """What holds of one address, and what looks contradict each other on.

    `disputed` are ports of which nothing is known for that reason; `contradicted` are open ones on which it is only not
    known who answers.
    """

    seen: tuple[Seen, ...]
    disputed: tuple[Failure, ...] = ()
    contradicted: tuple[Failure, ...] = ()


def held(address: Address, looks: Sequence[tuple[Protocol, PortSet, Look]]) -> Held:
    """What holds of the ports of one address, whatever the order of the looks."""
    seen: dict[tuple[Protocol, Sight], int] = defaultdict(int)
    disputed: dict[tuple[Protocol, str], int] = defaultdict(int)
    contradicted: dict[tuple[Protocol, str], int] = defaultdict(int)
    for protocol in Protocol:
        mine = [(ports, look) for one, ports, look in looks if one is protocol]
        for ports, group in _parts(tuple(ports for ports, _ in mine)):
            left, why = _undecided([mine[index][1] for index in group])
            if why:
                disputed[protocol, why] |= ports.bits
            elif agreed := _agreed(left):
                sight, unsure = agreed
                seen[protocol, sight] |= ports.bits
                if unsure:
                    contradicted[protocol, unsure] |= ports.bits
    return Held(
        tuple(Seen(protocol, PortSet(bits), sight) for (protocol, sight), bits in seen.items()),
        _failures(address, disputed),
        _failures(address, contradicted),
    )


@lru_cache(64)
def _parts(sets: tuple[PortSet, ...]) -> list[tuple[PortSet, tuple[int, ...]]]:
    """Most hosts of two scans are alike in which ports each saw alike."""
    return partition(sets)


def _failures(address: Address, found: dict[tuple[Protocol, str], int]) -> tuple[Failure, ...]:
    return tuple(Failure(address, protocol, PortSet(bits), why) for (protocol, why), bits in found.items())


def _undecided(looks: Sequence[Look]) -> tuple[list[Look], str]:
    """The looks that none decides against, and as one sentence who of them contradicts whom, or ""."""
    views: dict[_View, list[Look]] = defaultdict(list)
    for look in looks:
        views[look.view].append(look)
    if len(views) == 1:
        return list(looks), ""
    latest = {view: max((one.began or _NEVER for one in members), default=_NEVER) for view, members in views.items()}
    left = {
        view: [look for look in members if not any(_decides(other, latest[other], view, look) for other in views)]
        for view, members in views.items()
    }
    pairs = [
        sorted((max(left[one], key=_order), max(left[other], key=_order)), key=_order)
        for one, other in combinations(views, 2)
        if left[one] and left[other] and _clash(one, other) and not _lost(left[one], left[other])
    ]
    why = _dispute(max(pairs, key=lambda pair: [_order(look) for look in reversed(pair)])) if pairs else ""
    return [look for members in left.values() for look in members], why


def _decides(view: _View, latest: datetime, old_view: _View, old: Look) -> bool:
    """Whether a look of that view, the latest of which began then, decides against an older one.

    Silence that claims something, that nothing comes through or nobody is there, never decides against an answer.
    """
    (state, silent), (old_state, old_silent) = view, old_view
    answer = old_state in ANSWERS or (old_state is PortState.FILTERED and not old_silent)
    if not _clash(view, old_view) or (silent and state in (None, PortState.FILTERED) and answer):
        return False
    return old.ended is not None and latest > old.ended


def _clash(one: _View, other: _View) -> bool:
    """Whether both cannot be true of the same moment. Where nothing lives, nothing answers."""
    (state, _), (other_state, _) = one, other
    if state is None or other_state is None:
        return bool({state, other_state} & ANSWERS)
    return not _MEANT[state] & _MEANT[other_state]


def _lost(one: Sequence[Look], other: Sequence[Look]) -> bool:
    """Whether one side was silent while the other had an answer: then a reply was lost, and the answer holds.

    A loss turns answers into silence, never the other way round. Once the answer is over, nobody knows.
    """
    if one[0].silent is other[0].silent:
        return False
    silent, answers = (one, other) if one[0].silent else (other, one)
    ends = [look.ended for look in answers if look.ended is not None]
    return bool(ends) and all(look.began is not None and look.began <= max(ends) for look in silent)


def _dispute(pair: Sequence[Look]) -> str:
    older, newer = pair
    if newer.younger(older):
        return f"{older}, then {newer}: silence is no reply, and a lost one looks the same"
    return f"contradicting: {older}, and {newer}: which of them is the younger is not known"


def _order(look: Look) -> tuple[object, ...]:
    sight = look.sight
    said = (sight.state, sight.reason, sight.ttl or 0, str(sight.reply_from), _words(sight.identity)) if sight else ()
    return look.ended or UNDATED, look.began or UNDATED, said, look.source


def _words(identity: Identity | None) -> tuple[object, ...]:
    """To sort by: those that tell most come last."""
    if identity is None:
        return (False,)
    one = identity
    texts = (one.name, one.product, one.version, one.extra, one.tunnel, one.banner, one.method)
    return (one.probed, bool(one.product), bool(one.version), *texts)


def _agreed(looks: Iterable[Look]) -> tuple[Sight, str] | None:
    """Of looks that go together, the one that tells most, counted as often as it was seen so, and who answers there.

    With it, why it is not known who answers, or "". None where nobody saw anything.
    """
    sights = [(look, look.sight) for look in looks if look.sight is not None]
    if not sights:
        return None
    state = min((sight.state for _, sight in sights), key=rank)
    alike = [(look, sight) for look, sight in sights if sight.state is state]
    look, sight = max(alike, key=lambda one: (one[1].reason != SILENCE, _order(one[0])))
    heard = [(one, told.identity) for one, told in alike if told.identity is not None]
    began = max((one.began or _NEVER for one, _ in heard), default=_NEVER)
    heard = [(one, who) for one, who in heard if one.ended is None or began <= one.ended]
    by, identity = max(heard, key=lambda one: (_words(one[1]), _order(one[0])), default=(look, None))
    at, since = look.at or UNDATED, by.at or UNDATED
    seen_so = [told for _, told in alike if not (told.identity and identity) or _same(told.identity, identity)]
    laid = replace(
        sight,
        at=at,
        identity=identity,
        attempts=sum(told.attempts for told in seen_so),
        since=since if since < at else None,
    )
    return laid, _two_names(heard)


def _same(one: Identity, other: Identity) -> bool:
    """Whether two looks heard the same service, as far as each knows it."""
    if not (one.probed and other.probed):
        return one.probed is other.probed
    differ = one.product and other.product and one.product != other.product
    return not differ and (one.name, one.tunnel) == (other.name, other.tunnel)


def _two_names(heard: Iterable[tuple[Look, Identity]]) -> str:
    """Who names which services, where they are not one; or ""."""
    named: dict[tuple[str, str, str], tuple[Look, Identity]] = {}
    for look, who in sorted(heard, key=lambda one: _order(one[0])):
        if who.probed:
            named[who.name, who.tunnel, who.product] = look, who
    ordered = sorted(named.values(), key=lambda one: _order(one[0]), reverse=True)
    for (look, one), (other_look, other) in combinations(ordered, 2):
        if not _same(one, other):
            return (
                f"who answers is contradicting: {_name(one)} {look.when}, and {_name(other)} {other_look.when}: "
                "which of them is the younger is not known"
            )
    return ""


def _name(identity: Identity) -> str:
    called = f"{identity.tunnel}/{identity.name}" if identity.tunnel else identity.name
    return f"{called} ({identity.product})" if identity.product else called
