"""Expectations become nmap runs: what is asked, how fast, and of whom."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from auditor.addresses import OutOfScopeError, probe_target
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Canary, Scope, Service, Viewpoint
from auditor.model.observation import Identity
from auditor.model.ports import ALL_PORTS, PortSet
from auditor.model.words import (
    Basis,
    ExpectedState,
    PortState,
    Profile,
    Protocol,
    ServiceClass,
    Technique,
    ViewpointKind,
)
from auditor.scan.board import Board
from auditor.scan.nmap import command
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.plan.plan import Plan, Purpose, plan
from auditor.scan.plan.versions import VersionJob, version_jobs, wants

PORTS = PortSet.parse
RAW, PLAIN = Abilities("7.93", raw=True), Abilities("7.93", raw=False)
SCOPE = Scope((ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")), deny=(ip_network("10.9.0.0/16"),))
ONE, TWO, SIX = "10.0.0.1", "10.0.0.2", "2001:db8::1"
SERVICE = Service("web", PORTS("80"), PortSet(), ("public",), ())
DATABASE = Service("db", PORTS("9100"), PortSet(), ("public",), (), declared_class=ServiceClass.DATA_STORE)


def some(
    address: str,
    ports: str,
    basis: Basis = Basis.UNDECLARED,
    protocol: Protocol = Protocol.TCP,
    service: Service | None = None,
) -> Expectation:
    state = ExpectedState.REACHABLE if basis is Basis.DECLARED else ExpectedState.BLOCKED
    service = service or (None if basis is Basis.UNDECLARED else SERVICE)
    return Expectation("vp", "h", "public", ip_address(address), protocol, PORTS(ports), state, basis, service)


def expectations(*each: Expectation, profile: Profile = Profile.STANDARD, **viewpoint: object) -> Expectations:
    here = Viewpoint("vp", ViewpointKind.PUBLIC, (ip_address("10.0.0.99"),), (), **viewpoint)
    return Expectations(here, profile, each)


def planned(*each: Expectation, abilities: Abilities = RAW, **viewpoint: object) -> Plan:
    return plan(expectations(*each, **viewpoint), SCOPE, abilities)


def asked(found: Plan) -> set[tuple[str, str, str, tuple[str, ...]]]:
    return {(j.purpose, j.protocol, str(j.ports), tuple(map(str, j.addresses))) for j in found.jobs}


def test_declared_ports_first_then_the_sweep_then_udp_beside_it() -> None:
    """Hosts with equal port sets go together; families apart; declared on any ground counts as declared."""
    found = planned(
        some(ONE, "80", Basis.DECLARED),
        some(ONE, "22", Basis.OTHER_INTERFACE),
        some(ONE, "1-21,23-79,81-65535"),
        some(TWO, "1-65535"),
        some(SIX, "1-65535"),
        some(ONE, "53", protocol=Protocol.UDP),
        rate=20_000,
    )

    assert {
        ("declared", "tcp", "22,80", (ONE,)),
        ("sweep", "tcp", "1-65535", (ONE, TWO)),
        ("sweep", "tcp", "1-65535", (SIX,)),
        ("udp", "udp", "53", (ONE,)),
    } == asked(found)
    assert ["declared"] == [job.purpose for job in found.first.jobs]


def test_runs_beside_each_other_share_the_rate() -> None:
    """What leaves the viewpoint at one time never exceeds its rate."""
    for found in (
        planned(some(ONE, "1-65535"), some(SIX, "1-65535"), some(ONE, "53", protocol=Protocol.UDP), rate=1000),
        planned(*(some(f"10.0.0.{n}", f"1-{n}") for n in range(1, 20)), rate=7),
    ):
        together = [sorted((job.rate for job in lane.jobs), reverse=True)[: lane.side_by_side] for lane in found.lanes]

        assert sum(map(sum, together)) <= found.viewpoint.rate + 1e-6


def test_the_sweep_keeps_its_pace_and_retries_once() -> None:
    """The fewest and the most packets a second are one; silence must not slow it down; --open is never used."""
    argv = planned(some(ONE, "1-65535"), rate=5000).jobs[0].argv

    assert "--min-rate 4750 --max-retries 3 --max-hostgroup 2 -p 1-65535 10.0.0.1" in " ".join(argv)
    assert ("nmap", "--privileged") == argv[:2]
    assert {"-n", "-Pn", "-v", "-sS"} <= set(argv)
    assert "--open" not in argv
    assert not any("host-timeout" in word for word in argv)


def test_long_work_is_cut_into_runs_of_about_a_minute() -> None:
    """Whole hosts in each, none twice: an interruption loses what nmap was about, and nothing more."""
    hosts = [f"10.0.{n // 250}.{n % 250 + 1}" for n in range(300)]
    found = planned(
        *(some(host, "1-65535") for host in hosts),
        *(some(host, "1-50", protocol=Protocol.UDP) for host in hosts),
        rate=20_000,
    )
    for purpose in (Purpose.SWEEP, Purpose.UDP):
        jobs = [job for job in found.jobs if job.purpose is purpose]

        assert sorted(hosts) == sorted(str(address) for job in jobs for address in job.addresses)
        assert max(job.seconds for job in jobs) <= 61
        assert len(jobs) > 1


def test_a_short_sweep_is_cut_too_with_most_declared_first() -> None:
    """What one run finds is asked what it is beside the next, so what has most to find comes first."""
    hosts = [f"10.0.0.{n}" for n in range(1, 21)]
    declared = [some(hosts[-1], str(port), Basis.DECLARED) for port in (22, 80, 443)]
    found = planned(*(some(host, "1-65535") for host in hosts), *declared, rate=20_000)
    jobs = [job for job in found.jobs if job.purpose is Purpose.SWEEP]

    assert [hosts[-1], hosts[0]] == [str(address) for address in jobs[0].addresses]
    assert sorted(hosts) == sorted(str(address) for job in jobs for address in job.addresses)
    assert {2} == {len(job.targets) for job in jobs}


def test_a_host_is_never_cut() -> None:
    """However long it takes: where a whole host's ports were asked in one run, its states are one look."""
    assert [1, 1] == [len(job.targets) for job in planned(some(ONE, "1-65535"), some(TWO, "1-65535"), rate=10).jobs]


def test_ports_fit_into_one_argument() -> None:
    """What a sweep has to ask again may be a scattered half of all ports, which no system takes in one argument."""
    every_other = PortSet.of(*range(1, 65536, 2))
    argv = command.probe(Technique.SYN, Protocol.TCP, every_other, [probe_target(ip_address(ONE), SCOPE)], rate=100)

    assert "1-65535" == argv[argv.index("-p") + 1]


def test_families_have_runs_of_their_own() -> None:
    """nmap scans one family a run."""
    assert [True] == ["-6" in job.argv for job in planned(some(SIX, "1-10")).jobs]
    assert [False] == ["-6" in job.argv for job in planned(some(ONE, "1-10")).jobs]


def test_without_raw_sockets_udp_is_refused_and_tcp_connects() -> None:
    """What cannot be asked is said, never left out."""
    found = planned(some(ONE, "80"), some(ONE, "53,123", protocol=Protocol.UDP), abilities=PLAIN)

    assert [("53,123", "UDP needs raw sockets, which this viewpoint does not have")] == [
        (str(failure.ports), failure.reason) for failure in found.refused
    ]
    assert [{"--unprivileged", "-sT"}] == [{"--unprivileged", "-sT", "-sU", "-sS"} & set(j.argv) for j in found.jobs]


@pytest.mark.parametrize("address", ["192.0.2.1", "10.9.0.1"])
def test_nothing_outside_the_scope_is_ever_planned(address: str) -> None:
    """Neither an address that is not allowed nor a denied one, in the coverage or as a canary."""
    with pytest.raises(OutOfScopeError):
        planned(some(address, "80"))
    with pytest.raises(OutOfScopeError):
        planned(some(ONE, "80"), canaries=(Canary(ip_address(address)),))


def test_canaries_are_asked_where_the_coverage_does_not() -> None:
    """An address is pinged, an endpoint probed; what the coverage asks anyway is not asked twice."""
    found = planned(
        some(ONE, "80"),
        canaries=(
            Canary(ip_address(TWO)),
            Canary(ip_address("10.0.0.3"), Protocol.TCP, 22),
            Canary(ip_address(ONE)),
            Canary(ip_address(ONE), Protocol.TCP, 80),
            Canary(ip_address(ONE), Protocol.TCP, 443),
        ),
    )

    assert {
        ("canary", "tcp", "", (TWO,)),
        ("canary", "tcp", "22", ("10.0.0.3",)),
        ("canary", "tcp", "443", (ONE,)),
        ("sweep", "tcp", "80", (ONE,)),
    } == asked(found)
    assert {"-sn", "--disable-arp-ping"} <= set(next(job.argv for job in found.jobs if not job.ports))


def test_estimates_probes_and_time() -> None:
    """Two tries a silent port, at the viewpoint's rate less what talking to open ports beside it takes."""
    found = planned(some(ONE, "1-65535"), some(TWO, "1-65535"), rate=5000)

    assert 4 * 65535 == found.probes
    assert 57 == int(found.seconds)


def test_commands_can_be_pasted() -> None:
    """What `plan` shows is what runs."""
    job = planned(some(ONE, "80")).jobs[0]

    assert job.command.split() == list(job.argv)
    assert Purpose.SWEEP is job.purpose


def opened(board: Board, address: str, ports: str, state: PortState = PortState.OPEN, protocol=Protocol.TCP) -> None:
    board.add(HostRecord(ip_address(address), None, (Seen(protocol, PORTS(ports), Sight(state, "x")),)))


def versions(
    board: Board, *each: Expectation, profile: Profile = Profile.STANDARD, done: PortSet | None = None
) -> tuple[VersionJob, ...]:
    """The jobs for what is open; `done` are ports of ONE that have been asked, of which a sample is one."""
    known = {(ip_address(ONE), Protocol.TCP): done} if done else {}
    sampled = {ip_address(ONE)} if done else ()
    wanted = wants(expectations(*each))
    return version_jobs(board, wanted, known, scope=SCOPE, technique=RAW.technique, profile=profile, sampled=sampled)


def test_version_probes_go_by_port_over_hosts() -> None:
    """One port of several hosts shares a run, and each host has a time limit of its own."""
    board = Board()
    opened(board, ONE, "22,80")
    opened(board, TWO, "22")
    jobs = versions(board, some(ONE, "1-100"), some(TWO, "1-100"))

    assert {("22", 2), ("80", 1)} == {(str(job.ports), len(job.targets)) for job in jobs}
    assert all({"-sV", "--host-timeout", "45s"} <= set(job.argv(100)) for job in jobs)


def test_what_lies_outside_the_coverage_gets_no_version_probe() -> None:
    """A port that an nmap answer names but nobody asked about stays untouched."""
    board = Board()
    opened(board, ONE, "22,8080")

    assert ["22"] == [str(job.ports) for job in versions(board, some(ONE, "1-100"))]


def test_printers_are_sent_no_payload() -> None:
    """Unless that very endpoint is declared to be something else; then nmap must be told to."""
    board = Board()
    opened(board, ONE, "515,9100-9101")
    undeclared = some(ONE, "1-9099,9101-65535"), some(ONE, "9100", Basis.DECLARED)
    elsewhere = some(ONE, "1-9099,9101-65535"), some(ONE, "9100", Basis.OTHER_INTERFACE, service=DATABASE)

    assert () == versions(board, *undeclared)
    assert () == versions(board, *elsewhere)


@pytest.mark.parametrize(
    ("declared", "probed"),
    [
        ({"declared_class": ServiceClass.DIAGNOSTICS}, True),
        ({"declared_class": ServiceClass.DATA_STORE}, False),  # print queues are of that class themselves
        ({"declared_class": ServiceClass.UNCLASSIFIED}, False),
        ({"declared_class": ServiceClass.DATA_STORE, "protocol": "redis"}, True),
        ({"declared_class": ServiceClass.DATA_STORE, "protocol": "jetdirect"}, False),
        ({}, False),
    ],
)
def test_a_declared_printer_is_sent_no_payload_either(declared: dict[str, object], probed: bool) -> None:
    """Only a declaration that rules a printer out does, and then nmap has to be told."""
    board = Board()
    opened(board, ONE, "9100")
    service = Service("nine", PORTS("9100"), PortSet(), ("public",), (), **declared)
    jobs = versions(board, some(ONE, "9100", Basis.DECLARED, service=service))

    assert ([("9100", True)] if probed else []) == [(str(job.ports), "--allports" in job.argv(100)) for job in jobs]


EVERY = some(ONE, "1-79,81-2000"), some(ONE, "80", Basis.DECLARED)


def test_a_crowded_address_is_asked_for_a_sample_first() -> None:
    """Where everything is open, declared ports are probed singly, and some of the others in bulk: what do they say?"""
    board = Board()
    opened(board, ONE, "1-2000")
    declared, sample = versions(board, *EVERY)

    assert ("80", False) == (str(declared.ports), declared.crowd)
    assert (20, True) == (len(sample.ports), sample.crowd)


def test_where_everything_talks_no_more_is_asked() -> None:
    """A device that has a banner for every port would have one for all of them."""
    board = Board()
    opened(board, ONE, "1-2000")
    declared, sample = versions(board, *EVERY)
    for port in [*sample.ports][:11]:
        spoken = Sight(PortState.OPEN, "syn-ack", identity=Identity("ssh", "probed"))
        board.add(HostRecord(ip_address(ONE), None, (Seen(Protocol.TCP, PortSet.of(port), spoken),)))

    assert () == versions(board, *EVERY, done=declared.ports | sample.ports, profile=Profile.FULL)


def test_a_crowded_address_is_asked_only_where_it_matters() -> None:
    """Where everything is open and says nothing, usual ports are asked in bulk, the rest only by profile full."""
    board = Board()
    opened(board, ONE, "1-2000")
    sample = PORTS("1,1999")
    standard, full = (versions(board, *EVERY, profile=one, done=sample) for one in (Profile.STANDARD, Profile.FULL))

    assert ["80"] == [str(job.ports) for job in standard if len(job.ports) == 1]
    assert 22 in PortSet.union(job.ports for job in standard)
    assert 1998 not in PortSet.union(job.ports for job in standard)
    assert PORTS("2-514,516-1998,2000") == PortSet.union(job.ports for job in full)  # 515 prints
    assert not any("--host-timeout" in job.argv(100) for job in standard if len(job.ports) > 1)


def test_udp_is_asked_where_open_or_declared_and_silent() -> None:
    """A declared UDP service may only answer to its own protocol; undeclared silence is left alone."""
    board = Board()
    opened(board, ONE, "53", protocol=Protocol.UDP)
    opened(board, ONE, "123,161", PortState.OPEN_FILTERED, Protocol.UDP)
    jobs = versions(
        board, some(ONE, "53,161", protocol=Protocol.UDP), some(ONE, "123", Basis.DECLARED, protocol=Protocol.UDP)
    )

    assert {"53", "123"} == {str(job.ports) for job in jobs}
    assert all("-sU" in job.argv(100) for job in jobs)


def test_udp_services_that_only_version_probes_wake_are_asked_in_their_own_words() -> None:
    """Silent ones on usual ports, declared or not: nmap's probes for that very port, and several hosts in one run."""
    board = Board()
    for address in (ONE, TWO):
        opened(board, address, "88,161,5060", PortState.OPEN_FILTERED, Protocol.UDP)
    jobs = versions(
        board,
        *(some(address, "88,5060", protocol=Protocol.UDP) for address in (ONE, TWO)),
        some(
            ONE,
            "161",
            Basis.DECLARED,
            protocol=Protocol.UDP,
            service=Service("snmp", PortSet(), PORTS("161"), ("public",), ()),
        ),
    )

    assert {("88,161,5060", (ONE,)), ("88,5060", (TWO,))} == {
        (str(job.ports), tuple(str(target.address) for target in job.targets)) for job in jobs
    }
    assert all("--version-intensity 0" in " ".join(job.argv(100)) for job in jobs)
    assert not any("--host-timeout" in job.argv(100) for job in jobs)


def test_udp_declared_not_to_answer_is_left_alone() -> None:
    """WireGuard says nothing to strangers: a probe would only cost the time until it gives up."""
    board = Board()
    opened(board, ONE, "123", PortState.OPEN_FILTERED, Protocol.UDP)
    declared = some(ONE, "123", Basis.DECLARED, protocol=Protocol.UDP)
    assert declared.service is not None
    quiet = replace(declared, service=replace(declared.service, answers=False))

    assert ((), 1) == (versions(board, quiet), len(versions(board, declared)))


def test_all_ports_are_written_short() -> None:
    """nmap takes ranges; 65,535 numbers would not fit on a command line."""
    assert "1-65535" in planned(some(ONE, str(ALL_PORTS))).jobs[0].argv
