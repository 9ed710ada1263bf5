"""The catalogue's data: sound in itself, and in nmap's own words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.catalogue.entry import Entry, entries, read
from auditor.catalogue.lookup import classify
from auditor.catalogue.ports import PRINTER_PORTS, top_udp_ports, usual_ports
from auditor.catalogue.texts import kinds
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import ChangeKind, Kind, Protocol, ServiceClass, Severity

NMAP = Path("/usr/share/nmap")
# In words of nmap later than 7.93, whose saved XML may come too, or of its table of ports.
NOT_IN_7_93 = {"Uvicorn", "Prometheus", "https", "HPE Integrated Lights-Out"}
# Names with products that are of another class than the name: what stands behind a name that only says how it speaks.
PRODUCT_KNOWS_BETTER = {
    # nmap calls a proxy what answers with a proxy's error; these are the proxy's management page, or a tester's tool.
    ("http-proxy", "Fortech Proxy+ http admin"),
    ("http-proxy", "BlueCoat Sawmill http proxy config"),
    ("http-proxy", "Anti-Spam SMTP Proxy http config"),
    ("http-proxy", "Integard filtering http proxy management interface"),
    ("http-proxy", "Palo Alto PanWeb httpd"),
    ("http-proxy", "Apache JMeter http proxy"),
    ("http-proxy", "Burp Suite Pro http proxy"),
    ("http-proxy", "Charles http proxy"),
    # Management pages that answer a request of another protocol over HTTP.
    ("upnp", "Avtech surveillance camera http config"),
    ("upnp", "Avtech CPCAM surveillance camera http config"),
    ("ipp", "Canon printer http config"),
    ("bittorrent-tracker", "MLDonkey P2P client http config"),
    ("webdav", "cPanel webdav"),
    # A web server, whose UPnP is one of its pages.
    ("upnp", "Microsoft IIS httpd"),
}
TEXT = {"id", "class", "names", "products", "processes", "titles", "protocols", "note"}
KEYS = {*TEXT - {"id", "class"}, "tcp", "udp", "as", "http", "sweep", "severity"}


def repeated(values: Iterator[object]) -> list[object]:
    return [value for value, count in Counter(values).items() if count > 1]


def test_every_class_has_a_healthy_share() -> None:
    """At least 200 entries over the six classes, and each class has its own."""
    shares = Counter(entry.service_class for entry in entries())
    six = [service_class for service_class in ServiceClass if service_class is not ServiceClass.UNCLASSIFIED]

    assert sum(shares[service_class] for service_class in six) >= 200
    assert all(shares[service_class] >= 30 for service_class in six), shares


def test_ids_are_unique() -> None:
    """An id means one entry."""
    assert [] == repeated(entry.id for entry in entries())


@pytest.mark.parametrize("kind", ["names", "products", "processes", "titles", "protocols"])
def test_no_text_is_claimed_twice(kind: str) -> None:
    """What is seen leads to one entry."""
    assert [] == repeated(text.lower() for entry in entries() for text in getattr(entry, kind))


def test_carriers_are_no_entries() -> None:
    """What decides nothing is claimed by no entry."""
    carriers = read("carriers")
    silent = {*carriers["names"], *carriers["http"], *(product.lower() for product in carriers["products"])}
    claimed = {text for entry in entries() for text in (*entry.names, *map(str.lower, entry.products))}

    assert set() == silent & claimed


def test_a_word_for_a_protocol_means_one_entry() -> None:
    """Ids, aliases and nmap's names that are the same word belong to the same entry."""
    meant: dict[str, set[str]] = {}
    for entry in entries():
        for word in (entry.id, *entry.protocols, *entry.names):
            meant.setdefault(word.lower(), set()).add(entry.id)

    assert {} == {word: ids for word, ids in meant.items() if len(ids) > 1}


@pytest.mark.parametrize("protocol", Protocol)
def test_a_usual_port_belongs_to_one_entry(protocol: Protocol) -> None:
    """The port number, where it decides, decides one way."""
    assert [] == repeated(port for entry in entries() for port in entry.ports(protocol))


def test_ports_are_in_range() -> None:
    """Port 0 is no port."""
    assert all(0 not in entry.tcp | entry.udp for entry in entries())


def test_every_entry_has_a_note_and_known_keys() -> None:
    """A misspelt key would silently say nothing."""
    for entry in entries():
        assert entry.note.endswith("."), entry.id
    for name in ("public-web", "remote-admin", "data-store", "dev-debug", "diagnostics", "udp", "unclassified"):
        for entry_id, values in read(name)["entries"].items():
            assert set() == set(values) - KEYS, entry_id


def test_every_entry_can_be_found_by_something() -> None:
    """An entry without a name, product, process, title, word or port would be dead weight."""

    def signs(entry: Entry) -> bool:
        return any((entry.names, entry.products, entry.processes, entry.titles, entry.protocols, entry.tcp, entry.udp))

    assert [] == [entry.id for entry in entries() if not signs(entry)]


def test_overrides() -> None:
    """The overrides that the severity table names; every one speaks of the two kinds of viewpoint only."""
    by_id = {entry.id: entry.severity for entry in entries()}
    direct = Severity.DIRECT_COMPROMISE

    assert {"untrusted": direct, "foothold": direct} == by_id["docker"]
    assert {"untrusted": direct} == by_id["kubelet"] == by_id["actuator"] == by_id["jolokia"]
    assert {"untrusted": Severity.DATA_EXPOSURE} == by_id["snmp"]
    assert all(set(severity) <= {"untrusted", "foothold"} for severity in by_id.values())


def test_as_classes() -> None:
    """IPMI, TFTP and VPNs are graded as remote-admin, memcached, NFS and CLDAP as data-store.

    What only tells of itself, as discovery does, stays plain udp.
    """
    by_id = {entry.id: entry.as_class for entry in entries()}

    for entry_id in ("ipmi", "tftp", "openvpn", "wireguard", "ipsec", "l2tp"):
        assert ServiceClass.REMOTE_ADMIN == by_id[entry_id]
    for entry_id in ("memcached", "nfs", "ldap"):
        assert ServiceClass.DATA_STORE == by_id[entry_id]
    for entry_id in ("snmp", "domain", "ntp", "mssql-browser", "ubiquiti-discovery"):
        assert by_id[entry_id] is None


def test_usual_ports_stay_few() -> None:
    """Every UDP port costs about a second against a host that limits its ICMP errors."""
    assert 200 <= len(usual_ports(Protocol.TCP)) <= 600
    assert 25 <= len(usual_ports(Protocol.UDP)) <= 40
    assert 100 == len(top_udp_ports())
    assert PortSet.of(53, 123, 161, 500, 623, 11211) - usual_ports(Protocol.UDP) == PortSet()


def test_printer_ports() -> None:
    """515 and 9100 to 9107 may print what they are sent."""
    assert PortSet.parse("515,9100-9107") == PRINTER_PORTS


def test_every_kind_has_a_meaning() -> None:
    """One sentence each, and no more kinds than there are."""
    assert {kind.value for kind in (*Kind, *ChangeKind)} == set(kinds())
    assert all(text.endswith(".") for text in kinds().values())


@pytest.fixture(scope="module")
def nmap_matches() -> set[tuple[str, str]]:
    """The service names with the products that the installed nmap can print; the live tests need it anyway."""
    probes = (NMAP / "nmap-service-probes").read_text(encoding="latin-1")
    matches = set()
    for match in re.finditer(r"^(?:soft)?match (\S+) m(.)(.*)$", probes, re.MULTILINE):
        rest = match[3].partition(match[2])[2]
        product = re.search(r" p(\W)(.*?)\1", rest)
        matches.add((match[1], product[2] if product else ""))
    return matches


@pytest.fixture(scope="module")
def nmap_words(nmap_matches: set[tuple[str, str]]) -> tuple[set[str], set[str]]:
    """The service names, those of RPC services among them, and the products in lower case."""
    rpc = {line.split()[0] for line in (NMAP / "nmap-rpc").read_text().splitlines() if line and line[0] != "#"}
    return rpc | {name for name, _ in nmap_matches}, {product.lower() for _, product in nmap_matches if product}


def test_names_are_nmaps(nmap_words: tuple[set[str], set[str]]) -> None:
    """A service name that nmap never prints would never match."""
    names, _ = nmap_words
    carriers = read("carriers")
    claimed = {name for entry in entries() for name in entry.names}
    claimed |= {*carriers["names"], *carriers["http"], *carriers["over_http"]}

    assert set() == claimed - names - NOT_IN_7_93


def test_products_are_nmaps(nmap_words: tuple[set[str], set[str]]) -> None:
    """A product that nmap never prints would never match."""
    _, products = nmap_words
    claimed = {product for entry in entries() for product in entry.products} | {*read("carriers")["products"]}

    def printed(claim: str) -> bool:
        if claim.startswith("* "):
            return any(product.endswith(claim[1:].lower()) for product in products)
        return any(re.match(re.escape(claim.lower()) + r"(?!\w)", product) for product in products)

    assert [] == sorted(claim for claim in claimed - NOT_IN_7_93 if not printed(claim))


def test_a_product_keeps_the_class_of_its_protocol(nmap_matches: set[tuple[str, str]]) -> None:
    """Whatever product nmap prints beside a protocol that an entry names, the class stays that entry's."""

    def found(name: str, product: str) -> ServiceClass:
        return classify(Protocol.TCP, 23456, Identity(name, "probed", product), None).service_class

    named = {name.removeprefix("ssl/") for entry in entries() for name in entry.names}
    recognised = {(name, product) for name, product in nmap_matches if name.removeprefix("ssl/") in named}
    changed = {(name, product) for name, product in recognised if found(name, product) is not found(name, "")}

    assert len(recognised) > 4000
    assert changed == PRODUCT_KNOWS_BETTER


def test_names_over_http_belong_to_entries_that_speak_http() -> None:
    """Such a name is no carrier, and what it names may be looked for behind plain HTTP."""
    speaking = {name for entry in entries() if entry.http for name in entry.names}

    assert set() == {*read("carriers")["over_http"]} - speaking
