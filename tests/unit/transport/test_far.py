"""Commands elsewhere: recorded command lines of docker, kubectl and ssh, and what is said where they fail.

Stubs of the three stand first on the PATH. Each checks its whole argument list, then runs the line of shell that it was
given on this machine, as the real one would elsewhere. No container and no cluster is there.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from time import monotonic, sleep

import pytest

from auditor.errors import TransportError
from auditor.model.inventory import DockerVia, KubectlVia, SshVia, Via
from auditor.scan.nmap.abilities import probe_abilities
from auditor.transport.base import capture
from auditor.transport.by_hand import by_hand
from auditor.transport.process import NICENESS
from auditor.transport.system import SystemTransport
from auditor.transport.watch import Lifeline, script

WEB = DockerVia("web")
BESIDE = DockerVia("web", "example.org/tools/nmap:7.95")
POD = KubectlVia("web-0", context="prod", namespace="shop", container="main")
EPHEMERAL = KubectlVia("web-0", namespace="shop", container="main", image="tools/nmap")
RUN = (
    "docker run --rm --pull never --interactive --user 0 --network container:web --cap-add NET_RAW --cap-add NET_ADMIN "
    "--entrypoint '' example.org/tools/nmap:7.95 sh -c SCRIPT"
)
EXEC = "kubectl --namespace shop exec --stdin web-0 --container auditor-1 -- sh -c SCRIPT"
DEBUG = (
    "kubectl --namespace shop debug --quiet --stdin web-0 --container auditor-1 --target main --image tools/nmap "
    "--profile netadmin -- sh -c SCRIPT"
)
LIFELINE = Lifeline(every=1, patience=3)


@pytest.fixture
def bin_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def stub(folder: Path, *lines: str) -> None:
    """A program that knows only these command lines, and notes those that it gets."""
    program = lines[0].split()[0]
    words = [[script(LIFELINE) if word == "SCRIPT" else word for word in shlex.split(line)][1:] for line in lines]
    source = (
        f"#!/usr/bin/env python3\nimport json, os, sys\n"
        f"known = {words!r}\n"
        f"assert sys.argv[1:] in known, sys.argv\n"
        f"print(known.index(sys.argv[1:]), file=open({str(folder / 'log')!r}, 'a'))\n"
        f"os.execvp('sh', sys.argv[-3:])\n"
    )
    (folder / program).write_text(source, encoding="utf-8")
    (folder / program).chmod(0o755)


def failing(folder: Path, program: str, code: int, stderr: str) -> None:
    (folder / program).write_text(f"#!/bin/sh\necho {shlex.quote(stderr)} >&2\nexit {code}\n", encoding="utf-8")
    (folder / program).chmod(0o755)


async def ran(via: Via, *commands: list[str]) -> list[tuple[int, str, str]]:
    async with SystemTransport(LIFELINE, lambda: "auditor-1") as transport:
        said = [await capture(transport, via, argv, 30) for argv in commands]
        return [(one.returncode, one.stdout, one.stderr) for one in said]


@pytest.mark.parametrize(
    ("via", "lines", "used"),
    [
        (WEB, ["docker exec --interactive --user 0 web sh -c SCRIPT"], "0\n0\n"),
        (BESIDE, [RUN], "0\n0\n"),
        (
            POD,
            ["kubectl --context prod --namespace shop exec --stdin web-0 --container main -- sh -c SCRIPT"],
            "0\n0\n",
        ),
        (KubectlVia("p"), ["kubectl exec --stdin p -- sh -c SCRIPT"], "0\n0\n"),
        (EPHEMERAL, [EXEC, DEBUG], "1\n0\n0\n"),
    ],
    ids=str,
)
def test_the_command_lines(bin_: Path, via: Via, lines: list[str], used: str) -> None:
    """Each is as recorded; a pod gets one ephemeral container for all commands. Nothing is split or expanded there."""
    stub(bin_, *lines)
    odd = "a 'b\" $HOME !*\\ ;é"
    said = asyncio.run(ran(via, ["printf", "%s", odd], ["sh", "-c", "cat; echo err >&2; exit 3"]))

    assert [(0, odd, ""), (3, "", "err\n")] == said
    assert used == (bin_ / "log").read_text(encoding="ascii")


def test_the_line_of_shell_survives_any_login_shell() -> None:
    """fish and csh read some characters otherwise, even within single quotes."""
    assert not set("'\\!\n") & set(script(Lifeline()).replace("! ", ""))


def test_a_signal_there_is_one_here(bin_: Path) -> None:
    """A command that was killed is not one that ended with a strange status."""
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")

    assert -9 == asyncio.run(ran(WEB, ["sh", "-c", "kill -9 $$"]))[0][0]


def test_nice_commands_are_so_there(bin_: Path) -> None:
    """What talks to services leaves the far machine's processor to what sweeps from it."""
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")

    async def niceness() -> bytes:
        async with SystemTransport(LIFELINE) as transport, transport.run(WEB, ["nice"], nice=True) as process:
            return b"".join([chunk async for chunk in process.chunks()])

    assert b"%d\n" % min(19, os.nice(0) + NICENESS) == asyncio.run(niceness())


def test_clients_have_no_terminal(bin_: Path) -> None:
    """A jump host that asks for a password would stop them there for good; without one they fail at once."""
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")
    ((_, session, _),) = asyncio.run(ran(WEB, ["sh", "-c", "cut -d' ' -f6 /proc/$$/stat"]))

    assert os.getsid(0) != int(session)


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):  # the second where it ends while it is read
        return False


def gone(pid: int, seconds: float) -> bool:
    deadline = monotonic() + seconds
    while alive(pid) and monotonic() < deadline:
        sleep(0.05)
    return not alive(pid)


@pytest.mark.parametrize("how", ["left", "client killed", "client stopped"])
def test_the_command_there_ends_with_us(bin_: Path, how: str) -> None:
    """Whether we go, the client dies or nothing comes through any more: no command is left."""
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")
    # Between us and the far side stands a client that can die or hang without it.
    (bin_ / "docker-far").write_text((bin_ / "docker").read_text(encoding="utf-8"), encoding="utf-8")
    (bin_ / "docker-far").chmod(0o755)
    (bin_ / "docker").write_text(CLIENT, encoding="utf-8")

    async def leave() -> int:
        async with SystemTransport(LIFELINE) as transport:
            async with transport.run(WEB, ["sh", "-c", "echo $$; exec sleep 60"]) as process:
                async for chunk in process.chunks():
                    pid = int(chunk)
                    if how == "left":
                        return pid
                    os.kill(process.pid, 9 if how == "client killed" else 19)
                with pytest.raises(TransportError, match="the connection to the container web was lost"):
                    await process.wait()
            return pid

    assert gone(asyncio.run(leave()), 8)


CLIENT = """#!/usr/bin/env python3
import os, subprocess, sys, threading
far = subprocess.Popen(["docker-far", *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, start_new_session=True)
def copy(source, target):
    while data := os.read(source, 4096):
        os.write(target, data)
    if target not in (1, 2):
        far.stdin.close()
threading.Thread(target=copy, args=(0, far.stdin.fileno()), daemon=True).start()
readers = [threading.Thread(target=copy, args=(s.fileno(), n)) for s, n in ((far.stdout, 1), (far.stderr, 2))]
[one.start() for one in readers]
[one.join() for one in readers]
sys.exit(far.wait())
"""


@pytest.mark.parametrize(
    ("via", "code", "stderr", "problem"),
    [
        (
            WEB,
            1,
            "Error response from daemon: No such container: web",
            "docker: there is no container web; `docker ps`",
        ),
        (WEB, 1, "Error response from daemon: container 4f is not running", "docker: the container web does not run"),
        (WEB, 1, "Cannot connect to the Docker daemon at unix:///x.", "docker: Docker does not run"),
        (
            WEB,
            126,
            'OCI: exec: "sh": executable file not found in $PATH',
            "docker: there is no `sh` in web; set `image`",
        ),
        (
            BESIDE,
            125,
            "docker: Error response from daemon: No such image: example.org/tools/nmap:7.95",
            "docker: the image",
        ),
        (WEB, 1, "\x1b[31mwhat\n", "docker: no command can be run in web (exit status 1): [31mwhat"),
        (POD, 1, 'Error from server (NotFound): pods "web-0" not found', "kubectl: there is no pod web-0"),
        (POD, 1, 'error: context "prod" does not exist', "kubectl: the kubeconfig has no such context"),
        (
            POD,
            1,
            'Error from server (Forbidden): pods "web-0" is forbidden: x',
            "kubectl: this user may not run commands",
        ),
        (EPHEMERAL, 1, "Unable to connect to the server: dial tcp", "kubectl: the cluster cannot be reached"),
        (SshVia("h"), 255, "Permission denied (publickey).", "ssh: h does not let this user in"),
        (SshVia("h"), 255, "h: Bad configuration option: x", "ssh: OpenSSH cannot read its configuration"),
        (
            SshVia("u", user="x", port=9),
            7,
            "?",
            "ssh to x@u failed with exit status 7; `ssh -p 9 x@u` may tell more: ?",
        ),
    ],
)
def test_why_no_command_starts(bin_: Path, via: Via, code: int, stderr: str, problem: str) -> None:
    """What the client says becomes what to do."""
    failing(bin_, str(via).split()[0], code, stderr)

    with pytest.raises(TransportError) as caught:
        asyncio.run(ran(via, ["true"]))

    assert str(caught.value).startswith(problem), caught.value


THROUGH = "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535"


@pytest.mark.parametrize(
    ("jump", "stderr", "problem"),
    [
        (
            "gate",
            "ssh: connect to host 192.0.2.1 port 22: Connection refused",
            "ssh: the jump host gate on the way to h: nothing takes SSH connections at gate; correct `host` or `port`, "
            "or start its SSH service: ssh: connect to host 192.0.2.1 port 22: Connection refused",
        ),
        (
            "x@gate:2222",
            "x@192.0.2.1: Permission denied (publickey).",
            "ssh: the jump host x@gate:2222 on the way to h: x@gate:2222 does not let this user in; give it a key that "
            "needs no password (`ssh-copy-id`, `ssh-add`), until `ssh ssh://x@gate:2222` asks for nothing: ",
        ),
        (
            "gate",
            "Host key verification failed.",
            "ssh: the jump host gate on the way to h: the host key of gate is not known; log in once by `ssh gate`",
        ),
        (
            "gate",
            "ssh: Could not resolve hostname gate: Name or service not known",
            "ssh: the jump host gate on the way to h: the name gate cannot be resolved",
        ),
        (
            "gate",
            "ssh: connect to host 192.0.2.1 port 22: Network is unreachable",
            "ssh: the jump host gate on the way to h: gate cannot be reached; check the way to it",
        ),
        (
            "gate",
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.1 port 22",
            "ssh: the jump host gate on the way to h: it closed the connection; `ssh gate` may tell more",
        ),
        (
            "gate",
            "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed",
            "ssh: the jump host gate forwards no connections; allow it AllowTcpForwarding: channel 0: open failed: ",
        ),
        (
            "gate",
            "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed",
            "ssh: the jump host gate does not reach h; correct `host` or `port`, or the firewalls between them: ",
        ),
        (
            "one,two",
            "ssh: connect to host 192.0.2.1 port 22: Connection refused",
            "ssh: one of the jump hosts on the way to h failed (one,two): ssh: connect to host 192.0.2.1 port 22: ",
        ),
        ("", "nc: refused", "ssh: what the SSH configuration sets as the way to h failed (ProxyCommand): nc: refused"),
    ],
)
def test_a_jump_host_that_refuses_is_named(bin_: Path, jump: str, stderr: str, problem: str) -> None:
    """It is not the host behind it that has to be looked at. As OpenSSH 9.2 words it."""
    (bin_ / "ssh").write_text(
        f'#!/bin/sh\ncase "$*" in "-G"*) echo "hostname h"; echo "proxyjump {jump}"; exit 0;; esac\n'
        f"echo {shlex.quote(f'{stderr}{chr(10)}{THROUGH}')} >&2\nexit 255\n",
        encoding="utf-8",
    )
    (bin_ / "ssh").chmod(0o755)

    with pytest.raises(TransportError) as caught:
        asyncio.run(ran(SshVia("h"), ["true"]))

    assert str(caught.value).startswith(problem), caught.value
    assert "UNKNOWN" not in str(caught.value)


@pytest.mark.parametrize(("via", "program"), [(SshVia("h"), "ssh"), (WEB, "docker"), (POD, "kubectl")])
def test_a_missing_client_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, via: Via, program: str) -> None:
    """It is this machine that lacks it."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(TransportError, match=f"^`{program}` is not installed on this machine"):
        asyncio.run(ran(via, ["true"]))


def test_a_missing_program_there_is_named(bin_: Path) -> None:
    """With its package, and with the other way out."""
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")

    with pytest.raises(TransportError, match=r"`no-such` is not in web; add the package no-such to it, or set `image`"):
        asyncio.run(ran(WEB, ["no-such"]))


def test_abilities_are_those_of_the_other_side(bin_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nmap tells its version, and what we are allowed to do here says nothing of there."""
    monkeypatch.setenv("NMAP_PRIVILEGED", "1")
    stub(bin_, "docker exec --interactive --user 0 web sh -c SCRIPT")
    for name, text in (("nmap", "Nmap version 7.91 ( https://nmap.org )"), ("cat", "CapEff:\t0000000000000000")):
        (bin_ / name).write_text(f"#!/bin/sh\necho '{text}'\n", encoding="ascii")
        (bin_ / name).chmod(0o755)

    async def asked() -> tuple[str, bool, str | None]:
        async with SystemTransport(LIFELINE) as transport:
            found = await probe_abilities(transport, WEB)
            return found.nmap_version, found.raw, found.problem

    assert ("7.91", True, "nmap 7.91 is too old; 7.92 or newer is needed") == asyncio.run(asked())
    (bin_ / "nmap").write_text("#!/bin/sh\necho Nmap version 7.94SVN\n", encoding="ascii")
    assert ("7.94", False, None) == asyncio.run(asked())


@pytest.mark.parametrize(
    ("via", "before"),
    [
        (SshVia("h"), "ssh h "),
        (SshVia("h", "u", 2222, sudo=True), "ssh -p 2222 u@h sudo "),
        (WEB, "docker exec --user 0 web "),
        (BESIDE, RUN.replace("--interactive ", "").removesuffix("sh -c SCRIPT")),
        (POD, "kubectl --context prod --namespace shop exec web-0 --container main -- "),
        (
            EPHEMERAL,
            "kubectl --namespace shop debug --stdin web-0 --target main --image tools/nmap --profile netadmin -- ",
        ),
    ],
    ids=str,
)
def test_what_people_write_before_a_command(via: Via, before: str) -> None:
    """Playbooks have commands that can be pasted."""
    assert before == by_hand(via)
