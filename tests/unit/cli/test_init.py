"""`auditor init`: a first inventory that is valid, blesses nothing risky, and agrees with its evidence."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from auditor.cli.main import run
from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.model.inventory import Inventory
from tests.commands import ANY_DAY

TESTS = Path(__file__).parents[2]
DATA = TESTS / "data" / "init"
BOTH = (
    f"--nmap-xml={DATA / 'four.xml'}",
    f"--nmap-xml={DATA / 'six.xml'}",
    f"--listeners=web-1={DATA / 'processes.txt'}",
    f"--addresses=web-1={DATA / 'addresses.json'}",
)
FOUND = sorted([*TESTS.glob("data/nmap-xml/*.xml"), *TESTS.glob("cases/*/*.xml"), *DATA.glob("*.xml")])
EVIDENCE = [one for one in FOUND if one.parent.name != "from-the-future.exit3"]  # which no comparison believes
TODO = re.compile(
    r"# TODO (\S+) (\S+)(?: \(graded as \S+\))?: .* on (\d+/\w+) is reachable from public; (?:decide|close)"
)
WEB = '<service name="http" product="nginx" method="probed" conf="10"/>'
TLS_WEB = '<service name="http" product="nginx" tunnel="ssl" method="probed" conf="10"/>'
NO_HOST = "auditor: nothing in the evidence shows that a host lives, so there is no host to declare\n"


def drafted(tmp_path: Path, *arguments: str | Path) -> tuple[Inventory, str]:
    """The inventory that a command line writes, loaded, and its text."""
    path = tmp_path / "drafted.yaml"
    assert run(["init", "-q", "-o", str(path), *map(str, arguments)]) == 0
    return load(path), path.read_text(encoding="utf-8")


def services(inventory: Inventory, host: str) -> dict[str, tuple[object, ...]]:
    return {
        one.name: (f"{one.tcp}{'/' if one.udp else ''}{one.udp}", one.interfaces, one.declared_class, one.protocol)
        for one in inventory.hosts[host].services
    }


def interfaces(inventory: Inventory) -> dict[str, dict[str, list[str]]]:
    return {
        host.name: {one.name: list(map(str, one.addresses)) for one in host.interfaces.values()}
        for host in inventory.hosts.values()
    }


def compared(tmp_path: Path, inventory: Path, *scans: Path) -> list[dict[str, object]]:
    """The findings of comparing with the same evidence."""
    reports = tmp_path / f"reports-{inventory.stem}"
    run(["compare", str(inventory), *(f"--nmap-xml={scan}" for scan in scans), *ANY_DAY, "-q", "-o", str(reports)])
    report = json.loads((reports / "latest" / "report.json").read_text(encoding="utf-8"))
    found: list[dict[str, object]] = report["findings"]
    return found


def uncommented(text: str) -> str:
    """The draft with every service that is left in a comment taken out of it."""
    head, hosts, rest = text.partition("\nhosts:\n")
    return head + hosts + re.sub(r"(?m)^( +)# (services:|(?:  )*[\w.\"-]+:(?: .*)?)$", r"\1\2", rest)


def nmap(tmp_path: Path, *hosts: str, args: str = "nmap -oX - -p 1-100 x", name: str = "scan") -> Path:
    """nmap XML of some hosts, each written as the inside of its `host` element."""
    body = "".join(f'<host endtime="1795000000"><status state="up" reason="reset"/>{one}</host>' for one in hosts)
    path = tmp_path / f"{name}.xml"
    path.write_text(
        f'<nmaprun scanner="nmap" args="{args}" start="1795000000" version="7.93">'
        f'<scaninfo type="syn" protocol="tcp" numservices="100" services="1-100"/>{body}'
        '<runstats><finished time="1795000001" exit="success"/></runstats></nmaprun>',
        encoding="utf-8",
    )
    return path


def host(address: str, *ports: int, names: Sequence[tuple[str, str]] = (), mac: str = "", service: str = "") -> str:
    family = "ipv6" if ":" in address else "ipv4"
    hostnames = "".join(f'<hostname name="{name}" type="{kind}"/>' for name, kind in names)
    opened = "".join(
        f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="64"/>{service}</port>'
        for port in ports
    )
    near = f'<address addr="{mac}" addrtype="mac"/>' if mac else ""
    return (
        f'<address addr="{address}" addrtype="{family}"/>{near}<hostnames>{hostnames}</hostnames><ports>'
        f'<extraports state="closed" count="1"><extrareasons reason="reset" count="1" proto="tcp" ports="100"/>'
        f"</extraports>{opened}</ports>"
    )


@pytest.mark.parametrize("scan", EVIDENCE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_its_own_evidence_gives_the_todo_ones_alone(tmp_path, scan, capsys):
    """The draft is valid; compared with its evidence it gives just its TODO exposures, as severe and of that class."""
    path = tmp_path / "drafted.yaml"
    if run(["init", "--nmap-xml", str(scan), "-o", str(path)]) == 2:
        told = capsys.readouterr().err

        assert told == NO_HOST or f"{scan}: " in told
        assert not path.exists()
        return
    assert run(["validate", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    todo = {(severity, one, port) for severity, one, port in TODO.findall(text)}
    findings = compared(tmp_path, path, scan)
    swallowed = [finding for finding in findings if finding["kind"] == "all-ports-open"]
    found = {
        (finding["severity"], finding["class"], f"{endpoint['ports']}/{endpoint['protocol']}")
        for finding in findings
        if finding["kind"] == "undeclared-port"
        for endpoint in finding["endpoints"]
    }

    assert todo == found
    assert {finding["kind"] for finding in findings} <= {"undeclared-port", "all-ports-open"}
    assert len(swallowed) == text.count("compare reports all-ports-open")

    decided = tmp_path / "decided.yaml"
    decided.write_text(uncommented(text).replace("from: [TODO]", "from: [internet]"), encoding="utf-8")

    left = [one for one in compared(tmp_path, decided, scan) if one["endpoints"][0]["ports"] != "0"]  # never declared

    assert [finding["kind"] for finding in left] == ["all-ports-open"] * len(swallowed)


def test_most_evidence_gives_a_draft(tmp_path, capsys):
    """So that the test above cannot pass by doing nothing."""
    codes = [run(["init", "-q", "--nmap-xml", str(scan)]) for scan in EVIDENCE]

    assert codes.count(0) > 100


def test_both_kinds_of_evidence(capsys):
    """Outside and inside of one real machine: one host, and what listens there unseen. UPDATE=1 rewrites."""
    assert run(["init", "--name", "shop", *BOTH]) == 0
    told = capsys.readouterr()
    text = re.sub(r"\$schema=\S+", "$schema=schemas/inventory.schema.json", told.out, count=1)  # where it is installed
    golden = DATA / "expected.yaml"
    if os.environ.get("UPDATE"):
        golden.write_text(text, encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == text
    assert told.err == "auditor: drafted: hosts: 1, services declared: 2, left as TODO: 2\n"


def test_the_readme_shows_the_real_one():
    """Its excerpt is made of lines of that draft."""
    shown = re.search(
        r"(?s)```text\n(      # 443/tcp is .*?)```", (TESTS.parent / "README.md").read_text(encoding="utf-8")
    )
    real = (DATA / "expected.yaml").read_text(encoding="utf-8").splitlines()

    assert shown is not None
    assert [line for line in shown[1].splitlines() if line not in real] == []


def test_the_order_of_the_evidence_changes_nothing(capsys):
    """The same files in another order give the same text."""
    run(["init", *BOTH])
    first = capsys.readouterr().out
    run(["init", *reversed(BOTH)])

    assert first == capsys.readouterr().out


def test_uncommenting_alone_blesses_nothing(tmp_path):
    """Each service whose comment is taken away is an error until its sources are decided."""
    _, text = drafted(tmp_path, *BOTH)
    path = tmp_path / "careless.yaml"
    path.write_text(uncommented(text), encoding="utf-8")
    with pytest.raises(InventoryError) as caught:
        load(path)

    assert ["no range is named `TODO`; known: internet"] * 5 == [one.message for one in caught.value.problems]


def test_listeners_alone(tmp_path):
    """Without any address known a made-up one stands in, and the draft says so; loopback services stay on loopback."""
    file = tmp_path / "db.txt"
    file.write_text(
        'tcp LISTEN 0 9 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=1,fd=3))\n'
        'tcp LISTEN 0 9 [::]:80 [::]:* users:(("nginx",pid=1,fd=4))\n'
        'tcp LISTEN 0 9 *:5000 *:* users:(("postgres",pid=2,fd=3))\n'
        'tcp LISTEN 0 9 127.0.0.1:6379 0.0.0.0:* users:(("redis-server",pid=3,fd=3))\n'
        'udp UNCONN 0 0 0.0.0.0:123 0.0.0.0:* users:(("chronyd",pid=4,fd=3))\n',
        encoding="utf-8",
    )
    inventory, text = drafted(tmp_path, f"--listeners={file}")

    assert {"db": {"public": ["192.0.2.10", "2001:db8::10"]}} == interfaces(inventory)
    assert "# TODO an address for documentation stands for the host's own" in text
    assert "# TODO some addresses are made up, see below: replace them here too" in text
    assert services(inventory, "db") == {
        "nginx": ("80", ("public",), "public-web", None),
        "redis": ("6379", ("loopback",), "data-store", None),
    }
    assert "# TODO direct-compromise data-store: postgres on 5000/tcp listens on every address, and nothing" in text
    assert "# TODO internal-recon udp: chronyd on 123/udp listens on 0.0.0.0, and nothing tells who" in text


def test_listeners_of_a_host_whose_address_is_given(tmp_path):
    """By --host-address, or in place of the name: nothing is made up but the viewpoint's own address."""
    inventory, text = drafted(
        tmp_path, f"--listeners=web={DATA / 'plain.txt'}", "--host-address", "web=203.0.113.10", "--address=192.0.2.7"
    )
    (tmp_path / "drafted.yaml").unlink()
    other, _ = drafted(tmp_path, f"--listeners=203.0.113.10={DATA / 'plain.txt'}")

    assert {"web": {"public": ["203.0.113.10"], "private": ["10.20.1.10"]}} == interfaces(inventory)
    assert {"host-10-20-1-10": {"public": ["203.0.113.10"], "private": ["10.20.1.10"]}} == interfaces(other)
    assert "documentation" not in text


def test_addresses_with_one_name_or_hardware_address_are_one_host(tmp_path):
    """Grouped by name whatever its case, and by hardware address; each family's next address is the next interface."""
    near = "00:11:22:33:44:55"
    four = nmap(
        tmp_path,
        host("203.0.113.10", 80, service=WEB, names=[("web-1.example.com", "PTR")]),
        host("203.0.113.11", 80, service=WEB, names=[("WEB-1.example.com.", "PTR")]),
        host("10.20.1.5", 80, service=WEB, mac=near),
        host("10.20.1.7", 443, service=TLS_WEB, mac=near),
        host("203.0.113.30", 80, service=WEB, names=[("ptr.example.com", "PTR"), ("db", "user")]),
    )
    six = nmap(tmp_path, host("2001:db8:1::10", names=[("web-1.example.com", "user")]), name="six")
    inventory, text = drafted(tmp_path, f"--nmap-xml={four}", f"--nmap-xml={six}")

    assert interfaces(inventory) == {
        "web-1.example.com": {"public": ["203.0.113.10", "2001:db8:1::10"], "public-2": ["203.0.113.11"]},
        "host-10-20-1-5": {"private": ["10.20.1.5"], "private-2": ["10.20.1.7"]},
        "db": {"public": ["203.0.113.30"]},
    }
    assert services(inventory, "web-1.example.com") == {"http": ("80", ("public-2",), "public-web", "http")} | {
        "http-80": ("80", ("public",), "public-web", "http")
    }
    assert services(inventory, "host-10-20-1-5") == {
        "http": ("80", ("private",), "public-web", "http"),
        "https": ("443", ("private-2",), "public-web", "https"),
    }
    assert "# hardware address 00:11:22:33:44:55" in text
    assert compared(tmp_path, tmp_path / "drafted.yaml", four, six) == []


def test_a_port_number_blesses_nothing(tmp_path):
    """What never said what it is may be anything, on the web's ports too."""
    scan = nmap(tmp_path, host("203.0.113.10", 443))
    inventory, text = drafted(tmp_path, f"--nmap-xml={scan}")
    listening = tmp_path / "web.txt"
    listening.write_text("tcp LISTEN 0 9 0.0.0.0:443 0.0.0.0:*\n", encoding="utf-8")
    (tmp_path / "drafted.yaml").unlink()
    other, same = drafted(tmp_path, f"--listeners={listening}")

    assert {} == services(inventory, "host-203-0-113-10") == services(other, "web")
    assert "# TODO control-bypass public-web: web (judged by its port number alone) on 443/tcp is reachable" in text
    assert "# TODO control-bypass public-web: web (judged by its port number alone) on 443/tcp listens on" in same


def test_the_gate_passes_what_is_declared(tmp_path, monkeypatch):
    """As a first commit, what a draft declares opens nothing that the gate fails on; name servers are to be decided."""
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    _, text = drafted(tmp_path, f"--listeners=ns={DATA / 'everything.txt'}")

    assert "# TODO internal-recon unclassified: dnsmasq on 53/tcp listens on" in text
    assert 0 == run(["gate", "git:HEAD:drafted.yaml", "drafted.yaml", "--new", "-q"])


def test_a_port_that_is_risky_on_one_address_is_left_out_on_all(tmp_path):
    """What answers on one address decides for the host: no part of it is blessed."""
    redis = '<service name="redis" product="Redis key-value store" method="probed" conf="10"/>'
    name = [("web", "user")]
    scan = nmap(tmp_path, host("203.0.113.10", 80, names=name), host("203.0.113.11", 80, names=name, service=redis))
    inventory, text = drafted(tmp_path, f"--nmap-xml={scan}")

    assert services(inventory, "web") == {}
    assert "# TODO direct-compromise data-store: Redis key-value store on 80/tcp is reachable from public" in text
    assert ["undeclared-port"] * 2 == [one["kind"] for one in compared(tmp_path, tmp_path / "drafted.yaml", scan)]


def test_hostile_names_become_names(tmp_path):
    """What DNS says is put into the grammar of names; none is an address, a key that is not read, or a second one."""
    names = ["10.0.0.1", "x-secret", "all", "-o/etc/passwd", "web: {", "web; }", "…", "a" * 200, "loopback"]
    scan = nmap(
        tmp_path,
        *(host(f"203.0.113.{10 + index}", names=[(name.replace("<", ""), "PTR")]) for index, name in enumerate(names)),
    )
    inventory, _ = drafted(tmp_path, f"--nmap-xml={scan}")

    assert sorted(inventory.hosts) == [
        *("a" * 63, "host-10.0.0.1", "host-203-0-113-16", "host-all", "host-loopback", "host-x-secret", "o-etc-passwd"),
        *("web", "web-2"),
    ]


def test_the_viewpoint(tmp_path):
    """Its kind, name and addresses as said; a made-up address for a family not told; services for its clients."""
    scan = nmap(tmp_path, host("10.20.1.5", 80, service=WEB), host("2001:db8:1::5", 80, service=WEB))
    inventory, text = drafted(
        tmp_path, f"--nmap-xml={scan}", "--kind=vpn", "--viewpoint=office", "--address=10.9.0.1", "--name=shop"
    )
    (viewpoint,) = inventory.viewpoints.values()

    assert (viewpoint.name, viewpoint.kind, inventory.name) == ("office", "vpn", "shop")
    assert ["10.9.0.1", "2001:db8::1"] == list(map(str, viewpoint.addresses))
    assert "TODO an address for documentation stands for the scanner's own" in text
    assert [str(network) for network in inventory.ranges["office-clients"].networks] == [
        "10.9.0.1/32",
        "2001:db8::1/128",
    ]
    assert compared(tmp_path, tmp_path / "drafted.yaml", scan) == []


def test_the_source_address_that_nmap_was_told(tmp_path):
    """nmap's -S is the viewpoint's address."""
    scan = nmap(tmp_path, host("203.0.113.10", 80), args="nmap -S 198.51.100.20 -e eth0 203.0.113.10")
    inventory, text = drafted(tmp_path, f"--nmap-xml={scan}")

    assert ["198.51.100.20"] == [str(one) for one in inventory.viewpoints["public"].addresses]
    assert "documentation" not in text


def test_private_addresses_are_compared_from_a_public_viewpoint_too(tmp_path):
    """Where the evidence says that there is a path, the draft says so too."""
    scan = nmap(tmp_path, host("10.20.1.5", 22), host("203.0.113.10"))
    drafted(tmp_path, f"--nmap-xml={scan}")
    (finding,) = compared(tmp_path, tmp_path / "drafted.yaml", scan)

    assert (finding["kind"], finding["host"]) == ("undeclared-port", "host-10-20-1-5")


def test_what_gave_no_sign_of_life_is_counted(tmp_path):
    """Only hosts that live are declared, and the rest is not passed over in silence."""
    scan = nmap(tmp_path, host("203.0.113.10"), args="nmap -Pn 203.0.113.8/29")
    inventory, text = drafted(tmp_path, f"--nmap-xml={scan}")

    assert list(inventory.hosts) == ["host-203-0-113-10"]
    assert "# 7 addresses in the evidence gave no sign of life: not here." in text


def test_evidence_that_is_cut_off_says_so(tmp_path):
    """What could be read is drafted, with a TODO."""
    scan = nmap(tmp_path, host("203.0.113.10", 80))
    scan.write_text(scan.read_text(encoding="utf-8").partition("<runstats>")[0], encoding="utf-8")
    _, text = drafted(tmp_path, f"--nmap-xml={scan}")

    assert "# TODO the evidence is incomplete, and so is this: " in text


def test_listeners_are_joined_by_what_identifies_the_host(tmp_path):
    """By name, and by no port, however well those of one scanned host alone would fit."""
    file = tmp_path / "web.txt"
    file.write_text("tcp LISTEN 0 9 *:80 *:*\ntcp LISTEN 0 9 *:22 *:*\n", encoding="utf-8")
    named = nmap(tmp_path, host("203.0.113.10", 21, names=[("web.example.com", "PTR")]), name="named")
    fitting = nmap(tmp_path, host("203.0.113.10", 80), host("203.0.113.11", 25), name="fitting")
    two = nmap(tmp_path, host("203.0.113.10", 80), host("203.0.113.11", 22), name="two")
    found = {}
    for scan in (named, fitting, two):
        inventory, text = drafted(tmp_path, f"--nmap-xml={scan}", f"--listeners={file}")
        (tmp_path / "drafted.yaml").unlink()
        found[scan.stem] = (interfaces(inventory)["web"], "is known to be this one" in text)

    made_up = {"public": ["192.0.2.10", "2001:db8::10"]}
    assert found == {
        "named": ({"public": ["203.0.113.10"]}, False),
        "fitting": (made_up, True),
        "two": (made_up, True),
    }


def said(tmp_path: Path, name: str, *addresses: str) -> str:
    """A file as `ip -j address` writes it, as an option."""
    told = [{"local": address, "scope": "global"} for address in ("127.0.0.1", "fe80::1", *addresses)]
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps([{}, {"ifname": "eth0", "addr_info": told}]), encoding="utf-8")
    return f"--addresses={name}={path}"


def listening(tmp_path: Path, name: str, *ports: int, bind: str = "0.0.0.0") -> str:
    path = tmp_path / f"{name}.txt"
    path.write_text("".join(f"tcp LISTEN 0 9 {bind}:{port} 0.0.0.0:*\n" for port in ports), encoding="utf-8")
    return f"--listeners={name}={path}"


def test_no_host_gets_the_address_of_another(tmp_path):
    """A cache listens on SSH as the bastion does, which nobody has told anything of."""
    scan = nmap(tmp_path, host("203.0.113.7", 22), host("203.0.113.10", 80, 22))
    inventory, text = drafted(
        tmp_path, f"--nmap-xml={scan}", listening(tmp_path, "cache-1", 22, 63), listening(tmp_path, "web-1", 22, 80)
    )

    assert interfaces(inventory) == {
        "cache-1": {"public": ["192.0.2.10"]},
        "host-203-0-113-10": {"public": ["203.0.113.10"]},
        "host-203-0-113-7": {"public": ["203.0.113.7"]},
        "web-1": {"public": ["192.0.2.11"]},
    }
    told = "no host of the scan is known to be this one; --addresses HOST=FILE or --host-address HOST=ADDRESS tells it"
    assert text.count(told) == 2


def test_addresses_that_hosts_tell_of_themselves(tmp_path):
    """They are one host's, with its listeners or without; those that a scan did not see are told, not declared."""
    scan = nmap(tmp_path, host("203.0.113.7", 22), host("203.0.113.8"), host("203.0.113.9"), host("2001:db8:1::8"))
    inventory, text = drafted(
        tmp_path,
        f"--nmap-xml={scan}",
        listening(tmp_path, "cache-1", 22),
        said(tmp_path, "cache-1", "203.0.113.8", "2001:db8:1::8", "172.17.0.1", "10.0.0.8"),
        said(tmp_path, "bastion", "203.0.113.7", "172.17.0.1"),
    )

    assert interfaces(inventory) == {
        "bastion": {"public": ["203.0.113.7"]},
        "cache-1": {"public": ["203.0.113.8", "2001:db8:1::8"]},
        "host-203-0-113-9": {"public": ["203.0.113.9"]},
    }
    assert "# it has 10.0.0.8 too, of which the scan saw no sign of life" in text
    assert text.count("# this host and another have the address 172.17.0.1; it is left out") == 2


def test_addresses_without_a_scan(tmp_path):
    """They are the host's own: nothing is made up for it."""
    inventory, text = drafted(tmp_path, listening(tmp_path, "db", 22), said(tmp_path, "db", "10.0.0.8", "2001:db8::8"))

    assert interfaces(inventory) == {"db": {"private": ["10.0.0.8"], "public": ["2001:db8::8"]}}
    assert "is known to be this one" not in text
    assert "stands for the host's own" not in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "nothing is in it"),
        (b"[\n{", ":2: this is no JSON (Expecting property name enclosed in double quotes)"),
        (b"eth0 UP 10.0.0.8/24", ":1: this is no JSON"),
        (b"[" * 100_000, "this is no output of `ip -j address`"),
        (b"9" * 5000, "this is no output of `ip -j address`"),
        (b"{}", "this is no list of links"),
        (b"[1]", "this is no list of links"),
        (b'[{"dst": "default"}]', "no link in it has `addr_info`"),
        (b'[{}, {"addr_info": [{"local": "10.0.0"}]}]', "link 2 has an address that cannot be read"),
        (b'[{"addr_info": [{"local": 7}]}]', "link 1 has an address that cannot be read"),
        (b'[{"addr_info": 7}]', "link 1 has an address that cannot be read"),
    ],
)
def test_a_file_that_is_no_list_of_addresses(content, told, tmp_path, capsys):
    """The error names the file, and how to make it."""
    path = tmp_path / "web.json"
    path.write_bytes(content)
    code = run(["init", listening(tmp_path, "web", 22), f"--addresses=web={path}"])
    printed = capsys.readouterr().err

    assert code == 2
    assert str(path) in printed
    assert told in printed
    assert "; make the file with `ip -j address`" in printed


def test_addresses_as_powershell_writes_them(tmp_path):
    """In UTF-16, with a byte order mark."""
    option = said(tmp_path, "db", "10.0.0.8")
    path = tmp_path / "db.json"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-16")
    inventory, _ = drafted(tmp_path, listening(tmp_path, "db", 22), option)

    assert interfaces(inventory) == {"db": {"private": ["10.0.0.8"]}}


NEAR = "00:11:22:33:44:55"


@pytest.mark.parametrize(
    ("hosts", "given", "joined"),
    [
        ([host(f"10.20.1.{last}", mac=NEAR) for last in (4, 5)], [], True),
        ([host(f"10.20.1.{last}", mac=NEAR) for last in (4, 5, 6, 7)], [], False),  # proxy ARP, or a cloud
        ([host(f"10.20.1.{last}", mac=NEAR, names=[(f"h{last}", "PTR")]) for last in (4, 5)], [], False),
        ([host(f"10.20.1.{last}", mac=NEAR) for last in (4, 5)], [("a", "10.20.1.4"), ("b", "10.20.1.5")], False),
        ([host("10.20.1.4", mac=NEAR, names=[("h4", "PTR")]), host("2001:db8::4", mac=NEAR)], [], True),
    ],
)
def test_a_hardware_address_of_several_hosts_joins_none(hosts, given, joined, tmp_path):
    """Each address is a host of its own, and the draft says why."""
    told = [said(tmp_path, *one) for one in given]
    inventory, text = drafted(tmp_path, f"--nmap-xml={nmap(tmp_path, *hosts)}", *told)

    assert len(inventory.hosts) == (1 if joined else len(hosts))
    note = f"# hardware address {NEAR} answers for {len(hosts)} addresses, and is not held to be one host's"
    assert text.count(note) == (0 if joined else len(hosts))


def test_the_head(tmp_path, monkeypatch, capsys):
    """An editor's modeline comes first, which leads to the schema, and one line says what is left to do."""
    monkeypatch.chdir(tmp_path)
    scan = nmap(tmp_path, host("203.0.113.10", 80, service=WEB), host("203.0.113.11", 22))
    assert run(["init", "-q", "--nmap-xml", str(scan), "-o", "-"]) == 0
    modeline, _, left, *_ = capsys.readouterr().out.splitlines()
    assert run(["init", "-q", "--nmap-xml", str(scan), "--address=192.0.2.7", listening(tmp_path, "db", 22)]) == 0
    _, _, other, *_ = capsys.readouterr().out.splitlines()

    assert Path(modeline.removeprefix("# yaml-language-server: $schema=file://")).is_file()
    then = "widen the scope to where new hosts should be found; then run `auditor validate`."
    why = "say why 1 service is there"
    assert f"# Left to do: replace the made-up addresses of 1 viewpoint; decide about 1 exposure; {why}; {then}" == left
    assert f"# Left to do: replace the made-up addresses of 1 host; decide about 2 exposures; {why}; {then}" == other
    assert list(tmp_path.glob("-*")) == []


def test_the_modeline_beside_the_schema(tmp_path, monkeypatch):
    """A draft in the same tree names it as the examples do."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    monkeypatch.setattr("auditor.cli.acts.init.schema_path", lambda name: schemas / f"{name}.schema.json")
    folder = tmp_path / "inventories" / "shop"
    folder.mkdir(parents=True)
    assert run(["init", "-q", *BOTH, "-o", str(folder / "estate.yaml")]) == 0
    text = (folder / "estate.yaml").read_text(encoding="utf-8")

    assert text.startswith("# yaml-language-server: $schema=../../schemas/inventory.schema.json\n")


def test_a_scan_names_its_viewpoint(tmp_path):
    """As with compare; a name that is a kind is of that kind, unless something else is said."""
    scan = nmap(tmp_path, host("10.20.1.5", 80, service=WEB))
    found = []
    for arguments in (["vpn={}"], ["office={}"], ["office={}", "--kind=vpn"], ["vpn={}", "--kind=internal"], ["{}"]):
        inventory, _ = drafted(tmp_path, "--nmap-xml", *(one.format(scan) for one in arguments))
        (tmp_path / "drafted.yaml").unlink()
        found += [(one.name, str(one.kind)) for one in inventory.viewpoints.values()]

    assert found == [
        ("vpn", "vpn"),
        ("office", "public"),
        ("office", "vpn"),
        ("vpn", "internal"),
        ("public", "public"),
    ]


def test_several_viewpoints(tmp_path, capsys):
    """Each has what was seen from there: a service is for those that saw it, and as bad as for the worst of them."""
    redis = '<service name="redis" product="Redis key-value store" method="probed" conf="10"/>'
    outside = nmap(tmp_path, host("203.0.113.10", 80, service=WEB), name="outside")
    inside = nmap(
        tmp_path,
        host("203.0.113.10", 80, service=WEB),
        host("203.0.113.10", 81, service=WEB),
        host("10.20.1.5", 6379, service=redis),
        name="inside",
    )
    scans = f"--nmap-xml=public={outside}", f"--nmap-xml=internal={inside}"
    inventory, text = drafted(tmp_path, *scans, "--address=internal=10.20.9.1", "--address=public=198.51.100.7")
    viewpoints = {
        one.name: (str(one.kind), list(map(str, one.addresses)), list(map(str, one.targets)))
        for one in inventory.viewpoints.values()
    }
    sources = {
        one.name: (str(one.tcp), [source.name for source in one.sources])
        for one in inventory.hosts["host-203-0-113-10"].services
    }

    assert viewpoints == {
        "public": ("public", ["198.51.100.7"], ["203.0.113.10/32"]),
        "internal": ("internal", ["10.20.9.1"], ["10.20.1.5/32", "203.0.113.10/32"]),
    }
    assert sources == {
        "http": ("80", ["internal-clients", "internet"]),
        "http-81": ("81", ["internal-clients"]),
    }
    assert "# TODO data-exposure data-store: Redis key-value store on 6379/tcp is reachable from internal;" in text
    code = run(["compare", str(tmp_path / "drafted.yaml"), *scans, "-q", "-o", str(tmp_path / "reports")])
    report = json.loads((tmp_path / "reports" / "latest" / "report.json").read_text(encoding="utf-8"))

    assert code == 1
    assert [("undeclared-port", "internal")] == [(one["kind"], one["viewpoint"]) for one in report["findings"]]


def test_an_address_that_the_scan_gives_to_another_host_is_left_out(tmp_path):
    """Two files about what the scan holds to be one machine: the first has it, and the second says so."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("tcp LISTEN 0 9 *:80 *:*\n", encoding="utf-8")
    scan = nmap(tmp_path, *(host(f"203.0.113.{last}", 80, names=[("a", "user")]) for last in (10, 11)))
    inventory, text = drafted(
        tmp_path,
        f"--nmap-xml={scan}",
        *(f"--listeners={tmp_path / name}.txt" for name in ("a", "b")),
        "--host-address=b=203.0.113.11",
    )

    assert {"public": ["203.0.113.10"], "public-2": ["203.0.113.11"]} == interfaces(inventory)["a"]
    assert {"public": ["192.0.2.10", "2001:db8::10"]} == interfaces(inventory)["b"]
    assert "# TODO 203.0.113.11 is left out: it went to a" in text


def test_an_address_that_two_hosts_are_bound_to_is_neither_s(tmp_path):
    """The bridge for containers is the same on every machine."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text("tcp LISTEN 0 9 172.17.0.1:53 *:*\n", encoding="utf-8")
    inventory, text = drafted(tmp_path, *(f"--listeners={tmp_path / name}.txt" for name in ("a", "b")))

    assert {"a": {"public": ["192.0.2.10"]}, "b": {"public": ["192.0.2.11"]}} == interfaces(inventory)
    assert text.count("# processes here and on another host are bound to 172.17.0.1; it is left out") == 2
    assert text.count("# 53/tcp listens on 172.17.0.1, which is no address of this host here: domain") == 2


def test_a_file_is_never_overwritten(tmp_path, capsys):
    """What is there stays as it is; nothing is left beside it."""
    path = tmp_path / "inventory.yaml"
    path.write_text("mine", encoding="utf-8")
    code = run(["init", *BOTH, "-o", str(path)])

    assert code == 2
    assert capsys.readouterr().err == (
        f"auditor: {path} is there already, and is never overwritten; choose another name, or move it away\n"
    )
    assert path.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to draft from: give --nmap-xml FILE, or --listeners HOST=FILE, or both"),
        (["--listeners", "=x"], "--listeners =x: write it as HOST=FILE"),
        (["--listeners", "none.txt"], "none.txt: cannot be read: No such file or directory"),
        (["--nmap-xml", "none.xml"], "none.xml: cannot be read: No such file or directory"),
        ([*BOTH, "--name", "10.0.0.1"], "--name 10.0.0.1: this cannot be a name; a name has letters"),
        ([*BOTH, "--viewpoint", "all"], "--viewpoint all: this cannot be a name"),
        ([*BOTH, "--address", "fe80::1%eth0"], "--address fe80::1%eth0: an address has no zone here"),
        ([*BOTH, "--address", "web"], "--address web: this is not an IPv4 or IPv6 address"),
        ([*BOTH, "--address", "224.0.0.1"], "--address 224.0.0.1: this is no address that a machine can have"),
        (
            [*BOTH, "--address=10.0.0.1", "--address=10.0.0.2"],
            "--address 10.0.0.2: a viewpoint has at most one",
        ),
        ([*BOTH, "--addresses", "=x"], "--addresses =x: write it as HOST=FILE"),
        ([*BOTH, "--addresses", "none.json"], "none.json: cannot be read: No such file or directory"),
        ([*BOTH, "--nmap-xml", "=x"], "--nmap-xml =x: write it as VIEWPOINT=FILE"),
        ([*BOTH, "--nmap-xml", "all=x"], "--nmap-xml all: this cannot be a name"),
        ([*BOTH, "--nmap-xml", "vpn=x", "--address", "10.0.0.1"], "--address 10.0.0.1: say of which viewpoint, as in"),
        ([*BOTH, "--address", "vpn=10.0.0.1"], "--address vpn=10.0.0.1: no viewpoint is named vpn; there are public"),
        ([*BOTH, "--host-address", "10.0.0.1"], "--host-address 10.0.0.1: write it as HOST=ADDRESS"),
        ([*BOTH, "--host-address", "db=10.0.0.1"], "--host-address db=…: no --listeners file is about a host of that"),
        ([*BOTH, "-o", "/nowhere/x.yaml"], "cannot write /nowhere/x.yaml: No such file or directory"),
    ],
)
def test_bad_usage(arguments, told, capsys):
    """Exit 2, and what would be right."""
    code = run(["init", *arguments])
    printed = capsys.readouterr()

    assert code == 2
    assert told in printed.err
    assert printed.out == ""
