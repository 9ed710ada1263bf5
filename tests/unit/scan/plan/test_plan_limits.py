"""Scans keep to the limits of viewpoints and hosts, to time windows and to the end of their time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from math import ceil

import pytest

from auditor.inventory.resolving.limits import window
from auditor.model.context import Context
from auditor.model.expectation import Expectations, HostLimits
from auditor.model.inventory import Canary, Via
from auditor.model.limits import Limits
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.scan.nmap.abilities import Abilities
from auditor.scan.nmap.command import rate, split
from auditor.scan.plan.estimate import estimate
from auditor.scan.plan.pace import OVER
from auditor.scan.plan.plan import plan
from auditor.scan.scan import scan
from tests.unit.scan.test_scan import (
    ONE,
    SCOPE,
    THREE,
    TWO,
    FakeProcess,
    FakeTransport,
    Said,
    all_closed,
    closed,
    document,
    expectations,
    failures,
    host,
    port,
    targets,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def scanned(
    wanted: Expectations,
    transport: FakeTransport | None = None,
    *,
    now: Callable[[], datetime] = lambda: NOON,
    until: datetime | None = None,
) -> tuple[Scan, list[Sequence[str]]]:
    """The scan, and the nmap runs that it took."""
    transport = transport or FakeTransport(all_closed)
    context = Context(now, random.Random(1), lambda _: None)
    planned = plan(wanted, SCOPE, Abilities("7.93"))
    (found,) = asyncio.run(scan([planned], transport=transport, context=context, until=until))
    return found, [argv for argv in transport.ran if argv[0] == "nmap"]


def limited(wanted: Expectations, **hosts: HostLimits) -> Expectations:
    names = {"one": ONE, "two": TWO, "three": THREE}
    return replace(wanted, limits={names[name]: limits for name, limits in hosts.items()})


def mixed(argv: Sequence[str]) -> Said:
    """Port 22 is open wherever it is asked, all else drops."""
    if "-p" not in argv:
        return Said(document(argv))
    asked = PortSet.parse(argv[argv.index("-p") + 1])
    rest = f'<extrareasons reason="no-response" proto="tcp" ports="{asked - PortSet.of(22)}"/>'
    silent = f'<extraports state="filtered">{rest}</extraports>' if asked - PortSet.of(22) else ""
    opened = port(22, "open", "syn-ack") if 22 in asked else ""
    return Said(document(argv, *(host(address, opened, silent) for address in targets(argv))))


def test_a_host_with_a_rate_gets_runs_of_its_own() -> None:
    """No faster than it bears, with no fewer packets asked for; where little is asked of each, hosts go together."""
    wanted = limited(expectations(ONE, TWO, THREE, ports="1-1000"), two=HostLimits("two", 20))
    _, ran = scanned(wanted, FakeTransport(mixed))
    two = [argv for argv in ran if str(TWO) in argv]

    assert [(20.0, "20")] == [(rate(a), a[a.index("--min-rate") + 1]) for a in two if "--min-rate" in a]
    assert all(len(split(argv)[1]) == 1 or "1-1000" not in argv for argv in two)
    assert any(split(argv)[1] == (ONE, THREE) for argv in ran)


def test_the_rate_of_a_host_is_for_all_of_its_addresses() -> None:
    """It has one run at a time, whatever the runs are about."""
    running: dict[str, int] = {}
    highest: dict[str, int] = {}
    names = {str(ONE): "one", str(TWO): "one", str(THREE): "three"}

    @dataclass
    class Watching(FakeTransport):
        @asynccontextmanager
        async def run(self, via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[FakeProcess]:
            hosts = {names[a] for a in argv if a in names} if argv[0] == "nmap" else set()
            for name in hosts:
                running[name] = running.get(name, 0) + 1
                highest[name] = max(highest.get(name, 0), running[name])
            await asyncio.sleep(0.01)
            async with FakeTransport.run(self, via, argv) as process:
                yield process
            for name in hosts:
                running[name] -= 1

    wanted = expectations(ONE, TWO, THREE, ports="20-500", limits=Limits(host_rate=50))
    scanned(limited(wanted, one=HostLimits("one"), two=HostLimits("one")), Watching(mixed))

    assert {"one": 1, "three": 1} == highest


def test_pings_and_conversations_keep_to_what_a_host_bears() -> None:
    """A very slow host is pinged alone, and asked with few probes what answers, one after the other."""
    wanted = limited(expectations(ONE, TWO, ports="22"), two=HostLimits("two", 5))
    _, ran = scanned(wanted, FakeTransport(mixed))
    talks = [argv for argv in ran if "-sV" in argv and str(TWO) in argv]

    assert {((TWO,), 5.0)} == {(split(talk)[1], rate(talk)) for talk in talks}
    assert all("-sV --max-parallelism 1 --version-intensity 2" in " ".join(talk) for talk in talks)
    silent = FakeTransport(lambda argv: Said(document(argv)))
    _, ran = scanned(limited(expectations(ONE, TWO, ports="80"), two=HostLimits("two", 5)), silent)
    assert {(ONE,), (TWO,)} == {split(argv)[1] for argv in ran if "-sn" in argv}


def test_no_more_hosts_at_once_than_allowed() -> None:
    """nmap's groups are no larger, pings go in chunks, and runs side by side share the number."""
    silent = FakeTransport(lambda argv: Said(document(argv)))
    _, ran = scanned(expectations(ONE, TWO, THREE, ports="80", limits=Limits(hosts=2)), silent)
    ports = [argv for argv in ran if "-p" in argv]

    assert [["2"]] * len(ports) == [[argv[argv.index("--max-hostgroup") + 1]] for argv in ports]
    assert [2, 1] == [len(split(argv)[1]) for argv in ran if "-sn" in argv]


def test_outside_its_windows_a_viewpoint_sends_nothing() -> None:
    """Every endpoint says why, and when that ends; it is one error, however many runs there would have been."""
    wanted = expectations(ONE, TWO, limits=Limits(windows=(window("22:00-06:00 Europe/Berlin"),)))
    found, ran = scanned(wanted)
    reason = "outside the time window 22:00-06:00 Europe/Berlin; it opens next at 2026-11-24T21:00Z"

    assert ([], [("10.0.0.1", "1-10", reason), ("10.0.0.2", "1-10", reason)]) == (ran, failures(found))
    assert ((reason,), None, (ONE, TWO)) == (found.errors, found.failure, found.not_pinged)


def test_outside_the_windows_of_a_host_the_others_are_looked_at() -> None:
    """The host alone is unverified, and the scan is whole but for it."""
    wanted = limited(expectations(ONE, TWO), two=HostLimits("two", windows=(window("22:00-06:00"),)))
    found, ran = scanned(wanted)
    reason = "outside its host's time window 22:00-06:00; it opens next at 2026-11-24T22:00Z"

    assert [("10.0.0.2", "1-10", reason)] == failures(found)
    assert ((), (f"some addresses were not asked to the end: {reason}",)) == (found.errors, found.notes)
    assert not any(str(TWO) in argv for argv in ran)


@dataclass
class Hanging(FakeTransport):
    """Reports on the first host of a sweep, and then goes on for ever."""

    ended: list[bool] = field(default_factory=list)

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[FakeProcess]:
        async with FakeTransport.run(self, via, argv) as process:
            whole = document(argv, host(targets(argv)[0], closed(argv)) if "-p" in argv else "")
            yield _Endless(Said(whole.partition("<runstats>")[0])) if "--min-rate" in argv else process
        self.ended += ["--min-rate" in argv]


class _Endless(FakeProcess):
    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in FakeProcess.chunks(self):
            yield chunk
        await asyncio.sleep(600)


@pytest.mark.parametrize("windows", [False, True])
def test_a_run_is_ended_when_its_time_is_over(windows: bool) -> None:
    """What it has finished counts, the rest says why not; the last look still proves the paths."""
    start = datetime.now(UTC)
    shift = datetime(2026, 11, 24, 12, 59, 58, 600000, tzinfo=UTC) - start
    written = (window("12:00-13:00"),) if windows else ()
    wanted = expectations(ONE, TWO, ports="1-10", limits=Limits(windows=written))
    transport = Hanging(all_closed)
    until = None if windows else start + shift + timedelta(seconds=0.5)
    found, ran = scanned(wanted, transport, now=lambda: datetime.now(UTC) + shift, until=until)
    reason = "the time window 12:00-13:00 closed" if windows else OVER

    assert ([("10.0.0.2", "1-10", reason)], (reason,)) == (failures(found), found.errors)
    assert [(ONE, "1-10")] == [(one.address, str(one.ports)) for one in found.observations]
    assert True in transport.ended
    assert 1 == sum("--min-rate" in argv for argv in ran)


def test_a_clock_that_is_set_back_gives_no_more_time() -> None:
    """What `--max-duration` gives is counted by a clock that nobody sets."""
    start = datetime.now(UTC)
    asked = iter([timedelta()])

    def now() -> datetime:
        return datetime.now(UTC) - next(asked, timedelta(hours=1))

    transport = Hanging(all_closed)
    found, _ = scanned(expectations(ONE, TWO, ports="1-10"), transport, now=now, until=start + timedelta(seconds=0.5))

    assert [("10.0.0.2", "1-10", OVER)] == failures(found)
    assert True in transport.ended


@pytest.mark.parametrize("over", [False, True])
def test_the_last_look_is_made_after_the_end_but_not_where_nothing_was_sent(over: bool) -> None:
    """With no time at all nothing leaves; else silence is worth something only by that look."""
    clock = [NOON]

    def answer(argv: Sequence[str]) -> Said:
        clock[0] += timedelta(seconds=30)
        return mixed(argv)

    until = NOON if over else NOON + timedelta(seconds=20)
    found, ran = scanned(expectations(ONE, ports="20-30"), FakeTransport(answer), now=lambda: clock[0], until=until)

    assert (0 if over else 2) == len(ran)
    assert ([("10.0.0.1", "20-30", OVER)] if over else []) == failures(found)
    assert over or ran[-1][-3:] == ("-p", "22", "10.0.0.1")


def test_without_a_last_look_silence_is_unverified() -> None:
    """The window closed too early for it, so nobody knows whether the path still stood."""
    clock = [NOON]

    def answer(argv: Sequence[str]) -> Said:
        clock[0] += timedelta(hours=1)
        return mixed(argv)

    wanted = expectations(ONE, ports="20-30", limits=Limits(windows=(window("11:00-13:00"),)))
    found, ran = scanned(wanted, FakeTransport(answer), now=lambda: clock[0])
    reason = "the time window 11:00-13:00 closed, before the last look at whether its path still stands"

    assert (1, [("10.0.0.1", "20-21,23-30", reason)]) == (len(ran), failures(found))


def test_a_canary_of_a_limited_host_is_limited() -> None:
    """Its host need not be looked at otherwise."""
    wanted = expectations(ONE, canaries=(Canary(TWO),))
    _, ran = scanned(limited(wanted, two=HostLimits("two", windows=(window("22:00-06:00"),))))

    assert not any(str(TWO) in argv for argv in ran)


def test_lanes_of_limited_hosts_keep_within_the_rate() -> None:
    """As many side by side as the rate bears, and the others get what is left of it."""
    many = [ip_address(f"10.0.1.{n}") for n in range(1, 60)]
    wanted = expectations(ONE, *many, ports="1-65535", rate=1000)
    limits = {address: HostLimits(str(address), 100) for address in many}
    found = plan(replace(wanted, limits=limits), SCOPE, Abilities("7.93"))
    together = [sorted((job.rate for job in lane.jobs), reverse=True)[: lane.side_by_side] for lane in found.lanes]

    assert [4, 1] == sorted((len(lane) for lane in together), reverse=True)
    assert sum(map(sum, together)) <= 1000


def test_what_a_plan_comes_to() -> None:
    """In all, to the host that gets most, what follows, when it would end, and that no night is enough."""
    many = [ip_address(f"10.0.{n // 250}.{n % 250 + 1}") for n in range(1000)]
    wanted = expectations(*many, ports="1-65535", limits=Limits(windows=(window("22:00-04:00"),)))
    planned = plan(wanted, SCOPE, Abilities("7.93"))
    lines = list(estimate(planned, NOON))
    takes = timedelta(seconds=ceil(planned.seconds))
    hours, minutes = divmod(ceil(planned.seconds / 60), 60)

    assert 7 == hours
    assert lines == [
        f"about 131,070,000 probes, at most {takes} where nothing answers, 5,000 packets a second, syn scan",
        "about 131,070,000 of them to one host at most, h",
        "then at most 8,000 pings of silent addresses, a last look of at most 2,000 probes, and version probes of open "
        "ports, of 0 if all is as declared: about 60 packets each, 45 s at most",
        "time window 22:00-04:00: begun at 2026-11-24T22:00Z, when it opens, it would be cut off at 2026-11-25T04:00Z, "
        f"about {takes - timedelta(hours=6)} before its end",
        f"too long for a night: about {hours} h {minutes} min; use `sweep: {{slices: 2}}`",
    ]
