"""What the inventory alone gives to report: breaches of its policy, and waivers that cover nothing."""

from __future__ import annotations

import shlex

from auditor.grade.fingerprint import identity
from auditor.grade.severity import CONSEQUENCE, severities_of
from auditor.model.breach import Breach, StaleWaiver
from auditor.model.finding import Finding, Playbook
from auditor.model.inventory import Location, Waiver
from auditor.model.words import ServiceClass, Severity, Trust


def breach_finding(breach: Breach) -> Finding:
    """The finding of one breach. What is forbidden is as severe as what its declared sources could reach."""
    severity, also, worst = _graded(breach)
    service = breach.service
    return Finding(
        fingerprint=identity(
            breach.kind, host=breach.host or "", service=service.name if service else "", rule=breach.identity
        ),
        subject=breach,
        severity=severity,
        also=also,
        why=_why(breach, severity if worst else None),
        playbook=Playbook(_playbook(breach), _values(breach)),
        service_class=worst,
    )


def _why(breach: Breach, severity: Severity | None) -> str:
    if breach.waiver is not None:
        return f"{breach.what[:1].upper()}{breach.what[1:]} (for {breach.waiver.match})."
    consequence = f": {CONSEQUENCE[severity]}" if severity else ""
    return f"{breach.what}, against the policy ({breach.rule}){consequence}."


def _graded(breach: Breach) -> tuple[Severity, tuple[Severity, ...], ServiceClass | None]:
    """Severity, the others that apply, and the class that decided; without a class all is operational."""
    if not breach.rule.startswith("forbid"):
        return Severity.OPERATIONAL_DRIFT, (), None
    if breach.trust is None:  # on the loopback alone: nobody reaches it
        return Severity.OPERATIONAL_DRIFT, (), next(iter(breach.classes), None)
    untrusted = breach.trust is Trust.UNTRUSTED
    past_front = untrusted and breach.service is not None and breach.service.behind is not None
    by_class = {
        one: severities_of(one, untrusted=untrusted, past_front=past_front)
        for one in breach.classes or (ServiceClass.UNCLASSIFIED,)
    }
    worst = min(by_class, key=lambda one: by_class[one][0].rank)
    every = {severity for severities in by_class.values() for severity in severities}
    also = tuple(sorted(every - {by_class[worst][0]}, key=lambda severity: severity.rank))
    return by_class[worst][0], also, worst


def _playbook(breach: Breach) -> str:
    if breach.waiver is not None:
        return "waiver-too-long"
    return "policy-breach" if breach.rule.startswith("forbid") else "field-missing"


def _values(breach: Breach) -> dict[str, str]:
    service = breach.service
    values = {
        "rule": breach.rule,
        "what": breach.what,
        "host": breach.host or "",
        "service": service.name if service else "",
        "sources": ", ".join(source.name for source in service.sources) if service and service.sources else "nobody",
        **_place(breach.location),
    }
    return values | (_of_waiver(breach.waiver) if breach.waiver else {})


def stale_finding(stale: StaleWaiver, last: str) -> Finding:
    """The notice of a waiver that covers nothing. `last` is its last day."""
    waiver = stale.waiver
    ended = f"; besides, it ended on {last}" if stale.expired else ""
    return Finding(
        fingerprint=identity(stale.kind, rule=waiver.match.written),
        subject=stale,
        severity=Severity.OPERATIONAL_DRIFT,
        why=f"The waiver for {waiver.match} covers nothing: all that it could cover was looked at{ended}.",
        playbook=Playbook("stale-waiver", _of_waiver(waiver) | _place(waiver.location)),
    )


def _of_waiver(waiver: Waiver) -> dict[str, str]:
    return {
        "match": str(waiver.match),
        "owner": waiver.owner,
        "reason": waiver.reason,
        "since": waiver.since.isoformat(),
        "expires": waiver.expires.isoformat(),
    }


def _place(location: Location | None) -> dict[str, str]:
    """Where it stands, and a command that shows who wrote it."""
    if location is None:
        return {"place": "the inventory", "blame": "git log -p"}
    blame = f"git blame -L {location.line},+8 -- {shlex.quote(location.file)}"
    return {"place": str(location), "blame": blame}
