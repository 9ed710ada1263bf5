"""What a good inventory means once resolved."""

from __future__ import annotations

from difflib import get_close_matches
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.inventory.reading import text as text_module
from auditor.inventory.resolving import services as services_module
from auditor.model.inventory import (
    Canary,
    DockerVia,
    Inventory,
    KubectlVia,
    LocalVia,
    NetnsVia,
    Service,
    SshVia,
    Via,
)
from auditor.model.words import Boundary, Family, Protocol, ServiceClass, Trust

HEAD = """
version: 1
name: example-estate
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 10.20.0.0/16, 10.0.0.0/7], deny: [10.20.99.0/24]}
ranges:
  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}
  bastion: [203.0.113.7, "2001:db8:1::7"]
  app-subnet: {cidrs: [10.20.1.0/24], except: [10.20.1.66]}
  wide: [198.18.0.0/15]
  private: [10.0.0.0/8, "fd00::/8", 127.0.0.0/8]
  six: ["2001:db8::/47"]
  six-small: ["2001:db8::/48"]
  almost: [198.51.100.0/24]
  above: [198.51.100.0/24, 203.0.113.1]
"""


def inventory(folder: Path, text: str, head: str = HEAD) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(head + text, encoding="utf-8")
    return load(path)


def services(found: Inventory, host: str) -> dict[str, Service]:
    return {service.name: service for service in found.hosts[host].services}


EXAMPLE = """
viewpoints:
  public:
    kind: public
    addresses: [198.51.100.20, "2001:db8:f::20"]
    nat: false
    targets: [203.0.113.0/24, "2001:db8:1::/64"]
    canaries: [203.0.113.7, "203.0.113.7:22/tcp", "[2001:db8:1::7]:53/udp"]
    boundary: filtered
    limits: {rate: 100}
    via: {netns: internet}
  open: {kind: public, addresses: [198.51.100.21]}
  office: {kind: internal, addresses: [10.20.3.3]}
roles:
  linux-server:
    owner: platform
    tags: [linux]
    services:
      ssh: {ports: 22/tcp, class: remote-admin, interfaces: [public, gone], from: [bastion], reason: administration}
hosts:
  web-1:
    owner: team-web
    tags: [web, production]
    roles: [linux-server]
    interfaces:
      public: [203.0.113.10, "2001:db8:1::10"]
      private: {addresses: [10.20.1.10, 127.0.0.5]}
    firewall: [nftables, aws-sg]
    services:
      https:
        ports: 443/tcp
        interfaces: [public]
        from: [internet]
        class: public-web
        protocol: https
        reason: the customer web site
        ticket: NET-7
        approved_by: security
        patching: monthly
        review_by: 2026-12-31
        x-note: free
      app:
        ports: [8080/tcp, 6000-6002/tcp, 53/udp]
        interfaces: [private]
        from: [app-subnet, 10.1.0.0/16]
        behind: https
      metrics: {ports: 9100/tcp, interfaces: [loopback], class: diagnostics, from: [internet]}
      ftp-data: {ports: 40000-40100/tcp, interfaces: [public], from: [internet], optional: true, families: [ipv4]}
      wireguard: {ports: 51820/udp, interfaces: [public], from: [internet], answers: false, owner: vpn}
      ssh: {from: [bastion, app-subnet], reason: null}
  vip: {interfaces: {public: [203.0.113.50]}, members: [web-1], roles: [linux-server], services: {ssh: null}}
  bare:
    interfaces: {public: [203.0.113.51]}
    roles: [linux-server]
    services: {web: {ports: 80/tcp, from: [internet], behind: web-1.https}}
"""


@pytest.fixture
def example(tmp_path: Path) -> Inventory:
    return inventory(tmp_path, EXAMPLE.replace("127.0.0.5", "10.20.1.11"))


def test_role_and_host_services(example: Inventory) -> None:
    """A host overrides its roles' services key by key; lists replace, null removes; absent interfaces are skipped."""
    ssh = services(example, "web-1")["ssh"]

    assert [source.name for source in ssh.sources] == ["bastion", "app-subnet"]
    assert (ssh.interfaces, ssh.reason, ssh.owner) == (("public",), None, "team-web")
    assert ServiceClass.REMOTE_ADMIN is ssh.declared_class
    assert list(services(example, "vip")) == []
    assert services(example, "bare")["ssh"].reason == "administration"


def test_host_keys(example: Inventory) -> None:
    """Owner and tags are the host's, else the last role's that has them."""
    assert (example.hosts["web-1"].owner, example.hosts["web-1"].tags) == ("team-web", ("production", "web"))
    assert (example.hosts["bare"].owner, example.hosts["bare"].tags) == ("platform", ("linux",))
    assert example.hosts["vip"].members == ("web-1",)
    assert example.hosts["web-1"].firewall == ("nftables", "aws-sg")
    assert list(example.hosts) == ["bare", "vip", "web-1"]


def test_service_fields(example: Inventory) -> None:
    """Every key of a service arrives, typed."""
    found = services(example, "web-1")

    assert list(found) == ["app", "ftp-data", "https", "metrics", "ssh", "wireguard"]
    assert (str(found["app"].tcp), str(found["app"].udp)) == ("6000-6002,8080", "53")
    assert str(found["app"].ports(Protocol.UDP)) == "53"
    assert found["app"].behind == "https"
    assert (True, frozenset({Family.IPV4})) == (found["ftp-data"].optional, found["ftp-data"].families)
    assert (False, "vpn", frozenset(Family)) == tuple(
        getattr(found["wireguard"], key) for key in ("answers", "owner", "families")
    )
    assert (found["https"].protocol, found["https"].declared_class) == ("https", ServiceClass.PUBLIC_WEB)
    assert found["https"].register == {
        "ticket": "NET-7",
        "approved_by": "security",
        "patching": "monthly",
        "review_by": "2026-12-31",
    }
    assert found["https"].location is not None
    assert found["https"].location.line == 44
    assert services(example, "bare")["web"].interfaces == ("public",)


def test_only_loopback_has_no_sources(example: Inventory) -> None:
    """A service on the loopback alone is reachable from nowhere, whatever `from` a role may give it."""
    assert services(example, "web-1")["metrics"].sources == ()


@pytest.mark.parametrize(
    ("written", "via"),
    [
        ("local", LocalVia()),
        ("{netns: internet}", NetnsVia("internet")),
        ("{ssh: {host: probe}}", SshVia("probe")),
        ('{ssh: {host: "2001:db8::1", user: a, port: 2222, sudo: true}}', SshVia("2001:db8::1", "a", 2222, sudo=True)),
        ("{docker: {container: web}}", DockerVia("web")),
        ("{docker: {container: web, image: 'a.b/c:1'}}", DockerVia("web", "a.b/c:1")),
        ("{kubectl: {pod: p}}", KubectlVia("p")),
        (
            "{kubectl: {pod: p, context: c, namespace: n, container: m, image: i}}",
            KubectlVia("p", context="c", namespace="n", container="m", image="i"),
        ),
    ],
)
def test_ways_to_run_commands(tmp_path: Path, written: str, via: Via) -> None:
    """Every key of each arrives."""
    path = tmp_path / "inventory.yaml"
    path.write_text(
        "version: 1\nname: n\nscope: {allow: [10.0.0.0/8]}\n"
        f"viewpoints: {{v: {{kind: vpn, addresses: [192.0.2.1], via: {written}}}}}\n"
        "hosts: {h: {interfaces: {lan: [10.0.0.1]}}}\n",
        encoding="utf-8",
    )

    assert via == load(path).viewpoints["v"].via


def test_viewpoints(example: Inventory) -> None:
    """Every key of a viewpoint arrives, typed."""
    public = example.viewpoints["public"]

    assert (ip_address("198.51.100.20"), ip_address("2001:db8:f::20")) == public.addresses
    assert (Boundary.FILTERED, 100, NetnsVia("internet"), False) == (
        public.boundary,
        public.rate,
        public.via,
        public.nat,
    )
    assert (
        Canary(ip_address("203.0.113.7")),
        Canary(ip_address("203.0.113.7"), Protocol.TCP, 22),
        Canary(ip_address("2001:db8:1::7"), Protocol.UDP, 53),
    ) == public.canaries
    assert (ip_network("203.0.113.0/24"), ip_network("2001:db8:1::/64")) == public.targets


def test_default_targets(example: Inventory) -> None:
    """Targets default to the scope's entries, each on its own; for a public viewpoint less private space."""
    assert example.scope.allow == example.viewpoints["office"].targets
    assert [str(one) for one in example.viewpoints["open"].targets] == [
        "203.0.113.0/24",
        "2001:db8:1::/64",
        "11.0.0.0/8",
    ]


@pytest.mark.parametrize(
    ("name", "trust"),
    [
        ("internet", Trust.UNTRUSTED),
        ("bastion", Trust.TRUSTED),
        ("wide", Trust.UNTRUSTED),
        ("private", Trust.TRUSTED),
        ("six", Trust.UNTRUSTED),
        ("six-small", Trust.TRUSTED),
        ("almost", Trust.TRUSTED),
        ("above", Trust.UNTRUSTED),
    ],
)
def test_trust(example: Inventory, name: str, trust: Trust) -> None:
    """A range is what it is named, else judged by the size of its public part."""
    assert trust is example.ranges[name].trust


def test_except_is_taken_out(example: Inventory) -> None:
    """What a range leaves out is not in it."""
    subnet = example.ranges["app-subnet"]

    assert ip_address("10.20.1.65") in subnet
    assert ip_address("10.20.1.66") not in subnet
    assert sum(network.num_addresses for network in subnet.networks) == 255


def test_loopback_address_on_another_interface(tmp_path: Path) -> None:
    """A 127.0.0.0/8 address declared on an interface belongs to it, where the scope allows it."""
    head = 'version: 1\nname: lo\nscope: {allow: [127.0.0.0/8, "::1/128"]}\n'

    found = inventory(tmp_path, 'hosts: {a: {interfaces: {lo0: [127.0.0.2, "::1"]}}}\n', head)

    assert (ip_address("127.0.0.2"), ip_address("::1")) == found.hosts["a"].interfaces["lo0"].addresses


def test_roles_that_agree(tmp_path: Path) -> None:
    """Two roles may have one service where they agree on it, or where the host settles what they differ in."""
    text = """
roles:
  one:
    owner: first
    services: {ssh: {ports: 22/tcp, from: [bastion], reason: a}, dns: {ports: 53/udp, from: [bastion]}}
  two: {services: {ssh: {ports: 22/tcp, from: [bastion], reason: b}, dns: {ports: 53/udp, from: [bastion]}}}
hosts: {a: {roles: [one, two], interfaces: {lan: [10.20.1.1]}, services: {ssh: {reason: mine}}}}
"""
    found = inventory(tmp_path, text)

    assert {name: one.reason for name, one in services(found, "a").items()} == {"dns": None, "ssh": "mine"}
    assert found.hosts["a"].owner == "first"


def test_the_last_role_speaks_for_the_host(tmp_path: Path) -> None:
    """Of several roles' owners and tags the last counts; a service that a role has as null is as if not there."""
    text = """
roles:
  one: {owner: first, tags: [a], services: {ssh: {ports: 22/tcp, from: [bastion]}}}
  two: {owner: second, tags: [b], services: {ssh: null}}
hosts: {a: {roles: [one, two], interfaces: {lan: [10.20.1.1]}}}
"""
    found = inventory(tmp_path, text)

    assert (found.hosts["a"].owner, found.hosts["a"].tags) == ("second", ("b",))
    assert [source.name for source in services(found, "a")["ssh"].sources] == ["bastion"]


@pytest.mark.parametrize(
    ("own", "firewall"), [("", ("nftables", "aws-sg")), ("firewall: [ufw], ", ("ufw",)), ("firewall: [], ", ())]
)
def test_a_role_says_which_firewalls_its_hosts_have(own: str, firewall: tuple[str, ...], tmp_path: Path) -> None:
    """The last role that has the key counts, and the host's own before any."""
    text = f"""
roles: {{one: {{firewall: [iptables]}}, two: {{firewall: [nftables, aws-sg]}}, three: {{owner: team}}}}
hosts: {{a: {{{own}roles: [one, two, three], interfaces: {{lan: [10.20.1.1]}}}}}}
"""

    assert inventory(tmp_path, text).hosts["a"].firewall == firewall


def test_a_later_key_removed_by_null_is_not_in_use(tmp_path: Path) -> None:
    """Only a value takes a key of a later capability into use."""
    text = "hosts: {a: {interfaces: {lan: [10.20.1.1]}, services: {s: {ports: 1/tcp, from: [bastion], http: null}}}}\n"

    assert list(services(inventory(tmp_path, text), "a")) == ["s"]


def test_classes_differ_only_where_endpoints_meet(tmp_path: Path) -> None:
    """One port may be two things over the two families."""
    text = """
hosts:
  a:
    interfaces: {lan: [10.20.1.1, "2001:db8:1::1"]}
    services:
      web: {ports: 80/tcp, from: [bastion], families: [ipv4], class: public-web}
      store: {ports: 80/tcp, from: [bastion], families: [ipv6], class: data-store}
"""

    assert list(services(inventory(tmp_path, text), "a")) == ["store", "web"]


def test_names_may_hold_x_only_where_not_free(tmp_path: Path) -> None:
    """`x-` keys are free among names too."""
    found = inventory(
        tmp_path, "x-a: 1\nhosts: {x-defaults: {any: [thing]}, b: {x-b: 2, interfaces: {lan: [10.20.1.1]}}}\n"
    )

    assert list(found.hosts) == ["b"]


def test_source_sets_are_shared(tmp_path: Path) -> None:
    """One `from` written many times is one source set, so that each is evaluated once."""
    service = "services: {s: {ports: 1/tcp, from: [bastion, 10.9.0.0/16]}}"
    hosts = "\n".join(f"  h{i}: {{interfaces: {{lan: [10.20.1.{i}]}}, {service}}}" for i in (1, 2))
    found = inventory(tmp_path, f"hosts:\n{hosts}\n")

    assert services(found, "h1")["s"].sources is services(found, "h2")["s"].sources


@pytest.mark.parametrize(
    ("source", "trust"),
    [
        ("[198.51.100.0/24]", Trust.TRUSTED),
        ("[198.51.100.0/23]", Trust.UNTRUSTED),
        ("{cidrs: [198.51.100.0/23], except: [198.51.101.0/24]}", Trust.TRUSTED),
    ],
)
def test_trust_is_that_of_what_except_leaves(source: str, trust: Trust, tmp_path: Path) -> None:
    """More than 256 public addresses are untrusted, counted after `except`."""
    host = "\nhosts: {a: {interfaces: {lan: [10.20.1.1]}}}\n"
    found = inventory(tmp_path, host, HEAD.replace("  wide: [198.18.0.0/15]", f"  one: {source}"))

    assert found.ranges["one"].trust is trust


def test_trust_of_a_literal_source(tmp_path: Path) -> None:
    """Everybody is not trusted for being written out."""
    text = "hosts: {a: {interfaces: {lan: [10.20.1.1]}, services: {s: {ports: 1/tcp, from: [0.0.0.0/0, 192.0.2.1]}}}}\n"
    (service,) = inventory(tmp_path, text).hosts["a"].services

    assert [source.trust for source in service.sources] == [Trust.UNTRUSTED, Trust.TRUSTED]


def test_default_targets_of_a_public_viewpoint_hold_no_private_space(tmp_path: Path) -> None:
    """RFC 1918, shared and unique local addresses are not routed on the internet."""
    head = 'version: 1\nname: e\nscope: {allow: [100.0.0.0/9, "fc00::/6", 10.0.0.0/8, 203.0.113.0/24]}\n'
    text = (
        'viewpoints: {v: {kind: public, addresses: [198.51.100.1, "2001:db8::1"]}}\n'
        "hosts: {a: {interfaces: {lan: [10.20.1.1]}}}\n"
    )
    targets = inventory(tmp_path, text, head).viewpoints["v"].targets

    assert ip_network("203.0.113.0/24") in targets
    inside = [ip_address(a) for a in ("100.64.0.1", "fd00::1", "10.1.2.3")]
    assert not any(address in target for address in inside for target in targets if target.version == address.version)


def test_a_target_may_span_entries_of_the_scope(tmp_path: Path) -> None:
    """What two entries allow together is allowed."""
    head = "version: 1\nname: e\nscope: {allow: [10.20.0.0/25, 10.20.0.128/25]}\n"
    text = (
        "viewpoints: {v: {kind: vpn, addresses: [10.9.9.9], targets: [10.20.0.0/24]}}\n"
        "hosts: {a: {interfaces: {lan: [10.20.0.1]}}}\n"
    )

    assert inventory(tmp_path, text, head).viewpoints["v"].targets == (ip_network("10.20.0.0/24"),)


def test_a_role_s_service_on_what_is_left_of_its_interfaces(tmp_path: Path) -> None:
    """Those that the host lacks are skipped; with the loopback alone left, nobody is meant to reach it."""
    text = (
        "roles: {r: {services: {agent: {ports: 9100/tcp, interfaces: [loopback, wan], from: [bastion]}}}}\n"
        "hosts: {a: {roles: [r], interfaces: {lan: [10.20.1.1]}}}\n"
    )
    (agent,) = inventory(tmp_path, text).hosts["a"].services

    assert (agent.interfaces, agent.sources) == (("loopback",), ())


def test_a_plain_value_may_look_like_a_merge_key(tmp_path: Path) -> None:
    """Only as a key does `<<` ask for something."""
    text = "hosts: {a: {interfaces: {lan: [10.20.1.1]}, services: {s: {ports: 1/tcp, from: [bastion], reason: <<}}}}\n"

    assert inventory(tmp_path, text).hosts["a"].services[0].reason == "<<"


def test_looks_for_what_was_meant_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of many wrong names is told, but not each is compared with all the names there are."""
    compared = []

    def counted(word: str, names: list[str], **options: float) -> list[str]:
        compared.extend(names)
        return get_close_matches(word, names, **options)

    monkeypatch.setattr(text_module, "get_close_matches", counted)
    ranges = "".join(f"  range-{number}: [10.1.{number}.1]\n" for number in range(200))
    wrong = ", ".join(f"rnge-{number}x" for number in range(1000))
    text = f"hosts: {{a: {{interfaces: {{lan: [10.20.1.1]}}, services: {{s: {{ports: 1/tcp, from: [{wrong}]}}}}}}}}\n"

    with pytest.raises(InventoryError) as caught:
        inventory(tmp_path, text, HEAD + ranges)

    assert len(caught.value.problems) == 1000
    assert "did you mean `range-0`?" in caught.value.problems[0].message
    assert "; known: " in caught.value.problems[-1].message
    assert len(compared) <= 50_000


def test_a_wrong_source_set_is_looked_into_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And told wherever it is written."""
    looked = []
    monkeypatch.setattr(text_module, "get_close_matches", lambda word, *_, **__: looked.append(word) or [])
    hosts = "\n".join(
        f"  h{number}: {{interfaces: {{lan: [10.20.1.{number}]}}, services: {{s: {{ports: 1/tcp, from: [nobody]}}}}}}"
        for number in range(1, 10)
    )

    with pytest.raises(InventoryError) as caught:
        inventory(tmp_path, f"hosts:\n{hosts}\n")

    assert len(caught.value.problems) == 9
    assert looked == ["nobody"]


def test_names_of_services_are_gathered_once_for_each_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many services are behind one of its services."""
    looked = []
    gather = services_module.ServiceNames._of

    def counted(self: services_module.ServiceNames, host: object) -> frozenset[str] | None:
        looked.append(host)
        return gather(self, host)

    monkeypatch.setattr(services_module.ServiceNames, "_of", counted)
    behind = ", ".join(f"s{number}: {{ports: {number}/tcp, from: [bastion], behind: b.web}}" for number in range(2, 90))
    text = (
        f"hosts:\n  a: {{interfaces: {{lan: [10.20.1.1]}}, services: {{{behind}}}}}\n"
        "  b: {interfaces: {lan: [10.20.1.2]}, services: {web: {ports: 80/tcp, from: [bastion]}}}\n"
    )

    assert len(inventory(tmp_path, text).hosts["a"].services) == 88
    assert len(looked) == 2


def test_lists_that_aliases_share_may_be_wrong(tmp_path: Path) -> None:
    """One list in places of several kinds, right in some and wrong in others, is told and breaks nothing else."""
    text = (
        "x-list: &l [a b, ../x, 5, 10.0.0.1]\n"
        "viewpoints: {v: {kind: vpn, addresses: *l, targets: *l, canaries: *l}}\n"
        "roles: {r: {tags: *l, services: {s: {ports: *l, from: *l, interfaces: *l}}}}\n"
        "hosts: {a: {tags: *l, firewall: *l, members: *l, roles: *l, interfaces: {lan: *l, wan: {addresses: *l}}}}\n"
    )

    with pytest.raises(InventoryError) as caught:
        inventory(tmp_path, text)

    told = {problem.path.partition("[")[0] for problem in caught.value.problems}
    assert {f"hosts.a.{key}" for key in ("tags", "firewall", "members", "roles")} <= told
    assert {"hosts.a.interfaces.lan", "viewpoints.v.canaries", "roles.r.services.s.from"} <= told
