"""How long reading nmap's XML takes, and how much memory, for 10,000 and 100,000 hosts, beside other readers.

The files are made up, of hosts as `nmap -sV -p-` with a few scripts gives them: a dozen ports with what answers on
them, two lines of collapsed ones, names, times; 5.1 kB a host. Most hosts are of one of 200 roles, and all of a role
have the same ports, as in any estate; one in ten has ports of its own. Each measurement is made in a process of its
own: its processor time, which other work on the machine changes least, and how much its memory grew over its imports.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from time import process_time

from auditor.model.ports import PortSet
from lab.scale import run

SIZES = {10_000: 3, 100_000: 1}  # hosts: measurements, of which the median counts
TARGET = 2.0  # times as fast as python-nmap
ROLES = 200
ODD = 10  # one host in so many is of no role
_PIECE = 64 * 1024  # bytes; a pipe holds as many

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<?xml-stylesheet href="file:///usr/bin/../share/nmap/nmap.xsl" type="text/xsl"?>
<nmaprun scanner="nmap" args="nmap -sS -sV -Pn -p- -oX estate.xml -iL estate" start="1795308109" \
startstr="Sun Nov 22 00:41:49 2026" version="7.93" xmloutputversion="1.05">
<scaninfo type="syn" protocol="tcp" numservices="65535" services="1-65535"/>
<verbose level="0"/>
<debugging level="0"/>
"""
_TAIL = """<runstats><finished time="1795394509" timestr="Mon Nov 23 00:41:49 2026" summary="Nmap done" \
elapsed="86400.00" exit="success"/><hosts up="{0}" down="0" total="{0}"/>
</runstats>
</nmaprun>
"""
_SERVICES = (
    (22, "ssh", "OpenSSH", "9.2p1 Debian 2+deb12u3", "protocol 2.0", "cpe:/a:openbsd:openssh:9.2p1"),
    (25, "smtp", "Postfix smtpd", "", "", "cpe:/a:postfix:postfix"),
    (53, "domain", "dnsmasq", "2.90", "", "cpe:/a:thekelleys:dnsmasq:2.90"),
    (80, "http", "nginx", "1.24.0", "", "cpe:/a:igor_sysoev:nginx:1.24.0"),
    (111, "rpcbind", "", "2-4", "RPC #100000", ""),
    (443, "http", "nginx", "1.24.0", "", "cpe:/a:igor_sysoev:nginx:1.24.0"),
    (3306, "mysql", "MariaDB", "10.11.6", "", "cpe:/a:mariadb:mariadb:10.11.6"),
    (5432, "postgresql", "PostgreSQL DB", "15.5 - 15.8", "", "cpe:/a:postgresql:postgresql"),
    (6379, "redis", "Redis key-value store", "7.0.15", "", "cpe:/a:redislabs:redis:7.0.15"),
    (8080, "http", "Apache Tomcat", "10.1.6", "", "cpe:/a:apache:tomcat:10.1.6"),
    (9100, "jetdirect", "", "", "", ""),
    (11211, "memcached", "Memcached", "1.6.18", "uptime 3600 seconds", "cpe:/a:memcached:memcached:1.6.18"),
    (27017, "mongodb", "MongoDB", "6.0.13", "", "cpe:/a:mongodb:mongodb:6.0.13"),
)
_SCRIPTS = {
    22: {"banner": "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3"},
    80: {"http-server-header": "nginx/1.24.0", "http-title": "Site doesn&apos;t have a title (text/html)."},
    443: {
        "http-server-header": "nginx/1.24.0",
        "http-title": "Welcome to host-{0}",
        "ssl-cert": "Subject: commonName=host-{0}.example&#xa;Subject Alternative Name: DNS:host-{0}.example, "
        "DNS:www-{0}.example&#xa;Not valid before: 2026-10-01T00:00:00&#xa;Not valid after:  2026-12-30T23:59:59",
        "tls-alpn": "&#xa;  h2&#xa;  http/1.1&#xa;  http/1.0&#xa;  http/0.9",
    },
    8080: {"http-title": "Apache Tomcat/10.1.6", "http-favicon": "Apache Tomcat"},
}


def write(path: Path, hosts: int) -> Path:
    """Write a scan of so many hosts, always the same."""
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEAD)
        roles = [_ports(chance) for _ in range(ROLES)]
        for number in range(hosts):
            ports = chance.choice(roles) if number % ODD else _ports(chance)
            file.writelines(_host(number, ports, chance))
        file.write(_TAIL.format(hosts))
    return path


def _ports(chance: random.Random) -> str:
    """The `ports` element of a host; `{0}` stands for the host's number."""
    ports = sorted(chance.sample(_SERVICES, 12))
    closed = sorted(chance.sample(range(60000, 65536), 31))
    rest = _rest({port for port, *_ in ports} | set(closed))
    return "".join(
        (_collapsed("filtered", "no-response", rest), _collapsed("closed", "reset", closed), *map(_port, ports))
    )


def _collapsed(state: str, reason: str, ports: Sequence[int]) -> str:
    count, text = len(ports), PortSet.of(*ports)
    return (
        f'<extraports state="{state}" count="{count}">\n'
        f'<extrareasons reason="{reason}" count="{count}" proto="tcp" ports="{text}"/>\n</extraports>\n'
    )


def _port(service: tuple[int, str, str, str, str, str]) -> str:
    port, name, product, version, extra, cpe = service
    words = (("product", product), ("version", version), ("extrainfo", extra))
    said = "".join(f' {key}="{value}"' for key, value in words if value)
    method = 'method="probed" conf="10"' if product else 'method="table" conf="3"'
    tunnel = ' tunnel="ssl"' if port == 443 else ""
    named = f"<cpe>{cpe}</cpe>" if cpe else ""
    scripts = "".join(f'<script id="{name}" output="{text}"/>' for name, text in _SCRIPTS.get(port, {}).items())
    return (
        f'<port protocol="tcp" portid="{port}"><state state="open" reason="syn-ack" reason_ttl="62"/>'
        f'<service name="{name}"{said}{tunnel} {method}>{named}</service>{scripts}</port>\n'
    )


def _host(number: int, ports: str, chance: random.Random) -> Iterator[str]:
    start = 1795308109 + number // 2
    yield f'<host starttime="{start}" endtime="{start + 90}"><status state="up" reason="echo-reply" reason_ttl="62"/>\n'
    yield f'<address addr="10.{number >> 16}.{number >> 8 & 255}.{number & 255}" addrtype="ipv4"/>\n'
    yield f'<hostnames>\n<hostname name="host-{number}.example" type="PTR"/>\n</hostnames>\n<ports>'
    yield ports.format(number)
    yield f'</ports>\n<times srtt="{chance.randrange(300, 9000)}" rttvar="2835" to="100000"/>\n</host>\n'


def _rest(taken: set[int]) -> list[int]:
    return [port for port in range(1, 65536) if port not in taken]


# What runs in processes of its own. Each gives the number of hosts that it found, and imports what it needs alone, so
# that no reader pays for another's modules.


def _stream() -> Callable[[Path], int]:
    record, reader_of = import_module("auditor.scan.nmap.records"), import_module("auditor.scan.nmap.xml")

    def read(path: Path) -> int:
        reader, hosts = reader_of.NmapXmlReader(), 0
        with path.open("rb") as file:
            for piece in iter(lambda: file.read(_PIECE), b""):
                hosts += sum(isinstance(item, record.HostRecord) for item in reader.feed(piece))
        return hosts + sum(isinstance(item, record.HostRecord) for item in reader.end())

    return read


def _evidence() -> Callable[[Path], int]:
    evidence = import_module("auditor.scan.saved")
    return lambda path: sum(map(bool, evidence.read_evidence([path]).asked.values()))


def _python_nmap() -> Callable[[Path], int]:
    nmap = import_module("nmap")
    return lambda path: len(nmap.PortScanner().analyse_nmap_xml_scan(path.read_text(encoding="utf-8"))["scan"])


def _libnmap() -> Callable[[Path], int]:
    parser = import_module("libnmap.parser").NmapParser
    return lambda path: len(parser.parse_fromfile(str(path)).hosts)


READERS: dict[str, Callable[[], Callable[[Path], int]]] = {
    "python-nmap": _python_nmap,
    "libnmap": _libnmap,
    "ours, as a stream": _stream,
    "ours, for compare": _evidence,
}


def measure(name: str, path: Path) -> dict[str, float]:
    """Read the file once, in this process."""
    read = READERS[name]()
    before, start = _megabytes(), process_time()
    hosts = read(path)
    return {"seconds": process_time() - start, "megabytes": _megabytes() - before, "hosts": hosts}


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> int:
    match sys.argv[1:]:
        case [name, path] if name in READERS:
            print(json.dumps(measure(name, Path(path))))
            return 0
        case [] | ["10000"] | ["100000"]:
            sizes = {hosts: SIZES[hosts] for hosts in map(int, sys.argv[1:] or SIZES)}
        case _:
            print(f"usage: python3 -m lab.reading [{'|'.join(map(str, SIZES))}]", file=sys.stderr)
            return 2
    print("processor seconds, and growth of memory over the imports; about 2 minutes for 10,000 hosts, 5 for 100,000")
    with tempfile.TemporaryDirectory() as folder:
        for hosts, times in sizes.items():
            path = write(Path(folder) / f"{hosts}.xml", hosts)
            print(f"\n{hosts:,} hosts, {path.stat().st_size / 1e6:.0f} MB, median of {times}")
            print(f"{'reader':<20} {'s':>7} {'MB':>7} {'times as fast as python-nmap':>29}")
            first = 0.0
            for name in READERS:
                argv = [sys.executable, "-m", "lab.reading", name, str(path)]
                runs = [run(argv).figures for _ in range(times)]
                assert all(one["hosts"] == hosts for one in runs), f"{name} found {runs} of {hosts} hosts"
                seconds = median(one["seconds"] for one in runs)
                megabytes = median(one["megabytes"] for one in runs)
                first = first or seconds
                print(f"{name:<20} {seconds:>7.2f} {megabytes:>7.0f} {first / seconds:>29.1f}", flush=True)
            path.unlink()
    print(f"\ntarget: at least {TARGET:.0f} times as fast, and as a stream in constant memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
