"""`auditor explain`: what an id means that messages, lint and reports name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from textwrap import fill, indent

import click

from auditor.catalogue import entries as services
from auditor.catalogue import kinds, playbooks
from auditor.cli.meant import likely
from auditor.cli.style import clean
from auditor.errors import UsageError
from auditor.grade.diagnosis import usual_playbook
from auditor.grade.severity import CONSEQUENCE, severities_of
from auditor.inventory.lint import RULES
from auditor.inventory.reading.faults import FAULTS
from auditor.model.words import USUAL_SEVERITIES, ChangeKind, Kind, ServiceClass, Severity

_ERRORS, _LINT, _KINDS = "Errors in an inventory", "Lint: valid, and probably not meant", "Kinds of drift"
_CHANGES, _SEVERITIES, _CLASSES = "Kinds of a change", "Severities, the worst first", "Classes of services"
_ONE_OF = {  # each group by what one of it is
    _ERRORS: "an error in an inventory",
    _LINT: "lint: valid, and probably not meant",
    _KINDS: "a kind of drift",
    _CHANGES: "a kind of a change, as `auditor gate` tells it",
    _SEVERITIES: "a severity",
    _CLASSES: "a class of services",
}
_WIDTH = 100
_FEW = 8  # services that stand for a class
_FINDING = "\n\nWhat stands in braces is filled in by a finding."

# One for each severity, such as the README has.
SEVERITY_EXAMPLES = {
    Severity.DIRECT_COMPROMISE: "SSH, a database or a debugger reachable from the internet",
    Severity.CONTROL_BYPASS: "a backend reachable past the proxy in front of it",
    Severity.DATA_EXPOSURE: "a data store reachable from a foothold",
    Severity.INTERNAL_RECON: "metrics, SNMP or an unknown service readable from outside",
    Severity.LATERAL_MOVEMENT: "SSH reachable from a subnet that it is not meant for",
    Severity.OPERATIONAL_DRIFT: "a declared service that does not answer",
}
_MEANING = {
    ServiceClass.PUBLIC_WEB: "web sites and APIs, and the servers that they come from",
    ServiceClass.REMOTE_ADMIN: "what controls a machine, or many: shells, desktops, consoles, container engines",
    ServiceClass.DATA_STORE: "what holds data: databases, caches, queues, shares",
    ServiceClass.DEV_DEBUG: "development servers, notebooks and debuggers, which run what they are sent",
    ServiceClass.DIAGNOSTICS: "metrics, traces and health pages, which tell about the inside",
    ServiceClass.UDP: "what is known over UDP alone",
    ServiceClass.UNCLASSIFIED: "what is in none of the six classes, or what nobody recognised",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What one id means. `means` is one line; the rest is told where it is asked for."""

    id: str
    group: str
    means: str
    right: str = ""
    example: str = ""


def run(subject: str | None) -> int:
    known = {one.id: one for one in entries()}
    if subject is None:
        click.echo("\n\n".join(_listed(group, list(members)) for group, members in groupby(known.values(), _group)))
        return 0
    word = subject.strip("[]").lower()
    if usual := USUAL_SEVERITIES.get(word):
        click.echo(f"What others call {word} is {usual.value} here.\n")
        word = usual.value
    if word not in known:
        close = likely(word, known)
        meant = f"did you mean {close}?" if close else "`auditor explain` lists all that there are"
        raise UsageError(f"nothing is called {clean(subject)}; {meant}")
    click.echo(_told(known[word]))
    return 0


def entries() -> Iterator[Entry]:
    """All that has an id, group by group."""
    for name, rule in FAULTS.items():
        yield Entry(name, _ERRORS, rule.why, rule.right, rule.example)
    for name, rule in RULES.items():
        yield Entry(name, _LINT, rule.why, rule.right, rule.example)
    for kind in Kind:
        yield _kind(kind.value, _KINDS, usual_playbook(kind))
    for change in ChangeKind:
        yield _kind(change.value, _CHANGES, change.value)
    for severity in Severity:
        usual = [word for word, ours in USUAL_SEVERITIES.items() if ours is severity]
        others = f" Others call it {' or '.join(usual)}." if usual else ""
        right = f"Number {severity.rank} of {len(Severity)}, 1 is the worst.{others}"
        yield Entry(severity.value, _SEVERITIES, CONSEQUENCE[severity], right, SEVERITY_EXAMPLES[severity])
    yield from map(_class, ServiceClass)


def _kind(name: str, group: str, playbook: str) -> Entry:
    texts = playbooks()[playbook]
    right = f"Mostly: {texts['root_cause']}\n\nTo mend it: {texts['fix_action']}"
    return Entry(name, group, kinds()[name], right + (_FINDING if "{" in right else ""))


def _class(name: ServiceClass) -> Entry:
    members = [one.id for one in services() if one.service_class is name]
    most = len(members) - _FEW
    such = ", ".join(members[:_FEW]) + (f" and {most} more" if most > 0 else "")
    ways = ((True, "an untrusted viewpoint"), (False, "a foothold inside"))
    worst = [f"{severities_of(name, untrusted=untrusted)[0]} from {where}" for untrusted, where in ways]
    right = f"Reachable where it should not be, it is {worst[0]}, and {worst[1]}."
    return Entry(name.value, _CLASSES, _MEANING[name], right, such)


def _group(one: Entry) -> str:
    return one.group


def _listed(group: str, members: list[Entry]) -> str:
    widest = max(len(one.id) for one in members)
    lines = [f"  {one.id:<{widest}}  {one.means}" for one in members]
    return "\n".join([group, *lines])


def _told(one: Entry) -> str:
    parts = [
        f"{one.id} is {_ONE_OF[one.group]}",
        _paragraphs(_sentence(one.means)),
        _paragraphs(_sentence(one.right)),
        f"For example:\n\n{indent(one.example, '    ')}" if one.example else "",
    ]
    return "\n\n".join(filter(None, parts))


def _sentence(text: str) -> str:
    if not text:
        return ""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?")) else ".")


def _paragraphs(text: str) -> str:
    return "\n\n".join(fill(one, _WIDTH, break_on_hyphens=False, break_long_words=False) for one in text.split("\n\n"))
