"""Which hardware addresses identify a machine.

One that answers for many addresses is a router's, a proxy's (RFC 1027), or that of a cloud whose network answers for
all machines in it. It says where a frame goes, and nothing of whose an address is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import combinations

from auditor.model.observation import Label
from auditor.model.words import Address

Names = Mapping[Address, frozenset[str]]

# How many addresses of a family a machine may be found to have beside those that it is known to have: those of IPv4
# were given to it by hand, and of IPv6 it makes new ones by the day (RFC 8981).
_MOST = {4: 2, 6: 16}


def folded(name: str) -> str:
    """A DNS name as names are compared."""
    return name.casefold().rstrip(".")


def names_of(labels: Iterable[Label]) -> dict[Address, frozenset[str]]:
    found: dict[Address, frozenset[str]] = {}
    for label in labels:
        found[label.address] = found.get(label.address, frozenset()).union(map(folded, label.names))
    return found


def identifies(sharing: Collection[Address], known: Collection[Address], names: Names) -> bool:
    """Whether the addresses that share a hardware address are one machine's, as the `known` ones of them are.

    They are not where they are many, or where two of a family have names and none in common.
    """
    for version, most in _MOST.items():
        here = [address for address in sharing if address.version == version]
        others = [names.get(address, frozenset()) for address in here if address not in known]
        if len(others) > most:
            return False
        its = frozenset(name for address in here if address in known for name in names.get(address, ()))
        if any(one and other and one.isdisjoint(other) for one, other in combinations([its, *others], 2)):
            return False
    return True
