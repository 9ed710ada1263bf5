"""A draft from a real machine, seen by real nmap from outside and by `ss` from inside; then audited by itself."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab.estate import Estate

from tests.live.audits import AUDITOR, audit

pytestmark = pytest.mark.live
RULES = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop
        ct state established,related accept
        iifname lo accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        tcp dport { 22, 80, 100 } accept
    }
}
"""


@pytest.fixture(scope="module")
def estate() -> Iterator[Estate]:
    with Estate() as built:
        built.segment("lan")
        built.namespace("web")
        built.attach("web", "net", "lan", ["203.0.113.10/24", "2001:db8:1::10/64"])
        built.firewall("web", RULES)
        built.respond("web", "ssh,::,22", "nginx,::,80", "nginx,::,8080", "redis,127.0.0.1,6379")
        built.namespace("scanner")
        built.attach("scanner", "net", "lan", ["203.0.113.20/24", "2001:db8:1::20/64"])
        yield built


def run(*argv: str | Path) -> str:
    done = subprocess.run([*map(str, argv)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def drafted(estate: Estate, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draft")
    ports = "22,80,100,6379,8080"
    for family, address in (("4", "203.0.113.10"), ("6", "2001:db8:1::10")):
        options = ["-n", "-sS", "-sV", f"-{family}", "-p", ports, "-oX", str(folder / f"{family}.xml")]
        estate.run("scanner", "nmap", *options, address)
    (folder / "web-1.txt").write_text(estate.run("web", "ss", "-H", "-tulnp"), encoding="utf-8")
    (folder / "web-1.json").write_text(estate.run("web", "ip", "-j", "address"), encoding="utf-8")
    of_web = ["--listeners", f"web-1={folder / 'web-1.txt'}", "--addresses", f"web-1={folder / 'web-1.json'}"]
    here = ["--address", "203.0.113.20", "--address", "2001:db8:1::20"]
    scans = ["--nmap-xml", folder / "4.xml", "--nmap-xml", folder / "6.xml"]
    run(AUDITOR, "init", *scans, *of_web, *here, "-o", folder / "drafted.yaml")
    return folder / "drafted.yaml"


def test_one_host_of_what_was_seen_from_outside_and_inside(drafted: Path) -> None:
    """Both scans and the listeners are one machine; what the firewall hides is told and not declared."""
    text = drafted.read_text(encoding="utf-8")

    assert re.findall(r"(?m)^  (\S+):\n    #", text.partition("\nhosts:\n")[2]) == ["web-1"]
    assert 'public: [203.0.113.10, "2001:db8:1::10"]' in text
    assert re.findall(r"# TODO (\S+ \S+): .* on (\S+) is", text) == [("direct-compromise remote-admin", "22/tcp")]
    assert re.search(r"# \S+ \S+ where it is reachable: .* on 8080/tcp listens on .*, and nmap saw it filtered", text)
    assert re.search(r"# 6379/tcp listens on the loopback alone", text)


def test_an_audit_by_the_draft_finds_the_todo_ones(drafted: Path, tmp_path: Path) -> None:
    """From the viewpoint whose addresses were told, all ports are looked at: nothing but SSH is reported."""
    inventory = tmp_path / "estate.yaml"
    text = drafted.read_text(encoding="utf-8")
    inventory.write_text(text.replace("    kind: public\n", "    kind: public\n    via: {netns: scanner}\n"), "utf-8")
    audited = audit(inventory, tmp_path, "--profile", "quick")
    found = [(one["kind"], one["family"], one["endpoints"][0]["ports"]) for one in audited.report["findings"]]

    assert sorted(found) == [("undeclared-port", "ipv4", "22"), ("undeclared-port", "ipv6", "22")], json.dumps(found)
