"""Networks that whoever runs an audit denies, whatever the inventory allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from auditor.errors import UsageError
from auditor.inventory.reading.literals import network
from auditor.model.inventory import Inventory
from auditor.model.words import Network


def denying(inventory: Inventory, texts: Sequence[str]) -> Inventory:
    """The inventory, its scope less these networks and addresses. Raises UsageError for what is none."""
    if not texts:
        return inventory
    site = tuple(map(_network, texts))
    scope = replace(inventory.scope, deny=(*inventory.scope.deny, *site), site=site)
    return replace(inventory, scope=scope)


def _network(text: str) -> Network:
    try:
        return network(text, unicast=False)
    except ValueError as error:
        raise UsageError(f"--deny: {error}") from error
