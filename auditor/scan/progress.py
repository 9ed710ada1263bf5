"""How far a scan has come, as events."""

from __future__ import annotations

from auditor.model.context import Context, Event


class Progress:
    """One line of progress of one viewpoint: so many probes, done by shares."""

    def __init__(self, context: Context, viewpoint: str, task: str) -> None:
        self._context = context
        self._viewpoint = viewpoint
        self._task = task
        self._total = 0.0
        self._done = 0.0

    def share(self, probes: float, hosts: int, group: int) -> Share:
        """The part of it that one run over so many hosts does, `group` of them at a time."""
        return Share(self, probes, hosts, group)

    def grow(self, probes: float) -> None:
        """More work has been found."""
        self._total += probes

    def add(self, probes: float) -> None:
        self._done = min(self._total, self._done + probes)
        task = f"{self._viewpoint}: {self._task}"
        self._context.emit(Event("scan", self._task, self._viewpoint, task, self._done, self._total))


class Share:
    def __init__(self, progress: Progress, probes: float, hosts: int, group: int) -> None:
        self._progress = progress
        self._probes = probes
        self._hosts = hosts
        self._group = group
        self._done = 0.0

    def tell(self, percent: float, finished: int) -> None:
        """nmap says how far it is with the hosts in work, and which are finished."""
        hosts = finished + min(self._group, self._hosts - finished) * percent / 100
        self._reach(self._probes * min(1.0, hosts / self._hosts))

    def finish(self) -> None:
        self._reach(self._probes)

    def _reach(self, done: float) -> None:
        if done > self._done:
            self._progress.add(done - self._done)
            self._done = done
