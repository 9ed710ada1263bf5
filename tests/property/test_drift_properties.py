"""Whatever is expected and observed: one outcome for each endpoint, and missing evidence never makes a pass."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.drift.compare import compare
from auditor.grade.findings import grade
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.drift import Comparison, Drift
from auditor.model.inventory import Inventory, Scope, Waiver
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import Address, ExpectedState, Kind, PortState, Profile, Protocol, Result
from auditor.scan.saved import read_evidence
from tests.property.strategies import World, waivers, worlds

Key = tuple[Address, Protocol]
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TODAY = date(2026, 11, 22)
NOTHING = Inventory("nothing", Scope(()), {}, {}, {})
CASES = sorted(Path(__file__).parent.parent.joinpath("cases").glob("*.exit[013]"))


def compared(world: World) -> Comparison:
    return compare(world.expectations, world.scan)


def ports(comparison: Comparison, *results: Result) -> dict[Key, PortSet]:
    """The ports with one of these results, by address and protocol."""
    found: dict[Key, PortSet] = {}
    for outcome in comparison.outcomes:
        if outcome.result in results:
            key = outcome.expectation.address, outcome.expectation.protocol
            found[key] = found.get(key, PortSet()) | outcome.ports
    return found


def gained(before: Comparison, after: Comparison, result: Result) -> dict[Key, PortSet]:
    """Endpoints that have the result after, and had it not before."""
    had = ports(before, result)
    more = {key: found - had.get(key, PortSet()) for key, found in ports(after, result).items()}
    return {key: found for key, found in more.items() if found}


@SLOW
@given(worlds())
def test_every_endpoint_has_exactly_one_outcome(world: World) -> None:
    """The outcomes partition the coverage, and each stands for ports of its own expectation."""
    comparison = compared(world)

    assert world.expectations.coverage() == ports(comparison, *Result)
    assert sum(map(len, world.expectations.coverage().values())) == sum(len(o.ports) for o in comparison.outcomes)
    assert [o for o in comparison.outcomes if o.ports - o.expectation.ports or not o.ports] == []


@SLOW
@given(worlds())
def test_every_drifted_outcome_is_in_one_drift(world: World) -> None:
    """A kind stands exactly where the result is `drifted`; its outcome is in one drift of that kind and in no other."""
    comparison = compared(world)
    of_own_kind = [o for d in comparison.drifts for o in d.outcomes if o.kind is d.kind]
    drifted = [o for o in comparison.outcomes if o.result is Result.DRIFTED]

    assert drifted == [o for o in comparison.outcomes if o.kind is not None]
    assert Counter(map(id, drifted)) == Counter(map(id, of_own_kind))


@SLOW
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(world: World, chance: random.Random) -> None:
    """Observations, replies, failures and canaries may come in any order."""

    def shuffled(items: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(chance.sample(items, len(items)))

    names = ("observations", "replies", "canaries", "failures", "probe_failures")
    scan = replace(world.scan, **{name: shuffled(getattr(world.scan, name)) for name in names})
    one, other = compared(world), compared(replace(world, scan=scan))

    assert (one.outcomes, one.drifts) == (other.outcomes, other.drifts)


@SLOW
@given(worlds(), st.data())
def test_fewer_replies_never_verify_more(world: World, data: st.DataObject) -> None:
    """Signs of life and canaries prove paths and hosts: without some of them nothing more is verified or silent."""
    fewer = replace(
        world.scan,
        replies=tuple(one for one in world.scan.replies if data.draw(st.booleans())),
        canaries=tuple(one for one in world.scan.canaries if data.draw(st.booleans())),
    )
    before, after = compared(world), compared(replace(world, scan=fewer))

    assert [gained(before, after, result) for result in (Result.VERIFIED, Result.SILENT)] == [{}, {}]


@SLOW
@given(worlds(), st.data())
def test_a_lost_address_never_verifies_more(world: World, data: st.DataObject) -> None:
    """Where all that is known of an address is lost, its endpoints are unverified, and no other gains by it."""
    seen = sorted({one.address for one in (*world.scan.observations, *world.scan.replies)}, key=str)
    lost = data.draw(st.sampled_from(seen)) if seen else None
    fewer = replace(
        world.scan,
        observations=tuple(one for one in world.scan.observations if one.address != lost),
        replies=tuple(one for one in world.scan.replies if one.address != lost),
    )
    before, after = compared(world), compared(replace(world, scan=fewer))

    assert {o.result for o in after.outcomes if o.expectation.address == lost} <= {Result.UNVERIFIED}
    assert gained(before, after, Result.VERIFIED) == {}


@SLOW
@given(worlds(), st.data())
def test_a_lost_observation_is_never_a_pass(world: World, data: st.DataObject) -> None:
    """What it was about is unverified afterwards, so the audit as a whole cannot come out clean."""
    if not world.scan.observations:
        return
    lost = data.draw(st.sampled_from(world.scan.observations))
    fewer = replace(world.scan, observations=tuple(one for one in world.scan.observations if one is not lost))
    after = compared(replace(world, scan=fewer))
    key = lost.address, lost.protocol
    asked = world.expectations.coverage().get(key, PortSet()) & lost.ports

    assert asked - ports(after, Result.UNVERIFIED).get(key, PortSet()) == PortSet()


@SLOW
@given(worlds())
def test_silence_alone_proves_nothing(world: World) -> None:
    """Where nothing has replied at all, nothing is verified, nothing silent and nothing drifted."""
    dumb = replace(
        world.scan,
        replies=(),
        canaries=(),
        observations=tuple(
            replace(one, state=state, reason="no-response", ttl=0, reply_from=None, identity=None)
            for one in world.scan.observations
            for state in [PortState.FILTERED if one.protocol is Protocol.TCP else PortState.OPEN_FILTERED]
        ),
    )
    comparison = compared(replace(world, scan=dumb))

    assert ({o.result for o in comparison.outcomes} - {Result.UNVERIFIED}, comparison.drifts) == (set(), ())


@SLOW
@given(worlds())
def test_no_open_port_is_lost(world: World) -> None:
    """Each open endpoint of the coverage is verified, drifted or unverified, with the observation that says so."""
    told = ports(compared(world), Result.VERIFIED, Result.DRIFTED, Result.UNVERIFIED)
    coverage = world.expectations.coverage()
    opened = [
        (one.address, one.protocol, port)
        for one in world.scan.observations
        if one.state is PortState.OPEN
        for port in one.ports & coverage.get((one.address, one.protocol), PortSet())
    ]
    shown = {
        (o.expectation.address, o.expectation.protocol, port)
        for o in compared(world).outcomes
        if o.observation is not None and o.observation.state is PortState.OPEN
        for port in o.ports
    }

    assert [one for one in opened if one[2] not in told.get(one[:2], PortSet())] == []
    assert sorted(opened, key=str) == sorted(shown, key=str)


@SLOW
@given(worlds())
def test_an_open_port_where_none_should_be_never_passes(world: World) -> None:
    """Open is verified only where it is reachable or permitted."""
    wrong = [
        o
        for o in compared(world).outcomes
        if o.observation is not None
        and o.observation.state is PortState.OPEN
        and o.result is Result.VERIFIED
        and o.expectation.state is ExpectedState.BLOCKED
    ]

    assert wrong == []


@SLOW
@given(worlds())
def test_fingerprints_are_unique_and_outlast_what_answers(world: World) -> None:
    """A finding keeps its fingerprint whatever product or reason stands behind it; no two findings share one."""
    findings = grade([compared(world)], NOTHING, TODAY).findings
    later = [
        replace(
            finding.subject,
            outcomes=tuple(
                replace(
                    o,
                    reason="another",
                    observation=o.observation
                    and replace(o.observation, reason="another", attempts=7, identity=Identity("x", "probed", "Other")),
                )
                for o in finding.subject.outcomes
            ),
        )
        for finding in findings
    ]
    again = grade([replace(compared(world), drifts=tuple(later))], NOTHING, TODAY).findings

    assert len(findings) == len({finding.fingerprint for finding in findings})
    assert {finding.fingerprint for finding in findings} == {finding.fingerprint for finding in again}


@SLOW
@given(worlds())
def test_whole_addresses_give_one_drift_each(world: World) -> None:
    """`host-unreachable`, `all-ports-open` and `unknown-host` name an address once, with evidence from there."""
    kinds = (Kind.HOST_UNREACHABLE, Kind.ALL_PORTS_OPEN, Kind.UNKNOWN_HOST)
    whole = [drift for drift in compared(world).drifts if drift.kind in kinds]
    named = Counter((drift.kind, drift.address) for drift in whole)

    assert [one for one, count in named.items() if count > 1 or one[1] is None] == []
    assert [d for d in whole for o in d.outcomes if o.expectation.address != d.address] == []


@SLOW
@given(worlds())
def test_an_unreachable_host_verifies_nothing_by_silence(world: World) -> None:
    """Beside what is permitted to be silent, nothing of an unreachable address is verified or silent."""
    comparison = compared(world)
    unreachable = {drift.address for drift in comparison.drifts if drift.kind is Kind.HOST_UNREACHABLE}
    passed = [
        outcome
        for outcome in comparison.outcomes
        if outcome.expectation.address in unreachable
        and outcome.expectation.state is not ExpectedState.PERMITTED
        and outcome.result in (Result.VERIFIED, Result.SILENT)
    ]

    assert passed == []


def reordered(data: Any, chance: random.Random) -> Any:
    """The same data with the keys of every mapping in another order."""
    if isinstance(data, dict):
        return {key: reordered(data[key], chance) for key in chance.sample(list(data), len(data))}
    return [reordered(item, chance) for item in data] if isinstance(data, list) else data


def judged(inventory_file: Path, files: dict[str, list[Path]]) -> list[object]:
    """Everything that does not name a line of the inventory."""
    inventory = load(inventory_file)
    comparisons = []
    for name in sorted(files):
        evidence = read_evidence(files[name])
        expected = expect(inventory, inventory.viewpoints[name], Profile.COMPARE, asked=evidence.asked)
        comparisons.append(compare(expected, evidence.scan(name)))
    outcomes = [
        (o.expectation.viewpoint, o.expectation.host, o.expectation.address, o.expectation.protocol, o.ports, o.reason)
        for comparison in comparisons
        for o in comparison.outcomes
    ]
    graded = grade(comparisons, inventory, TODAY)
    findings = [
        (f.fingerprint, f.severity, f.why, f.confidence, f.waiver and (f.waiver.match, f.expired))
        for f in (*graded.findings, *graded.waived)
    ]
    gaps = [drift.family_gap for comparison in comparisons for drift in comparison.drifts]
    return [*outcomes, *findings, *gaps]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.sampled_from(CASES), chance=st.randoms(use_true_random=False))
def test_the_order_of_keys_and_files_does_not_matter(tmp_path: Path, case: Path, chance: random.Random) -> None:
    """An inventory's keys and the evidence files may come in any order."""
    files: dict[str, list[Path]] = {}
    for path in sorted(case.glob("*.xml")):
        files.setdefault(path.name.partition(".")[0], []).append(path)
    data = yaml.load((case / "inventory.yaml").read_text(), Loader=yaml.BaseLoader)  # noqa: S506 - every scalar a string
    shuffled = tmp_path / "inventory.json"
    shuffled.write_text(json.dumps(reordered(retyped(data), chance)))
    other = {name: chance.sample(paths, len(paths)) for name, paths in files.items()}

    assert judged(case / "inventory.yaml", files) == judged(shuffled, other)


def retyped(data: Any) -> Any:
    """Plain strings back to what YAML meant by them; only these words stand in the cases."""
    if isinstance(data, dict):
        return {key: retyped(value) for key, value in data.items()}
    if isinstance(data, list):
        return [retyped(item) for item in data]
    return {"true": True, "false": False, "null": None, "1": 1, "90": 90}.get(data, data)


def endpoints(drifts: Iterable[Drift]) -> Counter[tuple[Kind, Address, Protocol, int]]:
    """Every endpoint of the drifts, by kind; of a whole address without evidence the address alone."""
    found = Counter(
        (drift.kind, o.expectation.address, o.expectation.protocol, port)
        for drift in drifts
        for o in drift.outcomes
        for port in o.ports
    )
    return found + Counter((d.kind, d.address, Protocol.TCP, 0) for d in drifts if d.address and not d.outcomes)


@SLOW
@given(worlds(), waivers())
def test_waivers_lose_and_add_no_endpoint(world: World, held: list[Waiver]) -> None:
    """Each endpoint of a drift is in a finding or waived, once, under the fingerprint of its drift."""
    comparison = compared(world)
    plain = grade([comparison], NOTHING, TODAY).findings
    found = grade([comparison], replace(NOTHING, waivers=tuple(held)), TODAY)
    kept = [one for one in found.findings if not one.notice]
    both = [one.subject for one in (*kept, *found.waived) if isinstance(one.subject, Drift)]

    assert endpoints(comparison.drifts) == endpoints(both)
    assert {one.fingerprint for one in plain} == {one.fingerprint for one in (*kept, *found.waived)}
    assert len(kept) == len({one.fingerprint for one in kept})


@SLOW
@given(worlds(), waivers())
def test_only_valid_waivers_cover_and_nothing_worse_than_they_accept(world: World, held: list[Waiver]) -> None:
    """Every waived finding has a waiver of today, and without one of today every finding stays as it was."""
    comparison = compared(world)
    found = grade([comparison], replace(NOTHING, waivers=tuple(held)), TODAY)
    others = tuple(one for one in held if not one.since <= TODAY <= one.expires)
    without = grade([comparison], replace(NOTHING, waivers=others), TODAY)
    plain = [replace(one, waiver=None, expired=False) for one in without.findings if not one.notice]

    assert all(one.waiver and one.waiver.since <= TODAY <= one.waiver.expires for one in found.waived)
    assert [] == [
        one
        for one in found.waived
        if one.waiver and one.waiver.severity and one.severity.rank < one.waiver.severity.rank
    ]
    assert (list(grade([comparison], NOTHING, TODAY).findings), ()) == (plain, without.waived)
