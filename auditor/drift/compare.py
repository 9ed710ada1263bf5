"""One viewpoint: every endpoint of the coverage gets exactly one outcome, and drifted ones are gathered into drifts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from auditor.drift.alike import Alike
from auditor.drift.gather import gather
from auditor.drift.replies import Replies
from auditor.drift.rows import Facts, decide
from auditor.model.drift import Comparison, Drift, Outcome
from auditor.model.expectation import Expectation, Expectations
from auditor.model.observation import Failure, Observation, Scan
from auditor.model.ports import PortSet
from auditor.model.words import NOWHERE, Address, ExpectedState, PortState, Protocol, Result

_Key = tuple[Address, Protocol]
_Item = TypeVar("_Item", Observation, Failure)


def compare(expectations: Expectations, scan: Scan) -> Comparison:
    """Compare what one viewpoint should see with what its scan saw."""
    if scan.failure:
        outcomes = tuple(Outcome(e, e.ports, Result.UNVERIFIED, scan.failure) for e in expectations.expectations)
        return _compared(expectations, scan, outcomes, ())
    alike = Alike(expectations, scan)
    scan = replace(scan, notes=tuple(dict.fromkeys((*scan.notes, *alike.notes))))
    replies = Replies(expectations.viewpoint, scan, alike)
    observed = _by_key(scan.observations)
    failed = _by_key(scan.failures)
    all_open = _all_open(expectations, observed, alike)
    facts = Facts(
        replies=replies,
        alike=alike,
        boundary=expectations.viewpoint.boundary,
        unreachable=_unreachable(expectations, observed, failed, replies, alike) - set(scan.not_pinged),
        all_open=frozenset(all_open),
        talkative=_talkative(all_open, observed) | {(one, Protocol.TCP) for one in scan.talkative},
        unidentified={
            **{key: f"the version probe failed: {why}" for key, why in _by_endpoint(scan.probe_failures).items()},
            **_by_endpoint(scan.contradicted),
        },
        mute=_by_endpoint(scan.mute),
    )
    outcomes = tuple(
        outcome
        for expectation in expectations.expectations
        for outcome in _outcomes(expectation, observed, failed, facts)
    )
    drifts = gather(expectations, outcomes, facts)
    return _compared(expectations, scan, outcomes, drifts)


def _compared(
    expectations: Expectations, scan: Scan, outcomes: tuple[Outcome, ...], drifts: tuple[Drift, ...]
) -> Comparison:
    e = expectations
    return Comparison(e.viewpoint, e.profile, scan, outcomes, drifts, e.left_out, e.rotation)


def _outcomes(
    expectation: Expectation,
    observed: Mapping[_Key, list[Observation]],
    failed: Mapping[_Key, list[Failure]],
    facts: Facts,
) -> Iterator[Outcome]:
    key = expectation.address, expectation.protocol
    rest = expectation.ports
    for observation in observed.get(key, ()):
        ports = rest & observation.ports
        if not ports:
            continue
        rest -= ports
        for_others = ports & facts.alike.answered(observation)
        absorbed = key in facts.all_open and (observation.identity is None or _says_nothing(expectation, facts))
        for part in (for_others, *_parts(observation, ports - for_others, absorbed=absorbed)):
            if part:
                row = decide(expectation, observation, part, facts, for_others=part is for_others)
                seen = replace(observation, ports=part)
                yield Outcome(expectation, part, row.result, row.reason, row.kind, seen)
    for failure in failed.get(key, ()):
        ports = rest & failure.ports
        if ports:
            rest -= ports
            yield Outcome(expectation, ports, Result.UNVERIFIED, failure.reason)
    if rest:
        yield Outcome(expectation, rest, Result.UNVERIFIED, "not answered for")


def _parts(observation: Observation, ports: PortSet, *, absorbed: bool) -> Iterator[PortSet]:
    """Open ports one by one, since each may be another service; all others together, and those behind a middlebox."""
    if observation.state is not PortState.OPEN or absorbed:
        yield ports
        return
    for port in ports:
        yield PortSet.of(port)


def _unreachable(
    expectations: Expectations,
    observed: Mapping[_Key, list[Observation]],
    failed: Mapping[_Key, list[Failure]],
    replies: Replies,
    alike: Alike,
) -> frozenset[Address]:
    """Addresses that should serve something over TCP, were asked to the end on a proved path and show no life.

    Where a device takes every connection that should reach one, it has not been asked.
    """
    wanted = {
        e.address
        for e in expectations.expectations
        if e.state is ExpectedState.REACHABLE
        and e.protocol is Protocol.TCP
        and e.ports
        - PortSet.union(
            alike.answered(o) for o in observed.get((e.address, Protocol.TCP), ()) if o.state is PortState.OPEN
        )
    }
    asked = expectations.coverage()
    return frozenset(
        address
        for address in wanted
        if replies.path_proved(address)
        and not replies.alive(address)
        and not replies.prohibited_at(address)
        and not any(replies.made_here(o) for o in observed.get((address, Protocol.TCP), ()))
        and not failed.get((address, Protocol.TCP))
        and not asked[address, Protocol.TCP] - PortSet.union(o.ports for o in observed.get((address, Protocol.TCP), ()))
    )


def _all_open(
    expectations: Expectations, observed: Mapping[_Key, list[Observation]], alike: Alike
) -> dict[_Key, PortSet]:
    """Where over 90 % of at least 50 undeclared ports look open, and which: no host does that, a middlebox does.

    What it answers for the whole network is no matter of the one address.
    """
    undeclared: dict[_Key, PortSet] = {}
    for expectation in expectations.expectations:
        if expectation.basis in NOWHERE:
            key = expectation.address, expectation.protocol
            undeclared[key] = undeclared.get(key, PortSet()) | expectation.ports
    found = {}
    for key, ports in undeclared.items():
        seen = [((o.ports & ports) - alike.answered(o), o.state) for o in observed.get(key, ())]
        asked = sum(len(mine) for mine, _ in seen)
        opened = PortSet.union(mine for mine, state in seen if state is PortState.OPEN)
        if asked >= 50 and len(opened) > 0.9 * asked:
            found[key] = opened
    return found


def _talkative(all_open: Mapping[_Key, PortSet], observed: Mapping[_Key, list[Observation]]) -> frozenset[_Key]:
    """Where most of those ports say what they are, each something: nor does any host have so many services."""
    return frozenset(
        key
        for key, ports in all_open.items()
        if 2 * sum(len(o.ports & ports) for o in observed[key] if o.identity is not None and o.identity.probed)
        > len(ports)
    )


def _says_nothing(expectation: Expectation, facts: Facts) -> bool:
    """Whether what answers there is the device's own talk."""
    return expectation.basis in NOWHERE and (expectation.address, expectation.protocol) in facts.talkative


def _by_endpoint(failures: Iterable[Failure]) -> dict[tuple[Address, Protocol, int], str]:
    return {(failure.address, failure.protocol, port): failure.reason for failure in failures for port in failure.ports}


def _by_key(items: Iterable[_Item]) -> dict[_Key, list[_Item]]:
    grouped: dict[_Key, list[_Item]] = defaultdict(list)
    for item in items:
        grouped[item.address, item.protocol].append(item)
    for group in grouped.values():
        group.sort(key=lambda item: item.ports.first)
    return grouped
