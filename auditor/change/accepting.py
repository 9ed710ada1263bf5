"""What HEAD accepts more of: trust, policy, waivers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor import addresses
from auditor.change.exposure import renamed, spots
from auditor.change.keys import listed, weak
from auditor.model.change import Change, Written
from auditor.model.inventory import Forbid, Path, Policy, SourceRange, Waiver
from auditor.model.patterns import pattern
from auditor.model.words import Network, Trust


def accepting(base: Written, head: Written) -> Iterator[Change]:
    """The keys by which HEAD accepts what BASE did not."""
    trusted = [
        network
        for source in base.inventory.ranges.values()
        if source.declared_trust and source.trust is Trust.TRUSTED
        for network in source.networks
    ]
    for name, source in head.inventory.ranges.items():
        yield from _trust(base.inventory.ranges.get(name), source, trusted, head)
    yield from _policy(base, head)
    before: dict[str, list[Waiver]] = {}
    for waiver in base.inventory.waivers:
        before.setdefault(waiver.match.written, []).append(waiver)
    for index, waiver in enumerate(head.inventory.waivers):
        yield from _waiver(before.get(waiver.match.written, []), waiver, ("waivers", index), head)
    yield from _tags(base, head)


def _trust(before: SourceRange | None, after: SourceRange, trusted: list[Network], head: Written) -> Iterator[Change]:
    """Trust by word where there was distrust by word or by size. That a range shrinks is no trust in what is left."""
    path: Path = ("ranges", after.name, "trust")
    if after.trust is Trust.UNTRUSTED:
        return
    if before is not None and before.trust is Trust.UNTRUSTED:
        if before.declared_trust or after.declared_trust:
            yield weak(head, path, "was untrusted, is trusted")
    elif after.declared_trust:
        rest = addresses.difference(after.networks, trusted)
        if addresses.trust_of(rest) is Trust.UNTRUSTED:
            yield weak(head, path, f"says trusted of {listed(rest)}, which is untrusted by its size")


def _policy(base: Written, head: Written) -> Iterator[Change]:
    before, after = base.inventory.policy, head.inventory.policy
    names = renamed(base.inventory, head.inventory) if any(rule.exceptions for rule in before.forbid) else {}
    told: set[str] = set()
    for rule in before.forbid:
        allowed = {names.get(one, one) for one in rule.exceptions}
        if str(rule) not in told and not any(
            _covers(one, rule) and set(one.exceptions) <= allowed for one in after.forbid
        ):
            told.add(str(rule))
            yield _forbid(rule, allowed, after, head)
    if lost := [field for field in before.require if field not in after.require]:
        yield weak(head, ("policy", "require"), f"no longer has {listed(sorted(lost))}")
    days = before.max_waiver_days
    if days is not None and (after.max_waiver_days is None or after.max_waiver_days > days):
        now = "is not there" if after.max_waiver_days is None else f"is {after.max_waiver_days}"
        yield weak(head, ("policy", "max_waiver_days"), f"was {days}, {now}")


def _forbid(rule: Forbid, allowed: set[str], after: Policy, head: Written) -> Change:
    name = f"policy.forbid[{str(rule).removeprefix('forbid ')}]"
    path: Path = ("policy", "forbid")
    for index, one in enumerate(after.forbid):
        if _covers(one, rule):
            more = sorted(set(one.exceptions) - allowed)
            path = (*path, index, "except")
            return weak(head, path, f"now leaves out {listed(more)}", rule=f"{name}.except")
    return weak(head, path, "is no longer forbidden, or not all of it", rule=name)


def _covers(rule: Forbid, other: Forbid) -> bool:
    """Whether a rule forbids, but for its exceptions, all that the other one does."""
    return rule.service_class in (None, other.service_class) and rule.trust in (None, other.trust)


def _waiver(same: Sequence[Waiver], after: Waiver, path: Path, head: Written) -> Iterator[Change]:
    """How it accepts more than those of the same match, which BASE has."""
    name = f"waivers[{after.match}]"
    if not same:
        accepted = f"{after.severity} and below" if after.severity else "any severity"
        what = f"is new, and accepts {accepted} until {after.expires}"
        yield weak(head, path, what, rule=name, location=after.location)
        return
    if any(one.since <= after.since and after.expires <= one.expires and _accepts(one, after) for one in same):
        return
    one = max(same, key=lambda waiver: waiver.expires)
    for key, wider, was, now in (
        ("since", after.since < one.since, one.since, after.since),
        ("expires", after.expires > one.expires, one.expires, after.expires),
        ("severity", not _accepts(one, after), one.severity or "any", after.severity or "any"),
    ):
        if wider:
            yield weak(head, (*path, key), f"was {was}, is {now}", rule=f"{name}.{key}")


def _tags(base: Written, head: Written) -> Iterator[Change]:
    """Tags by which waivers that BASE had cover hosts that they did not cover."""
    patterns = [pattern(tag) for tag in {tag for waiver in base.inventory.waivers for tag in waiver.match.tags}]
    if not patterns:
        return
    before = {address: spot.host for address, spot in spots(base.inventory).items()}
    told: set[str] = set()
    for address, spot in spots(head.inventory).items():
        host, old = spot.host, before.get(address)
        if old is None or host.tags == old.tags or host.name in told:
            continue
        new = [tag for tag in host.tags if tag not in old.tags and any(one.match(tag) for one in patterns)]
        if new:
            told.add(host.name)
            yield weak(
                head, ("hosts", host.name, "tags"), f"now has {listed(new)}, which waivers cover", host=host.name
            )


def _accepts(one: Waiver, other: Waiver) -> bool:
    """Whether a waiver accepts all that the other one does."""
    if one.severity is None:
        return True
    return other.severity is not None and other.severity.rank >= one.severity.rank
