"""The packet filter commands of the playbooks, run for real: by programs that note how they were called."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from auditor.catalogue.texts import firewalls
from auditor.grade.diagnosis import playbook
from auditor.model.inventory import Host
from auditor.model.ports import PortSet
from auditor.model.words import Family, Kind, Protocol
from tests.builders import NETWORKS, TWO, opened

LAYERS = ("nftables", "iptables", "ufw", "aws-sg", "aws-nacl")


def called(command: str, folder: Path, failing: str = "nothing") -> list[list[str]]:
    """How the programs are called when the command is pasted; one whose arguments hold `failing` fails."""
    log = folder / "log"
    log.write_text("")
    for name in ("nft", "iptables", "ip6tables", "ufw", "aws"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\nfor word in {name} "$@"; do printf "%s\\n" "$word"; done >> {shlex.quote(str(log))}\n'
            f'echo "--end" >> {shlex.quote(str(log))}\ncase "$*" in *{failing}*) exit 1;; esac\n'
        )
        program.chmod(0o755)
    subprocess.run(
        ["bash", "-uc", command],
        env={"PATH": f"{folder}:/usr/bin:/bin", "SECURITY_GROUP": "sg-1", "NETWORK_ACL": "acl-1"},
        check=not failing or failing == "nothing",
        capture_output=True,
    )
    calls = log.read_text().split("--end\n")
    return [call.splitlines() for call in calls if call]


def value(call: Sequence[str], flag: str) -> str:
    return call[call.index(flag) + 1]


def host(layer: str) -> Host:
    return Host("web-1", {}, (), firewall=(layer,))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("sources", [1, 2, 40])
@pytest.mark.parametrize(("protocol", "ports"), [*product(Protocol, ["22", "22,8000-8002"])])
def test_commands_can_be_pasted(
    layer: str, family: Family, sources: int, protocol: Protocol, ports: str, *, tmp_path: Path
) -> None:
    """Every packet filter's command runs to its end, with nothing left to fill in, and names every declared source."""
    values = playbook(opened(family, protocol, ports, sources), host(layer)).values

    for key in ("rules", "allow", "narrow"):
        calls = called(values[key], tmp_path)
        assert calls
        words = [word for call in calls for word in call]
        assert not any("allowed" in word or "$" in word for word in words)
        for number in range(1, sources + 1) if key == "allow" else ():
            assert any(NETWORKS[family].format(number) in word for word in words)


@pytest.mark.parametrize("family", Family)
def test_nftables(family: Family, tmp_path: Path) -> None:
    """One rule for all addresses, ports and sources."""
    ip = "ip" if family is Family.IPV4 else "ip6"
    (first, second), network = TWO[family], NETWORKS[family]
    (call,) = called(
        playbook(opened(family, Protocol.TCP, "22,8000-8002", 2), host("nftables")).values["narrow"], tmp_path
    )

    assert (
        f"nft insert rule inet filter input {ip} saddr != {{ {network.format(1)}, {network.format(2)} }} "
        f"{ip} daddr {{ {first}, {second} }} tcp dport {{ 22, 8000-8002 }} drop"
    ) == " ".join(call)


@pytest.mark.parametrize(
    ("layer", "chain", "keep"), [("iptables", "INPUT", "ACCEPT"), ("docker", "DOCKER-USER", "RETURN")]
)
def test_the_declared_sources_stay_admitted(layer: str, chain: str, keep: str, tmp_path: Path) -> None:
    """-I puts a rule on top: the drop goes in first, and the sources above it."""
    found = opened(Family.IPV4, Protocol.TCP, "22", 2)
    key = "docker_narrow" if layer == "docker" else "narrow"
    calls = called(playbook(found, host("ufw" if layer == "docker" else layer)).values[key], tmp_path)

    for drop, admit in zip(calls[::2], calls[1::2], strict=True):
        assert (chain, "DROP") == (value(drop, "-I"), drop[-1])
        assert (chain, keep, "10.0.1.0/24,10.0.2.0/24") == (value(admit, "-I"), admit[-1], value(admit, "-s"))


def test_iptables_covers_every_endpoint(tmp_path: Path) -> None:
    """More ports than one rule can hold come in several, none of which is forgotten."""
    ports = ",".join(str(port) for port in range(1000, 1040, 2))
    found = opened(Family.IPV4, Protocol.TCP, ports, 0, Kind.WRONG_INTERFACE)
    calls = called(playbook(found, host("iptables")).values["narrow"], tmp_path)

    covered = PortSet.union(PortSet.parse(value(call, "--dports").replace(":", "-")) for call in calls)
    assert PortSet.parse(ports) == covered
    assert all(len(value(call, "--dports").split(",")) <= 15 for call in calls)
    assert {"203.0.113.10,203.0.113.11"} == {value(call, "-d") for call in calls}


def test_ufw_covers_every_endpoint(tmp_path: Path) -> None:
    """ufw takes one address at a time; the last rule put on top must be an allowing one."""
    calls = called(
        playbook(opened(Family.IPV4, Protocol.UDP, "22,8000-8002", 2), host("ufw")).values["narrow"], tmp_path
    )
    denied = {(value(call, "to"), value(call, "port")) for call in calls if "deny" in call}
    allowed = {(value(call, "from"), value(call, "to"), value(call, "port")) for call in calls if "allow" in call}

    assert set(product(TWO[Family.IPV4], ["22,8000:8002"])) == denied
    assert set(product(["10.0.1.0/24", "10.0.2.0/24"], TWO[Family.IPV4], ["22,8000:8002"])) == allowed
    for address in TWO[Family.IPV4]:
        assert ["deny", "allow", "allow"] == [call[2] for call in calls if value(call, "to") == address]


@pytest.mark.parametrize("layer", ["iptables", "ufw"])
def test_nothing_is_admitted_by_a_rule_that_follows_a_failed_one(layer: str, tmp_path: Path) -> None:
    """Where the drop cannot be put in, the command stops there."""
    command = playbook(opened(Family.IPV4, Protocol.TCP, "22", 2), host(layer)).values["narrow"]
    failing = "DROP" if layer == "iptables" else "deny"

    assert all(failing in call for call in called(command, tmp_path, failing))


@pytest.mark.parametrize("action", ["allow", "narrow"])
def test_aws_rule_numbers_are_used_once(action: str, tmp_path: Path) -> None:
    """A network ACL refuses a second rule of the same number, and the lowest number decides."""
    found = opened(Family.IPV6, Protocol.TCP, "22,8000-8002", 3)
    calls = called(playbook(found, host("aws-nacl")).values[action], tmp_path)
    numbers = [int(value(call, "--rule-number")) for call in calls]
    denying = [int(value(call, "--rule-number")) for call in calls if value(call, "--rule-action") == "deny"]

    assert sorted(set(numbers)) == numbers
    assert all(deny > number for deny in denying for number in numbers if number not in denying)


def test_too_many_to_write_out() -> None:
    """Rather than a command that nobody could read, the one that shows the rules."""
    values = playbook(opened(Family.IPV4, Protocol.TCP, "22", 100), host("nftables")).values

    assert ("nft list ruleset",) * 2 == (values["allow"], values["narrow"])


def test_unequal_addresses_are_kept_apart(tmp_path: Path) -> None:
    """A port that is open on one address alone is not closed on the other."""
    both = opened(Family.IPV4, Protocol.TCP, "22,23", 0, Kind.WRONG_INTERFACE)
    less = replace(both, outcomes=both.outcomes[:3])
    calls = called(playbook(less, host("iptables")).values["narrow"], tmp_path)

    assert {("203.0.113.10", "22:23"), ("203.0.113.11", "22")} == {(value(c, "-d"), value(c, "--dport")) for c in calls}


def test_looking_covers_every_endpoint() -> None:
    """The commands that show what is there take all ports, and all addresses where they take several."""
    values = playbook(opened(Family.IPV4, Protocol.TCP, "22,8000-8002", 1), host("nftables")).values

    assert values["scan"].endswith("-sT -p 22,8000-8002 203.0.113.10 203.0.113.11")
    assert "ss -ltnp 'sport = :22 or ( sport >= :8000 and sport <= :8002 )'" == values["listeners"]
    assert "lsof -nP -iTCP:22,8000-8002 -sTCP:LISTEN" == values["process"]
    assert "tcpdump -ni any 'host 203.0.113.10 and tcp and (port 22 or portrange 8000-8002)'" == values["capture"]


def test_every_layer_has_commands() -> None:
    """The layers that an inventory may declare, and Docker's own."""
    assert {*LAYERS, "docker"} == set(firewalls())
    assert all({"rules", "allow", "restrict", "deny"} == set(firewalls()[layer]) for layer in LAYERS)
