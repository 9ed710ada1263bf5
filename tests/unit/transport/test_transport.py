"""Running commands on this machine: what comes back, what goes wrong, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from auditor.errors import TransportError
from auditor.model.inventory import LocalVia, NetnsVia
from auditor.transport.base import capture
from auditor.transport.process import NICENESS
from auditor.transport.system import SystemTransport

HERE = LocalVia()


def captured(*argv: str, timeout: float = 20) -> tuple[int, str, str]:
    answer = asyncio.run(capture(SystemTransport(), HERE, argv, timeout))
    return answer.returncode, answer.stdout, answer.stderr


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_gives_output_error_and_status() -> None:
    """The three things a command says, apart."""
    assert (3, "out\n", "err\n") == captured("sh", "-c", "echo out; echo err >&2; exit 3")


def test_arguments_are_never_split_or_expanded() -> None:
    """No shell stands between us and the command."""
    assert "a b;$HOME *" == captured("printf", "%s", "a b;$HOME *")[1]


def test_commands_speak_the_c_locale_and_hear_nothing() -> None:
    """Messages can be compared with known ones, and no command waits for a key."""
    assert (0, "C:", "") == captured("sh", "-c", "printf %s: $LC_ALL; cat")


def test_keeps_only_the_end_of_the_standard_error() -> None:
    """A command that floods stderr cannot fill our memory, and its last word survives."""
    _, _, stderr = captured("sh", "-c", "yes | head -c 600000 >&2; echo last >&2")

    assert 256 * 1024 == len(stderr)
    assert stderr.endswith("last\n")


def test_a_missing_program_is_named_with_its_package() -> None:
    """The message says what to install."""
    with pytest.raises(TransportError, match=r"`no-such-program` is not installed there \(local\)"):
        captured("no-such-program")


def test_a_missing_namespace_is_named() -> None:
    """`ip netns exec` fails only after it has started; its complaint becomes ours."""
    with pytest.raises(TransportError, match=r"network namespace no-such-namespace"):
        asyncio.run(capture(SystemTransport(), NetnsVia("no-such-namespace"), ["true"], 20))


def test_a_command_that_takes_too_long_is_ended() -> None:
    """A hanging command costs its timeout and no more."""
    with pytest.raises(TransportError, match=r"`sleep` gave no answer within 0.2 s"):
        captured("sleep", "60", timeout=0.2)


@pytest.mark.parametrize("trap", ["", "trap '' TERM;"])
def test_leaving_early_ends_the_whole_group(trap: str) -> None:
    """Children die with their parent, even where they ignore being asked."""

    async def leave() -> int:
        script = f"{trap} sh -c '{trap} echo $$; while :; do sleep 0.1; done' & wait"
        async with SystemTransport().run(HERE, ["sh", "-c", script]) as process:
            async for chunk in process.chunks():
                return int(chunk)
        raise AssertionError("the command said nothing")

    pid = asyncio.run(leave())

    for _ in range(50):
        if not alive(pid):
            break
        asyncio.run(asyncio.sleep(0.1))  # init reaps the orphan
    assert not alive(pid) or "Z" in _status(pid)


def test_cancelling_ends_the_command() -> None:
    """Ctrl-C in the middle leaves no process behind."""

    async def run(started: asyncio.Future[int]) -> None:
        async with SystemTransport().run(HERE, ["sh", "-c", "echo $$; exec sleep 60"]) as process:
            async for chunk in process.chunks():
                started.set_result(int(chunk))

    async def cancel() -> int:
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(run(started))
        pid = await started
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return pid

    began = monotonic()
    pid = asyncio.run(cancel())

    assert not alive(pid)
    assert monotonic() - began < 30


def test_nice_commands_leave_processor_time_to_the_others() -> None:
    """Within our session, since Linux shares out time by sessions first; but Ctrl-C does not reach them."""
    shown = ["sh", "-c", "nice; cut -d' ' -f5,6 /proc/$$/stat; echo $$"]

    async def said(*, nice: bool) -> list[int]:
        async with SystemTransport().run(HERE, shown, nice=nice) as process:
            return list(map(int, b"".join([chunk async for chunk in process.chunks()]).split()))

    ours = os.nice(0)
    for nice, expected in ((False, ours), (True, min(19, ours + NICENESS))):
        found, group, session, pid = asyncio.run(said(nice=nice))

        assert expected == found
        assert os.getsid(0) == session
        assert pid == group


def test_pipes_that_a_command_left_to_others_are_closed() -> None:
    """Something in the background may hold its standard error open for ever, and each would cost us a descriptor."""

    def pipes() -> set[str]:
        return {str(one.readlink()) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()}

    async def leave() -> set[str]:
        async with SystemTransport().run(HERE, ["sh", "-c", "setsid sleep 30 >/dev/null & echo $!"]) as process:
            pid = int(b"".join([chunk async for chunk in process.chunks()]))
            mine = pipes()
        await asyncio.sleep(0.1)
        left = mine & pipes()
        os.kill(pid, signal.SIGKILL)
        return left - before

    before = pipes()
    left = asyncio.run(leave())

    assert set() == {one for one in left if one.startswith("pipe:")}


def _status(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123 - a line of /proc, not a path of ours
            return file.read().split()[2]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"


def test_a_command_dies_with_us_even_if_we_are_killed() -> None:
    """Nothing keeps sending packets for a process that is no more."""
    program = (
        "import asyncio, os\n"
        "from auditor.model.inventory import LocalVia\n"
        "from auditor.transport.system import SystemTransport\n"
        "async def main():\n"
        "    async with SystemTransport().run(LocalVia(), ['sleep', '60']) as process:\n"
        "        print(process.pid, flush=True)\n"
        "        os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False)
    pid = int(killed.stdout)

    deadline = monotonic() + 5
    while "Z" not in _status(pid) and monotonic() < deadline:
        sleep(0.05)
    assert "Z" in _status(pid)
