"""The nftables commands of the playbooks, taken by the real nft in a network namespace of its own."""

from __future__ import annotations

import subprocess

import pytest

from auditor.grade.diagnosis import playbook
from auditor.model.inventory import Host
from auditor.model.words import Family, Protocol
from tests.builders import opened

pytestmark = pytest.mark.live

CHAIN = "add table inet filter; add chain inet filter input { type filter hook input priority 0; }"
HOST = Host("web-1", {}, (), firewall=("nftables",))


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("sources", [1, 40])
@pytest.mark.parametrize("ports", ["22", "22,8000-8002"])
def test_nft_takes_them(family: Family, protocol: Protocol, sources: int, ports: str) -> None:
    """Pasted one after the other, both rules are there: the accepting one for every source, the dropping one."""
    values = playbook(opened(family, protocol, ports, sources), HOST).values
    script = f"nft '{CHAIN}' && {values['narrow']} && {values['allow']} && {values['rules']}"
    ended = subprocess.run(["unshare", "-n", "bash", "-c", script], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line.split()[-1] for line in ended.stdout.splitlines() if "dport" in line] == ["accept", "drop"]
