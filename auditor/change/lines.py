"""Which line of HEAD is the one that changed."""

from __future__ import annotations

from auditor.change.exposure import Overlay, Spot
from auditor.model.change import Written
from auditor.model.inventory import Host, Location, Path, Service, SourceRange


class Lines:
    """Finds the changed line of a service: of `from`, else of a range, else of what else places it, else its own."""

    def __init__(self, base: Written, head: Written) -> None:
        self._base = base
        self._head = head

    def of(self, overlay: Overlay) -> Location:
        path = self._path(overlay)
        return self._head.where.beside(path, self._base.where.file(path))

    def _path(self, overlay: Overlay) -> Path:
        """Of HEAD's service there; of what is removed, of the service of that name, or of what is around it."""
        if overlay.new and overlay.head:
            host, service = overlay.head.host, overlay.new[0]
            before = overlay.old[0] if overlay.old else self._named(self._base, host.name, service.name)
            return self._changed(host, before, service, overlay)
        spot, service = overlay.base, overlay.old[0]
        if spot is None:  # which `removed` always has
            raise ValueError(f"nothing declares {overlay.address}")
        after = self._named(self._head, spot.host.name, service.name)
        host_after = self._head.inventory.hosts.get(spot.host.name)
        if after is None or host_after is None:
            return self._gone(spot, service)
        return self._changed(host_after, service, after, overlay)

    def _changed(self, host: Host, before: Service | None, after: Service, overlay: Overlay) -> Path:
        where = self._head.where
        path = where.of_service(host.name, after.name)
        if before is None:
            return self._granted(host, path)
        if [source.name for source in before.sources] != [source.name for source in after.sources]:
            return where.of_service(host.name, after.name, "from")
        for old, new in zip(before.sources, after.sources, strict=True):
            if old.networks != new.networks:
                return _of_range(new)
        for key, differs in (
            ("ports", (before.tcp, before.udp) != (after.tcp, after.udp)),
            ("interfaces", before.interfaces != after.interfaces),
            ("families", before.families != after.families),
        ):
            if differs:
                return where.of_service(host.name, after.name, key)
        spot = overlay.head or overlay.base
        if spot is not None and (overlay.base is None or overlay.head is None):
            return "hosts", host.name, "interfaces", spot.interface
        return path

    def _granted(self, host: Host, path: Path) -> Path:
        """The host's `roles`, where a new service comes of a role that BASE had as it is."""
        roles: Path = ("hosts", host.name, "roles")
        if path[0] == "roles" and self._base.where.get(path) == self._head.where.get(path) is not None:
            return roles
        return path

    def _gone(self, spot: Spot, service: Service) -> Path:
        return "hosts", spot.host.name, "services", service.name

    @staticmethod
    def _named(side: Written, host: str, name: str) -> Service | None:
        found = side.inventory.hosts.get(host)
        return next((service for service in found.services if service.name == name), None) if found else None


def _of_range(source: SourceRange) -> Path:
    """The path of what a source is named after; a literal never changes."""
    if not source.machines:
        return "ranges", source.name
    what, _, name = source.name.partition(":")
    return ("hosts", name, "interfaces") if what == "host" else ("roles", name)
