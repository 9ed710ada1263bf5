"""How far a scan has come and how long it still takes, in planned seconds, as events.

What goes side by side takes as long as the longest of it: seconds that pass together are not added up. How much slower
than planned all has been so far is taken to stay so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from auditor.model.context import Context, Event
from auditor.model.words import Address
from auditor.scan.plan.later import LATE_SHARE, OWN_TALK, later, talk_seconds
from auditor.scan.plan.plan import Job, Lane, Plan, Purpose
from auditor.scan.plan.versions import VersionJob
from auditor.scan.together import beside

_TICK = 1.0  # seconds
_NEARLY = 0.99  # of a run, until it has ended
_CALM = 4.0  # seconds that are held to have gone as planned before any have, at least: the first ones tell little
_CALM_SHARE = 0.1  # of all that is planned
_AT_LEAST = 1.0  # seconds, of a phase that comes once more
_NAMES = {Purpose.CANARY: "declared ports", Purpose.DECLARED: "declared ports", Purpose.UDP: "UDP"}
_SWEEP = "sweep"
TRYING = "trying what this machine bears"
TALKING = "asking what answers"
PINGS = "pings"
CONTROLS = "controls"
CONFIRM = "asking again"
LAST_LOOK = "last look"
DONE = "done"


@dataclass(slots=True)
class _Track:
    """Runs of which so many go side by side; `due` is what is planned, by what is asked of which address.

    All seconds are those of one after the other.
    """

    name: str
    width: float = 1.0
    waiting: float = 0.0  # seconds, of runs that have not begun
    running: list[Share] = field(default_factory=list)
    _due: dict[tuple[object, ...], float] = field(default_factory=dict)

    @property
    def work(self) -> float:
        seconds = self.waiting + sum(share.left * share.places for share in self.running)
        return max(0.0, round(seconds, 6))  # what adding and taking away leaves of nothing is nothing

    @property
    def longest(self) -> float:
        """Of the runs under way."""
        return max((share.left for share in self.running), default=0.0)

    @property
    def left(self) -> float:
        return max(self.work / self.width, self.longest)

    def plan(self, job: Job) -> None:
        for address in job.addresses:
            self._due[_key(job, address)] = job.seconds / len(job.targets)
        self.waiting += job.seconds

    def begin(self, job: Job) -> None:
        """A run in place of what was planned; what is asked once more, or slower, comes on top of that."""
        self.waiting += job.seconds - sum(self._due.pop(_key(job, address), 0.0) for address in job.addresses)

    def drop(self) -> None:
        """Whatever has not begun never will."""
        self._due.clear()
        self.waiting = 0.0


def _key(job: Job, address: Address) -> tuple[object, ...]:
    return job.protocol, job.ports, address


class Progress:
    """The progress of one viewpoint: one total of planned seconds, from its declared ports to the last look."""

    def __init__(self, context: Context, plan: Plan, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._plan = plan
        self.clock = clock
        self._began = clock()
        expected = later(plan)
        self._first = _Track(_NAMES[Purpose.DECLARED])
        self._lanes: dict[tuple[Purpose, bool], _Track] = {}
        self._hosts: dict[str, _Track] = {}  # those with a rate of their own have one run at a time
        self._talks = _Track(TALKING)
        self._declared = expected.declared  # conversations that are expected, in seconds, until what they are about
        self._silent = expected.silent  # has been found
        self._late = {
            TRYING: _Track(TRYING, waiting=expected.trying),
            PINGS: _Track(PINGS, waiting=expected.pings),
            CONTROLS: _Track(CONTROLS, waiting=expected.controls),
            CONFIRM: _Track(CONFIRM, waiting=expected.confirm),
            LAST_LOOK: _Track(LAST_LOOK, waiting=expected.last_look),
        }
        self._left = self._done = self._worked = 0.0  # planned seconds; what was done before is no work

    def begin(self, first: Lane, lanes: Sequence[Lane]) -> None:
        """These of the planned runs will be made, from now on."""
        self._began = self.clock()
        self._first.width = first.side_by_side
        for job in first.jobs:
            self._first.plan(job)
        for lane in lanes:
            for job in lane.jobs:
                track, *host = self._tracks(job)
                track.width = lane.side_by_side
                for one in (track, *host):
                    one.plan(job)
        self.replan()

    def share(self, job: Job) -> Share:
        """What one run does of it: of what was planned, or what turns out to be needed too."""
        tracks = self._tracks(job)
        for track in tracks:
            track.begin(job)
        self.replan()
        return Share(self, tracks, job.seconds, len(job.targets), job.group)

    def found(self, jobs: Iterable[VersionJob]) -> None:
        """There is that to be asked what it is. The declared ports have told, too, how much of them there is."""
        self._declared = 0.0
        self._late[TRYING].drop()
        for job in jobs:
            seconds = talk_seconds(job) * len(job.targets)
            self._talks.waiting += seconds
            self._silent = max(0.0, self._silent - seconds) if job.own else self._silent
        self.replan()

    def talk(self, job: VersionJob, *, again: bool = False) -> Share:
        """What one run does of what was `found`; asking `again` comes on top of that."""
        seconds, hosts = talk_seconds(job), len(job.targets)
        self._talks.waiting += seconds * hosts if again else 0.0
        self.replan()
        return Share(self, (self._talks,), seconds, hosts, hosts, places=hosts)

    def swept(self) -> None:
        """Nothing of what was planned is left, whatever there was that had stopped answering."""
        for track in (self._first, self._late[TRYING], *self._lanes.values(), *self._hosts.values()):
            track.drop()
        self._silent = 0.0
        self.replan()

    @asynccontextmanager
    async def during(self, name: str) -> AsyncIterator[None]:
        """A phase of which no plan knows the runs: by the clock."""
        track = self._late[name]
        seconds = track.waiting = max(track.waiting, _AT_LEAST)
        share = Share(self, (track,), seconds, 1, 1)
        share.begin()
        self.replan()
        async with share.going():
            yield
        share.finish()

    def _tracks(self, job: Job) -> tuple[_Track, ...]:
        """That of the job's lane; and of its host, where that has a rate of its own."""
        if job.purpose in (Purpose.CANARY, Purpose.DECLARED):
            return (self._first,)
        alone = job.host_rate is not None
        name = _NAMES.get(job.purpose, _SWEEP)
        lane = self._lanes.setdefault((job.purpose, alone), _Track(name))
        if not alone:
            return (lane,)
        limits = self._plan.expectations.limits.get(job.addresses[0])
        host = limits.host if limits else str(job.addresses[0])
        return lane, self._hosts.setdefault(host, _Track(name))

    def _phases(self) -> Iterator[tuple[str, float]]:
        """What is left, one after the other: names, and planned seconds."""
        lanes = (*self._lanes.values(), *self._hosts.values())
        longest = max(lanes, key=lambda track: track.left, default=_Track(_SWEEP))
        udp = max((track.left for (purpose, _), track in self._lanes.items() if purpose is Purpose.UDP), default=0.0)
        yield self._first.name, self._first.left
        yield TRYING, self._late[TRYING].left
        yield longest.name, longest.left
        yield PINGS, self._late[PINGS].left
        talk = self._talking(longest.left, udp)
        controls = self._late[CONTROLS].left
        yield (TALKING, talk) if talk > controls else (CONTROLS, controls)
        yield CONFIRM, self._late[CONFIRM].left
        yield LAST_LOOK, self._late[LAST_LOOK].left

    def _talking(self, swept: float, udp: float) -> float:
        """How much longer the conversations take than the sweeps: fewer go on beside those than after them."""
        work = self._declared + self._silent + self._talks.work
        left = max(0.0, work - swept * self._plan.talking) / self._plan.talking_of(LATE_SHARE)
        silent = udp + OWN_TALK if self._silent else 0.0
        return max(left, self._talks.longest - swept, silent - swept)

    def worked(self, *, earlier: bool = False) -> None:
        """Some of it has been done, or is known to have been done by an earlier attempt."""
        left = self._planned()
        done, self._left = max(0.0, self._left - left), left
        self._done += done
        self._worked += 0.0 if earlier else done
        self._tell()

    def replan(self) -> None:
        """More is to be done, or less: that is no work done."""
        self._left = self._planned()
        self._tell()

    def _planned(self) -> float:
        return sum(seconds for _, seconds in self._phases())

    def _tell(self) -> None:
        name = next((name for name, seconds in self._phases() if seconds), DONE)
        elapsed = self.clock() - self._began
        calm = max(_CALM, (self._done + self._left) * _CALM_SHARE)
        left = self._left * (elapsed + calm) / (self._worked + calm)
        where = self._plan.viewpoint.name
        self._context.emit(Event("scan", name, where, where, self._done, self._done + self._left, left))


class Share:
    """What one run does of it: as far as nmap says, or by the clock as long as it says nothing, as nmap 7.95 does.

    Until it has begun it is among what its tracks have waiting. `places` is how many it takes of their width.
    """

    def __init__(
        self, progress: Progress, tracks: Sequence[_Track], seconds: float, hosts: int, group: int, *, places: int = 1
    ) -> None:
        self.places = places
        self._progress = progress
        self._tracks = tracks
        self._seconds = seconds
        self._hosts = hosts
        self._group = group
        self._began: float | None = None
        self._told = False  # nmap has said how far it is with hosts in work
        self._done = 0.0  # of 1

    @property
    def left(self) -> float:
        return self._seconds * (1 - self._done)

    async def clock(self) -> None:
        """Go on with the time from the first word of the run on, until cancelled; waiting for its turn is no work."""
        while True:
            await asyncio.sleep(_TICK)
            if self._began is not None:
                spent = self._progress.clock() - self._began
                self._reach(self._done if self._told else min(_NEARLY, spent / self._seconds))

    def begin(self, _percent: float = 0.0, _finished: int = 0) -> None:
        """The run has begun. What nmap says of how far it is with conversations tells nothing."""
        if self._began is None:
            self._began = self._progress.clock()
            for track in self._tracks:
                track.waiting -= self._seconds * self.places
                track.running.append(self)

    def tell(self, percent: float, finished: int) -> None:
        """The run has begun, at (0, 0); or nmap says how far it is with the hosts in work, and which are finished."""
        self.begin()
        self._told = self._told or percent > 0
        hosts = finished + min(self._group, self._hosts - finished) * percent / 100
        self._reach(min(_NEARLY, hosts / self._hosts))

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """For the run itself, beside which the clock goes on. One that is ended from outside has done no work."""
        try:
            async with beside(self.clock()):
                yield
        except BaseException:
            self._leave()
            self._progress.replan()
            raise

    def finish(self, *, earlier: bool = False) -> None:
        """The run has ended, or was ended by an `earlier` attempt at the audit."""
        self._leave()
        self._progress.worked(earlier=earlier)

    def _leave(self) -> None:
        for track in self._tracks:
            if self in track.running:
                track.running.remove(self)
            else:
                track.waiting -= self._seconds * self.places

    def _reach(self, done: float) -> None:
        self._done = max(self._done, done)
        self._progress.worked()  # though it be none: the longer that takes, the longer all will
