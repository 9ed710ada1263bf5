"""Controls: which addresses that nobody has are asked, what, and how a scan tells what they answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

from auditor.inventory.expecting.expecting import expect
from auditor.model.discovery import Discovery
from auditor.model.expectation import Expectations
from auditor.model.inventory import Host, Interface, Inventory, Scope, Viewpoint
from auditor.model.observation import Controls, Reply
from auditor.model.words import Profile, ViewpointKind
from tests.unit.scan.test_scan import (
    FakeTransport,
    Said,
    carried_out,
    closed,
    document,
    expectations,
    host,
    port,
    targets,
)

SOURCE = ip_address("198.51.100.20")


def addresses(text: str) -> list[str]:
    return [str(one) for one in ip_network(text).hosts()]


def chosen(*declared: str, allow: str = "203.0.113.0/24", deny: Sequence[str] = (), found: Sequence[str] = ()):
    """The controls of an inventory with these addresses declared."""
    scope = Scope((ip_network(allow),), tuple(map(ip_network, deny)))
    view = Viewpoint("public", ViewpointKind.PUBLIC, (SOURCE,), (ip_network(allow),))
    interfaces = {"public": Interface("public", tuple(map(ip_address, declared)))}
    inventory = Inventory("i", scope, {}, {"public": view}, {"web": Host("web", interfaces, ())})
    discovery = Discovery("public", tuple(Reply(ip_address(one), "echo-reply") for one in found)) if found else None
    wanted = expect(inventory, view, Profile.QUICK, found=discovery)
    return [str(one) for one in wanted.controls]


def test_they_are_few_and_spread() -> None:
    """Eight of a /24, the same every time."""
    one = chosen("203.0.113.10")

    assert 8 == len(one)
    assert 8 == len({int(ip_address(address)) // 32 for address in one})
    assert chosen("203.0.113.10") == one


def test_they_are_nobodys() -> None:
    """None is declared, denied, or the first or last of its network; of nobody's own there are too few here."""
    declared, denied = addresses("203.0.113.0/28")[:4], ["203.0.113.5/32", "203.0.113.6/32"]
    mine = chosen(*declared, allow="203.0.113.0/28", deny=denied)

    assert addresses("203.0.113.0/28")[6:] == mine
    assert [] == chosen(*addresses("203.0.113.0/28")[:10], allow="203.0.113.0/28", deny=denied)


def test_they_are_near() -> None:
    """In a large network, around the addresses that are looked at: a device seldom answers for all of it."""
    near = chosen("10.0.1.10", "10.0.2.10", allow="10.0.0.0/8")

    assert {"10.0.1", "10.0.2"} == {one.rpartition(".")[0] for one in near}


def test_what_was_found_to_live_comes_last() -> None:
    """A few unknown hosts would outvote nobody; where all seem to live, that may be a device's doing."""
    few, all_of_them = addresses("203.0.113.0/24")[20:60], addresses("203.0.113.0/24")

    assert set(few).isdisjoint(chosen("203.0.113.10", found=few))
    assert 8 == len(chosen("203.0.113.10", found=all_of_them))


TEN = [ip_address(f"10.0.0.{last}") for last in range(10, 18)]
ONE = ip_address("10.0.0.1")


def wanting(controls=TEN, ports: str = "1-10") -> Expectations:
    wanted = expectations(ONE, ports=ports)
    return replace(
        wanted,
        viewpoint=replace(wanted.viewpoint, targets=(ip_network("10.0.0.0/24"),)),
        controls=tuple(controls),
    )


def network(argv: Sequence[str], *, relayed: str = "", reset: bool = False) -> Said:
    """One host with 7 open; `relayed` is a port that somebody takes for every address, `reset` stray ACKs' fate."""
    if "-sn" in argv:
        acks = not any(word.startswith(("-PE", "-PS")) for word in argv)
        up = 'state="up" reason="reset" reason_ttl="64"' if reset and acks else 'state="down" reason="no-response"'
        return Said(document(argv, *(host(one, status=up) for one in targets(argv))))
    asked = _numbers(argv[argv.index("-p") + 1])
    hosts = []
    for one in targets(argv):
        opened = asked & {relayed, "7" if one == str(ONE) else relayed}
        silent = (port(int(number), "filtered", "no-response") for number in asked - opened)
        hosts.append(host(one, *(port(int(number), "open", "syn-ack") for number in opened), *silent))
    return Said(document(argv, *hosts))


def _numbers(text: str) -> set[str]:
    return {
        str(number)
        for part in text.split(",")
        for number in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
    }


def asked_of_controls(transport: FakeTransport) -> list[tuple[str, str]]:
    """What was asked of nobody's addresses: the kind of scan, and ports."""
    mine = [argv for argv in transport.ran if argv[0] == "nmap" and str(TEN[0]) in argv]
    kinds = [next((one for one in ("-sV", "-sn") if one in argv), "ports") for argv in mine]
    return [(kind, argv[argv.index("-p") + 1] if "-p" in argv else "") for kind, argv in zip(kinds, mine, strict=True)]


def test_only_what_was_answered_is_asked() -> None:
    """A port that nobody has answered on needs no control, and controls that stay silent are asked nothing more."""
    transport = FakeTransport(network)
    found, _ = carried_out(transport, wanting())

    assert [("ports", "7")] == asked_of_controls(transport)
    assert found.controls is not None
    assert {one.address for one in found.controls.observations} == set(TEN)
    assert not {one.address for one in found.observations} & set(TEN)


def test_silence_is_not_waited_for() -> None:
    """nmap left alone sends a hundred packets a second to what stays silent: 250 ports of eight took it 40 s."""
    transport = FakeTransport(network)
    carried_out(transport, wanting())
    (argv,) = (argv for argv in transport.ran if argv[0] == "nmap" and str(TEN[0]) in argv)
    least, most = (float(argv[argv.index(name) + 1]) for name in ("--min-rate", "--max-rate"))

    assert least <= most
    assert least == min(1000, most)


def test_where_they_answer_they_are_asked_what_they_are() -> None:
    """Three of them: a host that says the same is not known to be there."""
    transport = FakeTransport(lambda argv: network(argv, relayed="7"))
    carried_out(transport, wanting())

    assert [("ports", "7"), ("-sV", "7"), ("-sn", "")] == asked_of_controls(transport)


def test_pings_are_asked_where_a_ping_is_all_that_shows_life() -> None:
    """And where a device resets for everybody, the silent are pinged again without the ACKs that it resets."""
    transport = FakeTransport(lambda argv: network(argv, reset=True))
    quiet = wanting(ports="1-6")
    found, _ = carried_out(transport, quiet)
    again = [argv for argv in transport.ran if "-sn" in argv and str(ONE) in argv and "-PE" in argv]

    assert [("-sn", "")] == asked_of_controls(transport)
    assert found.controls is not None
    assert {Reply(one, "reset", 64) for one in TEN} == set(found.controls.replies)
    assert set(TEN) == set(found.controls.pinged)
    assert 1 == len(again)
    assert not any(word.startswith("-PA") for word in again[0])


def test_without_controls_nothing_is_sent() -> None:
    """The scan is as it was, and says that there were none: what was found to live is no control of itself."""
    transport = FakeTransport(network)
    found, _ = carried_out(transport, wanting(controls=()))

    assert [] == asked_of_controls(transport)
    assert Controls() == found.controls


def test_of_many_refusals_a_sample_is_asked() -> None:
    """A host without a firewall refuses all ports; twenty tell as much."""

    def refusing(argv: Sequence[str]) -> Said:
        mine = [one for one in targets(argv) if one == str(ONE)]
        others = [one for one in targets(argv) if one != str(ONE)]
        return Said(document(argv, *(host(one, closed(argv)) for one in mine), *(host(one) for one in others)))

    transport = FakeTransport(refusing)
    carried_out(transport, wanting(ports="1-1000"))
    ((_, ports),) = asked_of_controls(transport)

    assert 20 == len(_numbers(ports))
