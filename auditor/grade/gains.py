"""The findings of a gate, and the waivers over what is gained: each endpoint by itself, as in an audit.

A pull request cannot waive what it opens itself: only waivers that BASE has, and HEAD still has as they were, cover a
gain, and only under the names that BASE knows too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

from auditor.addresses import sources_less
from auditor.grade.breaches import breach_finding
from auditor.grade.changes import Possible, change_finding, possible
from auditor.grade.declared import Grades
from auditor.grade.waivers import Held, Waivers
from auditor.model.breach import Breach
from auditor.model.change import Change, ChangedEndpoint
from auditor.model.finding import Finding
from auditor.model.inventory import Host, Inventory, Waiver, fewest_waiver_days
from auditor.model.ports import PortSet
from auditor.model.words import GAINS, Address, Family


def grade_changes(
    changes: Iterable[Change], breaches: Iterable[Breach], base: Inventory, head: Inventory, today: date
) -> Grades:
    """The findings of a gate on a day (UTC), the most severe first, apart from those that a waiver covers."""
    still = set(map(_placeless, head.waivers))
    kept = [one for one in base.waivers if _placeless(one) in still]
    waivers = Waivers(kept, _known(base, head), today, fewest_waiver_days(base.policy, head.policy))
    gains = _Gains([one for one in waivers.held if one.valid and not one.terms.match.kinds], base, head)
    found = [finding for change in changes for finding in gains.findings(change)]
    for breach in breaches:
        finding = waivers.over(breach, breach_finding(breach))
        found.append(replace(finding, waiver=None, expired=False) if finding.expired else finding)
    found.sort(key=lambda finding: (*finding.order, finding.waiver.match.written if finding.waiver else ""))
    return Grades(
        findings=tuple(finding for finding in found if finding.waiver is None),
        waived=tuple(finding for finding in found if finding.waiver is not None),
    )


def _placeless(waiver: Waiver) -> Waiver:
    """As it is wherever it stands."""
    return replace(waiver, location=None)


def _known(base: Inventory, head: Inventory) -> dict[str, Host]:
    """HEAD's hosts, each with the tags alone that it has in BASE too."""
    return {
        name: replace(host, tags=tuple(tag for tag in host.tags if name in base.hosts and tag in base.hosts[name].tags))
        for name, host in head.hosts.items()
    }


class _Gains:
    """The waivers that may cover gains, asked about one change at a time."""

    def __init__(self, held: Iterable[Held], base: Inventory, head: Inventory) -> None:
        self._held = [one for one in held if not one.terms.viewpoints.given]
        self._before = base.hosts
        self._hosts = _known(base, head) if self._held else {}
        self._named: dict[Address, tuple[str, str, Host]] = {}
        if self._held:
            self._named = {
                address: (host.name, interface.name, host)
                for host in base.hosts.values()
                for interface in host.interfaces.values()
                for address in interface.addresses
            }

    def findings(self, change: Change) -> Iterator[Finding]:
        """The finding of the change, or one for each waiver that covers some of it and one for the rest."""
        if not self._held or change.kind not in GAINS:
            yield change_finding(change)
            return
        whole = change_finding(change)
        covered: dict[int, list[ChangedEndpoint]] = {}
        rest = [one for endpoint in change.endpoints for one in self._uncovered(change, endpoint, whole, covered)]
        for number, endpoints in sorted(covered.items()):
            yield replace(change_finding(_part(change, endpoints)), waiver=self._held[number].waiver)
        if rest:
            yield change_finding(_part(change, rest)) if covered else whole

    def _uncovered(
        self, change: Change, endpoint: ChangedEndpoint, whole: Finding, covered: dict[int, list[ChangedEndpoint]]
    ) -> Iterator[ChangedEndpoint]:
        """What no waiver covers of the endpoint; the rest is noted down under the number of its waiver."""
        left = endpoint.ports
        alike = replace(change, endpoints=(endpoint,))
        for number, one in enumerate(self._held):
            if left and self._fits(one, change, endpoint, whole):
                ports = left & one.terms.ports(endpoint.protocol) & _accepted(one, alike)
                if ports:
                    covered.setdefault(number, []).append(replace(endpoint, ports=ports))
                    left -= ports
        if left:
            yield replace(endpoint, ports=left)

    def _fits(self, one: Held, change: Change, endpoint: ChangedEndpoint, whole: Finding) -> bool:
        """Whether all fits but the ports: by HEAD's names, and by BASE's where it had the address under others."""
        host = self._hosts.get(change.host or "")
        terms, address = one.terms, endpoint.address
        if host is None or change.service is None or not terms.fit_fingerprint(whole.fingerprint):
            return False
        if address not in self._named and host.name not in self._before and not terms.match.addresses:
            return False  # its name is HEAD's own choice, and a pattern would fit any such
        if isinstance(address, str):
            return not (terms.match.addresses or terms.match.families or terms.interfaces.given) and (
                terms.fit_host(host.name, host.tags) and terms.services.fit(change.service.name)
            )
        interface = next((name for name, each in host.interfaces.items() if address in each.addresses), None)
        known, attached, before = self._named.get(address, (host.name, interface, host))
        services = [s.name for s in before.services if s.ports(endpoint.protocol).bits & endpoint.ports.bits]
        return (
            terms.fit_host(host.name, host.tags)
            and terms.hosts.fit(known)
            and terms.interfaces.fit(interface)
            and terms.interfaces.fit(attached)
            and all(terms.services.fit(name) for name in (change.service.name, *services))
            and terms.fit_address(address)
            and (not terms.match.families or Family.of(address) in terms.match.families)
        )


def _accepted(one: Held, change: Change) -> PortSet:
    """The ports whose worst possible class fits and whose severity is accepted."""
    worst: dict[PortSet, Possible] = {}
    for found in possible(change):
        known = worst.setdefault(found.ports, found)
        if [severity.rank for severity in found.severities] < [severity.rank for severity in known.severities]:
            worst[found.ports] = found
    return PortSet.union(
        ports
        for ports, found in worst.items()
        if one.accepts(found.severities[0]) and one.terms.fit_class((found.found.service_class, found.found.graded_as))
    )


def _part(change: Change, endpoints: list[ChangedEndpoint]) -> Change:
    """The change for some of its endpoints."""
    return replace(
        change,
        endpoints=tuple(endpoints),
        gained=sources_less(source for one in endpoints for source in one.gained),
        lost=sources_less(source for one in endpoints for source in one.lost),
    )
