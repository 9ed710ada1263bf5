"""Drifted outcomes → drifts: one for each (kind, host, interface, family, service or undeclared port or address)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from ipaddress import ip_network

from auditor.addresses import by_address
from auditor.drift.rows import Facts
from auditor.model.drift import Drift, Outcome
from auditor.model.expectation import Expectations
from auditor.model.inventory import Service, Viewpoint
from auditor.model.ports import PortSet
from auditor.model.words import (
    ABOUT_AN_ADDRESS,
    NOWHERE,
    Address,
    Boundary,
    Family,
    Kind,
    Network,
    PortState,
    Protocol,
    Result,
)

_Group = tuple[Kind, *tuple[object, ...]]
_PREFIX = {Family.IPV4: 32, Family.IPV6: 64}
_Verified = Mapping[tuple[str, str | None, Family, Protocol], PortSet]


def gather(expectations: Expectations, outcomes: tuple[Outcome, ...], facts: Facts) -> tuple[Drift, ...]:
    """The drifts of one viewpoint, sorted by kind, host, interface, family, service, address and port."""
    viewpoint = expectations.viewpoint
    groups: dict[_Group, list[Outcome]] = defaultdict(list)
    for kind, outcome in _drifted(outcomes, facts):
        groups[_key(kind, outcome)].append(outcome)
    verified = _verified(outcomes) if len(viewpoint.families) == 2 else {}
    drifts = [_drift(viewpoint, kind, members, verified) for (kind, *_), members in groups.items()]
    drifts += _for_others(expectations, outcomes, facts)
    drifts += _unknown_hosts(expectations, outcomes, facts)
    drifts += _undeclared_addresses(expectations, outcomes, facts)
    return tuple(sorted(drifts, key=_order))


def _drifted(outcomes: tuple[Outcome, ...], facts: Facts) -> Iterator[tuple[Kind, Outcome]]:
    for outcome in outcomes:
        if outcome.kind is not None:
            yield outcome.kind, outcome
        if _answered_for(outcome, facts):
            yield Kind.ALL_PORTS_OPEN, outcome


def _answered_for(outcome: Outcome, facts: Facts) -> bool:
    """Whether a device may answer there in place of the host; some pretend to be a service on every port."""
    place = outcome.expectation.address, outcome.expectation.protocol
    opened = outcome.observation is not None and outcome.observation.state is PortState.OPEN
    counted = outcome.result is Result.UNVERIFIED or outcome.expectation.basis in NOWHERE
    return opened and counted and place in facts.all_open


def _key(kind: Kind, outcome: Outcome) -> _Group:
    expectation = outcome.expectation
    place = (kind, expectation.host, expectation.interface, Family.of(expectation.address))
    if kind in ABOUT_AN_ADDRESS:
        return *place, expectation.address
    if kind is Kind.BOUNDARY_LEAK:
        return place
    if kind is Kind.UNDECLARED_PORT or expectation.service is None:
        return *place, expectation.protocol, outcome.ports.first
    return *place, expectation.service.name


def _drift(viewpoint: Viewpoint, kind: Kind, members: list[Outcome], verified: _Verified) -> Drift:
    members.sort(key=lambda m: (by_address(m.expectation.address), m.expectation.protocol, m.ports.first))
    first = members[0].expectation
    family = Family.of(first.address)
    return Drift(
        kind=kind,
        viewpoint=viewpoint,
        host=first.host,
        interface=first.interface,
        family=family,
        outcomes=tuple(members),
        service=_service(kind, members),
        address=first.address if kind in ABOUT_AN_ADDRESS else None,
        family_gap=all(_verified_in_other_family(member, verified) for member in members),
    )


def _service(kind: Kind, members: list[Outcome]) -> Service | None:
    if kind in ABOUT_AN_ADDRESS or kind in (Kind.BOUNDARY_LEAK, Kind.UNDECLARED_PORT):
        return None
    return members[0].expectation.service


def _verified(outcomes: tuple[Outcome, ...]) -> _Verified:
    """Ports verified on every address that an interface has of a family."""
    by_address: dict[tuple[str, str | None, Address, Protocol], PortSet] = {}
    for outcome in outcomes:
        e = outcome.expectation
        key = e.host, e.interface, e.address, e.protocol
        ports = outcome.ports if outcome.result is Result.VERIFIED else PortSet()
        by_address[key] = by_address.get(key, PortSet()) | ports
    verified: dict[tuple[str, str | None, Family, Protocol], PortSet] = {}
    for (host, interface, address, protocol), ports in by_address.items():
        place = host, interface, Family.of(address), protocol
        verified[place] = verified.get(place, ports) & ports
    return verified


def _verified_in_other_family(outcome: Outcome, verified: _Verified) -> bool:
    e = outcome.expectation
    other = Family.IPV6 if e.address.version == 4 else Family.IPV4
    there = verified.get((e.host, e.interface, other, e.protocol), PortSet())
    return bool(there) and not outcome.ports - there


def _for_others(expectations: Expectations, outcomes: tuple[Outcome, ...], facts: Facts) -> Iterator[Drift]:
    """One for each network that a device answers for, where something cannot be told because of that."""
    groups: dict[Network, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if _untold(outcome, facts) and (network := facts.alike.entry(outcome.expectation.address)):
            groups[network].append(outcome)
    undeclared = set(expectations.undeclared)
    for address in facts.alike.doubted():
        if address in undeclared and not facts.replies.alive(address) and (network := facts.alike.entry(address)):
            groups[network] += ()
    for network, members in groups.items():
        members.sort(key=lambda m: (by_address(m.expectation.address), m.expectation.protocol, m.ports.first))
        yield Drift(
            kind=Kind.ANSWERS_FOR_OTHERS,
            viewpoint=expectations.viewpoint,
            host=str(network),
            interface=None,
            family=Family.of(network),
            outcomes=tuple(members),
            prefix=network,
        )


def _untold(outcome: Outcome, facts: Facts) -> bool:
    """Whether nothing is known of an endpoint since a device answers there for everybody.

    What it refuses is filtered; that matters only where it should have been dropped.
    """
    seen, place = outcome.observation, (outcome.expectation.address, outcome.expectation.protocol)
    if seen is None or outcome.result is not Result.UNVERIFIED or place in facts.all_open:
        return False
    matters = seen.state is PortState.OPEN or facts.boundary is Boundary.FILTERED
    return matters and bool(facts.alike.answered(seen))


def _unknown_hosts(expectations: Expectations, outcomes: tuple[Outcome, ...], facts: Facts) -> Iterator[Drift]:
    """Live addresses that no host declares; a canary is expected to live. What answered there is the evidence."""
    viewpoint = expectations.viewpoint
    undeclared = set(expectations.undeclared) - {canary.address for canary in viewpoint.canaries}
    evidence = _answered_at(undeclared, outcomes, facts)
    for address in undeclared:
        if facts.replies.alive(address):
            yield Drift(
                kind=Kind.UNKNOWN_HOST,
                viewpoint=viewpoint,
                host=str(address),
                interface=None,
                family=Family.of(address),
                outcomes=tuple(evidence[address]),
                address=address,
            )


def _undeclared_addresses(expectations: Expectations, outcomes: tuple[Outcome, ...], facts: Facts) -> Iterator[Drift]:
    """Live addresses of declared hosts that nothing declares: one for each IPv4 address, and for each /64 of IPv6.

    Temporary addresses come and go by the day, and the prefix stays.
    """
    viewpoint = expectations.viewpoint
    known = {canary.address for canary in viewpoint.canaries}
    groups: dict[tuple[str, str, Network], list[Address]] = defaultdict(list)
    for one in expectations.carried:
        if not one.declared and one.address not in known and facts.replies.alive(one.address):
            prefix = ip_network((one.address, _PREFIX[Family.of(one.address)]), strict=False)
            groups[one.host, one.interface, prefix].append(one.address)
    evidence = _answered_at({one for found in groups.values() for one in found}, outcomes, facts)
    for (host, interface, prefix), found in groups.items():
        found.sort(key=by_address)
        yield Drift(
            kind=Kind.UNDECLARED_ADDRESS,
            viewpoint=viewpoint,
            host=host,
            interface=interface,
            family=Family.of(prefix),
            outcomes=tuple(outcome for address in found for outcome in evidence[address]),
            address=found[0],
            addresses=tuple(found),
            prefix=prefix if prefix.version == 6 else None,
        )


def _answered_at(
    addresses: Collection[Address], outcomes: tuple[Outcome, ...], facts: Facts
) -> defaultdict[Address, list[Outcome]]:
    """The outcomes at these addresses that a reply of the address itself decided."""
    found: defaultdict[Address, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        address, seen = outcome.expectation.address, outcome.observation
        if address in addresses and seen is not None and facts.replies.answered(seen):
            found[address].append(outcome)
    return found


def _order(drift: Drift) -> tuple[object, ...]:
    first = drift.outcomes[0] if drift.outcomes else None
    return (
        drift.kind,
        drift.host,
        drift.interface or "",
        drift.family,
        drift.service.name if drift.service else "",
        by_address(drift.address) if drift.address else (0, b""),
        (first.expectation.protocol, first.ports.first) if first else ("", 0),
    )
