"""Lint: what is valid in an inventory, and all the same probably not meant."""

from __future__ import annotations

from datetime import date

from auditor.inventory.lint.ranges import range_notes, role_notes
from auditor.inventory.lint.services import service_notes
from auditor.inventory.lint.sight import sight, sight_notes
from auditor.inventory.lint.waivers import waiver_notes
from auditor.inventory.reading.places import Places
from auditor.model.inventory import Inventory
from auditor.model.lint import Lint, Rule

# Each rule: why there is one, what would be right, and an example of that.
RULES: dict[str, Rule] = {
    "exposed-data-store": Rule(
        "whoever on the internet reaches a data store can try to read and change what it holds",
        "narrow `from` to those who need it, or accept it by name in the policy",
        "policy:\n  forbid: [{class: data-store, trust: untrusted, except: [db-1.postgres]}]",
    ),
    "exposed-remote-admin": Rule(
        "whoever on the internet reaches it can try passwords and known flaws until one works",
        "let it be reached from a bastion or a VPN only",
        "from: [bastion]",
    ),
    "exposed-dev-debug": Rule(
        "development servers and debuggers run what they are sent, and ask nobody who they are",
        "bind it to the loopback, or let developers reach it from a VPN only",
        "interfaces: [loopback]",
    ),
    "no-client": Rule(
        "a service whose sources have none of its families can never be reached",
        "give the sources addresses of the service's families, or the service their families",
        "families: [ipv4]",
    ),
    "ipv4-only": Rule(
        "IPv6 is the way around a firewall that was thought of in IPv4 only",
        "declare IPv6 too, or say with `families` that it is not meant",
        "families: [ipv4]",
    ),
    "overdue-review": Rule(
        "what nobody looked at again since the promised day may be needed no more",
        "look at it again, and promise the next day",
        "review_by: 2027-06-30",
    ),
    "wildcard-range": Rule(
        "everybody is better said by name, so that a review sees it",
        "declare a range for everybody, and name it",
        'ranges:\n  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}',
    ),
    "literal-range": Rule(
        "a network that has a name is written once, and changes in one place",
        "name the range that is this network, or declare one",
        "from: [office]",
    ),
    "shadowed-range": Rule(
        "a source that another one covers opens nothing, and suggests that the other is narrower",
        "remove the source that another one covers, or the wider one",
        "from: [office]",
    ),
    "unused-range": Rule(
        "a range that no service names protects nothing",
        "name it in the `from` of a service, or remove it",
        "from: [office]",
    ),
    "unused-role": Rule(
        "a role that no host has declares nothing",
        "give it to a host, or remove it",
        "roles: [linux-server]",
    ),
    "no-viewpoint": Rule(
        "without a viewpoint nothing can be audited",
        "declare where to look from",
        "viewpoints:\n  public: {kind: public, addresses: [198.51.100.20]}",
    ),
    "public-boundary": Rule(
        "a closed port seen from outside means that packets pass the boundary",
        "say that the boundary drops, or that it need not",
        "boundary: filtered",
    ),
    "unseen-range": Rule(
        "what no viewpoint stands in is never shown to reach what it should",
        "declare a viewpoint whose address is in the range",
        "viewpoints:\n  vpn: {kind: vpn, addresses: [10.8.0.2]}",
    ),
    "unwatched-family": Rule(
        "a family that no viewpoint has is a way in that nobody looks at",
        "give a viewpoint an address of that family",
        'addresses: [198.51.100.20, "2001:db8:ff::20"]',
    ),
    "unwatched-address": Rule(
        "what is exposed at an address that no viewpoint looks at stays unseen",
        "let the `targets` of a viewpoint hold the address",
        "targets: [203.0.113.0/24]",
    ),
    "expired-waiver": Rule(
        "an expired waiver covers nothing any more",
        "remove it, or decide anew and give a later day",
        "expires: 2027-06-30",
    ),
    "expiring-waiver": Rule(
        "what a waiver covers fails audits from the day after it expires",
        "mend what it covers, or decide anew and give a later day",
        "expires: 2027-06-30",
    ),
    "open-waiver": Rule(
        "a waiver without a `severity` accepts whatever turns up there later",
        "say what is accepted at most",
        "severity: internal-recon",
    ),
    "idle-waiver": Rule(
        "a waiver that fits nothing covers nothing, or silences what comes later under that name",
        "remove it, or name what it is meant for",
        "match: {host: web-1, ports: 8080/tcp}",
    ),
}


def lint(inventory: Inventory, places: Places, today: date) -> tuple[Lint, ...]:
    """All there is to say about the inventory, in the order of files and lines."""
    notes = {
        *service_notes(inventory, places, today),
        *range_notes(inventory, places),
        *role_notes(inventory, places),
        *sight_notes(inventory, places),
        *waiver_notes(inventory, today),
    }
    told = (Lint(places.at(n.path), places.dotted(n.path), n.rule, n.message, RULES[n.rule].why) for n in notes)
    return tuple(sorted(told, key=_order))


def _order(one: Lint) -> tuple[object, ...]:
    where = one.location
    return where.file, where.line, where.column, one.path, one.rule, one.message


__all__ = ["RULES", "lint", "sight"]
