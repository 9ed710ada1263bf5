"""What each endpoint should be from a viewpoint, and on what ground."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from auditor import catalogue
from auditor.errors import UsageError
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Inventory
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import Address, Basis, ExpectedState, Profile, Protocol

TEXT = """
version: 1
name: estate
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 10.20.0.0/16], deny: [203.0.113.99]}
ranges:
  internet: {cidrs: [0.0.0.0/0, "::/0"]}
  bastion: [203.0.113.7]
  scanner: [198.51.100.20]
viewpoints:
  public: {kind: public, addresses: [198.51.100.20, "2001:db8:f::20"], targets: [203.0.113.0/24, "2001:db8:1::/64"]}
  v4: {kind: vpn, addresses: [203.0.113.7]}
hosts:
  web:
    tags: [production]
    interfaces: {public: [203.0.113.10, "2001:db8:1::10"], private: [10.20.1.10]}
    services:
      https: {ports: 443/tcp, interfaces: [public], from: [bastion, internet]}
      ssh: {ports: 22/tcp, interfaces: [public], from: [bastion]}
      four: {ports: 4444/tcp, interfaces: [public], from: [internet], families: [ipv4]}
      app: {ports: 8080/tcp, interfaces: [private], from: [internet]}
      agent: {ports: 9100/tcp, interfaces: [loopback]}
      ftp: {ports: 50000-50010/tcp, interfaces: [public], from: [internet], optional: true}
      vpn: {ports: 51820/udp, interfaces: [public], from: [internet], answers: false}
      a-debug: {ports: 50005/tcp, interfaces: [public], from: [bastion]}
      z-local: {ports: 443/tcp, interfaces: [loopback, private], from: [bastion]}
  db:
    tags: [production, data]
    interfaces: {lan: [10.20.1.20], public: [203.0.113.99]}
    services:
      b:
        {ports: 5432/tcp, interfaces: [lan], from: [bastion], optional: true,
         protocol: postgresql, behind: web.https, answers: false}
      a: {ports: 5432/tcp, interfaces: [lan], from: [scanner], optional: true}
"""
WEB4 = ip_address("203.0.113.10")
WEB6 = ip_address("2001:db8:1::10")
DB = ip_address("10.20.1.20")


@pytest.fixture
def estate(tmp_path: Path) -> Inventory:
    path = tmp_path / "estate.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return load(path)


def one(found: Expectations, address: Address, port: int, protocol: Protocol = Protocol.TCP) -> Expectation:
    (only,) = [
        each
        for each in found.expectations
        if each.address == address and each.protocol is protocol and port in each.ports
    ]
    return only


def left_out(found: Expectations) -> list[tuple[str, str]]:
    return [(each.what, each.reason) for each in found.left_out]


@pytest.mark.parametrize(
    ("address", "port", "state", "basis", "service"),
    [
        (WEB4, 443, ExpectedState.REACHABLE, Basis.DECLARED, "https"),
        (WEB6, 443, ExpectedState.REACHABLE, Basis.DECLARED, "https"),
        (WEB4, 22, ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES, "ssh"),
        (WEB6, 22, ExpectedState.BLOCKED, Basis.OUTSIDE_SOURCES, "ssh"),
        (WEB4, 4444, ExpectedState.REACHABLE, Basis.DECLARED, "four"),
        (WEB6, 4444, ExpectedState.BLOCKED, Basis.OTHER_FAMILY, "four"),
        (WEB4, 8080, ExpectedState.BLOCKED, Basis.OTHER_INTERFACE, "app"),
        (WEB4, 9100, ExpectedState.BLOCKED, Basis.OTHER_INTERFACE, "agent"),
        (WEB4, 50000, ExpectedState.PERMITTED, Basis.DECLARED, "ftp"),
        (WEB4, 1, ExpectedState.BLOCKED, Basis.UNDECLARED, None),
    ],
)
def test_every_basis(
    estate: Inventory, *, address: Address, port: int, state: ExpectedState, basis: Basis, service: str | None
) -> None:
    """Each endpoint is expected as its declaration and the viewpoint's address of that family say."""
    found = one(expect(estate, estate.viewpoints["public"], Profile.STANDARD), address, port)

    assert (state, basis, service) == (found.state, found.basis, found.service.name if found.service else None)
    assert (found.host, found.interface) == ("web", "public")


def test_source_is_the_range_that_admits(estate: Inventory) -> None:
    """The range that admits the viewpoint is named; where none does, none is."""
    found = expect(estate, estate.viewpoints["public"], Profile.STANDARD)

    assert one(found, WEB4, 443).source == "internet"
    assert one(found, WEB4, 22).source is None
    assert one(expect(estate, estate.viewpoints["v4"], Profile.QUICK), WEB4, 443).source == "bastion"


def test_several_names_for_one_endpoint(estate: Inventory) -> None:
    """The first name stands for all, with what any of them says; it is optional only if all are."""
    found = expect(estate, estate.viewpoints["public"], Profile.STANDARD)
    shared = one(found, WEB4, 50005)

    assert shared.service is not None
    assert (shared.service.name, shared.other_services, str(shared.ports)) == ("a-debug", ("ftp",), "50005")
    assert (shared.state, shared.source) == (ExpectedState.REACHABLE, "internet")
    assert [source.name for source in shared.service.sources] == ["bastion", "internet"]
    both = one(expect(estate, estate.viewpoints["v4"], Profile.STANDARD), DB, 5432)
    assert both.service is not None
    assert (
        both.service.name,
        both.other_services,
        both.state,
        both.source,
    ) == ("a", ("b",), ExpectedState.PERMITTED, "bastion")
    assert (both.service.protocol, both.service.behind, both.service.answers) == ("postgresql", "web.https", False)


def test_many_ports_under_one_wide_service(tmp_path: Path) -> None:
    """Each port has the services that declare it, in the order of their names, whatever lies around it."""
    path = tmp_path / "wide.yaml"
    single = "".join(f"      s{port}: {{ports: {port}/tcp, from: [10.0.0.9]}}\n" for port in range(2, 4000, 2))
    path.write_text(
        "version: 1\nname: wide\nscope: {allow: [10.0.0.0/8]}\nviewpoints: {v: {kind: vpn, addresses: [10.0.0.9]}}\n"
        "hosts:\n  a:\n    interfaces: {lan: [10.0.0.1]}\n    services:\n"
        f"      wide: {{ports: 1-65535/tcp, from: [10.0.0.8]}}\n{single}",
        encoding="utf-8",
    )
    found = load(path)

    result = expect(found, found.viewpoints["v"], Profile.STANDARD)

    tcp = [each for each in result.expectations if each.protocol is Protocol.TCP]
    assert len(tcp) == 2000
    (alone,) = [each for each in tcp if each.service and each.service.name == "wide"]
    assert (str(alone.ports)[:7], len(alone.ports), alone.other_services) == ("1,3,5,7", 65535 - 1999, ())
    assert all(each.other_services == ("wide",) for each in tcp if each is not alone)


def test_united_service_on_several_interfaces(estate: Inventory) -> None:
    """Only what is declared on this interface counts for it, though another name has the port elsewhere."""
    found = one(expect(estate, estate.viewpoints["public"], Profile.STANDARD), WEB4, 443)

    assert found.other_services == ()


@pytest.mark.parametrize(
    ("profile", "tcp", "udp"),
    [
        (Profile.QUICK, catalogue.usual_ports(Protocol.TCP), catalogue.usual_ports(Protocol.UDP)),
        (Profile.STANDARD, ALL_PORTS, catalogue.usual_ports(Protocol.UDP)),
        (Profile.FULL, ALL_PORTS, catalogue.usual_ports(Protocol.UDP) | catalogue.top_udp_ports()),
    ],
)
def test_profiles(estate: Inventory, profile: Profile, tcp: PortSet, udp: PortSet) -> None:
    """A profile probes its ports and all that the host declares anywhere, in that protocol."""
    coverage = expect(estate, estate.viewpoints["public"], profile).coverage()
    declared = PortSet.of(22, 443, 4444, 8080, 9100) | PortSet.span(50000, 50010)

    assert {(address, protocol) for address in (WEB4, WEB6) for protocol in Protocol} == set(coverage)
    assert tcp | declared == coverage[WEB6, Protocol.TCP]
    assert udp | PortSet.of(51820) == coverage[WEB4, Protocol.UDP]


def test_left_out(estate: Inventory) -> None:
    """All that is not looked at is listed once, with its reason."""
    assert left_out(expect(estate, estate.viewpoints["public"], Profile.STANDARD)) == [
        ("UDP ports other than the declared and the usual ones", "outside the profile standard"),
        ("addresses that no host declares", "not looked for; --discover does"),
        ("db: 10.20.1.20", "outside the targets of the viewpoint public"),
        ("db: 203.0.113.99", "in scope.deny"),
        ("protocols other than TCP and UDP", "outside the profile standard"),
        ("web: 10.20.1.10", "outside the targets of the viewpoint public"),
    ]


def test_family_that_the_viewpoint_lacks(estate: Inventory) -> None:
    """A family in which the viewpoint has no address is one line, and no endpoint of it is expected."""
    found = expect(estate, estate.viewpoints["v4"], Profile.QUICK)

    assert {4} == {address.version for address, _ in found.coverage()}
    assert left_out(found)[:2] == [
        ("IPv6", "the viewpoint v4 has no IPv6 address"),
        ("TCP ports other than the declared and the usual ones", "outside the profile quick"),
    ]


def test_own_address_is_left_out(tmp_path: Path) -> None:
    """A viewpoint does not probe itself."""
    path = tmp_path / "own.yaml"
    path.write_text(TEXT.replace("addresses: [203.0.113.7]", "addresses: [10.20.1.20]"), encoding="utf-8")
    found = load(path)

    result = expect(found, found.viewpoints["v4"], Profile.QUICK)

    assert ("db: 10.20.1.20", "the viewpoint v4 itself") in left_out(result)
    assert DB not in {address for address, _ in result.coverage()}


def test_hosts_and_tags(estate: Inventory) -> None:
    """Names and tags choose hosts, each adding to the other; the rest is left out by name."""
    v4 = estate.viewpoints["v4"]

    assert {"db"} == {each.host for each in expect(estate, v4, Profile.QUICK, tags=["data"]).expectations}
    assert {"web"} == {each.host for each in expect(estate, v4, Profile.QUICK, hosts=["web"]).expectations}
    both = expect(estate, v4, Profile.QUICK, hosts=["web"], tags=["data"])
    assert {"db", "web"} == {each.host for each in both.expectations}
    assert ("1 host: db", "not chosen by --host or --tag") in left_out(expect(estate, v4, Profile.QUICK, hosts=["web"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hosts": ["wbe"]}, "--host wbe matches nothing; did you mean `web`?"),
        ({"hosts": ["web", "zzz"]}, "--host zzz matches nothing; known: db, web"),
        ({"tags": ["staging"]}, "--tag staging matches nothing; known: data, production"),
    ],
)
def test_what_matches_nothing_is_bad_usage(estate: Inventory, options: dict[str, list[str]], message: str) -> None:
    """A host or tag that matches nothing is told, with what would match."""
    with pytest.raises(UsageError) as caught:
        expect(estate, estate.viewpoints["v4"], Profile.QUICK, **options)

    assert message == str(caught.value)


def test_saved_evidence(estate: Inventory) -> None:
    """With saved evidence the coverage is what it asked, and every endpoint declared in the targets."""
    stranger, outside, denied = map(ip_address, ("203.0.113.77", "192.0.2.1", "203.0.113.99"))
    asked = {
        (WEB4, Protocol.TCP): PortSet.span(1, 100),
        (stranger, Protocol.TCP): PortSet.of(22, 80),
        (outside, Protocol.TCP): PortSet.of(22),
        (denied, Protocol.TCP): PortSet.of(22),
        (ip_address("203.0.113.78"), Protocol.TCP): PortSet(),
    }

    found = expect(estate, estate.viewpoints["public"], Profile.QUICK, asked=asked)

    here = PortSet.of(22, 443, 4444) | PortSet.span(50000, 50010)
    assert Profile.COMPARE is found.profile
    assert {
        (WEB4, Protocol.TCP): PortSet.span(1, 100) | here,
        (WEB4, Protocol.UDP): PortSet.of(51820),
        (WEB6, Protocol.TCP): here - PortSet.of(4444),
        (WEB6, Protocol.UDP): PortSet.of(51820),
        (stranger, Protocol.TCP): PortSet.of(22, 80),
    } == found.coverage()
    unknown = one(found, stranger, 22)
    assert (
        unknown.host,
        unknown.interface,
        unknown.state,
        unknown.basis,
    ) == ("203.0.113.77", None, ExpectedState.BLOCKED, Basis.UNDECLARED)
    assert left_out(found) == [
        ("192.0.2.1", "outside the scope"),
        ("TCP ports that the evidence did not ask about, other than declared ones", "outside the saved evidence"),
        ("UDP ports that the evidence did not ask about, other than declared ones", "outside the saved evidence"),
        ("db: 10.20.1.20", "outside the targets of the viewpoint public"),
        ("db: 203.0.113.99", "in scope.deny"),
        ("protocols other than TCP and UDP", "outside the saved evidence"),
        ("web: 10.20.1.10", "outside the targets of the viewpoint public"),
    ]


def test_saved_evidence_of_chosen_hosts(estate: Inventory) -> None:
    """Where hosts are chosen, addresses that no host declares are not among them."""
    asked = {(ip_address("203.0.113.77"), Protocol.TCP): PortSet.of(22)}

    found = expect(estate, estate.viewpoints["public"], Profile.COMPARE, asked=asked, hosts=["web"])

    assert {"web"} == {each.host for each in found.expectations}
    assert ("203.0.113.77", "not chosen by --host or --tag") in left_out(found)


def test_saved_evidence_in_a_family_that_neither_viewpoint_nor_scope_has(tmp_path: Path) -> None:
    """What the evidence asked in such a family is left out by name of the family, not silently."""
    path = tmp_path / "four.yaml"
    path.write_text(
        "version: 1\nname: four\nscope: {allow: [10.0.0.0/8]}\n"
        "viewpoints: {v: {kind: vpn, addresses: [10.0.0.9]}}\nhosts: {a: {interfaces: {lan: [10.0.0.1]}}}\n",
        encoding="utf-8",
    )
    found = load(path)

    result = expect(found, found.viewpoints["v"], Profile.COMPARE, asked={(WEB6, Protocol.TCP): PortSet.of(22)})

    assert ("IPv6", "the viewpoint v has no IPv6 address") in left_out(result)
    assert result.expectations == ()


def test_order(estate: Inventory) -> None:
    """Sorted by host, interface, address, protocol and first port, undeclared addresses among the hosts."""
    asked = {(ip_address("203.0.113.77"), Protocol.TCP): PortSet.of(22), (WEB4, Protocol.TCP): ALL_PORTS}
    found = expect(estate, estate.viewpoints["public"], Profile.COMPARE, asked=asked).expectations
    keys = [
        (each.host, each.interface or "", each.address.version, int(each.address), each.protocol, each.ports.first)
        for each in found
    ]

    assert keys == sorted(keys)
    assert found[0].host == "203.0.113.77"
