"""What HEAD's waivers cover more of: by what they say, or by what comes under them by another name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from auditor.addresses import Members
from auditor.change.exposure import Spot, spots
from auditor.change.keys import listed, weak
from auditor.model.change import Change, Written
from auditor.model.inventory import Inventory, Match, Path, Service, Waiver
from auditor.model.patterns import pattern
from auditor.model.words import Protocol

_Renamed = dict[tuple[str, str], str]  # section and BASE's name: HEAD's name


def waiving(base: Written, head: Written) -> Iterator[Change]:
    """Waivers that are new or cover more, and names and tags that bring something under those that BASE had."""
    if not head.inventory.waivers:
        return
    renamed = _renamed(base.inventory, head.inventory)
    before: dict[str, list[Waiver]] = {}
    for waiver in base.inventory.waivers:
        before.setdefault(waiver.match.written, []).append(waiver)
    for index, waiver in enumerate(head.inventory.waivers):
        known = before.get(waiver.match.written) or [
            one for one in base.inventory.waivers if _within(waiver.match, one.match, renamed)
        ]
        yield from _waiver(known, waiver, ("waivers", index), head)
    written = {waiver.match.written for waiver in head.inventory.waivers}
    if kept := [waiver.match for waiver in base.inventory.waivers if waiver.match.written in written]:
        yield from _under(kept, base.inventory, head)
        yield from _seen_under(kept, renamed, head)


def _waiver(known: list[Waiver], after: Waiver, path: Path, head: Written) -> Iterator[Change]:
    """`known` are the waivers of BASE that cover all that it covers."""
    name = f"waivers[{after.match}]"
    if not known:
        accepted = f"{after.severity} and below" if after.severity else "any severity"
        what = f"is new, and accepts {accepted} until {after.expires}"
        yield weak(head, path, what, rule=name, location=after.location)
        return
    if any(one.since <= after.since and after.expires <= one.expires and _accepts(one, after) for one in known):
        return
    one = max(known, key=lambda waiver: waiver.expires)
    for key, wider, was, now in (
        ("since", after.since < one.since, one.since, after.since),
        ("expires", after.expires > one.expires, one.expires, after.expires),
        ("severity", not _accepts(one, after), one.severity or "any", after.severity or "any"),
    ):
        if wider:
            yield weak(head, (*path, key), f"was {was}, is {now}", rule=f"{name}.{key}")


def _accepts(one: Waiver, other: Waiver) -> bool:
    """Whether a waiver accepts all that the other one does."""
    if one.severity is None:
        return True
    return other.severity is not None and other.severity.rank >= one.severity.rank


def _within(after: Match, before: Match, renamed: _Renamed) -> bool:
    """Whether a match of HEAD certainly covers no more than one of BASE."""
    patterns: tuple[tuple[Collection[str], Collection[str]], ...] = (
        (after.hosts, _with_new(before.hosts, "hosts", renamed)),
        (after.tags, before.tags),
        (after.services, before.services),
        (after.interfaces, before.interfaces),
        (after.viewpoints, _with_new(before.viewpoints, "viewpoints", renamed)),
    )
    words: tuple[tuple[Collection[str], Collection[str]], ...] = (
        (after.families, before.families),
        (after.protocols, before.protocols),
        (after.kinds, before.kinds),
        (after.classes, before.classes),
        (after.fingerprints, before.fingerprints),
    )
    return (
        all(not known or (new and all(_fits(one, known) for one in new)) for new, known in patterns)
        and all(not known or (new and set(new) <= set(known)) for new, known in words)
        and (not before.addresses or _inside(after, before))
        and (not (before.tcp or before.udp) or _fewer_ports(after, before))
    )


def _with_new(names: Collection[str], section: str, renamed: _Renamed) -> list[str]:
    return [*names, *(renamed[section, name] for name in names if (section, name) in renamed)]


def _inside(after: Match, before: Match) -> bool:
    known = Members(before.addresses)
    return bool(after.addresses) and all(network in known for network in after.addresses)


def _fewer_ports(after: Match, before: Match) -> bool:
    return bool(after.tcp or after.udp) and not (after.tcp - before.tcp or after.udp - before.udp)


def _renamed(base: Inventory, head: Inventory) -> _Renamed:
    """Hosts and viewpoints that HEAD has by another name at the same addresses."""
    renamed: _Renamed = {}
    before = spots(base)
    for address, spot in spots(head).items():
        old = before.get(address)
        if old and old.host.name not in head.hosts and spot.host.name not in base.hosts:
            renamed.setdefault(("hosts", old.host.name), spot.host.name)
    for new in head.viewpoints.values():
        for one in base.viewpoints.values() if new.name not in base.viewpoints else ():
            if one.name not in head.viewpoints and set(one.addresses) == set(new.addresses):
                renamed.setdefault(("viewpoints", one.name), new.name)
    return renamed


def _under(kept: Iterable[Match], base: Inventory, head: Written) -> Iterator[Change]:
    """What both declare, and what comes under a waiver as it is called or tagged now."""
    told: set[Path] = set()
    near: dict[str, list[Match]] = {}
    before = spots(base)
    for address, spot in spots(head.inventory).items():
        old, name = before.get(address), spot.host.name
        if old is None or _same(old, spot):
            continue
        if name not in near:
            near[name] = [match for match in kept if _fits(name, match.hosts)]
        for match in near[name]:
            for path, what, service in _newly(match, old, spot):
                if path not in told:
                    told.add(path)
                    yield weak(head, path, what, host=spot.host.name, service=service)


def _same(old: Spot, new: Spot) -> bool:
    """Whether they are called alike."""
    return (
        (old.host.name, old.host.tags, old.interface) == (new.host.name, new.host.tags, new.interface)
        and [service.name for service in old.host.services] == [service.name for service in new.host.services]
        and [service.tcp for service in old.host.services] == [service.tcp for service in new.host.services]
        and [service.udp for service in old.host.services] == [service.udp for service in new.host.services]
    )


def _newly(match: Match, old: Spot, new: Spot) -> Iterator[tuple[Path, str, Service | None]]:
    """By which names the match, which fits the host, fits what it did not: path, what to say, and service."""
    place: Path = ("hosts", new.host.name)
    tags = [tag for tag in new.host.tags if _fits(tag, match.tags)]
    if not (_fits(new.host.name, match.hosts) and _fits(new.interface, match.interfaces) and (tags or not match.tags)):
        return
    if not _fits(old.host.name, match.hosts):
        yield place, f"was {old.host.name}, is {new.host.name}, which waivers cover", None
    if match.tags and not any(_fits(tag, match.tags) for tag in old.host.tags):
        yield (*place, "tags"), f"now has {listed(tags)}, which waivers cover", None
    if not _fits(old.interface, match.interfaces):
        what = f"was {old.interface}, is {new.interface}, which waivers cover"
        yield (*place, "interfaces", new.interface), what, None
    for service in new.services() if match.services else ():
        names = [one.name for one in old.services() if _meet(one, service)]
        if names and _fits(service.name, match.services) and not all(_fits(one, match.services) for one in names):
            what = f"was {listed(names)}, is {service.name}, which waivers cover"
            yield (*place, "services", service.name), what, service


def _meet(one: Service, other: Service) -> bool:
    """Whether they have a port in common."""
    return any(one.ports(protocol).bits & other.ports(protocol).bits for protocol in Protocol)


def _seen_under(kept: Collection[Match], renamed: _Renamed, head: Written) -> Iterator[Change]:
    """Viewpoints that come under a waiver by a new name."""
    for (section, old), new in renamed.items():
        if section == "viewpoints" and any(
            _fits(new, match.viewpoints) and not _fits(old, match.viewpoints) for match in kept
        ):
            yield weak(head, (section, new), f"was {old}, is {new}, which waivers cover")


def _fits(name: str, patterns: Collection[str]) -> bool:
    """Whether one of them fits; without any, everything does. In waivers `*` alone stands for any text."""
    return not patterns or any(name == one or ("*" in one and pattern(one).match(name)) for one in patterns)
