"""Saved looks of different times at the same endpoints: their order in the command never matters, their times do."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from itertools import permutations
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.model.ages import Freshness
from auditor.model.observation import Identity
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol
from auditor.scan.board import UNHEARD
from auditor.scan.nmap.records import Sight
from auditor.scan.saved import Evidence, read_evidence
from auditor.scan.trust.over_time import Held, Look, held

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
ADDRESS = ip_address("203.0.113.10")
OPEN, CLOSED, FILTERED = PortState.OPEN, PortState.CLOSED, PortState.FILTERED
FIRM = ((OPEN, "syn-ack"), (CLOSED, "reset"), (FILTERED, "admin-prohibited"), (FILTERED, "no-response"))
VAGUE = (
    (PortState.UNFILTERED, "reset"),
    (PortState.OPEN_FILTERED, "no-response"),
    (PortState.CLOSED_FILTERED, "ipid-unchanged"),
    (FILTERED, "host-unreach"),
)
IDENTITIES = (
    None,
    Identity("ssh", "probed", "OpenSSH"),
    Identity("smtp", "probed", "Postfix smtpd"),
    Identity("smtp", "probed"),
    Identity("smtp", "table", banner="SF-Port22-TCP:HELLO"),
)
Timed = tuple[Protocol, PortSet, Look]


@st.composite
def looks(draw: st.DrawFn, *, states: tuple[tuple[PortState, str], ...] = FIRM + VAGUE) -> Timed:
    """One look at some of five ports: at a time, maybe a long one, or at none that is known."""
    ports = PortSet.of(*draw(st.sets(st.integers(1, 5), min_size=1)))
    state, reason = draw(st.sampled_from(states))
    identity = draw(st.sampled_from(IDENTITIES)) if state is OPEN else None
    first = draw(st.none() | st.integers(0, 8))
    began = None if first is None else BEGAN + timedelta(days=first)
    ended = None if began is None else began + timedelta(days=draw(st.integers(0, 2)))
    sight = None if draw(st.integers(0, 9)) == 0 else Sight(state, reason, identity=identity)
    return Protocol.TCP, ports, Look(sight, began, ended, ended, draw(st.sampled_from("abc")))


def shown(found: Held) -> tuple[set[object], set[object], set[object]]:
    return set(found.seen), set(found.disputed), set(found.contradicted)


@given(st.lists(looks(), max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_looks_does_not_matter(given: list[Timed], chance: random.Random) -> None:
    """The same holds, with the same words, however they are shuffled."""
    assert shown(held(ADDRESS, given)) == shown(held(ADDRESS, chance.sample(given, len(given))))


@given(st.lists(looks(), max_size=5))
def test_every_port_has_one_state_or_one_reason(given: list[Timed]) -> None:
    """What holds and what is disputed are disjoint, and all that somebody saw is in one of them."""
    found = held(ADDRESS, given)
    parts = [*(one.ports for one in found.seen), *(one.ports for one in found.disputed)]

    assert sum(map(len, parts)) == len(PortSet.union(parts))
    assert PortSet.union(ports for _, ports, look in given if look.sight) == PortSet.union(parts)


@given(st.lists(looks(states=FIRM), max_size=5))
def test_the_younger_reply_decides_and_silence_decides_nothing(given: list[Timed]) -> None:
    """As a plain reading of each port's looks has it."""
    found = held(ADDRESS, given)

    for port in PortSet.span(1, 5):
        mine = [look for _, ports, look in given if port in ports]
        states = [one.sight.state for one in found.seen if port in one.ports]
        disputed = any(port in one.ports for one in found.disputed)
        assert plainly(mine) == ("disputed" if disputed else states[0] if states else None)


def plainly(mine: list[Look]) -> PortState | str | None:
    """What should hold of one port. States are open, closed, filtered by a reply or by silence, or nothing at all."""
    replies = [look for look in mine if look.sight and look.sight.reason not in UNHEARD]
    silences = [look for look in mine if look not in replies]

    def state(look: Look) -> PortState:
        return look.sight.state if look.sight else FILTERED

    last = [a for a in replies if not any(b.younger(a) and state(a) is not state(b) for b in replies)]
    if len({state(look) for look in last}) > 1:
        return "disputed"
    if not last or state(last[0]) is FILTERED:
        return FILTERED if any(look.sight for look in mine) else None
    for silence in silences:
        over = any(reply.younger(silence) for reply in last)
        at_once = any(a.ended and silence.began and silence.began <= a.ended for a in last)
        if not over and not at_once:
            return "disputed"
    return state(last[0])


@given(st.lists(looks(), min_size=1, max_size=5))
def test_the_youngest_that_heard_something_says_who_answers(given: list[Timed]) -> None:
    """No look that surely came after it has heard anything on the port, or seen it shut."""
    found = held(ADDRESS, given)

    for one in found.seen:
        if one.sight.identity is None:
            continue
        for port in one.ports:
            mine = [look for _, ports, look in given if port in ports and look.sight]
            by = [look for look in mine if look.sight and look.sight.identity == one.sight.identity]
            later = [a for a in mine if a.sight and (a.sight.identity or a.sight.state is CLOSED)]
            assert any(not any(b.younger(a) for b in later) for a in by)


@given(st.lists(looks(), min_size=1, max_size=4), looks())
def test_an_older_silence_changes_nothing(given: list[Timed], other: Timed) -> None:
    """Of what there was no reply before all other looks, they know better; where none looked, silence it stays."""
    before = BEGAN - timedelta(days=9)
    silence = Look(Sight(FILTERED, "no-response"), before, before, before, "old")
    dated = [(protocol, ports, look) for protocol, ports, look in given if look.began and look.sight]
    seen = PortSet.union(ports for _, ports, _ in dated)

    def states(found: Held) -> dict[int, PortState]:
        return {port: one.sight.state for one in found.seen for port in one.ports & seen}

    vague = {port for _, ports, look in dated if look.sight and "|" in look.sight.state for port in ports}
    one, both = states(held(ADDRESS, dated)), states(held(ADDRESS, [*dated, (other[0], other[1], silence)]))
    assert {port: s for port, s in one.items() if port not in vague} == {
        port: s for port, s in both.items() if port not in vague
    }


HOST = (
    '<host{times}><status state="up" reason="reset"/><address addr="203.0.113.10" addrtype="ipv4"/><hostnames>'
    '<hostname name="web.example" type="user"/></hostnames><ports>{ports}</ports></host>'
)
PORT = '<port protocol="tcp" portid="{port}"><state state="{state}" reason="{reason}"/>{service}</port>'


@st.composite
def scans(draw: st.DrawFn) -> str:
    """nmap XML of one host, seen in any way at a time that host or file tell, or nobody; whole, cut off, or down."""
    first = draw(st.none() | st.integers(0, 40))
    start = None if first is None else int((BEGAN + timedelta(days=first)).timestamp())
    end = None if start is None else start + draw(st.sampled_from((0, 60, 2 * 86400)))
    ports = []
    for port in draw(st.sets(st.integers(1, 4))):
        state, reason = draw(st.sampled_from(FIRM + VAGUE))
        who = draw(st.sampled_from(IDENTITIES)) if state is OPEN else None
        service = (
            f'<service name="{who.name}" product="{who.product}" method="{who.method}" servicefp="{who.banner}"/>'
            if who
            else ""
        )
        ports.append(PORT.format(port=port, state=state, reason=reason, service=service))
    told = start is not None and draw(st.booleans())
    times = f' starttime="{start}" endtime="{end}"' if told else ""
    host = draw(st.sampled_from((HOST.format(times=times, ports="".join(ports)), "")))
    begin = "" if start is None else f' start="{start}"'
    finish = "" if end is None else f' time="{end}"'
    end_of_it = draw(st.sampled_from((f'<runstats><finished exit="success"{finish}/></runstats></nmaprun>', "")))
    return (
        f'<nmaprun scanner="nmap" args="nmap -p 1-4 203.0.113.10" version="7.93"{begin}>'
        f'<scaninfo type="syn" protocol="tcp" services="1-4"/>{host}{end_of_it}'
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(scans(), min_size=1, max_size=3), st.sampled_from((None, 10, 30)))
def test_the_order_of_files_does_not_matter(tmp_path: Path, texts: list[str], days: int | None) -> None:
    """Every permutation of `--nmap-xml` gives the same evidence, to the last word, whatever age may be."""
    now = BEGAN + timedelta(days=35)
    freshness = Freshness(now, None if days is None else timedelta(days=days))
    paths = [tmp_path / f"{number}.xml" for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    first, *others = (read_evidence(order, freshness) for order in permutations(paths))

    assert [first] * len(others) == others
    assert_it_is_of_its_time(first, now, days)


def assert_it_is_of_its_time(found: Evidence, now: datetime, days: int | None) -> None:
    """Nothing that counts is from the future or too old, and of each endpoint there is one state or one reason."""
    sets = [*(one.ports for one in found.observations), *(one.ports for one in found.failures)]
    assert sum(map(len, sets)) == len(PortSet.union(sets))
    for one in found.observations:
        assert one.at <= now + timedelta(minutes=1)
        assert days is None or now - (one.since or one.at) <= timedelta(days=days)
