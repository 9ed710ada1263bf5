"""What an audit goes through: look from viewpoints, and judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from auditor.addresses import any_in, by_address
from auditor.drift.disputed import disputed
from auditor.errors import TransportError
from auditor.inventory.expecting.carrying import carrying
from auditor.inventory.expecting.expecting import expect
from auditor.model.audit import Audit
from auditor.model.context import Context, Event
from auditor.model.discovery import Discovery
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory, LocalVia, Viewpoint, places
from auditor.model.words import Address, Profile
from auditor.pipeline.judging import Request, judge
from auditor.scan.discover import discover, searches, with_found
from auditor.scan.doctor import Check, examine
from auditor.scan.nmap.abilities import probe_abilities
from auditor.scan.plan.plan import Plan, plan
from auditor.scan.plan.searching import Search
from auditor.scan.plan.source import located
from auditor.scan.runs.run import EvidenceStore
from auditor.scan.scan import scan
from auditor.transport.base import Transport
from auditor.transport.engine import engine
from auditor.transport.scheduler import Cluster, Hold
from auditor.transport.system import SystemTransport

_SAMPLE = 16  # addresses of an entry of the targets; which way all of them go is asked again before any is probed


async def audit(
    inventory: Inventory,
    viewpoints: Sequence[Viewpoint],
    request: Request,
    context: Context,
    evidence: EvidenceStore | None = None,
    *,
    cluster: Cluster | None = None,
    stands: Callable[[Sequence[Viewpoint]], object] = lambda _viewpoints: None,
) -> Audit:
    """Look from the viewpoints and judge what is seen. Raises AuditorError where no verdict can be had.

    `stands` is told, before any probe is sent, of the viewpoints at the addresses that they were found to have.
    """

    def warn(message: str) -> None:
        context.emit(Event("scan", message, level="warning"))

    hold = Hold(inventory.name, request.wait, warn)
    async with engine(cluster, viewpoints, warn, hold) as (transport, reached):
        standing = await locate(inventory, reached, transport)
        stands(standing)
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
    return judge(inventory, expected, scans, request, context)


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


async def locate(inventory: Inventory, viewpoints: Iterable[Viewpoint], transport: Transport) -> list[Viewpoint]:
    """The viewpoints, those without fixed addresses at the ones that their systems use now. Sends nothing."""
    return [await located(transport, one, _sample(inventory, one)) for one in viewpoints]


async def locating(inventory: Inventory, viewpoints: Iterable[Viewpoint]) -> list[Viewpoint]:
    """The same from here."""
    async with SystemTransport() as transport:
        return await locate(inventory, viewpoints, transport)


def _sample(inventory: Inventory, viewpoint: Viewpoint) -> Iterator[Address]:
    """A few declared addresses in each entry of the targets; the first of one in which there are none."""
    if viewpoint.within:
        declared = _looked_at(inventory, viewpoint)
        for entry in viewpoint.targets:
            here = [address for address in declared if any_in(entry, (address,))]
            yield from here[:_SAMPLE] or [entry[0]]


def _looked_at(inventory: Inventory, viewpoint: Viewpoint) -> list[Address]:
    """The declared addresses that an audit from there looks at."""
    return sorted({address for address, _ in expect(inventory, viewpoint, Profile.QUICK).coverage()}, key=by_address)


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
        for viewpoint in await locate(inventory, standing, transport):
            checks += await examine(transport, viewpoint.via, viewpoint, _looked_at(inventory, viewpoint))
    return [*checks, *(Check("cluster", warning, passed=False) for warning in warnings)]
