"""The search for addresses that nobody declared: what it may send, what it hears, and what it makes of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from auditor.addresses import OutOfScopeError, contains, first_of, probe_network
from auditor.inventory.expecting.carrying import carrying
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.context import Context
from auditor.model.discovery import Discovery
from auditor.model.expectation import Carried
from auditor.model.inventory import Inventory, Scope, Via, Viewpoint
from auditor.model.observation import Label, Reply, Scan
from auditor.model.words import Address, Basis, Profile, Technique
from auditor.scan.discover import discover, with_found
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.plan.links import Link
from auditor.scan.plan.searching import MOST, Search, search

TEXT = """
version: 1
name: case
scope: {{allow: [{allow}], deny: [10.0.1.128/25, "2001:db8:9::/64"]}}
viewpoints:
  inside: {{kind: internal, addresses: [10.0.0.2, "2001:db8:1::2"], canaries: [10.0.0.3]{more}}}
hosts:
  web:
    interfaces: {{lan: [10.0.0.10, "2001:db8:1::10"]}}
    services: {{ssh: {{ports: 22/tcp, from: [10.0.0.2], reason: r}}}}
  db: {{interfaces: {{lan: {{addresses: [10.0.0.20], dynamic: ["2001:db8:1::/66"]}}}}}}
"""
ALLOW = '10.0.0.0/24, 10.0.1.0/24, "2001:db8:1::/64"'
LAN = Link("eth0", ip_address("10.0.0.2"), ip_network("10.0.0.0/24"))
LAN6 = Link("eth0", ip_address("2001:db8:1::2"), ip_network("2001:db8:1::/64"))
OUTSIDE, DENIED = (
    Link("eth0", ip_address(f"2001:db8:{number}::2"), ip_network(f"2001:db8:{number}::/64")) for number in (2, 9)
)
WEB, DB, ODD = (ip_address(f"10.0.0.{last}") for last in (10, 20, 30))
NOW = datetime(2026, 11, 22, tzinfo=UTC)
RAW = Abilities("7.93")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Inventory]:
    def write(allow: str = ALLOW, more: str = "") -> Inventory:
        path = tmp_path / "case.yaml"
        path.write_text(TEXT.format(allow=allow, more=more), encoding="utf-8")
        return load(path)

    return write


def searched(inventory: Inventory, *links: Link, abilities: Abilities = RAW) -> Search:
    return search(inventory, inventory.viewpoints["inside"], abilities, links)


def swept(found: Search) -> set[Address]:
    return {address for sweep in found.sweeps for network in sweep.networks for address in network}


def test_networks_that_the_scope_does_not_allow_as_a_whole() -> None:
    """Only a network that is allowed to its last address becomes one to probe; several entries may make it up."""
    scope = Scope((ip_network("10.0.0.0/25"), ip_network("10.0.0.128/25")), (ip_network("10.0.0.77/32"),))

    assert probe_network(ip_network("10.0.0.0/26"), scope).network == ip_network("10.0.0.0/26")
    for refused in ("10.0.0.64/26", "10.0.0.0/23", "10.0.0.77/32", "2001:db8::/64"):
        with pytest.raises(OutOfScopeError):
            probe_network(ip_network(refused), scope)
    assert probe_network(ip_network("10.0.0.0/24"), Scope(scope.allow)).network == ip_network("10.0.0.0/24")


def test_the_first_addresses() -> None:
    """So many and no more, whatever the borders of networks."""
    networks = (ip_network("10.0.0.0/30"), ip_network("10.0.1.0/24"))

    assert first_of(networks, 9) == (*networks[:1], ip_network("10.0.1.0/30"), ip_network("10.0.1.4/32"))
    assert (first_of(networks, 0), first_of(networks, 10_000)) == ((), networks)


def test_what_is_swept(written: Callable[..., Inventory]) -> None:
    """All of IPv4 in targets and scope, less what is denied, declared, a canary, or the viewpoint's machine."""
    own = Link("eth1", ip_address("10.0.0.99"), ip_network("10.0.0.0/24"))
    everything = {*ip_network("10.0.0.0/24"), *ip_network("10.0.1.0/25")}
    known = {*map(ip_address, ("10.0.0.2", "10.0.0.3", "10.0.0.99")), WEB, DB}

    assert swept(searched(written(), LAN, own)) == everything - known
    assert swept(searched(written(more=", targets: [10.0.0.0/28]"), LAN)) == (set(ip_network("10.0.0.0/28")) - known)


def test_no_family_that_the_viewpoint_lacks(written: Callable[..., Inventory]) -> None:
    """Without an address of a family nothing of it is asked."""
    inventory = written()
    view = inventory.viewpoints["inside"]
    only = {version: search(inventory, _with(view, version), RAW, (LAN, LAN6)) for version in (4, 6)}

    assert (bool(only[4].sweeps), bool(only[4].groups)) == (True, False)
    assert (bool(only[6].sweeps), bool(only[6].groups)) == (False, True)


def _with(view: Viewpoint, version: int) -> Viewpoint:
    return replace(view, addresses=tuple(one for one in view.addresses if one.version == version))


def test_large_networks_are_bounded(written: Callable[..., Inventory]) -> None:
    """What is beyond the bound is listed; what is around declared addresses comes first."""
    inventory = written(allow='10.0.0.0/8, "2001:db8:1::/64"', more=", targets: [10.0.0.0/8]")
    found = searched(inventory, LAN)
    (left,) = (one for one in found.left_out if "10.0.0.0/8" in one.what)

    assert len(swept(found)) <= MOST < 2**24
    assert contains(found.sweeps[0].networks, ODD)
    assert left.what.startswith(f"{2**24 - 128 - MOST:,} addresses in 10.0.0.0/8 that no host declares: ")


def test_runs_stay_short(written: Callable[..., Inventory]) -> None:
    """No run has more than 4,096 addresses, and together they have all of them, each once."""
    (sweep,) = searched(written(allow='10.0.0.0/16, "2001:db8:1::/64"', more=", targets: [10.0.0.0/16]"), LAN).sweeps

    sizes = [sum(one.network.num_addresses for one in run) for run in sweep.runs]
    assert max(sizes) <= 4096
    assert sum(sizes) == sweep.asked == len({address for one in sweep.networks for address in one})


@pytest.mark.parametrize(
    ("allow", "links", "abilities", "asked"),
    [
        (ALLOW, (LAN6,), RAW, True),
        (ALLOW, (LAN,), RAW, False),
        (ALLOW, (LAN6,), Abilities("7.93", raw=False), False),
        (ALLOW, (LAN6, OUTSIDE), RAW, False),
        (ALLOW + ', "2001:db8:9::/64"', (LAN6, DENIED), RAW, False),
        ('10.0.0.0/24, "2001:db8:1::/65"', (LAN6,), RAW, False),
        (ALLOW, (Link("eth0,x=1", LAN6.address, LAN6.prefix),), RAW, False),
    ],
)  # fmt: skip
def test_all_neighbours_at_once(
    written: Callable[..., Inventory], allow: str, links: tuple[Link, ...], abilities: Abilities, asked: bool
) -> None:
    """Only where every prefix of the link is in scope as a whole: such a packet reaches all of them."""
    found = searched(written(allow=allow), *links, abilities=abilities)
    told = [one for one in found.left_out if "does not know" in one.what]

    assert (bool(found.groups), bool(told)) == (asked, not asked and LAN not in links)


def test_commands_need_a_link() -> None:
    """Without prefixes that the scope allows, or for a name that could be an option, there is no command."""
    link = (probe_network(LAN6.prefix, Scope((LAN6.prefix,))),)

    assert "interface=eth0" in " ".join(command.multicast("eth0", link, rate=5))
    for interface, prefixes in (("eth0", ()), ("-oN", link), ("eth0,newtargets", link)):
        with pytest.raises(ValueError, match="no link"):
            command.multicast(interface, prefixes, rate=5)


# The search itself


@dataclass(frozen=True)
class Said:
    stdout: str = ""
    returncode: int = 0
    stderr: str = ""


@dataclass(frozen=True)
class Process:
    said: Said

    @property
    def stderr(self) -> str:
        return self.said.stderr

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.said.stdout.encode()

    async def wait(self) -> int:
        return self.said.returncode


@dataclass
class Network:
    """Who lives, by address with hardware address, on one link with the viewpoint; a fake transport."""

    lives: dict[str, str] = field(default_factory=dict)
    heard: str = ""
    neighbours: str = "[]"
    route: str = '[{"dst": "x", "prefsrc": "10.0.0.2"}]'
    broken: Callable[[Sequence[str]], Said | None] = lambda _: None
    ran: list[Sequence[str]] = field(default_factory=list)

    @asynccontextmanager
    async def run(self, _via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[Process]:
        self.ran.append(argv)
        if argv[0] == "nmap":
            yield Process(self.broken(argv) or Said(self._nmap(argv)))
        elif "neighbour" in argv:
            yield Process(Said(self.neighbours))
        else:
            yield Process(Said(self.route))

    def _nmap(self, argv: Sequence[str]) -> str:
        asked = [address for word in argv for address in _addresses(word) if address != ip_address("ff02::1")]
        hosts = "".join(self._host(str(one)) for one in asked)
        script = f'<prescript><script id="{command.MULTICAST[0]}" output="{self.heard}"/></prescript>'
        spoken = script if "--script" in argv else ""
        return f'<nmaprun>{spoken}{hosts}<runstats><finished time="1" exit="success"/></runstats></nmaprun>'

    def _host(self, address: str) -> str:
        kind = "ipv6" if ":" in address else "ipv4"
        state = ("up", "arp-response") if address in self.lives else ("down", "no-response")
        mac = f'<address addr="{self.lives[address]}" addrtype="mac"/>' if self.lives.get(address) else ""
        status = f'<status state="{state[0]}" reason="{state[1]}"/>'
        return f'<host>{status}<address addr="{address}" addrtype="{kind}"/>{mac}</host>'


def _addresses(word: str) -> Collection[Address]:
    try:
        return tuple(ip_network(word))
    except ValueError:
        return ()


def look(found: Search, network: Network) -> Discovery:
    context = Context(lambda: NOW, random.Random(1), lambda _: None)
    (one,) = asyncio.run(discover([found], transport=network, context=context))
    return one


def test_who_lives(written: Callable[..., Inventory]) -> None:
    """Live addresses are found with their hardware addresses; those of declared neighbours are learnt too."""
    lives = {"10.0.0.30": "02:00:00:00:00:0C", "10.0.1.5": "", str(WEB): "02:00:00:00:00:0A"}
    result = look(searched(written(), LAN), network := Network(lives))

    assert {str(reply.address) for reply in result.found} == {"10.0.0.30", "10.0.1.5"}
    assert {(str(one.address), one.mac) for one in result.labels} == {
        (str(WEB), "02:00:00:00:00:0a"),
        ("10.0.0.30", "02:00:00:00:00:0c"),
    }
    assert [(str(*one.networks), one.asked, one.lived) for one in result.swept] == [
        ("10.0.0.0/24", 252, 1),
        ("10.0.1.0/24", 128, 1),
    ]
    assert result.errors == ()
    assert not any(str(address) in argv for argv in network.ran for address in (LAN.address, "10.0.1.128/25"))


@pytest.mark.parametrize(
    "broken",
    [
        lambda _: Said("", -9),
        lambda _: Said("<nmaprun>"),
        lambda _: Said('<nmaprun><runstats><finished exit="success"/></runstats></nmaprun>', 0, "no route to it"),
        lambda _: Said('<nmaprun><runstats><finished exit="error" errormsg="no"/></runstats></nmaprun>', 1),
    ],
)
def test_a_search_that_breaks_off(written: Callable[..., Inventory], broken: Callable[..., Said]) -> None:
    """It is an error, and never that nobody lives."""
    result = look(searched(written(), LAN), Network(broken=broken))

    assert result.found == ()
    assert result.errors


@dataclass
class Resetting(Network):
    """A router resets stray ACKs to `reset`; only `lives` answer anything else, from behind it."""

    reset: Collection[Address] = tuple(ip_network("10.0.1.0/25"))

    def _nmap(self, argv: Sequence[str]) -> str:
        acks = any(word.startswith("-PA") for word in argv)
        asked = [one for word in argv for one in _addresses(word) if one.version == 4]
        hosts = "".join(self._reply(one, acks=acks and one in self.reset) for one in asked)
        return f'<nmaprun>{hosts}<runstats><finished time="1" exit="success"/></runstats></nmaprun>'

    def _reply(self, address: Address, *, acks: bool) -> str:
        echo = ("up", "echo-reply", 63) if str(address) in self.lives else ("down", "no-response", 0)
        said = ("up", "reset", 64) if acks else echo
        status = '<status state="{}" reason="{}" reason_ttl="{}"/>'.format(*said)
        return f'<host>{status}<address addr="{address}" addrtype="ipv4"/></host>'


def test_a_router_that_resets_for_everybody(written: Callable[..., Inventory]) -> None:
    """Nobody lives by its word; who lives is asked again, in words that it does not answer."""
    network = Resetting({"10.0.1.5": ""})
    result = look(searched(written()), network)
    (again,) = (argv for argv in network.ran if "10.0.1.5" in argv)

    assert result.found == (Reply(ip_address("10.0.1.5"), "echo-reply", 63),)
    assert not any(word.startswith("-PA") for word in again)
    assert (128, 1) == (result.swept[-1].asked, result.swept[-1].lived)
    assert "as nearly all there do" in result.notes[0]


def test_hosts_that_reset_are_hosts(written: Callable[..., Inventory]) -> None:
    """Some of a network, however many: the others do not."""
    network = Resetting(reset=tuple(ip_network("10.0.1.0/26")))
    result = look(searched(written()), network)

    assert 64 == len(result.found)
    assert () == result.notes


def test_the_wrong_source_address(written: Callable[..., Inventory]) -> None:
    """Nothing is sent from another address than the declared one."""
    network = Network(route='[{"dst": "x", "prefsrc": "10.0.0.77"}]')
    result = look(searched(written(), LAN), network)

    assert not any(argv[0] == "nmap" for argv in network.ran)
    assert "correct `addresses`" in result.errors[0]


def test_no_nmap_there(written: Callable[..., Inventory]) -> None:
    """What keeps the viewpoint from scanning keeps it from searching, and is told."""
    result = look(searched(written(), LAN, abilities=Abilities(problem="no nmap")), network := Network())

    assert (network.ran, len(result.errors)) == ([], 1)


def test_neighbours_of_ipv6(written: Callable[..., Inventory]) -> None:
    """Heard of by multicast or known to the kernel; a link-local one is looked for in the prefix of its link.

    Whatever is said, only what is in the scope is asked: `2001:db8:9::` is denied, `2001:db8:7::` nowhere allowed.
    """
    heard = "".join(
        f"&#xa;  IP: {one}  MAC: 020000000001  IFACE: eth0"
        for one in (
            "2001:db8:1::31",
            "fe80::55",
            "2001:db8:7::1",
            "2001:db8:9::1",
            "ff02::1",
            "10.0.0.9;reboot",
            "::::",
        )
    )
    known = (
        '[{"dst": "2001:db8:1::32", "dev": "eth0", "lladdr": "02:00:00:00:00:02", "state": ["STALE"]},'
        ' {"dst": "2001:db8:9::2", "dev": "eth0", "lladdr": "02:00:00:00:00:02", "state": ["STALE"]},'
        ' {"dst": "2001:db8:1::33", "dev": "eth0", "state": ["FAILED"]}, {"dst": "x"}, 7]'
    )
    lives = dict.fromkeys(("2001:db8:1::31", "2001:db8:1::32", "2001:db8:1::55"), "02:00:00:00:00:02")
    network = Network(lives, heard, known)
    result = look(searched(written(), LAN6), network)
    asked = {word for argv in network.ran if argv[0] == "nmap" for word in argv if word.startswith("2001:")}

    assert {str(reply.address) for reply in result.found} == set(lives)
    assert asked == {*lives, "2001:db8:1::10", "2001:db8:1::2"}  # the last one is the source of the echo
    assert [(str(*one.networks), one.lived) for one in result.swept if one.networks[0].version == 6] == [
        ("2001:db8:1::/64", 3)
    ]


def test_neighbours_that_cannot_be_asked_for(written: Callable[..., Inventory]) -> None:
    """Where the system does not tell its neighbours, the search was not whole."""
    result = look(searched(written(), LAN6), Network(neighbours="{"))

    assert any("ip -j neighbour" in error for error in result.errors)


def test_what_was_found_proves_no_path() -> None:
    """It goes into the scan apart from the scan's own replies, with the commands and errors."""
    found = Discovery("inside", found=(Reply(ODD, "echo-reply"),), commands=("nmap a",), errors=("broke",))
    scan = Scan("inside", Technique.SYN, "7.93", commands=("nmap b",))
    (one,) = with_found([scan], [found])

    assert (one.found, one.replies, one.commands, one.errors) == (found.found, (), ("nmap a", "nmap b"), ("broke",))
    assert with_found([scan], []) == (scan,)


# Whose an address is

A, B, C = (f"02:00:00:00:00:0{letter}" for letter in "abc")
DYNAMIC = ip_address("2001:db8:1::77")
ELSEWHERE = ip_address("10.0.0.40")


@pytest.mark.parametrize(
    ("macs", "expected"),
    [
        ([(WEB, A), (DB, B), (ELSEWHERE, A)], {ELSEWHERE: Carried("web", "lan", ELSEWHERE)}),
        ([(WEB, A), (DB, A), (ELSEWHERE, A)], {}),  # a router's
        ([(WEB, A), (ELSEWHERE, C)], {}),
        ([(WEB, A), (DB, B), (ELSEWHERE, A), (ELSEWHERE, B)], {}),
        ([(WEB, A), (ELSEWHERE, A), (ELSEWHERE, C)], {}),
        ([], {DYNAMIC: Carried("db", "lan", DYNAMIC, declared=True)}),  # nobody else has the prefix
        ([(DB, B), (DYNAMIC, B)], {DYNAMIC: Carried("db", "lan", DYNAMIC, declared=True)}),
        ([(DB, B), (DYNAMIC, C)], {}),  # nor has the host
        ([(WEB, A), (DYNAMIC, A)], {DYNAMIC: Carried("web", "lan", DYNAMIC)}),
    ],
)
def test_whose_it_is(
    written: Callable[..., Inventory], macs: list[tuple[Address, str]], expected: dict[Address, Carried]
) -> None:
    """By hardware address where that is one host's alone; else by a prefix that one host alone declares."""
    labels = [Label(address, mac=mac) for address, mac in macs]
    asked = {ELSEWHERE} if any(address == ELSEWHERE for address, _ in macs) else {DYNAMIC}

    assert carrying(written(), [(asked, labels)]) == expected


OTHERS = tuple(ip_address(f"10.0.0.{last}") for last in (40, 41, 42))
SIXES = tuple(ip_address(f"2001:db8:1:0:8000::{last}") for last in range(1, 18))


@pytest.mark.parametrize(
    ("sharing", "names", "whose"),
    [
        (OTHERS[:2], {}, OTHERS[:2]),
        (OTHERS, {}, ()),  # a router that answers for all, or a cloud
        (SIXES[:16], {}, SIXES[:16]),  # new ones by the day
        (SIXES, {}, ()),
        ((OTHERS[0], *SIXES[:2]), {}, (OTHERS[0], *SIXES[:2])),
        (OTHERS[:2], {OTHERS[0]: "mail.example", OTHERS[1]: "db.example"}, ()),
        (OTHERS[:1], {WEB: "web.example", OTHERS[0]: "db.example"}, ()),
        (OTHERS[:1], {WEB: "web.example", OTHERS[0]: "Web.example."}, OTHERS[:1]),
        ((OTHERS[0], SIXES[0]), {OTHERS[0]: "four.example", SIXES[0]: "six.example"}, (OTHERS[0], SIXES[0])),
    ],
)
def test_a_hardware_address_of_many_is_nobodys(
    written: Callable[..., Inventory],
    sharing: tuple[Address, ...],
    names: dict[Address, str],
    whose: tuple[Address, ...],
) -> None:
    """Nor does one tell of addresses whose names differ: they are several machines' behind it."""
    labels = [Label(one, (names[one],) if one in names else (), mac=A) for one in (WEB, *sharing)]

    assert set(whose) == set(carrying(written(), [(sharing, labels)]))


def test_viewpoints_that_tell_differently(written: Callable[..., Inventory]) -> None:
    """What one viewpoint learnt holds for all; where two contradict each other nothing is known."""
    one = ((), [Label(WEB, mac=A), Label(ELSEWHERE, mac=A)])
    other = ((), [Label(DB, mac=A), Label(ELSEWHERE, mac=A)])

    assert set(carrying(written(), [one, ((ELSEWHERE,), ())])) == {ELSEWHERE}
    assert carrying(written(), [one, other]) == {}


def test_expectations_of_what_was_found(written: Callable[..., Inventory]) -> None:
    """A stranger and an undeclared address are blocked; an address in a prefix is expected as on its interface."""
    inventory = written()
    view = inventory.viewpoints["inside"]
    carried = {ELSEWHERE: Carried("web", "lan", ELSEWHERE), DYNAMIC: Carried("db", "lan", DYNAMIC, declared=True)}
    found = Discovery("inside", tuple(Reply(one, "echo-reply") for one in (ODD, ELSEWHERE, DYNAMIC)))
    expected = expect(inventory, view, Profile.QUICK, found=found, carried=carried)
    narrowed = expect(inventory, view, Profile.QUICK, hosts=["web"], found=found, carried=carried)
    of = {(one.address, one.host, one.basis) for one in expected.expectations if one.address in (ODD, ELSEWHERE)}

    assert of == {(ODD, str(ODD), Basis.UNDECLARED), (ELSEWHERE, "web", Basis.UNDECLARED_ADDRESS)}
    assert {one.interface for one in expected.expectations if one.address == DYNAMIC} == {"lan"}
    assert (expected.undeclared, set(expected.carried)) == ((ODD,), set(carried.values()))
    assert not any("not looked for" in one.reason for one in expected.left_out)
    assert (narrowed.undeclared, narrowed.carried) == ((), (carried[ELSEWHERE],))
    assert (str(ODD), "not chosen by --host or --tag") in {(one.what, one.reason) for one in narrowed.left_out}


def test_a_device_that_answers_for_a_network(written: Callable[..., Inventory]) -> None:
    """All that lives is told, and the ports of so many are not asked; that is listed."""
    inventory = written(allow='10.0.0.0/16, "2001:db8:1::/64"')
    every = list(ip_network("10.0.8.0/21"))
    found = Discovery("inside", tuple(Reply(one, "reset") for one in every))
    expected = expect(inventory, inventory.viewpoints["inside"], Profile.QUICK, found=found)

    assert len(expected.undeclared) == 2048
    assert len({address for address, _ in expected.coverage() if address in set(every)}) == 1024
    assert any(one.what.startswith("ports of 1,024 live addresses") for one in expected.left_out)
