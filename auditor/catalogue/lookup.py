"""Which class a service belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from auditor.catalogue.entry import Entry, entries, read
from auditor.model.observation import Identity
from auditor.model.words import Protocol, ServiceClass

_BOUNDARY = re.compile(r"(?<=\w)(?!\w)")
_LONGEST_PRODUCT = 200  # characters; the text comes from the network


@dataclass(frozen=True, slots=True)
class Classification:
    """A class and what decided it: `product`, `protocol`, `process`, `declared`, `port`, `http`, `unknown` or `none`.

    `unknown` is what nmap recognised and the catalogue does not know; `none` is where nothing was recognised.

    `as_class` is set over UDP where the service is graded as another class. `entry` is the catalogue's, where one was
    found that agrees.
    """

    service_class: ServiceClass
    as_class: ServiceClass | None
    entry: Entry | None
    decided_by: str

    @property
    def graded_as(self) -> ServiceClass:
        """The class that gives severity."""
        return self.as_class or self.service_class


@dataclass(frozen=True, slots=True)
class Spoken:
    """What nmap's version probe recognised: the protocol's name without TLS, whether TLS was around it, and its entry.

    `decided_by` is `product` or `protocol` where there is an entry. `product` is "" where nmap named none.
    """

    name: str
    product: str
    tls: bool
    http: bool
    carrier: bool
    entry: Entry | None
    decided_by: str

    @property
    def label(self) -> str:
        """What answers, for a sentence. Hostile text."""
        return self.product or self.name

    @property
    def unknown(self) -> bool:
        """Whether nmap recognised something here that the catalogue does not know."""
        return self.entry is None and not self.carrier


def classify(
    protocol: Protocol, port: int, identity: Identity | None, declared: ServiceClass | None, process: str = ""
) -> Classification:
    """The class of an endpoint: from what answers, else the process that listens, else what is declared, else its port
    number, else bare HTTP.
    """
    answer = spoken(identity)
    running = _by_process().get(process)
    if protocol is Protocol.UDP:
        return _over_udp(port, answer, running, declared)
    if answer and answer.entry:
        return Classification(_over_tcp(answer.entry), None, answer.entry, answer.decided_by)
    if running:
        return Classification(_over_tcp(running), None, running, "process")
    usual = _usual(protocol, port, answer)
    if declared is not None:
        agrees = usual if usual and usual.service_class is declared else None
        over_tcp = ServiceClass.UNCLASSIFIED if declared is ServiceClass.UDP else declared
        return Classification(over_tcp, None, agrees, "declared")
    speaks_http = answer is not None and answer.http
    # A service that does not speak HTTP cannot be what just answered with HTTP, whatever its port number suggests.
    if usual and (usual.http or not speaks_http):
        return Classification(_over_tcp(usual), None, usual, "port")
    if speaks_http:
        return Classification(ServiceClass.PUBLIC_WEB, None, None, "http")
    return Classification(ServiceClass.UNCLASSIFIED, None, None, _undecided(answer))


def _over_udp(port: int, answer: Spoken | None, running: Entry | None, declared: ServiceClass | None) -> Classification:
    if answer and answer.entry:
        return Classification(ServiceClass.UDP, answer.entry.as_class, answer.entry, answer.decided_by)
    if running:
        return Classification(ServiceClass.UDP, running.as_class, running, "process")
    usual = _usual(Protocol.UDP, port, answer)
    if declared not in (None, ServiceClass.UDP, ServiceClass.UNCLASSIFIED):
        agrees = usual if usual and usual.as_class is declared else None
        return Classification(ServiceClass.UDP, declared, agrees, "declared")
    if usual:
        return Classification(ServiceClass.UDP, usual.as_class, usual, "port")
    return Classification(ServiceClass.UDP, None, None, "declared" if declared else _undecided(answer))


def _undecided(answer: Spoken | None) -> str:
    return "unknown" if answer and answer.unknown else "none"


def _usual(protocol: Protocol, port: int, answer: Spoken | None) -> Entry | None:
    """The entry whose usual port this is, unless something was recognised there that is not known to be that."""
    usual = entry_by_port(protocol, port)
    # A later nmap may name what 7.93 does not know, by a word that is the entry's own.
    refuted = answer is not None and answer.unknown and entry_by_word(answer.name) is not usual
    return None if refuted else usual


def _over_tcp(entry: Entry) -> ServiceClass:
    """A service known over UDP alone is, over TCP, what it is graded as."""
    if entry.service_class is ServiceClass.UDP:
        return entry.as_class or ServiceClass.UNCLASSIFIED
    return entry.service_class


def spoken(identity: Identity | None) -> Spoken | None:
    """What a probed identity says; None where there is none. A guess from the port number is no identity."""
    if identity is None or not identity.probed:
        return None
    name = identity.name.removeprefix("ssl/")
    product = identity.product[:_LONGEST_PRODUCT].strip()
    over_http = name in _carriers()["http"] or name in _carriers()["over_http"]
    own = _by_name().get(name)
    of_product = _entry_by_product(product.lower(), own, over_http=over_http)
    entry = of_product or own
    carrier = name in _carriers()["http"] or name in _carriers()["names"]
    return Spoken(
        name=name,
        product=product,
        tls=identity.tunnel == "ssl" or name != identity.name or name == "https",
        http=over_http or (carrier and entry is not None and entry.http),
        carrier=carrier and entry is None,
        entry=entry,
        decided_by="product" if of_product else "protocol",
    )


@cache
def _carriers() -> Mapping[str, list[str]]:
    """The answers that decide no class: `names`, `http` (names that speak HTTP) and `products`.

    `over_http` holds the names that speak HTTP too, and are an entry's.
    """
    return read("carriers")


def entry_by_port(protocol: Protocol, port: int) -> Entry | None:
    """The entry whose usual port this is."""
    return _by_port(protocol).get(port)


def entry_by_word(word: str) -> Entry | None:
    """The entry that an inventory's `protocol:` word means: nmap's name, an alias, or an entry's id."""
    return _by_word().get(word.lower())


def _entry_by_product(product: str, own: Entry | None, *, over_http: bool) -> Entry | None:
    """The entry that claims a product, in lower case: as a whole, else by its last words, else by its first.

    The longest claim wins. Parts of the text decide only where the protocol leaves it open: a product's words may name
    its maker's other product ("nginx imap proxy"), while `own`, the entry of the protocol, was recognised by what it
    says. Over HTTP the last words may still tell a management page ("http config"), and the first ones count only for
    what speaks HTTP ("PowerDNS stats httpd" is no name server).
    """
    claims = _by_product()
    if product in claims:
        return claims[product]
    if own is None or over_http:
        for ending in (f"*{product[match.start() :]}" for match in re.finditer(" ", product)):
            if ending in claims:
                return claims[ending]
    if own is None:
        for beginning in (product[: match.start()] for match in reversed(list(_BOUNDARY.finditer(product)))):
            if beginning in claims and _fits(claims[beginning], over_http=over_http):
                return claims[beginning]
    return None


def _fits(claimed: Entry | None, *, over_http: bool) -> bool:
    return claimed is None or claimed.http or not over_http


@cache
def _by_product() -> dict[str, Entry | None]:
    """Lower-case product claims; None for the products of carriers."""
    carriers: dict[str, Entry | None] = {product.lower(): None for product in _carriers()["products"]}
    return carriers | {product.lower(): entry for entry in entries() for product in entry.products}


@cache
def _by_name() -> dict[str, Entry]:
    return {name.removeprefix("ssl/"): entry for entry in entries() for name in entry.names}


@cache
def _by_process() -> dict[str, Entry]:
    return {process: entry for entry in entries() for process in entry.processes}


@cache
def _by_port(protocol: Protocol) -> dict[int, Entry]:
    return {port: entry for entry in entries() for port in entry.ports(protocol)}


@cache
def _by_word() -> dict[str, Entry]:
    ids = {entry.id: entry for entry in entries()}
    aliases = {word.lower(): entry for entry in entries() for word in entry.protocols}
    names = {name.lower(): entry for name, entry in _by_name().items()}
    return ids | aliases | names
