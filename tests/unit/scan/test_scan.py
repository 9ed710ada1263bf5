"""Whole scans over a fake transport: what was asked is set against what came back, whatever goes wrong."""

from __future__ import annotations

import asyncio
import random
import shlex
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from ipaddress import ip_address, ip_network

import pytest

from auditor.errors import RunError, TransportError
from auditor.model.context import Context, Event
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Canary, Scope, Service, Via, Viewpoint
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import Basis, ExpectedState, Profile, Protocol, ViewpointKind
from auditor.rundir.journal import Shard
from auditor.scan.nmap.abilities import Abilities, probe_abilities
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from auditor.scan.together import Room, together
from tests.readers import Late

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ONE, TWO, THREE = (ip_address(f"10.0.0.{n}") for n in (1, 2, 3))
SCOPE = Scope((ip_network("10.0.0.0/8"),))
WEB = Service("web", PortSet.of(80), PortSet(), ("public",), ())


@dataclass(frozen=True)
class Said:
    """What a fake command says."""

    stdout: str = ""
    returncode: int = 0
    stderr: str = ""


class FakeProcess:
    def __init__(self, said: Said) -> None:
        self._said = said
        self.stderr = said.stderr

    async def chunks(self) -> AsyncIterator[bytes]:
        data = self._said.stdout.encode()
        for start in range(0, len(data), 50):
            yield data[start : start + 50]
            await asyncio.sleep(0)

    async def wait(self) -> int:
        return self._said.returncode


@dataclass
class FakeTransport:
    """Answers routes as declared, and nmap by `nmap`, which is given the argument list."""

    nmap: Callable[[Sequence[str]], Said]
    route: Callable[[str], Said] = lambda _: Said('[{"dst":"x","gateway":"10.0.0.98","prefsrc":"10.0.0.99"}]')
    ran: list[Sequence[str]] = field(default_factory=list)
    nice: list[Sequence[str]] = field(default_factory=list)

    @asynccontextmanager
    async def run(self, _via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[FakeProcess]:
        self.ran.append(argv)
        self.nice += [argv] * nice
        match argv[0]:
            case "ip":
                yield FakeProcess(self.route(argv[-1]))
            case "nmap":
                yield FakeProcess(self.nmap(argv))
            case _:
                yield FakeProcess(self.other(argv))

    def other(self, argv: Sequence[str]) -> Said:
        """To whatever else is run. Its kernel counts nothing that nmap has not told."""
        if argv == ["cat", "/proc/net/snmp"]:
            return Said("Tcp: ActiveOpens InSegs OutRsts\nTcp: 0 0 0\n")
        return Said("CapEff:\t0000000000002000\n")


def document(argv: Sequence[str], *hosts: str, end: str = '<finished time="1" exit="success"/>') -> str:
    ports = argv[argv.index("-p") + 1] if "-p" in argv else ""
    protocol = "udp" if "-sU" in argv else "tcp"
    kind = "udp" if "-sU" in argv else "connect" if "-sT" in argv else "syn"
    return (
        f'<nmaprun args="{shlex.join(argv)}" version="7.93">'
        f'<scaninfo type="{kind}" protocol="{protocol}" services="{ports}"/>'
        f"{''.join(hosts)}<runstats>{end}</runstats></nmaprun>"
    )


def host(address: object, *ports: str, status: str = 'state="up" reason="user-set"', extra: str = "") -> str:
    return (
        f'<host endtime="1" {extra}><status {status}/><address addr="{address}" addrtype="ipv4"/>'
        f"<ports>{''.join(ports)}</ports></host>"
    )


def port(number: int, state: str, reason: str, service: str = "", protocol: str = "tcp") -> str:
    return (
        f'<port protocol="{protocol}" portid="{number}"><state state="{state}" reason="{reason}" reason_ttl="63"/>'
        f"{service}</port>"
    )


def closed(argv: Sequence[str]) -> str:
    ports = argv[argv.index("-p") + 1]
    return f'<extraports state="closed"><extrareasons reason="reset" proto="tcp" ports="{ports}"/></extraports>'


def targets(argv: Sequence[str]) -> list[str]:
    return [word for word in argv if word.startswith("10.")]


def all_closed(argv: Sequence[str]) -> Said:
    """A network where every port of every address is closed."""
    return Said(document(argv, *(host(address, closed(argv)) for address in targets(argv) if "-p" in argv)))


def some_open(argv: Sequence[str]) -> Said:
    """Two ports are open wherever they are asked, one at first and one late; the rest stays silent."""
    if "-p" not in argv:
        return Said(document(argv))
    asked = PortSet.parse(argv[argv.index("-p") + 1])
    known = PortSet.of(7, 9000) & asked
    found = [port(one, "open", "syn-ack", '<service name="http" method="probed" conf="10"/>') for one in known]
    silent = (
        f'<extraports state="filtered"><extrareasons reason="no-response" proto="tcp" ports="{asked - known}"/>'
        "</extraports>"
    )
    return Said(document(argv, *(host(one, *found, silent if asked - known else "") for one in targets(argv))))


def expectations(*addresses: object, ports: str = "1-10", **viewpoint: object) -> Expectations:
    here = Viewpoint("vp", ViewpointKind.PUBLIC, (ip_address("10.0.0.99"),), (), **viewpoint)
    each = (
        Expectation("vp", "h", "public", a, Protocol.TCP, PortSet.parse(ports), ExpectedState.BLOCKED, Basis.UNDECLARED)
        for a in addresses
    )
    return Expectations(here, Profile.STANDARD, tuple(each))


def carried_out(
    transport: FakeTransport, wanted: Expectations, *, raw: bool = True, evidence: object = None
) -> tuple[Scan, list[Event]]:
    events: list[Event] = []
    planned = plan(wanted, SCOPE, Abilities("7.93", raw))
    context = Context(lambda: NOW, random.Random(1), events.append)
    (found,) = asyncio.run(scan([planned], transport=transport, context=context, evidence=evidence))
    return found, events


def failures(found: Scan) -> list[tuple[str, str, str]]:
    return [(str(one.address), str(one.ports), one.reason) for one in found.failures]


def test_a_whole_scan_has_no_failures() -> None:
    """Every port asked has a state; nothing is in error; the commands are on record."""
    found, _ = carried_out(FakeTransport(all_closed), expectations(ONE, TWO))

    assert ([], (), None) == (failures(found), found.errors, found.failure)
    assert [(ONE, "1-10"), (TWO, "1-10")] == [(o.address, str(o.ports)) for o in found.observations]
    assert 1 == len(found.commands)


@pytest.mark.parametrize(
    ("said", "reason", "errors"),
    [
        (lambda a: Said(document(a)), "nmap did not report on it", 0),
        (lambda a: Said(document(a), stderr="odd\nsendto failed"), "nmap did not report on it: sendto failed", 0),
        (lambda a: Said(document(a)[:60], -9), "nmap was killed by signal 9 before it had finished", 1),
        (lambda a: Said(document(a)[:-30]), "nmap's document is cut off", 1),
        (lambda a: Said(document(a, end="")), "nmap's document has no proper end", 1),
        (
            lambda a: Said(document(a, end='<finished exit="error" errormsg="no luck"/>'), 1),
            "nmap stopped with an error: no luck",
            1,
        ),
        (lambda _: Said("", 1, "QUITTING!"), "nmap ended with exit status 1: QUITTING!", 1),
        (lambda _: Said("Starting Nmap"), "this is not nmap XML", 1),
        (
            lambda a: Said(document(a, host(ONE, extra='timedout="true"'))),
            "nmap gave up on this host: host timeout",
            0,
        ),
        (
            lambda a: Said(document(a, f'<target specification="{ONE}" status="skipped" reason="invalid"/>')),
            "nmap skipped this address, it has no usable way to it",
            0,
        ),
    ],
)
def test_what_is_not_answered_for_is_a_failure_with_its_reason(
    said: Callable[[Sequence[str]], Said], reason: str, errors: int
) -> None:
    """However nmap fails, no port of the coverage is lost and none is taken for closed."""
    found, _ = carried_out(FakeTransport(said), expectations(ONE))

    assert [("10.0.0.1", "1-10", reason)] == failures(found)
    assert () == found.observations
    assert errors <= len(found.errors)


def test_hosts_finished_before_a_kill_are_kept() -> None:
    """A stream that breaks off loses only the hosts that were not done."""

    def killed(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv))
        whole = document(argv, host(ONE, closed(argv)), host(TWO, closed(argv)))
        return Said(whole[: whole.index(f'addr="{TWO}"')], -9)

    found, _ = carried_out(FakeTransport(killed), expectations(ONE, TWO))

    assert [ONE] == [one.address for one in found.observations]
    assert [("10.0.0.2", "1-10", "nmap was killed by signal 9 before it had finished")] == failures(found)
    assert ("vp-sweep-ipv4-001: nmap was killed by signal 9 before it had finished",) == found.errors


def test_ports_that_nmap_left_out_are_failures() -> None:
    """A host that is there, but with fewer ports than were asked, is not whole."""
    found, _ = carried_out(
        FakeTransport(lambda a: Said(document(a, host(ONE, port(3, "closed", "reset"))))), expectations(ONE)
    )

    assert [("10.0.0.1", "1-2,4-10", "nmap did not report on it")] == failures(found)


def test_a_neighbour_that_nmap_calls_down_was_not_asked() -> None:
    """ARP replies may be lost, limited or not given at all while the ports answer: so ours never leave it to nmap."""

    def dead(argv: Sequence[str]) -> Said:
        return Said(document(argv, host(ONE, status='state="down" reason="no-response"')))

    transport = FakeTransport(dead)
    found, _ = carried_out(transport, expectations(ONE))

    assert [("10.0.0.1", "1-10", "nmap found the host down and did not probe its ports")] == failures(found)
    assert () == found.observations
    assert all("--disable-arp-ping" in argv for argv in transport.ran if "-p" in argv)


@pytest.mark.parametrize("known", [False, True])
def test_the_kernel_finds_neighbours(known: bool) -> None:
    """What is sent to one that it does not find is held back, so nmap asks for that one by ARP before it sweeps."""

    def silent(argv: Sequence[str]) -> Said:
        if "-p" in argv and "--disable-arp-ping" not in argv:
            return Said(document(argv, host(ONE, status='state="down" reason="no-response"')))
        extra = closed(argv).replace("closed", "filtered").replace("reset", "no-response") if "-p" in argv else ""
        return Said(document(argv, host(ONE, extra)))

    def route(what: str) -> Said:
        entries = '[{"dst":"10.0.0.1","lladdr":"02:00:00:00:00:01","state":["REACHABLE"]}]' if known else "[]"
        return Said(entries if what == "show" else '[{"dst":"x","prefsrc":"10.0.0.99"}]')

    transport = FakeTransport(silent, route=route)
    found, _ = carried_out(transport, expectations(ONE))
    (sweep,) = (argv for argv in transport.ran if "--min-rate" in argv)

    assert known == ("--disable-arp-ping" in sweep)
    assert [("1-10", "filtered", "no-response")] == [(str(o.ports), o.state, o.reason) for o in found.observations]
    assert [] == failures(found)


def test_silent_addresses_are_pinged_and_neighbours_asked_past_the_link() -> None:
    """ARP shows life but no path; so what only ARP answers for is pinged again without it."""

    def silent(argv: Sequence[str]) -> Said:
        if "-sn" not in argv:
            extra = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
            return Said(document(argv, host(ONE, extra)))
        reason = "echo-reply" if "--disable-arp-ping" in argv else "arp-response"
        return Said(document(argv, host(ONE, status=f'state="up" reason="{reason}"')))

    found, _ = carried_out(FakeTransport(silent), expectations(ONE))

    assert ["arp-response", "echo-reply"] == [reply.reason for reply in found.replies]


def test_a_wrong_source_address_stops_everything_before_the_first_probe() -> None:
    """The scan would show what another viewpoint sees; so nothing is sent, and the sentence says both addresses."""
    transport = FakeTransport(all_closed, route=lambda _: Said('[{"prefsrc":"10.0.0.77"}]'))
    found, _ = carried_out(transport, expectations(ONE))

    assert found.failure is not None
    assert "from 10.0.0.77, but viewpoint vp is declared as 10.0.0.99" in found.failure
    assert [] == [argv for argv in transport.ran if argv[0] == "nmap"]


def test_nat_makes_the_source_address_unknowable() -> None:
    """With `nat: true` the scanner's own address differs, as declared."""
    transport = FakeTransport(all_closed, route=lambda _: Said('[{"prefsrc":"192.168.1.2"}]'))

    assert carried_out(transport, expectations(ONE, nat=True))[0].failure is None


@pytest.mark.parametrize(
    ("route", "reason"),
    [
        (Said("", 2, "RTNETLINK answers: Network is unreachable\n"), "the viewpoint has no route to it: RTNETLINK"),
        (Said('[{"type":"unreachable","dst":"x"}]'), "the viewpoint's route to it is of type unreachable"),
    ],
)
def test_an_address_without_a_route_is_a_failure_and_gets_no_probe(route: Said, reason: str) -> None:
    """The others are scanned all the same."""
    usual = FakeTransport(all_closed).route
    transport = FakeTransport(all_closed, route=lambda a: route if a == str(ONE) else usual(a))
    found, _ = carried_out(transport, expectations(ONE, TWO))

    assert [("10.0.0.1", "1-10")] == [one[:2] for one in failures(found)]
    assert failures(found)[0][2].startswith(reason)
    assert not any(str(ONE) in argv for argv in transport.ran if argv[0] == "nmap")


def test_unreadable_routes_fail_the_viewpoint() -> None:
    """An `ip` that speaks no JSON leaves the source address unknown: could not tell is no pass."""
    found, _ = carried_out(FakeTransport(all_closed, route=lambda _: Said("10.0.0.1 dev eth0")), expectations(ONE))

    assert found.failure is not None
    assert "gave no route that can be read" in found.failure


def sees_open(version: Callable[[Sequence[str]], Said]) -> Callable[[Sequence[str]], Said]:
    """Port 7 of every address is open; version probes are answered by `version`."""

    def answer(argv: Sequence[str]) -> Said:
        if "-sV" in argv:
            return version(argv)
        shut = closed(argv).replace('ports="1-10"', 'ports="1-6,8-10"')
        return Said(document(argv, *(host(a, port(7, "open", "syn-ack"), shut) for a in targets(argv))))

    return answer


# A connection tells no TTL; nmap says 0.
REDIS_SEEN = port(7, "open", "syn-ack", '<service name="redis" product="Redis" method="probed"/>').replace("63", "0")
WRAPPED = port(7, "open", "syn-ack", '<service name="tcpwrapped" method="probed" conf="8"/>').replace("63", "0")
UNNAMED = port(7, "open", "syn-ack", '<service name="echo" method="table" conf="3"/>').replace("63", "0")
TIMED_OUT = ""


def test_versions_are_asked_of_open_ports_and_confirm_them() -> None:
    """What was recognised is kept, and the endpoint has then been seen open twice."""
    transport = FakeTransport(sees_open(lambda a: Said(document(a, *(host(t, REDIS_SEEN) for t in targets(a))))))
    found, _ = carried_out(transport, expectations(ONE, TWO))
    opened = [o for o in found.observations if o.state == "open"]

    assert [("redis", 2), ("redis", 2)] == [(o.identity and o.identity.name, o.attempts) for o in opened]
    assert [["10.0.0.1", "10.0.0.2"]] == [targets(argv) for argv in transport.ran if "-sV" in argv]
    assert () == found.probe_failures


def test_what_answers_over_tcp_is_asked_by_connections() -> None:
    """nmap 7.991 is often wrong after a SYN scan. How far away the address is, only the SYN scan tells, and is kept."""
    transport = FakeTransport(sees_open(lambda a: Said(document(a, *(host(t, REDIS_SEEN) for t in targets(a))))))
    found, _ = carried_out(transport, expectations(ONE))
    (talk,) = [argv for argv in transport.ran if "-sV" in argv]

    assert ("--unprivileged", True, False) == (talk[1], "-sT" in talk, "-sS" in talk)
    assert [("redis", 63)] == [(o.identity.name, o.ttl) for o in found.observations if o.identity]


@pytest.mark.parametrize(
    ("declared", "first", "asked"),
    [
        (None, WRAPPED, 2),  # undeclared: its class decides how bad it is
        (None, UNNAMED, 2),
        (None, TIMED_OUT, 1),  # 45 seconds more are not worth it
        ("any", WRAPPED, 1),  # declared without a protocol: open is all that is asked for
        ("redis", WRAPPED, 2),
        ("redis", UNNAMED, 2),
        ("redis", TIMED_OUT, 2),
        ("redis", REDIS_SEEN, 1),
    ],
)
def test_a_look_at_a_bad_moment_is_repeated_where_it_matters(declared: str | None, first: str, asked: int) -> None:
    """Once; and whichever look recognises the service, its word holds."""
    looks = [first, REDIS_SEEN]

    def say(argv: Sequence[str]) -> Said:
        look = looks.pop(0)
        return Said(document(argv, host(ONE, look, extra='timedout="true"' if look == TIMED_OUT else "")))

    wanted = expectations(ONE, ports="1-6,8-10" if declared else "1-10")
    if declared:
        service = Service("s", PortSet.of(7), PortSet(), ("public",), (), protocol=declared.replace("any", "") or None)
        due = Expectation(
            "vp", "h", "public", ONE, Protocol.TCP, PortSet.of(7), ExpectedState.REACHABLE, Basis.DECLARED, service
        )
        wanted = replace(wanted, expectations=(*wanted.expectations, due))
    found, _ = carried_out(FakeTransport(sees_open(say)), wanted)
    identities = [o.identity and o.identity.name for o in found.observations if o.state == "open"]

    assert (2 - asked, ()) == (len(looks), found.probe_failures)
    assert ["redis" if asked == 2 or first == REDIS_SEEN else None] == identities


def test_version_probes_leave_processor_time_to_sweeps() -> None:
    """A sweep that is short of it reads replies too late, and loses nearly all of them."""
    transport = FakeTransport(sees_open(lambda a: Said(document(a, *(host(t) for t in targets(a))))))
    carried_out(transport, expectations(ONE))

    assert [argv for argv in transport.ran if "-sV" in argv] == transport.nice != []


def test_an_open_port_that_a_version_probe_finds_silent_is_asked_once_more() -> None:
    """Both of the packets that ask whether it is open may be lost; only the address that was silent is asked again."""
    asked: list[list[str]] = []

    def lossy(argv: Sequence[str]) -> Said:
        asked.append(targets(argv))
        silent = port(7, "filtered", "no-response") if len(asked) == 1 else REDIS_SEEN
        return Said(document(argv, *(host(a, silent if a == str(ONE) else REDIS_SEEN) for a in asked[-1])))

    found, _ = carried_out(FakeTransport(sees_open(lossy)), expectations(ONE, TWO))

    assert [["10.0.0.1", "10.0.0.2"], ["10.0.0.1"]] == asked
    assert () == found.probe_failures


@pytest.mark.parametrize(
    ("said", "reasons", "mute"),
    [
        (
            lambda a: Said(document(a, host(ONE, extra='timedout="true"'))),
            [],
            ["it said nothing that the version probe recognised within 45 s"],
        ),
        (lambda a: Said(document(a, host(ONE, port(7, "open", "syn-ack")))), [], []),
        (
            lambda a: Said(document(a, host(ONE, port(7, "filtered", "no-response")))),
            ["it was open before, and filtered to a connection that asks what answers there"],
            [],
        ),
        (
            lambda a: Said(document(a, host(ONE, port(7, "filtered", "net-unreach").replace("63", "0")))),
            [
                "the scanner's own machine said net-unreach, and a connect scan does not tell whether it speaks for "
                "itself"
            ],
            [],
        ),
        (lambda _: Said("", -11), ["nmap was killed by signal 11 before it had finished"], []),
    ],
)
def test_a_silent_service_is_mute_and_a_broken_probe_is_a_failure(
    said: Callable[[Sequence[str]], Said], reasons: list[str], mute: list[str]
) -> None:
    """The port stays open either way; what could not be told of it is told apart."""
    found, _ = carried_out(FakeTransport(sees_open(said)), expectations(ONE))

    assert reasons == [one.reason for one in found.probe_failures]
    assert mute == [one.reason for one in found.mute]
    assert ["7"] == [str(o.ports) for o in found.observations if o.state == "open"]
    assert [] == failures(found)


def test_canaries_are_kept_apart() -> None:
    """They prove a path and are no part of the coverage."""
    found, _ = carried_out(FakeTransport(all_closed), expectations(ONE, canaries=(Canary(THREE, Protocol.TCP, 22),)))

    assert [(THREE, "22")] == [(o.address, str(o.ports)) for o in found.canaries]
    assert [ONE] == [o.address for o in found.observations]


def test_without_raw_sockets_udp_is_unverified() -> None:
    """UDP that cannot be asked is a failure with the reason, not an absence."""
    wanted = expectations(ONE)
    udp = Expectation(
        "vp", "h", "public", ONE, Protocol.UDP, PortSet.of(53), ExpectedState.REACHABLE, Basis.DECLARED, WEB
    )
    found, _ = carried_out(
        FakeTransport(all_closed),
        Expectations(wanted.viewpoint, wanted.profile, (*wanted.expectations, udp)),
        raw=False,
    )

    assert [("10.0.0.1", "53", "UDP needs raw sockets, which this viewpoint does not have")] == failures(found)


def test_a_refused_udp_port_makes_silent_ones_be_asked_again() -> None:
    """A host that limits its refusals looks half silent at first; at one port a second it is not."""

    def limited(argv: Sequence[str]) -> Said:
        refused = port(1, "closed", "port-unreach", protocol="udp")
        again = "--scan-delay" in argv
        second = port(2, *(("closed", "port-unreach") if again else ("open|filtered", "no-response")), protocol="udp")
        return Said(document(argv, host(ONE, *((second,) if again else (refused, second)))))

    wanted = expectations(ONE)
    udp = Expectation("vp", "h", "public", ONE, Protocol.UDP, PortSet.of(1, 2), ExpectedState.BLOCKED, Basis.UNDECLARED)
    transport = FakeTransport(limited)
    found, _ = carried_out(transport, Expectations(wanted.viewpoint, wanted.profile, (udp,)))

    assert [("1-2", "closed")] == [(str(o.ports), o.state) for o in found.observations]
    assert ["2"] == [argv[argv.index("-p") + 1] for argv in transport.ran if "--scan-delay" in argv]


def test_looks_go_on_where_they_bring_refusals() -> None:
    """What else a host refuses counts against its limit: a look may bring some refusals and not all, but not for ever.

    ONE refuses one port more in each look, TWO none, and THREE answers.
    """
    looks: list[tuple[str, list[str]]] = []
    first = {str(ONE): 2, str(TWO): 9, str(THREE): 9}

    def limited(argv: Sequence[str]) -> Said:
        if "--scan-delay" in argv:
            looks.append((argv[argv.index("-p") + 1], targets(argv)))
        refused = {**first, str(ONE): 1 + len(looks)}
        return Said(
            document(
                argv,
                *(
                    host(
                        address,
                        *(
                            port(n, "closed", "port-unreach", protocol="udp")
                            if n in (1, refused[address])
                            else port(n, "open", "udp-response", protocol="udp")
                            if (address, n, len(looks)) == (str(THREE), 5, 1)
                            else port(n, "open|filtered", "no-response", protocol="udp")
                            for n in range(1, 9)
                        ),
                    )
                    for address in targets(argv)
                ),
            )
        )

    wanted = expectations(ONE)
    udp = tuple(
        Expectation(
            "vp", name, "public", address, Protocol.UDP, PortSet.span(1, 8), ExpectedState.BLOCKED, Basis.UNDECLARED
        )
        for name, address in (("h1", ONE), ("h2", TWO), ("h3", THREE))
    )
    found, _ = carried_out(FakeTransport(limited), Expectations(wanted.viewpoint, wanted.profile, udp))

    assert [("2-8", [str(ONE), str(TWO), str(THREE)]), ("3-8", [str(ONE)]), ("4-8", [str(ONE)])] == looks
    closed = [one.ports for one in found.observations if (one.address, one.state) == (ONE, "closed")]
    assert "1-4" == str(PortSet.union(closed))


def test_second_looks_of_all_hosts_are_one_run() -> None:
    """A run for each host would be as many processes as hosts, all at once."""

    def limited(argv: Sequence[str]) -> Said:
        silent = {str(ONE): 2, str(TWO): 3}
        return Said(
            document(
                argv,
                *(
                    host(
                        address,
                        port(1, "closed", "port-unreach", protocol="udp"),
                        port(silent[address], "open|filtered", "no-response", protocol="udp"),
                        port(5 - silent[address], "closed", "port-unreach", protocol="udp"),
                    )
                    for address in targets(argv)
                ),
            )
        )

    wanted = expectations(ONE)
    udp = tuple(
        Expectation(
            "vp", name, "public", address, Protocol.UDP, PortSet.of(1, 2, 3), ExpectedState.BLOCKED, Basis.UNDECLARED
        )
        for name, address in (("h1", ONE), ("h2", TWO))
    )
    transport = FakeTransport(limited)
    carried_out(transport, Expectations(wanted.viewpoint, wanted.profile, udp))

    assert [("2-3", ["10.0.0.1", "10.0.0.2"])] == [
        (argv[argv.index("-p") + 1], targets(argv)) for argv in transport.ran if "--scan-delay" in argv
    ]


def test_pings_that_never_left_leave_it_open_whether_the_address_lives() -> None:
    """nmap calls the address down then, and says success."""

    def unsent(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv, host(ONE, status='state="down" reason="no-response"')), stderr=EPERM)
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        return Said(document(argv, host(ONE, silent)))

    found, _ = carried_out(FakeTransport(unsent), expectations(ONE))

    assert (ONE,) == found.not_pinged


@pytest.mark.parametrize(("rate", "most"), [(100, 1), (500, 4), (100_000, 6)])
def test_conversations_are_as_few_as_the_rate_asks(rate: int, most: int) -> None:
    """nmap's rate does not hold for what follows the handshake, so their number has to."""

    async def run() -> int:
        room = Room(rate // 100)
        running = highest = 0

        async def talk(hosts: int) -> None:
            nonlocal running, highest
            async with room.take(hosts):
                running += min(hosts, room.places)
                highest = max(highest, running)
                await asyncio.sleep(0)
                running -= min(hosts, room.places)

        await together(*(talk(hosts) for hosts in (1, 3, 2)))
        return highest

    assert most == asyncio.run(run())


def test_evidence_is_written_as_it_streams() -> None:
    """Every nmap run leaves its XML, byte for byte, under a name that says what it was."""
    files: dict[str, BytesIO] = {}

    class Store:
        shards = ()
        done = ()

        @contextmanager
        def open(self, name: str) -> Iterator[BytesIO]:
            yield files.setdefault(name, BytesIO())

        def keep(self, _shard: Shard) -> None:
            pass

        def end(self, _viewpoint: str) -> None:
            pass

        def doubt(self, _viewpoint: str, _addresses: object) -> None:
            pass

        def unpack(self, _shard: Shard) -> Iterator[bytes]:
            raise NotImplementedError

    transport = FakeTransport(all_closed)
    carried_out(transport, expectations(ONE), evidence=Store())
    argv = next(argv for argv in transport.ran if argv[0] == "nmap")

    assert {"vp-sweep-ipv4-001.xml": document(argv, host(ONE, closed(argv))).encode()} == {
        name: file.getvalue() for name, file in files.items()
    }


def test_evidence_that_cannot_be_written_is_an_error_of_the_run() -> None:
    """A full disk must not look like a finished audit."""

    class Full:
        shards = ()
        done = ()
        unpack = None

        def open(self, _name: str) -> object:
            raise RunError("no space left")

    with pytest.raises(RunError):
        carried_out(FakeTransport(all_closed), expectations(ONE), evidence=Full())


def test_progress_only_grows_and_reaches_its_total() -> None:
    """A bar can be drawn from it: one for all that the scan goes through, with nothing left at the end."""
    _, events = carried_out(FakeTransport(some_open), expectations(ONE, TWO))
    steps = [event for event in events if event.task]

    assert {"vp"} == {event.task for event in steps}
    assert (steps[-1].total, 0) == (steps[-1].done, steps[-1].left)
    assert sorted(event.done or 0 for event in steps) == [event.done for event in steps]
    assert ["sweep", "done"] == [steps[0].message, steps[-1].message]


def test_a_phase_is_told_once() -> None:
    """Open ports are asked what they are as they are found, in many batches; people read of it once."""
    transport = FakeTransport(some_open)
    _, events = carried_out(transport, expectations(ONE, TWO, THREE, ports="1-65535", rate=5000))
    told = [event.message for event in events if event.message.startswith("asking what") and not event.task]

    assert len([argv for argv in transport.ran if "-sV" in argv and "7" in argv]) > 1
    assert ["asking what answers on open ports"] == told


def test_what_only_the_end_of_the_stream_completes_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that the parser gives at the very end is seen like any other."""
    monkeypatch.setattr("auditor.scan.runs.run.NmapXmlReader", Late)
    found, _ = carried_out(FakeTransport(all_closed), expectations(ONE, TWO))

    assert [(ONE, "1-10"), (TWO, "1-10")] == [(o.address, str(o.ports)) for o in found.observations]
    assert ([], (), None) == (failures(found), found.errors, found.failure)


def test_a_viewpoint_that_cannot_scan_says_why() -> None:
    """No nmap there: the scan is its failure, nothing is asked."""

    def missing() -> tuple[int, int]:
        raise TransportError("`nmap` is not installed")

    transport = FakeTransport(all_closed)
    wanted = expectations(ONE)
    abilities = asyncio.run(probe_abilities(transport, wanted.viewpoint.via, missing))
    context = Context(lambda: NOW, random.Random(1), lambda _event: None)
    (found,) = asyncio.run(scan([plan(wanted, SCOPE, abilities)], transport=transport, context=context))

    assert ("`nmap` is not installed", "") == (found.failure, found.nmap_version)


@pytest.mark.parametrize(
    ("version", "problem"),
    [((7, 91), "nmap 7.91 is too old; 7.92 or newer is needed"), ((7, 92), None), ((8, 0), None)],
)
def test_old_nmap_is_refused(version: tuple[int, int], problem: str | None) -> None:
    """Before 7.92, nmap does not say which ports it collapsed."""
    found = asyncio.run(probe_abilities(FakeTransport(all_closed), expectations().viewpoint.via, lambda: version))

    assert problem == found.problem


EPERM = (
    "sendto in send_ip_packet_sd: sendto(4, packet, 44, 0, 10.0.0.1, 16) => Operation not permitted\n"
    "Offending packet: TCP 10.0.0.99:60911 > 10.0.0.1:3 S ttl=56 id=26813 iplen=44  seq=1 win=1024 <mss 1460>\n"
)


@pytest.mark.parametrize("down", [False, True])
def test_silence_after_probes_that_never_left_is_a_failure(down: bool) -> None:
    """A firewall or a full table of the viewpoint's own machine drops probes; only nmap's stderr tells."""

    def unsent(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv), stderr=EPERM)
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response").replace("1-10", "2-10")
        status = 'state="down" reason="no-response"' if down else 'state="up" reason="user-set"'
        ports = () if down else (silent, port(1, "open", "syn-ack"))
        return Said(document(argv, host(ONE, *ports, status=status)), stderr=EPERM)

    found, _ = carried_out(FakeTransport(unsent), expectations(ONE))

    reason = "the viewpoint's own machine did not send some of the probes: Operation not permitted"
    down_reason = "nmap found the host down and did not probe its ports"
    assert [("10.0.0.1", "1-10", down_reason) if down else ("10.0.0.1", "2-10", reason)] == failures(found)
    assert ([] if down else ["1"]) == [str(one.ports) for one in found.observations]


def test_the_viewpoints_own_machine_is_no_target() -> None:
    """What is sent to an own address never leaves, so what comes back says nothing of what others can reach."""
    own = Said('[{"type":"local","dev":"lo","prefsrc":"10.0.0.1"}]')
    transport = FakeTransport(all_closed, route=lambda a: own if a == str(ONE) else Said('[{"prefsrc":"10.9.9.9"}]'))
    found, _ = carried_out(transport, expectations(ONE, TWO, nat=True))

    assert [("10.0.0.1", "1-10", "it is an address of the viewpoint's own machine")] == failures(found)
    assert [TWO] == [one.address for one in found.observations]


@pytest.mark.parametrize("whole", [True, False])
def test_silent_addresses_whose_pings_failed_are_named(whole: bool) -> None:
    """Nobody may take them for dead."""

    def silent(argv: Sequence[str]) -> Said:
        if "-sn" in argv:
            down = [host(address, status='state="down" reason="no-response"') for address in targets(argv)]
            return Said(document(argv, *down)) if whole else Said(document(argv, down[0])[:-60], -9)
        extra = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        return Said(document(argv, *(host(address, extra) for address in targets(argv))))

    found, _ = carried_out(FakeTransport(silent), expectations(ONE, TWO))

    assert (() if whole else (TWO,)) == found.not_pinged


def test_silence_of_an_address_that_stopped_answering_is_a_failure() -> None:
    """Its open port fell silent too: the path was lost, or something began to block the probes."""

    def cut_off(argv: Sequence[str]) -> Said:
        if "-p" not in argv or "-sV" in argv:
            return Said(document(argv))
        if "--min-rate" not in argv:
            return Said(document(argv, *(host(a, port(80, "open", "syn-ack")) for a in targets(argv))))
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        lost = host(ONE, silent)
        return Said(document(argv, lost, host(TWO, silent.replace("80-90", "81-90"), port(80, "open", "syn-ack"))))

    wanted = expectations(ONE, TWO, ports="81-90")
    declared = tuple(
        replace(e, ports=PortSet.of(80), state=ExpectedState.REACHABLE, basis=Basis.DECLARED, service=WEB)
        for e in wanted.expectations
    )
    found, _ = carried_out(
        FakeTransport(cut_off), replace(wanted, expectations=(*wanted.expectations, *declared)), evidence=None
    )

    reason = "the sweep missed 1 of 1 endpoints known to answer: 10.0.0.1:80/tcp: its silence tells nothing"
    assert [("10.0.0.1", "81-90", reason)] == failures(found)
    assert "81-90" in [str(one.ports) for one in found.observations if one.address == TWO]


@pytest.mark.parametrize("gone", [False, True])
def test_silence_counts_only_where_the_path_still_stands_at_the_end(gone: bool) -> None:
    """A path that is lost in the middle of a sweep leaves silence which looks like a firewall's, on quiet hosts too."""
    swept: list[bool] = []

    def answer(argv: Sequence[str]) -> Said:
        if "-p" not in argv or "-sV" in argv:
            return Said(document(argv))
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        if "--min-rate" not in argv and swept and gone:
            return Said(document(argv, *(host(a, silent) for a in targets(argv))))
        swept.append("--min-rate" in argv)
        rest = silent.replace("1-10", "1-6,8-10") if "--min-rate" in argv else ""
        answering = [host(a, port(7, "open", "syn-ack"), rest) for a in targets(argv) if a == str(ONE)]
        return Said(document(argv, *answering, *(host(a, silent) for a in targets(argv) if a != str(ONE))))

    wanted = expectations(ONE, TWO)
    found, _ = carried_out(
        FakeTransport(answer), replace(wanted, viewpoint=replace(wanted.viewpoint, targets=SCOPE.allow))
    )

    reason = (
        "the address, or its network, answered during the scan and no longer at its end: silence there tells nothing"
    )
    lost = [("10.0.0.1", "1-6,8-10", reason), ("10.0.0.2", "1-10", reason)]
    assert (lost if gone else []) == failures(found)
    assert any("-p 7 10.0.0.1" in line for line in found.commands)


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("proof", ["ping", "udp"])
def test_pings_and_udp_prove_a_path_only_while_they_are_answered(proof: str, gone: bool) -> None:
    """Whatever proved the path before the sweep is asked once more after it, be it no TCP port."""
    swept: list[bool] = []

    def answer(argv: Sequence[str]) -> Said:
        lost = gone and any(swept)
        if "-sn" in argv:
            up = 'state="up" reason="echo-reply"' if not lost else 'state="down" reason="no-response"'
            return Said(document(argv, *(host(a, status=up) for a in targets(argv) if a == str(THREE))))
        if "-sU" in argv:
            state = ("open|filtered", "no-response") if lost else ("open", "udp-response")
            return Said(document(argv, *(host(a, port(53, *state, protocol="udp")) for a in targets(argv))))
        swept.append("--min-rate" in argv)
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        return Said(document(argv, *(host(a, silent) for a in targets(argv))))

    canary = Canary(THREE) if proof == "ping" else Canary(THREE, Protocol.UDP, 53)
    wanted = expectations(ONE, canaries=(canary,))
    found, _ = carried_out(
        FakeTransport(answer), replace(wanted, viewpoint=replace(wanted.viewpoint, targets=SCOPE.allow))
    )

    assert (["1-10"] if gone else []) == [ports for _, ports, _ in failures(found)]


@pytest.mark.parametrize(("gone", "lost"), [((), []), ((ONE,), []), ((ONE, TWO), ["2-10", "2-10"])])
def test_a_firewalls_refusals_prove_a_path_only_while_they_come(gone: tuple[object, ...], lost: list[str]) -> None:
    """They are limited, so that one address is not refused again tells nothing; that none is, means a lost path."""
    swept: list[bool] = []

    def answer(argv: Sequence[str]) -> Said:
        if "-p" not in argv:
            return Said(document(argv))
        silent = closed(argv).replace("closed", "filtered").replace("reset", "no-response")
        away = {str(one) for one in gone} if any(swept) else set()
        swept.append("--min-rate" in argv)
        refused = port(1, "filtered", "admin-prohibited"), silent.replace('"1-10"', '"2-10"')
        return Said(document(argv, *(host(a, *((silent,) if a in away else refused)) for a in targets(argv))))

    wanted = expectations(ONE, TWO)
    found, _ = carried_out(
        FakeTransport(answer), replace(wanted, viewpoint=replace(wanted.viewpoint, targets=SCOPE.allow))
    )

    assert lost == [ports for _, ports, _ in failures(found)]
