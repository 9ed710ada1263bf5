"""Looks for live addresses that nobody declared, before the expectations are made."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv6Address, ip_address

from auditor.addresses import Neighbourhoods, ProbeTarget, any_in, by_address, intersection, probe_target
from auditor.errors import TransportError
from auditor.model.context import Context
from auditor.model.discovery import Discovery
from auditor.model.expectation import LeftOut
from auditor.model.inventory import Inventory, Viewpoint, places
from auditor.model.observation import Label, Reply, Scan, Swept
from auditor.model.words import Address, Family, Network, Technique
from auditor.scan.board import reply_order
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities, probe_abilities
from auditor.scan.plan.links import links, neighbours
from auditor.scan.plan.plan import Purpose
from auditor.scan.plan.searching import Search, Sweep, search
from auditor.scan.plan.source import check_sources
from auditor.scan.runs.run import EvidenceStore, Run
from auditor.scan.runs.runner import Runner
from auditor.scan.together import together
from auditor.transport.base import Transport

_FEW = 5  # resets from one network, and no fewer, may be a router's own
_NEARLY_ALL = 0.85  # of the addresses asked there
_MOST_HEARD = 4096  # IPv6 addresses: whoever is on the link can answer for as many as it likes
_HEARD = re.compile(r"^\s*IP: ([0-9A-Fa-f:]{2,39})\s", re.MULTILINE)  # in what nmap's multicast scripts say
_ASKED_NEIGHBOURS = "multicast to all neighbours, then neighbour discovery of each that was heard of"
_KNOWN_NEIGHBOURS = "neighbour discovery of those that the viewpoint's system knows"


async def searches(transport: Transport, inventory: Inventory, viewpoints: Iterable[Viewpoint]) -> list[Search]:
    """What would be sent from each viewpoint. Asks their systems for their links, and sends nothing."""
    return [await _search(transport, inventory, viewpoint) for viewpoint in viewpoints]


async def _search(transport: Transport, inventory: Inventory, viewpoint: Viewpoint) -> Search:
    abilities = await probe_abilities(transport, viewpoint.via)
    try:
        each = [await links(transport, place) for place in places(viewpoint.via) if not abilities.problem]
        near = tuple(dict.fromkeys(link for one in each for link in one))
    except TransportError as error:
        near, abilities = (), Abilities(abilities.nmap_version, abilities.raw, str(error))
    return search(inventory, viewpoint, abilities, near)


async def discover(
    searching: Sequence[Search],
    *,
    transport: Transport,
    context: Context,
    evidence: EvidenceStore | None = None,
    until: datetime | None = None,
) -> tuple[Discovery, ...]:
    """Carry out the searches, viewpoints side by side; one discovery for each, in order. `until` is as in `scan`.

    Whatever fails on the way is in the discoveries; only errors of the evidence store (RunError) are raised.
    """
    return tuple(
        await together(*(_Searching(one, transport, context, evidence, until).discover() for one in searching))
    )


def with_found(scans: Iterable[Scan], discoveries: Iterable[Discovery]) -> tuple[Scan, ...]:
    """The scans, with what was found before them from the same viewpoints."""
    found = {one.viewpoint: one for one in discoveries}
    return tuple(_with(scan, found[scan.viewpoint]) if scan.viewpoint in found else scan for scan in scans)


def _with(scan: Scan, found: Discovery) -> Scan:
    return replace(
        scan,
        found=found.found,
        swept=found.swept,
        commands=(*found.commands, *scan.commands),
        errors=(*found.errors, *scan.errors),
        notes=tuple(dict.fromkeys((*found.notes, *scan.notes))),
    )


class _Searching:
    """One viewpoint's search while it runs."""

    def __init__(
        self,
        searched: Search,
        transport: Transport,
        context: Context,
        evidence: EvidenceStore | None,
        until: datetime | None,
    ) -> None:
        self._search = searched
        self._transport = transport
        limits = searched.limits
        self._runner = Runner(searched.viewpoint, transport, context, evidence, limits=limits, until=until)
        self._found: set[Reply] = set()
        self._labels: set[Label] = set()
        self._swept: list[Swept] = []
        self._left_out: list[LeftOut] = []
        self._errors: list[str] = []

    async def discover(self) -> Discovery:
        if self._search.problem is not None:
            self._fail(self._search.problem)
            return self._result()
        self._runner.tell("looking for live addresses that no host declares")
        sweeps = await self._on_a_way()
        if sweeps is None:
            return self._result()
        for sweep in sweeps:
            await self._sweep(sweep)
        heard = await self._multicast()
        await self._near(self._search.near)
        await self._neighbours(heard)
        self._runner.tell(f"live addresses that no host declares: {len({one.address for one in self._found})}")
        return self._result()

    def _fail(self, why: str) -> None:
        self._errors.append(f"live addresses that no host declares were not looked for, or not all: {why}")

    async def _on_a_way(self) -> list[Sweep] | None:
        """The sweeps that there is a route for; None where nothing may leave from there."""
        first = {one: address for one in self._search.sweeps if (address := self._any_of(one)) is not None}
        sources = await check_sources(self._transport, self._search.viewpoint, first.values())
        if sources.failure is not None:
            self._fail(sources.failure)
            return None
        lost = dict(sources.lost)
        for sweep, address in first.items():
            if address in lost:
                self._fail(f"{sweep.entry}: {lost[address]}")
        return [sweep for sweep in self._search.sweeps if first.get(sweep) not in lost]

    def _any_of(self, sweep: Sweep) -> Address | None:
        """An address of the sweep that is no link's first or last, which mean the whole link."""
        whole = {
            one for link in self._search.links for one in (link.prefix.network_address, link.prefix.broadcast_address)
        }
        addresses = (network[index] for network in sweep.networks for index in range(min(network.num_addresses, 4)))
        return next((one for one in addresses if one not in whole), None)

    async def _sweep(self, sweep: Sweep) -> None:
        lived: set[Address] = set()
        for networks in sweep.runs:
            argv = self._search.sweeping(networks)
            run = await self._runner.run(f"{Purpose.DISCOVERY}-{Family.IPV4}", argv)
            told = {one.address for one in run.records if any(one.address in each.network for each in networks)}
            missing = sum(each.network.num_addresses for each in networks) - len(told)
            if run.unsent:
                self._fail(run.unsent)
            elif missing and run.problem is None:
                said = f": {run.noted}" if run.noted else ""
                self._fail(f"nmap did not report on {missing:,} addresses of {sweep.entry}{said}")
            lived |= self._take(run)
        lived -= await self._only_reset(sweep)
        self._swept.append(
            Swept((sweep.entry,), self._search.pings.said(self._search.technique), len(lived), sweep.asked)
        )

    async def _only_reset(self, sweep: Sweep) -> set[Address]:
        """Addresses that do not live, where a router resets every stray ACK: asked without those, they are silent.

        nmap tells only the first reply of an address, and the router's comes first.
        """
        dead: set[Address] = set()
        for near, resets in self._alike(sweep):
            asked = {one.address for one in resets}
            rest: set[Reply] = set()
            for chunk in command.chunks(sorted(asked, key=by_address)):
                targets = [probe_target(one, self._search.scope) for one in chunk]
                argv = command.ping(
                    Technique.SYN, targets, link=False, rate=self._search.rate, pings=self._search.pings.stateless
                )
                run = await self._runner.run(f"{Purpose.DISCOVERY}-{Family.IPV4}", argv)
                # what is not told this time is not known to be silent
                told = {one.address for one in run.records} if run.unsent is None else set()
                rest |= {one for one in resets if one.address in chunk and one.address not in told}
                rest |= {Reply(one.address, one.reply, one.reply_ttl or None) for one in run.records if one.reply}
            lives = {one.address for one in rest}
            self._found = (self._found - resets) | rest
            self._runner.note(
                f"{len(asked)} addresses of {near} that nobody declares reset what belongs to no connection, as nearly "
                f"all there do: a device on the way does that; asked otherwise, {len(lives)} of them live"
            )
            dead |= asked - lives
        return dead

    def _alike(self, sweep: Sweep) -> Iterator[tuple[Network, set[Reply]]]:
        """The networks of which nearly all addresses asked have been reset from equally far away."""
        if self._search.technique is not Technique.SYN:
            return
        where = Neighbourhoods(self._search.viewpoint.targets)
        groups: dict[tuple[Network, int | None], set[Reply]] = defaultdict(set)
        for reply in self._found:
            near = where.of(reply.address) if reply.reason == "reset" else None
            if near is not None and any_in(sweep.entry, (reply.address,)):
                groups[near, reply.ttl].add(reply)
        for (near, _), resets in sorted(groups.items(), key=lambda one: by_address(one[0][0].network_address)):
            asked = sum(one.num_addresses for one in intersection((near,), sweep.networks))
            if len(resets) >= _FEW and len(resets) > asked * _NEARLY_ALL:
                yield near, resets

    async def _multicast(self) -> set[tuple[str, Address]]:
        """The addresses that were heard of on each link."""
        heard: set[tuple[str, Address]] = set()
        for group in self._search.groups:
            for argv in group.commands(self._search.rate):
                run = await self._runner.run(f"{Purpose.DISCOVERY}-multicast", argv)
                if run.unsent:
                    self._fail(run.unsent)
                for said in run.heard:
                    if said.script in command.MULTICAST:
                        heard.update((group.interface, address) for address in _addresses(said.output))
        return heard

    async def _near(self, targets: Sequence[ProbeTarget]) -> set[Address]:
        """Ask addresses on the own link, for whether they live and for their hardware addresses."""
        lived: set[Address] = set()
        for family in Family:
            wanted = [one for one in targets if Family.of(one.address) is family]
            for start in range(0, len(wanted), _MOST_HEARD):
                part = wanted[start : start + _MOST_HEARD]
                argv = command.ping(self._search.technique, part, link=True, rate=self._search.rate)
                run = await self._runner.run(f"{Purpose.DISCOVERY}-{family}", argv)
                if run.unsent:
                    self._fail(run.unsent)
                lived |= self._take(run)
        return lived

    async def _neighbours(self, heard: set[tuple[str, Address]]) -> None:
        """Ask every IPv6 neighbour that was heard of, or that the viewpoint's system knows, whether it lives."""
        try:
            every = [await neighbours(self._transport, one) for one in places(self._search.viewpoint.via)]
        except TransportError as error:
            self._fail(str(error))
            return
        known = [one for each in every for one in each]
        self._labels.update(one.label for one in known)
        spoken = {*heard, *((one.interface, one.label.address) for one in known)}
        wanted = sorted({one for one in self._global(spoken) if self._search.meant(one)}, key=by_address)
        if rest := wanted[_MOST_HEARD:]:
            what = f"{len(rest):,} IPv6 addresses of neighbours"
            self._left_out.append(LeftOut(what, f"no more than {_MOST_HEARD:,} are looked at"))
        lived = await self._near([probe_target(one, self._search.scope) for one in wanted[:_MOST_HEARD]])
        asked = {group.interface for group in self._search.groups}
        for link in {(one.interface, one.prefix): one for one in self._search.links}.values():
            if link.prefix.version == 6 and any(link.prefix.overlaps(one) for one in self._v6_targets()):
                how = _ASKED_NEIGHBOURS if link.interface in asked else _KNOWN_NEIGHBOURS
                count = sum(address in link.prefix for address in lived if address.version == 6)
                self._swept.append(Swept((link.prefix,), how, count))

    def _v6_targets(self) -> list[Network]:
        return [one for one in self._search.viewpoint.targets if one.version == 6]

    def _global(self, spoken: Iterable[tuple[str, Address]]) -> Iterator[Address]:
        """IPv6 addresses of more than one link; from a link-local one, what it would be in each prefix of its link.

        Many systems form both from one interface identifier (RFC 4291, appendix A). It is one guess a neighbour.
        """
        for interface, address in spoken:
            if not isinstance(address, IPv6Address):
                continue
            if not address.is_link_local:
                yield address
                continue
            identifier = int(address) & (2**64 - 1)
            for link in self._search.links:
                if link.interface == interface and link.prefix.version == 6 and link.prefix.prefixlen == 64:
                    yield IPv6Address(int(link.prefix.network_address) | identifier)

    def _take(self, run: Run) -> set[Address]:
        """What a run found to live, of what is looked for; and all hardware addresses that it tells."""
        lived = set()
        for record in run.records:
            if record.label is not None and record.label.mac:
                self._labels.add(Label(record.address, mac=record.label.mac))
            if record.reply is not None and self._search.meant(record.address):
                self._found.add(Reply(record.address, record.reply, record.reply_ttl or None))
                lived.add(record.address)
        return lived

    def _result(self) -> Discovery:
        return Discovery(
            viewpoint=self._search.viewpoint.name,
            found=tuple(sorted(self._found, key=reply_order)),
            labels=tuple(sorted(self._labels, key=lambda one: (by_address(one.address), one.mac))),
            swept=tuple(self._swept),
            left_out=(*self._search.left_out, *self._left_out),
            commands=self._runner.commands,
            errors=(*self._errors, *self._runner.errors),
            notes=self._runner.notes,
        )


def _addresses(output: str) -> Iterator[Address]:
    """Those in what a script said; it is text from the network."""
    for found in _HEARD.finditer(output):
        try:
            yield ip_address(found[1])
        except ValueError:
            continue
