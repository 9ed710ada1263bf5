"""Waivers over what drifted: each endpoint by itself, before anything is graded as a whole.

So what is accepted today never swallows what opens tomorrow on the same host.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from auditor.grade.matching import Terms
from auditor.grade.severity import by_port, without_class
from auditor.model.breach import Breach
from auditor.model.drift import Drift, Outcome
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Waiver
from auditor.model.ports import PortSet
from auditor.model.words import ABOUT_AN_ADDRESS, Address, ServiceClass, Severity

_Graded = Sequence[tuple[PortSet, Severity, tuple[ServiceClass, ...]]]


@dataclass(slots=True)
class Held:
    """One waiver on one day. `last` is its last day; `matched` is set once anything fits it."""

    waiver: Waiver
    terms: Terms
    last: date
    today: date
    matched: bool = False

    @property
    def begun(self) -> bool:
        return self.waiver.since <= self.today

    @property
    def valid(self) -> bool:
        return self.begun and self.today <= self.last

    @property
    def expired(self) -> bool:
        return self.begun and self.today > self.last

    def accepts(self, severity: Severity) -> bool:
        """Whether the severity is no worse than what is accepted."""
        return self.waiver.severity is None or severity.rank >= self.waiver.severity.rank


@dataclass(frozen=True, slots=True)
class Part:
    """Endpoints of a drift that fare alike: covered by the waiver, or by none; `expired` where it did cover them."""

    drift: Drift
    waiver: Waiver | None = None
    expired: bool = False


class Waivers:
    """All waivers of an inventory on one day, asked about one drift or breach at a time."""

    def __init__(
        self, waivers: Iterable[Waiver], hosts: Mapping[str, Host], today: date, most_days: int | None = None
    ) -> None:
        self._hosts = hosts
        held = [Held(waiver, Terms(waiver.match), waiver.last_day(most_days), today) for waiver in waivers]
        # The one that runs longest takes what several cover; those that do not cover today come after those that do.
        self.held = sorted(held, key=lambda one: (not one.valid, -one.last.toordinal()))
        self._index: dict[Hashable, list[int]] = {}
        self._of_host: dict[str, list[int]] = {}
        for number, one in enumerate(self.held):
            for key in _keys(one.terms):
                self._index.setdefault(key, []).append(number)

    def split(self, drift: Drift, fingerprint: str) -> list[Part]:
        """The drift in parts, those that a waiver covers first; its own self where none covers or did cover any."""
        host = self._hosts.get(drift.host)
        addresses = set(drift.places) or {o.expectation.address for o in drift.outcomes}
        found = [one for one in self._near(drift.host, addresses) if one.terms.fit_drift(drift, host, fingerprint)]
        if not found:
            return [Part(drift)]
        if drift.kind in ABOUT_AN_ADDRESS:
            return [_whole(drift, found)]
        return _Split(drift, found).parts()

    def over(self, breach: Breach, finding: Finding) -> Finding:
        """The finding of a breach, with the waiver that covers it or did. A waiver's own breach cannot be waived."""
        if breach.host is None:
            return finding
        host = self._hosts.get(breach.host)
        fitting = [
            one
            for one in self._near(breach.host, ())
            if one.terms.fit_breach(breach, host, finding.service_class, finding.fingerprint)
        ]
        chosen = _choose(fitting, finding.severity)
        return replace(finding, waiver=chosen.waiver, expired=chosen.expired) if chosen else finding

    def _near(self, host: str, addresses: Iterable[Address]) -> Iterator[Held]:
        """Those that may fit there, the strongest first."""
        if host not in self._of_host:
            self._of_host[host] = self._near_host(host)
        numbers = {*self._of_host[host], *(number for one in addresses for number in self._index.get(one, ()))}
        return (self.held[number] for number in sorted(numbers))

    def _near_host(self, host: str) -> list[int]:
        """Those that are found by the host, or by a pattern or network that may hold it; worked out once a host."""
        declared = self._hosts.get(host)
        tags = declared.tags if declared else ()
        keys = [("host", host), *(("tag", tag) for tag in tags)]
        found = [number for key in keys for number in self._index.get(key, ())]
        return found + [one for one in self._index.get(None, ()) if self.held[one].terms.fit_host(host, tags)]


def _keys(terms: Terms) -> list[Hashable]:
    """What a waiver is found by: its hosts, tags or addresses where each is named outright; else None, for all."""
    if terms.hosts.plain:
        return [("host", name) for name in terms.hosts.exact]
    if terms.tags.plain:
        return [("tag", name) for name in terms.tags.exact]
    networks = terms.match.addresses
    if networks and all(network.num_addresses == 1 for network in networks):
        return [network.network_address for network in networks]
    return [None]


def _choose(found: Iterable[Held], severity: Severity) -> Held | None:
    """The first that covers something as severe, or did. All of them have matched."""
    chosen = None
    for one in found:
        one.matched = True
        if chosen is None and one.begun and one.accepts(severity):
            chosen = one
    return chosen


def _whole(drift: Drift, found: Iterable[Held]) -> Part:
    """A drift of a whole address, which has no class."""
    fitting = [one for one in found if all(map(one.terms.fit_address, drift.places)) and one.terms.fit_class(())]
    chosen = _choose(fitting, without_class(drift.kind))
    return Part(drift, chosen.waiver, chosen.expired) if chosen else Part(drift)


@dataclass(slots=True)
class _Split:
    """One drift being split between the waivers that may cover its endpoints."""

    drift: Drift
    found: Sequence[Held]
    _covered: dict[int, list[Outcome]] = field(default_factory=dict)
    _expired: Held | None = None

    def parts(self) -> list[Part]:
        rest = [left for outcome in self.drift.outcomes for left in self._rest(outcome)]
        parts = [
            Part(replace(self.drift, outcomes=tuple(self._covered[number])), one.waiver)
            for number, one in enumerate(self.found)
            if number in self._covered
        ]
        if rest:
            left = replace(self.drift, outcomes=tuple(rest)) if parts else self.drift
            expired = self._expired
            parts.append(Part(left, expired.waiver if expired else None, expired is not None))
        return parts

    def _rest(self, outcome: Outcome) -> Iterator[Outcome]:
        """What no waiver covers of the outcome; the rest is noted down."""
        left = outcome.ports
        graded: _Graded | None = None
        for number, one in enumerate(self.found):
            if not (one.terms.fit_address(outcome.expectation.address) and one.terms.fit_service(self.drift, outcome)):
                continue
            ports = outcome.ports & one.terms.ports(outcome.expectation.protocol)
            if ports and (one.terms.needs_class or one.waiver.severity):
                graded = graded or list(by_port(self.drift, outcome))
                ports = _accepted(one, ports, graded)
            if one.valid and ports & left:
                self._covered.setdefault(number, []).append(_only(outcome, ports & left))
                left -= ports
            elif one.expired and ports & left and self._expired is None:
                self._expired = one
            if not one.matched:
                one.matched = bool(ports)
        if left:
            yield outcome if left == outcome.ports else _only(outcome, left)


def _accepted(one: Held, ports: PortSet, graded: _Graded) -> PortSet:
    """Those of the ports whose class fits and whose severity is accepted."""
    of_class = PortSet.union(part for part, _, found in graded if one.terms.fit_class(found))
    if ports & of_class:
        one.matched = True  # something is there, though it may be worse than what is accepted
    return ports & of_class & PortSet.union(part for part, severity, _ in graded if one.accepts(severity))


def _only(outcome: Outcome, ports: PortSet) -> Outcome:
    """The outcome for some of its ports."""
    seen = outcome.observation
    return replace(outcome, ports=ports, observation=replace(seen, ports=ports) if seen else None)
