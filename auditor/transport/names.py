"""Addresses of DNS names, as the resolver of this machine tells them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic

from auditor.model.words import Address

_SIDE_BY_SIDE = 32  # questions at a time
_PATIENCE = 10.0  # seconds for all of them

Answer = tuple[Address, ...] | str


def _ask(name: str) -> Collection[str]:
    """The addresses in writing, of both families. Raises OSError, of which socket.gaierror is one."""
    return {str(place[0]) for *_, place in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}


def look_up(
    names: Collection[str], *, ask: Callable[[str], Collection[str]] = _ask, patience: float = _PATIENCE
) -> dict[str, Answer]:
    """The addresses of each name, sorted; or, as a text, why there are none.

    The names are asked for side by side. What has no answer after `patience` seconds, for all together, has none.
    """
    waiting: SimpleQueue[str] = SimpleQueue()
    answers: SimpleQueue[tuple[str, Answer]] = SimpleQueue()
    late = Event()
    for name in names:
        waiting.put(name)
    for _ in range(min(_SIDE_BY_SIDE, len(names))):  # daemons: a resolver that hangs must not hold up our end
        Thread(target=_work, args=(ask, waiting, answers, late), daemon=True).start()
    found: dict[str, Answer] = dict.fromkeys(names, f"the resolver gave no answer within {patience:g} s")
    until = monotonic() + patience
    for _ in range(len(names)):
        try:
            name, answer = answers.get(timeout=max(0.0, until - monotonic()))
        except Empty:
            break
        found[name] = answer
    late.set()
    return found


def _work(
    ask: Callable[[str], Collection[str]],
    waiting: SimpleQueue[str],
    answers: SimpleQueue[tuple[str, Answer]],
    late: Event,
) -> None:
    while not late.is_set():
        try:
            name = waiting.get_nowait()
        except Empty:
            return
        answers.put((name, _answer(ask, name)))


def _answer(ask: Callable[[str], Collection[str]], name: str) -> Answer:
    try:
        found = map(ip_address, ask(name))
        return tuple(sorted(found, key=lambda address: (address.version, address.packed)))
    except OSError as error:
        return f"the resolver says: {error.strerror or error}"
    except ValueError as error:  # a name that Python cannot encode, an address that it cannot read
        return f"the resolver's answer cannot be read: {error}"
