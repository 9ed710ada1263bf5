"""Networks built from named namespaces: segments, routers, firewalls, processes.

Everything happens through `ip` and `nft`, so what an estate is can be looked at with the same programs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_interface
from pathlib import Path
from time import monotonic
from types import TracebackType

from lab import enter

RESPONDERS = Path(__file__).with_name("responders.py")
_POLL = 0.02  # seconds between looks at a port that is not open yet
_PATIENCE = 30.0  # seconds until a process that should be ready counts as broken


class LabError(Exception):
    """The lab could not be built; the message has what the failing program said."""


@dataclass
class Process:
    """A process in a namespace. `name` is for messages."""

    name: str
    popen: subprocess.Popen[bytes]

    def stop(self) -> None:
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream:
                stream.close()
        self.popen.terminate()
        try:
            self.popen.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@dataclass
class Estate:
    """Namespaces by name and the processes in them. A context manager: leaving it removes all of it.

    `wires` is the namespace that holds one bridge for each segment; estates side by side need one each.
    """

    wires: str = "wires"
    processes: list[Process] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def __enter__(self) -> Estate:
        if not enter.isolated():
            raise LabError("estates are built only inside `python3 -m lab.enter`, never on the machine's own network")
        self.namespace(self.wires)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes:
            process.stop()
        for name in self.names:
            run("ip", "netns", "del", name)

    def namespace(self, name: str, *, forwarding: bool = False) -> None:
        """A new namespace with loopback up; a router where `forwarding`."""
        run("ip", "netns", "add", name)
        self.names.append(name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        settings = {"ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/accept_ra": 0}
        if forwarding:
            settings |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
        self.settings(name, settings)

    def settings(self, namespace: str, values: Mapping[str, int]) -> None:
        """Set kernel parameters below `/proc/sys/net/` in one namespace."""
        script = "; ".join(f"echo {value} >/proc/sys/net/{key}" for key, value in values.items())
        self.run(namespace, "sh", "-ec", script)

    def segment(self, name: str) -> None:
        """A link that namespaces attach to."""
        run("ip", "-n", self.wires, "link", "add", name, "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", self.wires, "link", "set", "dev", name, "up")

    def attach(
        self, namespace: str, interface: str, segment: str, addresses: Iterable[str], via: Iterable[str] = ()
    ) -> None:
        """Give `namespace` an interface on `segment`, with `addresses` (`10.0.0.1/24`) and default routes `via`."""
        port = f"v{len(self.names)}-{interface}"[:11] + f".{self._count_ports()}"
        run("ip", "-n", self.wires, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", namespace)
        run("ip", "-n", self.wires, "link", "set", "dev", port, "master", segment, "up")
        run("ip", "-n", namespace, "link", "set", "dev", interface, "up")
        for address in addresses:
            nodad = ["nodad"] if ip_interface(address).version == 6 else []
            run("ip", "-n", namespace, "address", "add", address, "dev", interface, *nodad)
        for gateway in via:
            self.route(namespace, "default", gateway)

    def route(self, namespace: str, destination: str, via: str) -> None:
        family = "-6" if ":" in via else "-4"
        run("ip", family, "-n", namespace, "route", "add", destination, "via", via)

    def firewall(self, namespace: str, ruleset: str) -> None:
        """Load nftables rules into a namespace, replacing what it has."""
        run("ip", "netns", "exec", namespace, "nft", "-f", "-", stdin=f"flush ruleset\n{ruleset}")

    def packets(self, namespace: str, counter: str, table: str = "inet filter") -> int:
        """The packets that a named nftables counter has seen."""
        text = run("ip", "netns", "exec", namespace, "nft", "--json", "list", "counter", *table.split(), counter)
        [found] = [entry["counter"] for entry in json.loads(text)["nftables"] if "counter" in entry]
        return int(found["packets"])

    def run(self, namespace: str, *argv: str) -> str:
        """Run a short command in a namespace and give its output."""
        return run("ip", "netns", "exec", namespace, *argv)

    def respond(self, namespace: str, *listeners: str) -> Process:
        """Start responders (see `responders.py`) and wait until all of them listen."""
        argv = [sys.executable, "-I", "-S", str(RESPONDERS), *listeners]
        process = self._start(namespace, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.popen.stdout is not None
        if process.popen.stdout.readline() != b"ready\n":
            raise LabError(f"responders in {namespace} did not start: {' '.join(listeners)}")
        return process

    def start(self, namespace: str, argv: Sequence[str], ports: Iterable[str] = ()) -> Process:
        """Start a program in a namespace and wait until it listens on every one of `ports` (`22/tcp`)."""
        process = self._start(namespace, argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for port in ports:
            self._await(process, namespace, port)
        return process

    def _start(self, namespace: str, argv: Sequence[str], stdin: int, stdout: int) -> Process:
        full = ["ip", "netns", "exec", namespace, *argv]
        popen = subprocess.Popen(full, stdin=stdin, stdout=stdout, start_new_session=True, cwd="/")
        process = Process(f"{argv[0]} in {namespace}", popen)
        self.processes.append(process)
        return process

    def _await(self, process: Process, namespace: str, port: str) -> None:
        number, protocol = port.split("/")
        deadline = monotonic() + _PATIENCE
        while not self.run(namespace, "ss", "-Hln", f"--{protocol}", "sport", "=", f":{number}").strip():
            try:
                code = process.popen.wait(timeout=_POLL)
            except subprocess.TimeoutExpired:
                code = 0  # running, or its parent has gone into the background and left the daemon
            if code or monotonic() > deadline:
                raise LabError(f"{process.name} does not listen on {port} (exit code {process.popen.returncode})")

    def _count_ports(self) -> int:
        return len(run("ip", "-n", self.wires, "-o", "link", "show", "type", "veth").splitlines())


def run(*argv: str, stdin: str | None = None) -> str:
    """Run a short command; LabError with its words where it fails."""
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{error.filename} is not installed") from None
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
