"""What HEAD accepts more of: trust, addresses, policy."""

from __future__ import annotations

from collections.abc import Iterator

from auditor import addresses
from auditor.change.exposure import renamed
from auditor.change.keys import listed, weak
from auditor.model.change import Change, Written
from auditor.model.inventory import Forbid, Interface, Path, Policy, SourceRange
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
    yield from _addresses(base, head)
    yield from _policy(base, head)


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


def _addresses(base: Written, head: Written) -> Iterator[Change]:
    """Prefixes in which a host may now have any address; a host or an interface may have another name now."""
    before = {(host, name): one.dynamic for host, name, one in _interfaces(base)}
    after = {(host, name) for host, name, _ in _interfaces(head)}
    gone = [prefix for place, prefixes in before.items() if place not in after for prefix in prefixes]
    for host, name, interface in _interfaces(head):
        known = (*before.get((host, name), ()), *gone)
        if interface.dynamic and (more := addresses.difference(interface.dynamic, known)):
            path: Path = ("hosts", host, "interfaces", name, "dynamic")
            yield weak(head, path, f"now takes any address in {listed(more)} for its own", host=host)


def _interfaces(written: Written) -> Iterator[tuple[str, str, Interface]]:
    for host in written.inventory.hosts.values():
        for name, interface in host.interfaces.items():
            yield host.name, name, interface


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
