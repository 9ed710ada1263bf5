"""Whether a waiver's match fits: what drifted as a whole, and then each of its endpoints by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_address

from auditor.addresses import Members
from auditor.model.breach import Breach
from auditor.model.drift import Drift, Outcome
from auditor.model.inventory import Host, Match
from auditor.model.patterns import pattern
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import ABOUT_AN_ADDRESS, Address, Protocol, ServiceClass


class Names:
    """Names and patterns, in which `*` alone stands for any text. Without any of them every name fits."""

    __slots__ = ("_patterns", "exact", "given")

    def __init__(self, given: Collection[str]) -> None:
        self.given = bool(given)
        self.exact = frozenset(name for name in given if "*" not in name)
        self._patterns = [(name.partition("*")[0], pattern(name)) for name in given if "*" in name]

    @property
    def plain(self) -> bool:
        """Whether they are names alone, so that looking them up will do."""
        return self.given and not self._patterns

    def fit(self, name: str | None) -> bool:
        """Whether one of them fits; what has no name fits only where none is given."""
        if not self.given or name is None:
            return not self.given
        return name in self.exact or any(
            name.startswith(beginning) and fitting.match(name) for beginning, fitting in self._patterns
        )

    def fit_any(self, names: Iterable[str]) -> bool:
        return not self.given or any(self.fit(name) for name in names)


class Terms:
    """A match made ready for many questions. Each key that is given must fit."""

    def __init__(self, match: Match) -> None:
        self.match = match
        self.hosts = Names(tuple(map(_as_host, match.hosts)))
        self.tags = Names(match.tags)
        self.services = Names(match.services)
        self.interfaces = Names(match.interfaces)
        self.viewpoints = Names(match.viewpoints)
        self.has_ports = bool(match.tcp or match.udp)
        self._kinds = frozenset(match.kinds)
        self._classes = frozenset(match.classes)
        self._families = frozenset(match.families)
        self._fingerprints = frozenset(match.fingerprints)
        self._addresses = Members(match.addresses)

    @property
    def needs_class(self) -> bool:
        return bool(self._classes)

    def fit_host(self, name: str, tags: Collection[str]) -> bool:
        return self.hosts.fit(name) and self.tags.fit_any(tags)

    def fit_address(self, address: Address) -> bool:
        return not self.match.addresses or address in self._addresses

    def fit_class(self, found: Collection[ServiceClass]) -> bool:
        """Whether one of the classes fits; what has none fits only where none is given."""
        return not self._classes or not self._classes.isdisjoint(found)

    def fit_fingerprint(self, fingerprint: str) -> bool:
        return _among(fingerprint, self._fingerprints)

    def fit_drift(self, drift: Drift, host: Host | None, fingerprint: str) -> bool:
        """Whether all fits that is the same for every endpoint of the drift. `host` is its host, where declared."""
        of_ports = self.has_ports or self.match.protocols or self.services.given
        return (
            _among(drift.kind, self._kinds)
            and not (of_ports and drift.kind in ABOUT_AN_ADDRESS)
            and self.fit_host(drift.host, host.tags if host else ())
            and self.viewpoints.fit(drift.viewpoint.name)
            and _among(drift.family, self._families)
            and self.interfaces.fit(drift.interface)
            and (not self.services.given or any(self.fit_service(drift, outcome) for outcome in drift.outcomes))
            and _among(fingerprint, self._fingerprints)
        )

    def fit_service(self, drift: Drift, outcome: Outcome) -> bool:
        """Whether one of the names that declare the endpoints fits; the drift goes by the first of them."""
        if not self.services.given or drift.service is None:
            return not self.services.given
        return self.services.fit_any((drift.service.name, *outcome.expectation.other_services))

    def fit_breach(self, breach: Breach, host: Host | None, found: ServiceClass | None, fingerprint: str) -> bool:
        """Whether it fits a breach of the policy, which is seen from nowhere and at no address."""
        match = self.match
        of_endpoints = self.has_ports or match.protocols or match.addresses or match.families
        return (
            breach.host is not None
            and _among(breach.kind, self._kinds)
            and not (of_endpoints or self.viewpoints.given or self.interfaces.given)
            and self.fit_host(breach.host, host.tags if host else ())
            and self.services.fit(breach.service.name if breach.service else None)
            and self.fit_class((found,) if found else ())
            and _among(fingerprint, self._fingerprints)
        )

    def ports(self, protocol: Protocol) -> PortSet:
        """The ports that fit; all of them where the match names none."""
        if self.match.protocols and protocol not in self.match.protocols:
            return PortSet()
        if not self.has_ports:
            return ALL_PORTS
        return self.match.tcp if protocol is Protocol.TCP else self.match.udp


def _among(word: str, words: Collection[str]) -> bool:
    return not words or word in words


def _as_host(name: str) -> str:
    """An address that stands for a host, as findings write it."""
    try:
        return str(ip_address(name))
    except ValueError:
        return name
