"""What HEAD asks less of what answers: the keys of services that decide what audits check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.change.exposure import Overlay
from auditor.change.keys import weak
from auditor.model.change import Change, Written
from auditor.model.inventory import Host, Path, Service


def checks(head: Written, laid: Iterable[Overlay]) -> Iterator[Change]:
    """The weakened keys of services, each once, however many hosts have it from a role.

    They are compared at each endpoint that both declare as open to somebody, whatever the services are called.
    """
    found: dict[Path, Change] = {}
    for overlay in laid:
        if overlay.head is None or not overlay.before or not overlay.after:
            continue
        host = overlay.head.host
        for service, key, gone, what in _weaker(overlay.old, overlay.new):
            path = _path(head, host, service, key, gone=gone)
            if path not in found:
                own = path[0] == "hosts"
                found[path] = weak(head, path, what, host=host.name if own else None, service=service if own else None)
    yield from found.values()


def _path(head: Written, host: Host, service: Service, key: str, *, gone: bool) -> Path:
    if gone:  # where it is missing
        return (*head.where.of_service(host.name, service.name), key)
    return head.where.of_service(host.name, service.name, key)


def _weaker(old: tuple[Service, ...], new: tuple[Service, ...]) -> Iterator[tuple[Service, str, bool, str]]:
    """Service, key, whether the key is gone, and what it was and is. Several names are one declaration."""
    first = new[0]
    if all(one.optional for one in new) and not all(one.optional for one in old):
        yield first, "optional", False, "was false, is true: that it answers is no longer asked"
    if not all(one.answers for one in new) and all(one.answers for one in old):
        silent = next(one for one in new if not one.answers)
        yield silent, "answers", False, "was true, is false: that it is silent is no longer a question"
    said = [
        ("protocol", _first(one.protocol for one in old), _first(one.protocol for one in new)),
        ("class", _first(one.declared_class for one in old), _first(one.declared_class for one in new)),
        ("behind", _first(one.behind for one in old), _first(one.behind for one in new)),
    ]
    for key, before, after in said:
        if before and not after:
            yield first, key, True, f"was {before}, is not there"
        elif before and after and key != "behind" and before.lower() != after.lower():
            saying = first if key == "class" else next(one for one in new if one.protocol)
            yield saying, key, False, f"was {before}, is {after}: audits accept what they would call the wrong service"


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value), None)
