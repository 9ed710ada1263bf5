"""How far a scan has come, as events."""

from __future__ import annotations

import asyncio

from auditor.model.context import Context, Event

_TICK = 1.0  # seconds
_NEARLY = 0.99  # of a share, until its run has ended


class Progress:
    """One line of progress of one viewpoint: so many probes, done by shares."""

    def __init__(self, context: Context, viewpoint: str, task: str) -> None:
        self._context = context
        self._viewpoint = viewpoint
        self._task = task
        self._total = 0.0
        self._done = 0.0

    def share(self, probes: float, hosts: int, group: int, seconds: float) -> Share:
        """The part of it that one run over so many hosts does, `group` of them at a time, in about so many seconds."""
        return Share(self, probes, hosts, group, seconds)

    def grow(self, probes: float) -> None:
        """More work has been found."""
        self._total += probes

    def add(self, probes: float) -> None:
        self._done = min(self._total, self._done + probes)
        task = f"{self._viewpoint}: {self._task}"
        self._context.emit(Event("scan", self._task, self._viewpoint, task, self._done, self._total))


class Share:
    """What one run does of it: as far as nmap says, or by the clock as long as it says nothing, as nmap 7.95 does."""

    def __init__(self, progress: Progress, probes: float, hosts: int, group: int, seconds: float) -> None:
        self._progress = progress
        self._probes = probes
        self._hosts = hosts
        self._group = group
        self._seconds = seconds
        self._began: float | None = None
        self._told = False  # nmap has said how far it is with hosts in work
        self._done = 0.0

    async def clock(self) -> None:
        """Go on with the time from the first word of the run on, until cancelled; waiting for its turn is no work."""
        while not self._told:
            await asyncio.sleep(_TICK)
            if self._began is not None and not self._told:
                spent = asyncio.get_running_loop().time() - self._began
                self._reach(self._probes * min(_NEARLY, spent / self._seconds))

    def tell(self, percent: float, finished: int) -> None:
        """The run has begun, at (0, 0); or nmap says how far it is with the hosts in work, and which are finished."""
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
        self._told = self._told or percent > 0
        hosts = finished + min(self._group, self._hosts - finished) * percent / 100
        self._reach(self._probes * min(_NEARLY, hosts / self._hosts))

    def finish(self) -> None:
        self._reach(self._probes)

    def _reach(self, done: float) -> None:
        if done > self._done:
            self._progress.add(done - self._done)
            self._done = done
