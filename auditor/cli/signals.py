"""Ctrl-C, SIGTERM and SIGHUP: heard once, and then everything that was started is ended before the command ends.

An exception out of a signal handler can land anywhere: in a callback of asyncio, which logs it and goes on, or between
the start of nmap and the line that remembers it. So while a loop runs, the handler raises nothing and cancels the root
task. asyncio.run does so by itself for the first Ctrl-C, but for no second one and for no other signal
(https://docs.python.org/3/library/asyncio-runner.html#handling-keyboard-interruption).
"""

from __future__ import annotations

import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio  # costs more than all that most commands import

_T = TypeVar("_T")
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # nmap is in groups of its own: a hangup spares it


class Stopped(BaseException):
    """A signal asks the command to end. Not an Exception, so that nothing on the way takes it for a fault."""

    def __init__(self, number: int) -> None:
        self.interrupted = number == signal.SIGINT
        self.exit_code = 128 + number
        super().__init__(number)


@dataclass(slots=True)
class _Heard:
    """A process has one set of signal handlers, so this is the one place where state is global."""

    number: int | None = None
    task: asyncio.Task[Any] | None = None


_heard = _Heard()


def listen() -> None:
    """Have the signals raise Stopped, once, wherever no loop runs. Those that the caller ignores (nohup) stay so."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)


def deafen() -> None:
    """Let nothing change an exit code that is decided, nor kill us with another while the interpreter ends."""
    _heard.number = _heard.number or 0
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The result of the coroutine. A signal cancels it, and Stopped is raised once it has cleaned up."""

    import asyncio

    async def root() -> _T:
        _heard.task = asyncio.current_task()
        with _woken(asyncio.get_running_loop()):
            return await coroutine

    try:
        return asyncio.run(root())
    finally:
        _heard.task = None
        if _heard.number:
            raise Stopped(_heard.number)


@contextmanager
def _woken(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Have every signal wake the loop: the system may give one to another thread, and our handler runs in this one."""
    import socket

    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    loop.add_reader(reading, reading.recv, 4096)
    try:
        yield
    finally:
        loop.remove_reader(reading)
        signal.set_wakeup_fd(before)
        reading.close()
        writing.close()


def _hear(number: int, _frame: FrameType | None) -> None:
    """Only the first is heard: a second would break off the ending of what was started, which takes 2 seconds."""
    if _heard.number is not None:
        return
    _heard.number = number
    task = _heard.task
    if task is None or task.get_loop().is_closed():
        raise Stopped(number)
    task.get_loop().call_soon_threadsafe(task.cancel)
