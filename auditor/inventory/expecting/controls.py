"""Addresses that nobody has: what answers there as well is a device on the way, and not the host that is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from auditor.addresses import Members, Neighbourhoods, by_address, hosts_of, in_scope
from auditor.inventory.expecting.coverage import Coverage
from auditor.model.inventory import Inventory, Viewpoint
from auditor.model.words import Address, Network

# Of one neighbourhood. An address that nobody is known to have may be somebody's all the same: of eight, spread out, so
# few are that the others outvote them, while a network of which most are would need as many unknown hosts, all alike.
_SOME = 8
_LEAST = 5  # fewer decide nothing, and are not asked
_NEIGHBOURHOODS = 64  # with the most addresses looked at; each costs some hundred probes


def controls(
    inventory: Inventory, viewpoint: Viewpoint, coverage: Coverage, carried: Collection[Address]
) -> tuple[Address, ...]:
    """A few addresses in scope near those looked at, always the same ones, that nobody declares or carries.

    None of a network that has too few of them to tell anything, such as one where every address is declared.
    """
    where = Neighbourhoods(viewpoint.targets)
    counts = Counter(near for place in coverage.places if (near := where.of(place.address)) is not None)
    nearest = sorted(counts, key=lambda one: (-counts[one], by_address(one.network_address)))[:_NEIGHBOURHOODS]
    declared = {
        address
        for host in inventory.hosts.values()
        for interface in host.interfaces.values()
        for address in interface.addresses
    }
    taken = {*declared, *carried, *viewpoint.addresses, *(canary.address for canary in viewpoint.canaries)}
    found = frozenset(coverage.strangers)
    chosen = (one for near in nearest for one in _of(near, inventory, taken, found))
    return tuple(sorted(chosen, key=by_address))


def _of(
    near: Network, inventory: Inventory, taken: Collection[Address], found: Collection[Address]
) -> Iterator[Address]:
    """Those of one neighbourhood. One that was found to live is asked only where too few were not.

    Were all found, that may be the device's doing; were a few, they are hosts, and tell nothing of a device.
    """
    denied = Members(inventory.scope.site)
    free = [one for one in hosts_of(near) if one not in taken and one not in denied and in_scope(one, inventory.scope)]
    unused = [one for one in free if one not in found]
    members = unused if len(unused) >= _SOME else free
    if len(members) >= _LEAST:
        some = min(_SOME, len(members))
        yield from (members[(2 * number + 1) * len(members) // (2 * some)] for number in range(some))
