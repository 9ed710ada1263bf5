"""What a plan comes to: for each host and in all, by when, and whether a night is enough."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil

from auditor.model.expectation import Expectations
from auditor.model.limits import Window, named, next_opening, open_until
from auditor.model.words import Address, Basis, ExpectedState
from auditor.scan.nmap import command
from auditor.scan.plan.plan import CONTROL_PORTS, CONTROL_TRIES, Plan, Purpose

_NIGHT = timedelta(hours=6)  # where no window says how long one is
_PINGS = 8  # of one silent address: four kinds, twice
_LAST_LOOK = 2  # probes of one address
_CONVERSATION = 60  # packets of a version probe, as a rule; a service that nothing recognises takes about 200


def estimate(plan: Plan, now: datetime) -> Iterator[str]:
    """What is to be said about the size of a plan, a line each."""
    duration = timedelta(seconds=ceil(plan.seconds))
    viewpoint = plan.viewpoint
    yield (
        f"about {plan.probes:,} probes, at most {duration} where nothing answers, "
        f"{viewpoint.rate:,} packets a second, "
        f"{plan.abilities.technique} scan"
    )
    if found := _most(plan):
        host, probes = found
        slow = viewpoint.limits.host_rate
        limit = f", at most {slow:,} packets a second to any" if slow else ""
        yield f"about {probes:,} of them to one host at most, {host}{limit}"
    yield from _later(plan)
    yield from _end(plan, duration, now)
    yield from _too_long(plan)


def _most(plan: Plan) -> tuple[str, int] | None:
    """The host that gets most, and how much."""
    names = _hosts(plan.expectations)
    probes: dict[str, int] = {}
    for job in plan.jobs:
        for address in job.addresses:
            name = names.get(address, str(address))
            probes[name] = probes.get(name, 0) + job.probes // len(job.targets)
    return max(probes.items(), key=lambda item: item[1], default=None)


def _hosts(expectations: Expectations) -> dict[Address, str]:
    return {one.address: one.host for one in expectations.expectations}


def _later(plan: Plan) -> Iterator[str]:
    """What follows from what is found: bounds, as far as there are any."""
    addresses = len({address for address, _ in plan.expectations.coverage()})
    if count := len(plan.expectations.controls):
        yield (
            f"then {count} addresses that no host declares, as controls, are asked what others have answered: a few "
            f"dozen probes each, {sum(CONTROL_PORTS.values()) * CONTROL_TRIES:,} at most"
        )
    due = sum(
        len(one.ports)
        for one in plan.expectations.expectations
        if one.basis is Basis.DECLARED and one.state is not ExpectedState.BLOCKED
    )
    if addresses:
        yield (
            f"then at most {addresses * _PINGS:,} pings of silent addresses, a last look of at most "
            f"{addresses * _LAST_LOOK:,} probes, and version probes of open ports, of {due:,} if all is as declared: "
            f"about {_CONVERSATION} packets each, {command.VERSION_SECONDS} s at most"
        )


def _end(plan: Plan, duration: timedelta, now: datetime) -> Iterator[str]:
    windows = plan.viewpoint.limits.windows
    if not windows:
        return
    until = open_until(windows, now)
    begins = now if until else next_opening(windows, now)
    closes = until or open_until(windows, begins)
    ends = begins + duration
    when = "now" if until else f"at {begins:%Y-%m-%dT%H:%MZ}, when it opens"
    if closes is not None and ends > closes:
        yield (
            f"{named(windows)}: begun {when}, it would be cut off at {closes:%Y-%m-%dT%H:%MZ}, about "
            f"{timedelta(seconds=ceil((ends - closes).total_seconds()))} before its end"
        )
    else:
        yield f"{named(windows)}: begun {when}, it would end by about {ends:%Y-%m-%dT%H:%MZ}"


def _too_long(plan: Plan) -> Iterator[str]:
    """Where no night can do it, in how many slices nights can."""
    night = max(map(_length, plan.viewpoint.limits.windows), default=_NIGHT).total_seconds()
    if plan.seconds <= night:
        return
    sweeps = sum(lane.seconds for lane in plan.lanes if lane.jobs[0].purpose is Purpose.SWEEP)
    hours, minutes = divmod(ceil(plan.seconds / 60), 60)
    slices = ceil(plan.viewpoint.slices * sweeps / (night * 0.9))
    enough = slices > plan.viewpoint.slices and plan.seconds - sweeps < night
    advice = f"use `sweep: {{slices: {slices}}}`" if enough else "raise `limits`, or divide the hosts with --tag"
    yield f"too long for a night: about {hours} h {minutes} min; {advice}"


def _length(window: Window) -> timedelta:
    """Of a window, by the clock."""
    opens = timedelta(hours=window.opens.hour, minutes=window.opens.minute)
    closes = timedelta(hours=window.closes.hour, minutes=window.closes.minute) if window.closes else timedelta(days=1)
    return closes - opens if closes > opens else closes - opens + timedelta(days=1)
