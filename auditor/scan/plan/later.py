"""What follows from what a scan finds: the seconds that it takes as a rule, since no plan has the runs."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.words import Basis, ExpectedState, Protocol
from auditor.scan.plan.plan import CONTROL_TRIES, Plan, Purpose
from auditor.scan.plan.versions import VersionJob

LATE_SHARE = 0.5  # of the rate for pings and last looks, while version probes run beside them
OWN_TALK = 12.0  # seconds, where a silent UDP port is asked by its own probes alone
# Of other conversations, as seen on a calm machine: most services are recognised by one of the first probes.
_TALK = {Protocol.TCP: 10.0, Protocol.UDP: 15.0}
_CROWD_TALK = 20.0  # of many ports of one address
_LONG_SWEEPS = 10.0  # seconds, as planned; what rate the machine bears is not worth finding out for shorter ones
_TRYING = 2.0  # seconds that it takes to find out
_RUN = 1.0  # of any run of nmap
_PORTS_OF_CONTROLS = 12  # as a rule; at most, far more
_LAST_LOOK = 5.0  # seconds, as a rule at most


@dataclass(frozen=True, slots=True)
class Later:
    """Planned seconds; those of conversations are one after the other, of all hosts.

    `trying` is for what the machine bears, before any sweep. `declared` are conversations with what is declared to
    answer, `silent` with UDP ports that say nothing to a port scan.
    """

    trying: float
    declared: float
    silent: float
    pings: float
    controls: float
    confirm: float
    last_look: float


def tries_rate(plan: Plan) -> bool:
    """Whether it is worth finding out what rate the scanner's machine bears."""
    swept = sum(job.seconds for job in plan.jobs if job.purpose is Purpose.SWEEP)
    return swept >= _LONG_SWEEPS and plan.abilities.raw


def talk_seconds(job: VersionJob) -> float:
    """How long one run takes that asks what answers."""
    return OWN_TALK if job.own else _CROWD_TALK if job.crowd else _TALK[job.protocol]


def later(plan: Plan) -> Later:
    """What follows if all is as declared."""
    expected = plan.expectations
    if not plan.jobs:
        return Later(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    declared = sum(
        len(one.ports) * _TALK[one.protocol]
        for one in expected.expectations
        if one.basis is Basis.DECLARED and one.state is not ExpectedState.BLOCKED and one.protocol is Protocol.TCP
    )
    silent = sum(len(job.targets) * OWN_TALK for job in plan.jobs if job.purpose is Purpose.UDP)
    controls = len(expected.controls) * _PORTS_OF_CONTROLS * CONTROL_TRIES
    return Later(
        trying=_TRYING if tries_rate(plan) else 0.0,
        declared=declared,
        silent=silent,
        pings=_RUN,
        controls=2 * _RUN + controls / (plan.viewpoint.rate * LATE_SHARE) if controls else 0.0,
        confirm=_RUN,
        last_look=min(_RUN * max(1, len({address for job in plan.jobs for address in job.addresses}) / 4), _LAST_LOOK),
    )
