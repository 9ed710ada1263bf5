"""Commands on another machine, by OpenSSH itself: the user's configuration, keys, agent and known hosts apply.

An audit starts hundreds of commands. So a few connections are kept for all of them, each a process of ours that dies
with us, and the commands are sessions in those (ssh_config(5), ControlMaster).
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from auditor.errors import TransportError
from auditor.model.inventory import SshVia
from auditor.transport.local import package
from auditor.transport.process import Running, start
from auditor.transport.said import last_error, last_line, meaning
from auditor.transport.watch import Lifeline, script

_SSH_FAILED = 255  # its own exit status for that (ssh(1))
_SESSIONS = 8  # in one connection; sshd allows 10 (sshd_config(5), MaxSessions)
_CONNECT = 10  # seconds for the TCP connection and the other side's first line
_LOGIN = 60.0  # seconds for all of it: a key may want a touch, and there may be machines on the way
_POLL = 0.02  # seconds between looks at whether the connection is ready
_TRIES = 3  # to connect again, where it worked before
_PAUSE = 5.0  # seconds between those
_CONFIGURATION = 10.0  # seconds for telling how it is configured, which asks nobody
_ON_THE_WAY = "UNKNOWN port 65535"  # the other end of its connection was a program: ProxyJump or ProxyCommand
_AFTERMATH = ("kex_exchange_identification:", "Connection closed by", "stdio forwarding failed")  # what follows of that
_LONGEST_SOCKET = 60  # characters of its folder; all of it fits 108, and OpenSSH adds 17 for a while (unix(7))


class Ssh:
    """The connections to one machine."""

    def __init__(self, via: SshVia, lifeline: Lifeline) -> None:
        self._via = via
        self._lifeline = lifeline
        self._connections: list[_Connection] = []
        self._choosing = asyncio.Lock()
        self._freed = asyncio.Event()
        self._enough = False  # the other side takes no more connections
        self._gone: TransportError | None = None  # known, so that the hundreds of commands still to come end soon
        self._worked = False
        self._numbers = count(1)
        self._folder: Path | None = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[list[str]]:
        """The argument list of a client that runs `script` there. Raises TransportError where there is no way in."""
        connection = await self._free()
        try:
            become = ["sudo", "-n", "--"] if self._via.sudo else []
            there = shlex.join([*become, "sh", "-c", script(self._lifeline)])
            yield [*self._ssh(connection.socket), "--", self._via.host, there]
        finally:
            connection.sessions -= 1
            self._freed.set()

    async def close(self) -> None:
        for connection in self._connections:
            await connection.master.end()
        self._connections.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def not_started(self, returncode: int, stderr: str) -> str:
        """The connection is there, so that what is not sudo's is rare."""
        if problem := _sudo_problem(self._via, stderr) or _known(self._via, stderr):
            return problem
        if returncode < 0 or returncode == _SSH_FAILED:
            return self.lost(last_error(stderr))
        said = _colon(last_line(stderr))
        return f"no command can be run by ssh at {self._via.login} (exit status {returncode}){said}"

    def lost(self, why: str) -> str:
        return f"the ssh connection to {self._via.login} was lost{_colon(why)}"

    def not_installed(self, program: str) -> str:
        return f"`{program}` is not installed there ({self._via}); install the package {package(program)}"

    async def _free(self) -> _Connection:
        """A connection with room for one session more, which is taken."""
        async with self._choosing:
            while True:
                self._connections = [one for one in self._connections if not one.master.ended]
                one = min(self._connections, key=lambda one: one.sessions, default=None)
                if one is None or (one.sessions >= _SESSIONS and not self._enough):
                    one = await self._more() or one
                if one is not None and one.sessions < _SESSIONS:
                    one.sessions += 1
                    return one
                self._freed.clear()
                await self._freed.wait()

    async def _more(self) -> _Connection | None:
        """One connection more. None where there are some and no more can be had."""
        if self._gone is not None:
            raise self._gone
        for left in reversed(range(_TRIES if self._worked and not self._connections else 1)):
            try:
                self._connections.append(await self._connect())
            except TransportError as error:
                if self._connections:
                    self._enough = True
                    return None
                if not left:
                    self._gone = error
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                self._worked = True
                return self._connections[-1]
        return None

    async def _connect(self) -> _Connection:
        socket = self._sockets() / str(next(self._numbers))
        command = [*self._ssh(socket), "-M", "-N", "--", self._via.host]
        try:
            master = Running(await start(command))
        except FileNotFoundError as error:
            raise TransportError(
                "`ssh` is not installed on this machine; install the package openssh-client"
            ) from error
        except OSError as error:
            raise TransportError(f"`ssh` cannot be started: {error.strerror}") from error
        try:
            async with asyncio.timeout(_LOGIN):
                while not socket.exists():
                    if master.ended:
                        raise TransportError(await _why(self._via, await master.wait(), master.stderr))
                    await asyncio.sleep(_POLL)
        except TimeoutError as error:
            await master.end()
            said = _colon(last_line(master.stderr))
            raise TransportError(f"{self._via.login} has not let us in within {_LOGIN:g} s{said}") from error
        except BaseException:
            await master.end()
            raise
        return _Connection(master, socket)

    def _sockets(self) -> Path:
        """A folder that only we can enter."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="auditor-"))
            if len(str(self._folder)) > _LONGEST_SOCKET:
                self._folder.rmdir()
                self._folder = Path(tempfile.mkdtemp(prefix="auditor-", dir="/tmp"))
        return self._folder

    def _ssh(self, socket: Path) -> list[str]:
        """The start of every command line. What we depend on is set here, whatever the user's configuration says."""
        options = {
            "BatchMode": "yes",  # nobody is there to answer
            "ConnectTimeout": _CONNECT,
            "ServerAliveInterval": self._lifeline.every,
            "ServerAliveCountMax": max(1, self._lifeline.patience // self._lifeline.every - 1),
            "ControlPersist": "no",  # else it would outlive us
            "RemoteCommand": "none",
            "PermitLocalCommand": "no",
            "ClearAllForwardings": "yes",
            "LogLevel": "INFO",  # what went wrong
        }
        login = [
            *(["-l", self._via.user] if self._via.user else []),
            *(["-p", str(self._via.port)] if self._via.port else []),
        ]
        settings = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        return ["ssh", "-T", "-a", "-x", "-S", str(socket), *settings, *login]


@dataclass(slots=True)
class _Connection:
    """A connection with `sessions` in it; the commands find it by `socket`."""

    master: Running
    socket: Path
    sessions: int = 0


async def _why(via: SshVia, returncode: int, stderr: str) -> str:
    """Why there is no way in, and what to do."""
    if _ON_THE_WAY in stderr:
        configured = await asyncio.to_thread(settings, via)
        return _why_not_through(via, configured.get("proxyjump", ""), stderr)
    more = f"`{_by_hand(via)}` may tell more{_colon(last_line(stderr))}"
    return _known(via, stderr) or f"ssh to {via.login} failed with exit status {returncode}; {more}"


def _why_not_through(via: SshVia, jump: str, stderr: str) -> str:
    """The same where it was not the host itself that failed. `jump` is as it is configured: `HOST`, or several."""
    said = last_line("\n".join(line for line in stderr.splitlines() if not line.startswith(_AFTERMATH)))
    if jump in ("", "none"):
        return f"ssh: what the SSH configuration sets as the way to {via.host} failed (ProxyCommand){_colon(said)}"
    if "," in jump:
        return f"ssh: one of the jump hosts on the way to {via.host} failed ({jump}){_colon(said)}"
    if "administratively prohibited" in stderr:
        return f"ssh: the jump host {jump} forwards no connections; allow it AllowTcpForwarding{_colon(said)}"
    if "open failed" in stderr:
        return (
            f"ssh: the jump host {jump} does not reach {via.host}; correct `host` or `port`, or the firewalls "
            f"between them{_colon(said)}"
        )
    by_hand = f"ssh ssh://{jump}" if ":" in jump else f"ssh {jump}"
    means = _meaning(jump, "", None, by_hand, stderr) or f"it closed the connection; `{by_hand}` may tell more"
    return f"ssh: the jump host {jump} on the way to {via.host}: {means}{_colon(said)}"


def settings(via: SshVia) -> dict[str, str]:
    """How OpenSSH is configured for a login; nothing is connected to. Empty where it does not say."""
    login = [*(["-l", via.user] if via.user else []), *(["-p", str(via.port)] if via.port else [])]
    try:
        told = subprocess.run(
            ["ssh", "-G", *login, "--", via.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CONFIGURATION,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(line.partition(" ")[::2] for line in reversed(told.stdout.splitlines()))


def _by_hand(via: SshVia) -> str:
    return shlex.join(["ssh", *(["-p", str(via.port)] if via.port else []), via.login])


def _known(via: SshVia, stderr: str) -> str | None:
    """The same for what OpenSSH's client is known to say."""
    means = _meaning(via.host, via.user or "", via.port, _by_hand(via), stderr)
    return means and f"ssh: {means}{_colon(last_line(stderr))}"


def _meaning(host: str, user: str, port: int | None, by_hand: str, stderr: str) -> str | None:
    known = {
        "REMOTE HOST IDENTIFICATION HAS CHANGED": f"the host key of {host} is another than the known one: somebody may "
        f"stand in between; if it was renewed, make sure of it and forget the old one by `ssh-keygen -R {host}`",
        "Host key verification failed": f"the host key of {host} is not known; log in once by `{by_hand}` and compare "
        "its fingerprint",
        "Permission denied (": f"{host} does not let {user or 'this user'} in; give it a key that needs no "
        f"password (`ssh-copy-id`, `ssh-add`), until `{by_hand}` asks for nothing",
        "Too many authentication failures": f"{host} takes none of the keys that were offered; name the right one in "
        "the SSH configuration (IdentityFile, IdentitiesOnly)",
        "Could not resolve hostname": f"the name {host} cannot be resolved; correct `host`, or set HostName for it in "
        "the SSH configuration",
        "Connection refused": f"nothing takes SSH connections at {host}{f' port {port}' if port else ''}; "
        "correct `host` or `port`, or start its SSH service",
        "Bad configuration option": "OpenSSH cannot read its configuration; correct it",
        "Bad owner or permissions": "OpenSSH does not trust its configuration; correct its owner and mode",
    }
    if means := meaning(stderr, known):
        return means
    if any(words in stderr for words in ("timed out", "No route to host", "Network is unreachable")):
        return f"{host} cannot be reached; check the way to it and the firewalls on that"
    return None


def _sudo_problem(via: SshVia, stderr: str) -> str | None:
    user = via.user or "the user"
    if "sudo: a password is required" in stderr or "sudo: a terminal is required" in stderr:
        return f"sudo asks for a password at {via.host}; allow {user} `NOPASSWD: ALL` in its sudoers"
    if "sudo:" in stderr and "not found" in stderr:
        return f"`sudo` is not installed at {via.host}; install it, or log in as root with `sudo: false`"
    if "sudoers" in stderr or ("sudo" in stderr and "not allowed" in stderr):
        return (
            f"{user} may not use sudo at {via.host}; allow it `NOPASSWD: ALL` in its sudoers{_colon(last_line(stderr))}"
        )
    return None


def _colon(said: str) -> str:
    return f": {said}" if said else ""
