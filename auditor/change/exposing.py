"""What HEAD opens and closes, folded to one change of a kind, host and service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from auditor.catalogue.lookup import entry_by_word
from auditor.change.exposure import Overlay, by_place
from auditor.change.lines import Lines
from auditor.change.sources import Sources, SourceSets, Trusting
from auditor.model.change import Change, ChangedEndpoint, Written
from auditor.model.inventory import Host, Inventory, Service
from auditor.model.ports import PortSet
from auditor.model.words import GAINS, Address, ChangeKind, Network, Protocol, ServiceClass, Trust

_Key = tuple[ChangeKind, str, str]


@dataclass(slots=True)
class _Fold:
    """Everything of one kind, host and service."""

    service: Service
    overlays: list[tuple[Overlay, Sources, Sources]] = field(default_factory=list)  # each with gained and lost


def exposures(base: Written, head: Written, laid: Iterable[Overlay], sets: SourceSets) -> Iterator[Change]:
    """The changes of exposure, one for each kind, host and service."""
    folds: dict[_Key, _Fold] = {}
    for overlay in laid:
        gained, lost = sets.without(overlay.after, overlay.before), sets.without(overlay.before, overlay.after)
        kind = _kind(overlay, gained, lost)
        spot = overlay.base if kind is ChangeKind.REMOVED else overlay.head
        if kind and spot:
            service = (overlay.old if kind is ChangeKind.REMOVED else overlay.new)[0]
            key = kind, spot.host.name, service.name
            folds.setdefault(key, _Fold(service)).overlays.append((overlay, gained, lost))
    folding = _Folding(base.inventory, Trusting(base.inventory, head.inventory), Lines(base, head), sets)
    for (kind, host, _), fold in folds.items():
        yield folding.change(kind, host, fold)


def _kind(overlay: Overlay, gained: Sources, lost: Sources) -> ChangeKind | None:
    if not overlay.before:
        return ChangeKind.ADDED if gained else None
    if not overlay.after:
        return ChangeKind.REMOVED
    if gained:
        return ChangeKind.WIDENED
    return ChangeKind.NARROWED if lost else None


@dataclass(frozen=True, slots=True)
class _Folding:
    """What a fold is judged and placed by."""

    base: Inventory
    trusting: Trusting
    lines: Lines
    sets: SourceSets

    def change(self, kind: ChangeKind, host: str, fold: _Fold) -> Change:
        opened = kind in GAINS
        declaring = [service for overlay, _, _ in fold.overlays for service in _declaring(overlay, self.base)]
        classes = {one for service in declaring for one in _classes(service)}
        return Change(
            kind=kind,
            host=host,
            service=fold.service,
            endpoints=_endpoints(fold.overlays),
            gained=self.sets.union(gained for _, gained, _ in fold.overlays),
            lost=self.sets.union(lost for _, _, lost in fold.overlays),
            everybody=tuple(sorted({n for o, gained, _ in fold.overlays for n in _whole(gained, o.after)}, key=str)),
            trust=_worst(self.trusting.of_gain(gained, o.new) for o, gained, _ in fold.overlays) if opened else None,
            classes=tuple(one for one in ServiceClass if one in classes),
            behind=next((service.behind for service in declaring if service.behind), None),
            location=self.lines.of(fold.overlays[0][0]),
        )


def _declaring(overlay: Overlay, base: Inventory) -> Iterator[Service]:
    """What HEAD and BASE say of these ports: at the address, elsewhere on the host, or of the service by its name."""
    yield from overlay.new
    yield from overlay.old
    host: Host | None = overlay.base.host if overlay.base else None
    hosts = [host] if host else []
    if overlay.head and overlay.head.host.name in base.hosts:
        hosts.append(base.hosts[overlay.head.host.name])
    names = {service.name for service in overlay.new}
    for one in hosts:
        for service in one.services:
            if service.name in names or service.ports(overlay.protocol).bits & overlay.ports.bits:
                yield service


def _classes(service: Service) -> Iterator[ServiceClass]:
    """What it declares itself to be, by its class and by the protocol that it speaks."""
    if service.declared_class:
        yield service.declared_class
    spoken = entry_by_word(service.protocol) if service.protocol else None
    if spoken:
        yield spoken.as_class or spoken.service_class


def _whole(gained: Sources, after: Sources) -> Iterator[Network]:
    """The default routes of those families that gain and are open to everybody now."""
    versions = {one.version for one in gained if not isinstance(one, str)}
    for one in after:
        if not isinstance(one, str) and one.prefixlen == 0 and one.version in versions:
            yield one


def _worst(trusts: Iterable[Trust]) -> Trust:
    return Trust.UNTRUSTED if Trust.UNTRUSTED in set(trusts) else Trust.TRUSTED


def _endpoints(overlays: Iterable[tuple[Overlay, Sources, Sources]]) -> tuple[ChangedEndpoint, ...]:
    """Ports of one address that changed alike as one, sorted."""
    alike: dict[tuple[Address | str, Protocol, Sources, Sources], int] = {}
    for overlay, gained, lost in overlays:
        key = overlay.address, overlay.protocol, gained, lost
        alike[key] = alike.get(key, 0) | overlay.ports.bits
    found = [
        ChangedEndpoint(address, protocol, PortSet(bits), gained, lost)
        for (address, protocol, gained, lost), bits in alike.items()
    ]
    return tuple(sorted(found, key=lambda one: (by_place(one.address), one.protocol, one.ports.first)))
