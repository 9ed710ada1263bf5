"""What a kernel counted while sweeps ran: of which it may tell anything, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from auditor.model.inventory import ClusterVia, LocalVia, Via
from auditor.model.ports import PortSet
from auditor.model.words import Address, PortState, Protocol
from auditor.scan.nmap.records import HostRecord, Seen, Sight
from auditor.scan.runs.kernel import Counts, Kernel
from auditor.scan.runs.run import Run
from tests.unit.scan.test_scan import NOW, ONE, TWO, FakeProcess, Said
from tests.unit.scan.trust.test_lost import Machine, told

CLOSED = Seen(Protocol.TCP, PortSet.span(1, 1500), Sight(PortState.CLOSED, "reset"))
SWEEP = ("nmap", "-sS", "--max-rate", "5000", "--min-rate", "5000", "-p", "1-1500")


def machine() -> Machine:
    return Machine(lambda _: Said(""), arrives=told)


def swept(address: Address, seconds: float = 0.0) -> Run:
    return Run((*SWEEP, str(address)), (HostRecord(address, NOW, (CLOSED,)),), (), (0.0, seconds))


def test_a_sweep_is_judged_before_anybody_relies_on_it() -> None:
    """Beside it another viewpoint's goes on; until that has ended nobody knows of whom the missing replies were."""
    here = machine()
    kernel = Kernel(here, LocalVia())
    known: list[int] = []

    async def first() -> None:
        async with kernel.watching((ONE,), 60.0):
            await asyncio.sleep(0)
            here.segments += 5000
        await kernel.judged((ONE,))
        known.append(len(kernel.surpluses))

    async def other() -> None:
        async with kernel.watching((TWO,), 60.0):
            await asyncio.sleep(0.05)

    async def both() -> None:
        await asyncio.gather(first(), other())

    asyncio.run(asyncio.wait_for(both(), 5))

    assert [1] == known


def test_what_nobody_sweeps_need_not_be_waited_for() -> None:
    kernel = Kernel(machine(), LocalVia())

    async def one() -> None:
        async with kernel.watching((TWO,), 60.0):
            await asyncio.wait_for(kernel.judged((ONE,)), 1)

    asyncio.run(one())


@dataclass
class Slow(Machine):
    """Takes a while to say what its kernel has counted."""

    @asynccontextmanager
    async def run(self, via: Via, argv: Sequence[str], *, nice: bool = False) -> AsyncIterator[FakeProcess]:
        if argv[0] == "cat":
            await asyncio.sleep(0.05)
        async with Machine.run(self, via, argv, nice=nice) as process:
            yield process


def test_no_sweep_sends_before_the_counters_are_read() -> None:
    """One that begins beside another, while those are being read, would have its replies counted as earlier ones."""
    here = Slow(lambda _: Said(""), arrives=told)
    kernel = Kernel(here, LocalVia())

    async def one(address: Address) -> None:
        async with kernel.watching((address,), 60.0):
            here.segments += 3000
            kernel.tell(swept(address))
            await asyncio.sleep(0.1)

    async def both() -> None:
        await asyncio.gather(one(ONE), one(TWO))

    asyncio.run(both())

    assert [3000] == [surplus.replies for surplus in kernel.surpluses]


@pytest.mark.parametrize(("shared", "seconds"), [(False, 0.0), (True, 1.1)])
def test_little_is_no_steady_noise(shared: bool, seconds: float) -> None:
    """A few packets in no time, or the declared ports of another viewpoint, would excuse thousands of lost replies."""
    here = machine()
    kernel = Kernel(here, LocalVia(), shared=shared)

    async def both() -> None:
        async with kernel.idle():
            here.segments, here.resets = 50, 5
            await asyncio.sleep(seconds)
        async with kernel.watching((ONE,), 60.0):
            here.segments, here.resets = 2050, 25
            await asyncio.sleep(0.05)

    asyncio.run(both())

    assert [(2000, 20)] == [(one.replies, one.opened) for one in kernel.surpluses]


def test_of_what_was_taken_from_an_earlier_attempt_the_kernel_knows_nothing() -> None:
    """That nothing arrives while it is read from a file is no sign that nothing was lost."""
    kernel = Kernel(machine(), LocalVia())

    async def one() -> None:
        async with kernel.watching((ONE,), 60.0) as epoch:
            epoch.unknown = True

    asyncio.run(one())
    (surplus,) = kernel.surpluses

    assert (None, None, True) == (surplus.replies, surplus.opened, surplus.explains(1))


def test_who_lost_replies_is_told_at_once() -> None:
    """Each viewpoint that swept beside the loss is: cut short before they are asked again, nobody would know."""
    here = machine()
    kernel = Kernel(here, LocalVia())
    doubted: list[Collection[Address]] = []

    async def both() -> None:
        async with kernel.watching((ONE,), 60.0, 1, doubted.append), kernel.watching((TWO,), 60.0, 1, doubted.append):
            here.segments, here.resets = 2000, 3

    asyncio.run(both())

    assert [{ONE}, {TWO}] == [set(one) for one in doubted]


@pytest.mark.parametrize(("seconds", "slow"), [(1.0, False), (200.0, True)])
def test_waiting_for_another_run_is_not_slow(monkeypatch: pytest.MonkeyPatch, seconds: float, slow: bool) -> None:
    """A host with a limit has one run at a time: a sweep of it may wait for long, and nmap itself be in time."""
    now = [0.0]
    monkeypatch.setattr("auditor.scan.runs.kernel.time.monotonic", lambda: now[0])
    kernel = Kernel(machine(), LocalVia())

    async def one() -> None:
        async with kernel.watching((ONE,), 60.0):
            now[0] = 1000.0
            kernel.tell(swept(ONE, seconds))

    asyncio.run(one())

    assert [slow] == [surplus.slow for surplus in kernel.surpluses]


def test_a_place_of_which_nothing_can_be_read() -> None:
    """A cluster without workers has no counters; that is not zero."""
    kernel = Kernel(machine(), ClusterVia("vp", "tcp://10.0.0.9:8786"))

    async def one() -> None:
        async with kernel.watching((ONE,), 60.0):
            pass

    asyncio.run(one())

    assert [None] == [surplus.replies for surplus in kernel.surpluses]


OPEN = Seen(Protocol.TCP, PortSet.span(2001, 2040), Sight(PortState.OPEN, "syn-ack"))
FEW = Seen(Protocol.TCP, PortSet.span(2001, 2030), Sight(PortState.OPEN, "syn-ack"))


@pytest.mark.parametrize(
    ("beat", "tries", "missed"),
    [(OPEN, 1, 30), (FEW, 1, 30), (FEW, 3, 10)],
    ids=["all answered in time", "ten came too late", "ten were asked three times"],
)
def test_what_a_beat_gave_up_on_is_no_open_port_missed(beat: Seen, tries: int, missed: int) -> None:
    """An nmap without processor time reads some answers too late. Those of others than it asked are not excused."""
    here = machine()
    kernel = Kernel(here, LocalVia())

    async def one() -> None:
        async with kernel.watching((ONE,), 60.0):
            async with kernel.asking(40, tries) as runs:
                here.segments += 40
                here.resets += 40
                runs.append(Run(("nmap", "-sS"), (HostRecord(ONE, NOW, (beat,)),), (), (0.0, 0.0)))
            here.segments += 1530
            here.resets += 30
            kernel.tell(swept(ONE))

    asyncio.run(one())

    assert [missed] == [surplus.opened for surplus in kernel.surpluses]


def test_a_beat_under_way_ends_before_the_counters_are_read() -> None:
    """Its answers have arrived, and it has not told of them yet: each would look like an open port missed."""
    here = machine()
    kernel = Kernel(here, LocalVia())
    beating = asyncio.Event()

    async def beat() -> None:
        async with kernel.asking(40) as runs:
            here.segments += 40
            here.resets += 40
            beating.set()
            await asyncio.sleep(0.05)
            runs.append(Run(("nmap", "-sS"), (HostRecord(ONE, NOW, (OPEN,)),), (), (0.0, 0.0)))

    async def sweep() -> None:
        async with kernel.watching((ONE,), 60.0):
            kernel.tell(swept(ONE))
            here.segments += 1500
            beaten = asyncio.create_task(beat())
            await beating.wait()
        await beaten

    asyncio.run(sweep())

    assert [0] == [surplus.opened for surplus in kernel.surpluses]


def test_a_beat_that_hangs_holds_no_sweep_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers are excused where it hung as the sweep began; where it hangs at its end, nothing can be told."""
    monkeypatch.setattr("auditor.scan.runs.kernel._BEAT", 0.01)
    monkeypatch.setattr("auditor.scan.runs.kernel._LONG_BEAT", 0.01)
    here = machine()
    kernel = Kernel(here, LocalVia())

    async def hanging() -> AsyncIterator[None]:
        async with kernel.asking(40):
            yield

    async def sweep(*, ended: AsyncIterator[None] | None = None) -> None:
        async with kernel.watching((ONE,), 60.0):
            if ended is not None:
                await anext(ended, None)
            kernel.tell(swept(ONE))
            here.segments += 1570
            here.resets += 70

    async def both() -> None:
        beat = hanging()
        await anext(beat)
        await sweep(ended=beat)
        await anext(beat := hanging())
        await sweep()
        await anext(beat, None)

    asyncio.run(both())

    assert [30, None] == [surplus.opened for surplus in kernel.surpluses]


def test_a_beat_that_ends_while_the_counters_are_read_is_excused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of its answers may be counted after them, and it tells nobody of them."""
    monkeypatch.setattr("auditor.scan.runs.kernel._BEAT", 0.01)
    here = machine()
    kernel = Kernel(here, LocalVia())
    read, over = Kernel._read, asyncio.Event()

    async def reading(self: Kernel) -> Counts | None:
        counts = await read(self)
        over.set()
        await asyncio.sleep(0.01)
        return counts

    monkeypatch.setattr(Kernel, "_read", reading)

    async def beating() -> None:
        async with kernel.asking(40):
            await over.wait()

    async def sweep() -> None:
        beat = asyncio.create_task(beating())
        await asyncio.sleep(0)
        async with kernel.watching((ONE,), 60.0):
            assert beat.done()
            kernel.tell(swept(ONE))
            here.segments += 1570
            here.resets += 70

    asyncio.run(sweep())

    assert [30] == [surplus.opened for surplus in kernel.surpluses]


def test_whoever_ends_a_sweep_waits_for_no_beat() -> None:
    """Ctrl-C ends an audit at once, though an nmap hangs."""
    kernel = Kernel(machine(), LocalVia())

    async def beating() -> None:
        async with kernel.asking(40):
            await asyncio.sleep(60)

    async def sweep() -> None:
        async with kernel.watching((ONE,), 60.0):
            await asyncio.sleep(60)

    async def interrupted() -> bool:
        sweeping = asyncio.create_task(sweep())
        await asyncio.sleep(0.01)
        beat = asyncio.create_task(beating())
        await asyncio.sleep(0.01)
        sweeping.cancel()
        done, _ = await asyncio.wait([sweeping], timeout=5)
        beat.cancel()
        return bool(done)

    assert asyncio.run(interrupted())
