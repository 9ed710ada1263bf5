"""Commands on a cluster's workers, with a client that is none: who gets what, and what happens where workers go."""

from __future__ import annotations

import asyncio
import os
import socket
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from auditor import __version__
from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, LocalVia, Via, WorkerVia
from auditor.transport import worker
from auditor.transport.alone import Holder, alone
from auditor.transport.base import Captured, capture
from auditor.transport.cluster import ClusterTransport, connected
from auditor.transport.scheduler import Cluster, Hold

SCHEDULER = "tcp://192.0.2.1:8786"
ONE, TWO, THREE = (f"tcp://192.0.2.{n}:4000" for n in (2, 3, 4))
PUBLIC = {"viewpoint:public": 4.0}
NMAP = ["nmap", "-oX", "-", "192.0.2.9"]
Answer = worker.Done | Exception | str


@dataclass
class Future:
    """Ends as it is told to; never, where that is None."""

    end: Answer | None
    cancelled: bool = False

    def __await__(self) -> Any:
        if self.end is None:
            yield from asyncio.sleep(3600).__await__()
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


@dataclass
class Client:
    """A cluster of workers with their resources; what was submitted, and what each worker says when asked."""

    workers: dict[str, Mapping[str, float]]
    end: Answer | None = field(default_factory=lambda: worker.Done(0, zlib.compress(b"<nmaprun/>"), "a word"))
    says: Mapping[str, Answer] = field(default_factory=dict)
    submitted: list[tuple[list[str], bool, dict[str, Any]]] = field(default_factory=list)
    futures: list[Future] = field(default_factory=list)

    @property
    def scheduler(self) -> Client:
        return self

    async def identity(self, *, n_workers: int) -> dict[str, Any]:
        assert n_workers == -1, "all of them"
        return {"workers": {address: {"resources": resources} for address, resources in self.workers.items()}}

    async def run(self, function: Callable[..., Any], *_arguments: Any, workers: list[str], on_error: str) -> Any:
        assert on_error == "return", "one that fails is told of, and does not end the audit"
        default = __version__ if function is worker.about else worker.Done(0, zlib.compress(workers[0].encode()))
        return {address: self.says.get(address, default) for address in workers}

    def submit(self, _function: Callable[..., Any], argv: list[str], _key: str, nice: bool, **how: Any) -> Future:
        self.submitted.append((argv, nice, how))
        self.futures.append(Future(self.end))
        return self.futures[-1]

    async def cancel(self, futures: Sequence[Future], *, force: bool) -> None:
        for future in futures:
            future.cancelled = force


def via(*workers: str) -> ClusterVia:
    return ClusterVia("public", SCHEDULER, workers)


def transport(client: Client, warnings: list[str] | None = None) -> ClusterTransport:
    warn = [].append if warnings is None else warnings.append
    return ClusterTransport(client, SCHEDULER, warn, look=0.02, grace=0.2)


def captured(over: ClusterTransport, at: Via, argv: Sequence[str] = NMAP) -> Captured:
    return asyncio.run(capture(over, at, argv, 30))


def test_workers_stand_where_they_say() -> None:
    """A viewpoint has the workers that advertise it, and none else."""
    client = Client({TWO: PUBLIC, ONE: {**PUBLIC, "viewpoint:vpn": 1}, THREE: {"GPU": 1}})
    found = asyncio.run(transport(client).stand(["public", "vpn"]))

    assert (via(ONE, TWO), ClusterVia("vpn", SCHEDULER, (ONE,))) == found
    assert f"dask {SCHEDULER}" == str(found[0])


def test_a_viewpoint_without_workers_fails_at_once_and_says_how_to_start_one() -> None:
    """Nothing waits for a worker that may never come."""
    over = transport(Client({ONE: PUBLIC}))
    (nobody,) = asyncio.run(over.stand(["vpn"]))
    command = f'dask worker {SCHEDULER} --resources "viewpoint:vpn=4"'

    assert () == nobody.workers
    with pytest.raises(TransportError, match=f"no worker of the cluster stands at viewpoint vpn.*{command}"):
        captured(over, nobody)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("0.0.1", f"worker {ONE} has auditor 0.0.1, and this is {__version__}"),
        (
            ModuleNotFoundError("No module named 'auditor'"),
            f"worker {ONE} cannot be asked: No module named 'auditor'; it needs auditor {__version__}",
        ),
    ],
)
def test_a_worker_with_another_auditor_is_not_used(said: Answer, told: str) -> None:
    """The others are; where there is no other, the reason is the viewpoint's failure."""
    warnings: list[str] = []
    over = transport(Client({ONE: PUBLIC, TWO: PUBLIC}, says={ONE: said}), warnings)
    alone = transport(Client({ONE: PUBLIC}, says={ONE: said}))

    assert (via(TWO),) == asyncio.run(over.stand(["public"]))
    assert [told] == [warning[: len(told)] for warning in warnings]
    with pytest.raises(TransportError, match=f"^{told[:40]}"):
        captured(alone, asyncio.run(alone.stand(["public"]))[0])


def test_a_run_goes_to_the_workers_that_were_checked_and_takes_a_place() -> None:
    """Only workers whose place was checked get it, and as many at a time as they offer."""
    client = Client({ONE: PUBLIC, TWO: PUBLIC, THREE: PUBLIC})
    said = captured(transport(client), via(ONE, TWO))
    ((argv, nice, how),) = client.submitted

    assert Captured(0, "<nmaprun/>", "a word") == said
    assert NMAP == argv
    assert not nice
    assert ([ONE, TWO], False, {"viewpoint:public": 1}, False) == (
        how["workers"],
        how["allow_other_workers"],
        how["resources"],
        how["pure"],
    )


def test_long_output_comes_in_pieces() -> None:
    """What a worker sends is unpacked bit by bit, so that it never stands in memory as a whole."""
    output = b"<port/>" * 300_000

    async def pieces() -> list[bytes]:
        client = Client({ONE: PUBLIC}, end=worker.Done(0, zlib.compress(output)))
        async with transport(client).run(via(ONE), NMAP) as process:
            return [chunk async for chunk in process.chunks()]

    found = asyncio.run(pieces())

    assert output == b"".join(found)
    assert max(map(len, found)) <= 64 * 1024


def test_questions_go_to_one_worker_past_the_queue() -> None:
    """They are about that very worker."""
    client = Client({ONE: PUBLIC, TWO: PUBLIC})

    assert TWO == captured(transport(client), WorkerVia(TWO), ["ip", "route"]).stdout
    assert [] == client.submitted


def test_other_places_are_reached_from_here() -> None:
    """A cluster has no part in them."""
    assert "here" == captured(transport(Client({})), LocalVia(), ["printf", "here"]).stdout


def test_a_viewpoint_whose_last_worker_goes_is_given_up_after_a_while() -> None:
    """A worker that is started again in time goes on; else the runs fail, the next of them at once."""
    warnings: list[str] = []
    client = Client({ONE: PUBLIC}, end=None)
    over = transport(client, warnings)

    async def lose() -> tuple[str, int]:
        (there,) = await over.stand(["public"])
        running = asyncio.ensure_future(capture(over, there, NMAP, 30))
        await asyncio.sleep(0.1)
        client.workers = {THREE: PUBLIC}
        with pytest.raises(TransportError) as lost:
            await running
        with pytest.raises(TransportError, match="was lost"):
            await capture(over, there, NMAP, 30)
        return str(lost.value), len(client.submitted)

    told = f"the worker {ONE} was lost, and no other of those that were checked stands at viewpoint public"

    assert (told, 1) == asyncio.run(lose())
    assert client.futures[0].cancelled
    assert [f"worker {ONE} was lost"] == [warning.partition(";")[0] for warning in warnings]


def test_a_worker_that_comes_back_in_time_is_waited_for() -> None:
    """A short absence costs nothing."""
    client = Client({ONE: PUBLIC}, end=None)
    over = transport(client)

    async def return_soon() -> Captured:
        (there,) = await over.stand(["public"])
        running = asyncio.ensure_future(capture(over, there, NMAP, 30))
        await asyncio.sleep(0.05)
        client.workers = {}
        await asyncio.sleep(0.05)
        client.workers = {ONE: PUBLIC}
        await asyncio.sleep(0.3)
        assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return Captured(0, "", "")

    asyncio.run(return_soon())


def test_leaving_early_calls_the_task_off() -> None:
    """Ctrl-C at the auditor is heard on the worker."""
    client = Client({ONE: PUBLIC}, end=None)

    async def leave() -> None:
        running = asyncio.ensure_future(capture(transport(client), via(ONE), NMAP, 30))
        await asyncio.sleep(0.1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(leave())

    assert [True] == [future.cancelled for future in client.futures]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (worker.Done(problem="`nmap` is not installed there (local)"), "`nmap` is not installed there"),
        (RuntimeError("of its own"), "the cluster could not run it: of its own"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_told(end: Answer, told: str) -> None:
    """A run that never began is no run."""
    with pytest.raises(TransportError, match=told):
        captured(transport(Client({ONE: PUBLIC}, end=end)), via(ONE))


def test_workers_run_only_what_the_auditor_runs() -> None:
    """Any other program is refused there, whoever asked."""
    refused = asyncio.run(worker.ask(["sh", "-c", "true"], 5))

    assert "`sh` is none of the programs that the auditor runs on workers" == refused.problem


def test_a_worker_ends_a_question_that_takes_too_long() -> None:
    """Nothing is left behind by an auditor that has gone."""
    assert "`ip` gave no answer within 0.1 s" == asyncio.run(worker.ask(["ip", "monitor", "link"], 0.1)).problem


def test_a_peer_that_is_no_scheduler_is_given_up() -> None:
    """Something that listens and says nothing costs a bounded time."""

    async def reach() -> None:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            cluster = Cluster(f"tcp://127.0.0.1:{mute.getsockname()[1]}")
            async with connected(cluster, [].append, patience=0.5):
                raise AssertionError("it is none")

    with pytest.raises(TransportError, match="nothing there answers as a scheduler does"):
        asyncio.run(reach())


@dataclass
class Standing(Client):
    """Workers that hold places; all of them stand in this process, and so at one place."""

    asked: list[Callable[..., Any]] = field(default_factory=list)

    async def run(self, function: Callable[..., Any], *arguments: Any, workers: list[str], on_error: str) -> Any:
        if function not in (worker.hold, worker.let_go):
            return await super().run(function, *arguments, workers=workers, on_error=on_error)
        self.asked.append(function)
        try:
            return {address: await function(*arguments) for address in workers}
        except OSError as error:
            return dict.fromkeys(workers, error)


def held(over: ClusterTransport, told: list[str], *, wait: bool = False, vias: Sequence[ClusterVia] = ()) -> Any:
    return over.alone(vias or (via(ONE, TWO), ClusterVia("vpn", SCHEDULER, (TWO,))), Hold("estate", wait, told.append))


def test_an_audit_holds_the_places_of_its_workers() -> None:
    """Two workers at one place are one audit's; another one is refused, and an audit of that machine's own too."""

    async def meet() -> str:
        client = Standing({ONE: PUBLIC, TWO: PUBLIC})
        async with held(transport(client), []):
            with pytest.raises(TransportError) as told:
                async with held(transport(client), []):
                    pass
            here = alone({"here": LocalVia()}, "shop", tell=print, warn=print)
            with pytest.raises(TransportError, match="viewpoint here is in use by another audit"), here:
                pass
        async with held(transport(client), []):
            pass
        return str(told.value)

    said = asyncio.run(meet())

    assert f"is in use by another audit (worker {ONE}): process {os.getpid()} of " in said
    assert "inventory estate, viewpoint " in said


def test_one_audit_of_a_cluster_waits_for_another() -> None:
    """It says for whom, once, and holds nothing meanwhile."""
    told: list[str] = []

    async def meet() -> list[str]:
        client = Standing({ONE: PUBLIC})
        order: list[str] = []

        async def second() -> None:
            async with held(transport(client), told, wait=True, vias=[via(ONE)]):
                order.append("second")

        async with held(transport(client), [], vias=[via(ONE)]):
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.2)
            order.append("first")
        await waiting
        return order

    assert ["first", "second"] == asyncio.run(meet())
    assert [True] == [one.startswith("waiting: viewpoint public is in use by another audit (worker ") for one in told]


def test_a_worker_holds_its_place_for_nobody_who_has_gone() -> None:
    """An audit that was killed, or cut off, says no more that it is there."""

    async def outlive() -> list[str]:
        one, two, three = (Holder.of("estate", "public", token) for token in ("one", "two", "three"))
        first = await worker.hold(one, 0.3)
        again = await worker.hold(one, 0.3)
        early = await worker.hold(two, 0.3)
        await asyncio.sleep(0.5)
        late = await worker.hold(two, 0.3)
        await worker.let_go("two")
        third = await worker.hold(three, 0.1)
        await worker.let_go("three")
        return [first, again, early and early.partition(" ")[0], late, third]

    assert ["", "", "process", "", ""] == asyncio.run(outlive())


def test_a_worker_that_cannot_lock_costs_no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is warned that another audit would go unseen."""
    monkeypatch.setenv("AUDITOR_LOCKS", "/nowhere")
    warned: list[str] = []

    async def run() -> None:
        async with held(transport(Standing({ONE: PUBLIC}), warned), [], vias=[via(ONE)]):
            pass

    asyncio.run(run())

    assert [True] == [f"worker {ONE} cannot be asked: " in one and "goes unseen" in one for one in warned]
