"""What `doctor` says of a viewpoint: each thing that an audit needs, found or missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import cast

import pytest

from auditor.errors import TransportError
from auditor.model.inventory import DockerVia, LocalVia, SshVia, Via, Viewpoint
from auditor.model.words import ViewpointKind
from auditor.scan.doctor import examine
from tests.unit.scan.trust.test_lost import Loopback

TARGET = ip_address("203.0.113.10")
PUBLIC = Viewpoint(
    "public",
    ViewpointKind.PUBLIC,
    (ip_address("198.51.100.20"), ip_address("2001:db8:f::20")),
    (ip_network("203.0.113.0/24"),),
)
RAW, NO_RAW = "CapEff:\t0000000000002000\n", "CapEff:\t0000000000000000\n"
IPV6_UP = "2: eth0    inet6 2001:db8:f::20/64 scope global\n"
AS_DECLARED = '[{"dst":"203.0.113.10","prefsrc":"198.51.100.20"}]'
OTHERWISE = '[{"dst":"203.0.113.10","prefsrc":"192.0.2.9"}]'


@dataclass
class Said:
    stdout: str
    returncode: int = 0
    stderr: str = ""

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.stdout.encode()

    async def wait(self) -> int:
        return self.returncode


@dataclass
class Machine:
    """A machine that prints what it is told to. A capability of None stands for one that cannot be reached."""

    capabilities: str | None = RAW
    ipv6: str = IPV6_UP
    nmap: str = "7.93"
    route: Said = field(default_factory=lambda: Said(AS_DECLARED))

    @asynccontextmanager
    async def run(self, _via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[Said]:
        if self.capabilities is None:
            raise TransportError("there is no network namespace internet")
        if argv[0] == "nmap":
            yield Said(f"Nmap version {self.nmap} ( https://nmap.org )\n")
        elif argv[0] == "cat":
            yield Said(self.capabilities)
        elif "route" in argv:
            yield self.route
        else:
            yield Said(self.ipv6)


def passed(machine: Machine, viewpoint: Viewpoint | None = PUBLIC) -> list[tuple[str, bool]]:
    """The first words of each check, and whether it passed."""
    checks = asyncio.run(examine(machine, LocalVia(), viewpoint, (TARGET,)))
    return [(" ".join(check.what.split()[:2]), check.passed) for check in checks]


@pytest.mark.parametrize(
    ("machine", "failed"),
    [
        (Machine(), []),
        (Machine(capabilities=NO_RAW), ["no raw"]),
        (Machine(ipv6=""), ["IPv6 is"]),
        (Machine(route=Said(OTHERWISE)), ["the system"]),
        (Machine(route=Said("", 2, "Network is unreachable")), ["203.0.113.10: the"]),
        (Machine(capabilities=None), ["there is"]),
    ],
)
def test_what_fails_is_named(machine: Machine, failed: list[str]) -> None:
    """One check fails for each thing that is missing, and only those."""
    assert [what for what, well in passed(machine) if not well] == failed


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("7.92", ""),
        ("7.95", ""),
        ("7.96", "not with this one"),
        ("7.99", "not with this one"),
        ("7.991", "false `tcpwrapped`"),
        ("8.0", "not with this one"),
    ],
)
def test_a_doubtful_nmap_is_named_and_passes(version: str, said: str) -> None:
    """7.991 has a fault that audits go round; what came after 7.95 has not been tried. Neither keeps anyone from it."""
    (check, *_) = asyncio.run(examine(Machine(nmap=version), SshVia("probe"), PUBLIC, (TARGET,)))

    assert (True, bool(said)) == (check.passed, check.doubtful)
    assert check.what.startswith(f"nmap {version}")
    assert said in check.what


def test_a_viewpoint_without_targets_fails() -> None:
    """Where no declared address lies in its targets, an audit from there would look at nothing."""
    checks = asyncio.run(examine(Machine(), LocalVia(), PUBLIC, ()))

    assert [check.passed for check in checks] == [True, True, True, False]


def test_this_machine_has_no_declared_source() -> None:
    """Without an inventory there is no source address to compare with."""
    assert len(passed(Machine(), None)) == 3


@pytest.mark.parametrize(
    ("via", "advice"),
    [
        (LocalVia(), "run as root or grant CAP_NET_RAW"),
        (SshVia("probe"), "set `sudo: true`, or log in as root"),
        (DockerVia("web"), "grant NET_RAW to the container, or set `image`"),
    ],
)
def test_how_to_get_raw_sockets_depends_on_the_way(via: Via, advice: str) -> None:
    """What to do is said for the place that lacks them."""
    checks = asyncio.run(examine(Machine(capabilities=NO_RAW), via, PUBLIC, (TARGET,)))

    assert [advice in check.what for check in checks if not check.passed] == [True]


@pytest.mark.parametrize(
    ("most", "what"), [(1e9, "nmap can read 5,000 replies a second"), (100.0, "busy: nmap can read")]
)
def test_what_rate_the_machine_bears_is_told(most: float, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No failure where it is busy: an audit finds out by itself, and slows down."""

    class Busy(Machine):
        @asynccontextmanager
        async def run(self, _via: Via, argv: Sequence[str], **_: bool) -> AsyncIterator[Said]:
            if argv[0] == "unshare":
                async with Loopback(most, monkeypatch).run(_via, argv) as fake:
                    yield cast(Said, fake)
            else:
                async with super().run(_via, argv) as process:
                    yield process

    checks = asyncio.run(examine(Busy(), LocalVia(), PUBLIC, (TARGET,)))

    assert [True] == [check.passed for check in checks if check.what.startswith(what)]
