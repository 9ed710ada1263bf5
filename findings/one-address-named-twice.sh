#!/usr/bin/env bash
# One run of nmap that names an address twice looks twice, and its XML has two `host` elements; readers keep one.
#
# Expected: nmap asks each address once, or a reader lays both looks over one another.
# Seen with nmap 7.93 (Debian 12), python-nmap 0.7.1, python-libnmap 0.7.3: nmap looks at it as often as it is named.
# Between the two looks a service may go: the first says open, the second closed. python-nmap keeps the later element
# alone, since it files hosts by address; the open port is in no result, and nothing tells of it. `get_host` of
# python-libnmap gives the first element alone, its `hosts` both. Lists of targets that overlap, such as
# 192.0.2.0/30 192.0.2.1, name addresses twice.
#
# Sends nothing but on the loopback interface of a network namespace of its own. Needs nmap, python3 and unshare.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check python-nmap==0.7.1 python-libnmap==0.7.3

cat >"$folder/once.py" <<'PYTHON'
import socket
with socket.create_server(("127.0.0.1", 8080)) as server:
    print("ready", flush=True)
    server.accept()  # the first look; then nobody listens any more
PYTHON
cat >"$folder/look.sh" <<'SH'
ip link set lo up
python3 "$1/once.py" >"$1/ready" &
until grep -q ready "$1/ready"; do sleep 0.05; done
nmap -n -Pn -sT -p 8080 --max-hostgroup 1 --scan-delay 500ms -oX "$1/twice.xml" 127.0.0.1 127.0.0.1 >/dev/null
wait
SH
unshare -Urn sh "$folder/look.sh" "$folder"

"$folder/venv/bin/python" - "$folder/twice.xml" <<'PYTHON'
import sys
from pathlib import Path
from xml.etree import ElementTree
import nmap
from libnmap.parser import NmapParser

text = Path(sys.argv[1]).read_text()
root = ElementTree.fromstring(text)
looks = [one.get("state") for one in root.iter("state")]
kept = nmap.PortScanner().analyse_nmap_xml_scan(text)["scan"]
report = NmapParser.parse_fromstring(text)
first = report.get_host("127.0.0.1") if hasattr(report, "get_host") else report.hosts[0]
seen = {
    "nmap": looks,
    "python-nmap": [one["tcp"][8080]["state"] for one in kept.values()],
    "python-libnmap, hosts": [one.get_service(8080).state for one in report.hosts],
    "python-libnmap, get_host": [first.get_service(8080).state],
}
print("nmap", root.get("version"))
for who, states in seen.items():
    print(f"{who}: {states}")
expected = {
    "nmap": ["open", "closed"],
    "python-nmap": ["closed"],
    "python-libnmap, hosts": ["open", "closed"],
    "python-libnmap, get_host": ["open"],
}
sys.exit(0 if seen == expected else f"changed: {expected} was seen before")
PYTHON
