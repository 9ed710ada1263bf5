"""The whole program on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from auditor import __version__
from auditor.addresses import by_address
from auditor.change import changes, new_breaches, readings, united
from auditor.drift import compare, disputed
from auditor.errors import TransportError
from auditor.evidence import read_addresses, read_listeners
from auditor.grade import exposed, gate_verdict, grade, grade_changes
from auditor.grade.verdict import verdict
from auditor.inventory import (
    Draft,
    Lookup,
    Outlook,
    Wanted,
    as_then,
    breaches,
    carrying,
    choose,
    draft,
    expect,
    lint,
    load_with_places,
    no_cycles,
    resolve_names,
    sight,
)
from auditor.model.ages import Freshness
from auditor.model.audit import Audit, StageError
from auditor.model.breach import Breach
from auditor.model.change import Written
from auditor.model.context import Context, Event
from auditor.model.discovery import Discovery
from auditor.model.drift import Comparison
from auditor.model.expectation import Expectations
from auditor.model.finding import Finding
from auditor.model.gate import Gate, Side
from auditor.model.inventory import Inventory, LocalVia, Viewpoint, places
from auditor.model.lint import JudgedBreach, Validation
from auditor.model.observation import Scan
from auditor.model.rotation import Rotation
from auditor.model.words import Profile, ViewpointKind
from auditor.scan import (
    Check,
    Evidence,
    EvidenceStore,
    Plan,
    Search,
    discover,
    examine,
    plan,
    probe_abilities,
    read_evidence,
    scan,
    searches,
    with_found,
)
from auditor.transport import Cluster, Hold, SystemTransport, Transport, engine


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. `options` goes into the report for the record, and so do the times it was `resumed`.

    `rotations` tell by viewpoint when which slice of the undeclared ports was swept. `max_duration` counts from when
    the audit began, or was last resumed. `wait` is whether it waits for others that are at workers of a cluster.
    """

    id: str
    started_at: datetime
    profile: Profile
    hosts: Sequence[str] = ()
    tags: Sequence[str] = ()
    fail_on: Sequence[str] = ()
    allow_unverified: bool = False
    discover: bool = False
    max_duration: timedelta | None = None
    max_age: timedelta | None = None
    wait: bool = False
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    resumed: tuple[datetime, ...] = ()

    @property
    def until(self) -> datetime | None:
        """When the audit as a whole has had its time."""
        return None if self.max_duration is None else max((self.started_at, *self.resumed)) + self.max_duration


async def audit(
    inventory: Inventory,
    viewpoints: Sequence[Viewpoint],
    request: Request,
    context: Context,
    evidence: EvidenceStore | None = None,
    *,
    cluster: Cluster | None = None,
) -> Audit:
    """Look from the viewpoints and judge what is seen. Raises AuditorError where no verdict can be had."""

    def warn(message: str) -> None:
        context.emit(Event("scan", message, level="warning"))

    hold = Hold(inventory.name, request.wait, warn)
    async with engine(cluster, viewpoints, warn, hold) as (transport, standing):
        wanted = await searches(transport, inventory, standing) if request.discover else []
        found = await discover(wanted, transport=transport, context=context, evidence=evidence, until=request.until)
        expected = expectations(inventory, standing, request, found)
        scans = await scan(
            await plans(inventory, expected, transport),
            transport=transport,
            context=context,
            evidence=evidence,
            disputed=disputed,
            until=request.until,
        )
    scans = with_found(scans, found)
    asked = [scan for scan, viewpoint in zip(scans, standing, strict=True) if places(viewpoint.via)]
    if asked and not any(scan.nmap_version for scan in asked):
        raise TransportError("; ".join(sorted({scan.failure or "nmap was not found" for scan in asked})))
    return _judge(inventory, expected, scans, request, context)


def compare_evidence(
    inventory: Inventory,
    files: Mapping[Viewpoint, Sequence[Path]],
    request: Request,
    context: Context,
    lookup: Lookup | None = None,
) -> Audit:
    """Judge saved nmap XML. No packet is sent. Raises AuditorError where no verdict can be had.

    `lookup` tells where DNS names lead today, of which the evidence does not tell where they led.
    """
    freshness = Freshness(context.now(), request.max_age)
    saved = {viewpoint: read_evidence(paths, freshness) for viewpoint, paths in files.items()}
    if lookup is not None:
        inventory = resolve_names(inventory, as_then([one for e in saved.values() for one in e.resolved], lookup))
    carried = carrying(inventory, ((one.alive, one.labels) for one in saved.values()))
    narrow = partial(expect, inventory, profile=Profile.COMPARE, hosts=request.hosts, tags=request.tags)
    expected = [
        narrow(viewpoint=v, asked=one.asked, carried=carried, unasked=one.unasked, left_out=one.left_out)
        for v, one in saved.items()
    ]
    return _judge(inventory, expected, [e.scan(v.name) for v, e in saved.items()], request, context)


def validate(path: Path, today: date) -> Validation:
    """What is to be said about an inventory beside that it is valid. Raises InventoryError where it is not."""
    inventory, places = load_with_places(path)
    graded = grade((), inventory, today, breaches=breaches(inventory))

    def judged(findings: Iterable[Finding]) -> tuple[JudgedBreach, ...]:
        found = [(one.subject, one) for one in findings]
        return tuple(JudgedBreach(b, places.dotted(places.of_breach(b)), f) for b, f in found if isinstance(b, Breach))

    return Validation(
        inventory=inventory,
        breaches=judged(graded.findings),
        waived=judged(graded.waived),
        lint=lint(inventory, places, today),
        sight=sight(inventory),
    )


def first_inventory(
    scans: Mapping[str, Sequence[Path]],
    listeners: Mapping[str, Sequence[Path]],
    addresses: Mapping[str, Sequence[Path]],
    wanted: Wanted,
    further: Iterable[Wanted] = (),
) -> Draft:
    """Draft an inventory from saved nmap XML by viewpoint and, by host, from listeners and addresses.

    `further` is what is wanted of viewpoints beside the first. Raises AuditorError where nothing can be had.
    """
    saved = {viewpoint: read_evidence(paths) for viewpoint, paths in scans.items()}
    first, *others = [_outlook(one, saved.get(one.viewpoint) or read_evidence(())) for one in (wanted, *further)]
    return draft(
        wanted,
        first.scan,
        asked=first.asked,
        labels=first.labels,
        sources=first.sources,
        listeners={host: [one for path in paths for one in read_listeners(path)] for host, paths in listeners.items()},
        severities=first.severities,
        said={host: [one for path in paths for one in read_addresses(path)] for host, paths in addresses.items()},
        others=others,
    )


def _outlook(wanted: Wanted, saved: Evidence) -> Outlook:
    return Outlook(
        viewpoint=wanted.viewpoint,
        kind=wanted.kind,
        scan=saved.scan(wanted.viewpoint),
        severities=partial(exposed, untrusted=wanted.kind is ViewpointKind.PUBLIC),
        asked={address for address, _ in saved.asked},
        labels=saved.labels,
        sources=saved.sources,
        addresses=wanted.addresses,
    )


def expectations(
    inventory: Inventory, viewpoints: Iterable[Viewpoint], request: Request, found: Iterable[Discovery]
) -> list[Expectations]:
    """What an audit expects, of what a search found too."""
    at = {one.viewpoint: one for one in found}
    carried = carrying(inventory, ((one.addresses, one.labels) for one in at.values()))
    chosen = partial(expect, inventory, profile=request.profile, hosts=request.hosts, tags=request.tags)
    return [
        chosen(viewpoint=v, rotation=request.rotations.get(v.name), found=at.get(v.name), carried=carried)
        for v in viewpoints
    ]


async def searching(inventory: Inventory, viewpoints: Iterable[Viewpoint]) -> list[Search]:
    """What a search for undeclared addresses would send. Sends nothing."""
    async with SystemTransport() as transport:
        return await searches(transport, inventory, viewpoints)


async def planning(inventory: Inventory, expected: Sequence[Expectations]) -> list[Plan]:
    """What an audit would send. Sends nothing."""
    async with SystemTransport() as transport:
        return await plans(inventory, expected, transport)


async def plans(inventory: Inventory, expected: Sequence[Expectations], transport: Transport) -> list[Plan]:
    """The same by a transport that goes on to be used."""
    return [plan(e, inventory.scope, await probe_abilities(transport, e.viewpoint.via)) for e in expected]


async def checks(
    inventory: Inventory | None, viewpoints: Sequence[Viewpoint], cluster: Cluster | None = None
) -> list[Check]:
    """Whether audits can run from these viewpoints; without an inventory, from this machine. Sends nothing."""
    if inventory is None:
        return list(await examine(SystemTransport(), LocalVia()))
    checks = [Check("names", str(one), passed=False) for one in inventory.unresolved]
    warnings: list[str] = []
    async with engine(cluster, viewpoints, warnings.append) as (transport, standing):
        for viewpoint in standing:
            addresses = {address for address, _ in expect(inventory, viewpoint, Profile.QUICK).coverage()}
            asked = sorted(addresses, key=by_address)
            checks += await examine(transport, viewpoint.via, viewpoint, asked)
    return [*checks, *(Check("cluster", warning, passed=False) for warning in warnings)]


def gate(
    base: tuple[str, Written],
    head: tuple[str, Written],
    fail_on: Sequence[str],
    today: date,
    *,
    asked: str | None = None,
) -> Gate:
    """Judge what the step from BASE to HEAD, each with its path, does to exposure. Looks at nothing else.

    `asked` is where BASE was looked for, if it was found elsewhere.
    """
    before, after = base[1].inventory, head[1].inventory
    policy = united(before.policy, after.policy)
    with no_cycles():
        known, judged = ([b for one in side for b in breaches(one, policy)] for side in readings(before, after, policy))
        broken = new_breaches(known, judged, before, after)
        graded = grade_changes(changes(base[1], head[1]), broken, before, after, today)
    return Gate(
        auditor_version=__version__,
        date=today,
        base=Side(base[0], before, asked),
        head=Side(head[0], after),
        findings=graded.findings,
        waived=graded.waived,
        verdict=gate_verdict(graded.findings, fail_on),
    )


def _judge(
    inventory: Inventory,
    expected: Iterable[Expectations],
    scans: Iterable[Scan],
    request: Request,
    context: Context,
) -> Audit:
    comparisons = tuple(map(compare, expected, scans))
    now = context.now()
    chosen = choose(inventory, request.hosts, request.tags)
    graded = grade(comparisons, inventory, now.date(), breaches=breaches(inventory), chosen=chosen)
    errors = (
        *(StageError("resolve", str(one)) for one in inventory.unresolved if one.host in chosen),
        *(StageError("scan", f"{c.viewpoint.name}: {error}") for c in comparisons for error in _errors(c)),
        *(StageError("clock", problem) for problem in _clock(request, now)),
    )
    return Audit(
        id=request.id,
        started_at=request.started_at,
        finished_at=now,
        auditor_version=__version__,
        profile=request.profile,
        inventory=inventory,
        comparisons=comparisons,
        findings=graded.findings,
        waived=graded.waived,
        verdict=verdict(
            graded.findings, comparisons, errors, fail_on=request.fail_on, allow_unverified=request.allow_unverified
        ),
        errors=errors,
        options=request.options,
        resumed=request.resumed,
    )


def _clock(request: Request, now: datetime) -> Iterator[str]:
    """A clock that went back makes every time in the report doubtful, and whether a waiver has expired."""
    began = max((request.started_at, *request.resumed))
    if now < began:
        yield (
            f"the clock was set back: by it the audit began, or went on, at {began:%Y-%m-%dT%H:%M:%SZ} and ended at "
            f"{now:%Y-%m-%dT%H:%M:%SZ}; times in this report, and which waivers hold, cannot be relied on"
        )


def _errors(comparison: Comparison) -> Iterator[str]:
    if not comparison.outcomes:
        yield "nothing is left to look at, so nothing is verified"
    if comparison.scan.failure:
        yield comparison.scan.failure
    yield from comparison.scan.errors
