"""Inventories that are whole, and what fuzzing makes of them."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent.parent

# Every key of the language once, those of later capabilities left out.
WHOLE: dict[str, Any] = {
    "version": 1,
    "name": "estate",
    "scope": {"allow": ["10.0.0.0/8", "2001:db8::/32"], "deny": ["10.9.0.0/16"]},
    "ranges": {
        "net": {"cidrs": ["0.0.0.0/0", "::/0"], "except": ["10.0.0.0/9"], "trust": "untrusted"},
        "one": ["10.0.0.9"],
    },
    "viewpoints": {
        "v": {
            "kind": "internal",
            "addresses": ["10.0.0.9", "2001:db8::9"],
            "nat": True,
            "targets": ["10.0.0.0/8"],
            "canaries": ["10.0.0.8:22/tcp"],
            "boundary": "filtered",
            "limits": {"rate": 10, "host_rate": 5, "hosts": 2, "windows": ["Mon-Fri 22:00-06:00 Europe/Berlin"]},
            "via": {"netns": "n"},
            "sweep": {"slices": 7},
        },
        "public": {"kind": "public", "addresses": ["192.0.2.1"]},
    },
    "roles": {
        "r": {"owner": "o", "tags": ["t"], "services": {"s": {"ports": "22/tcp", "from": ["one"], "reason": "a"}}},
        "q": {"services": {"s": {"ports": "22/tcp", "from": ["one"], "reason": "b"}}},
    },
    "hosts": {
        "a": {
            "owner": "me",
            "tags": ["t", "u"],
            "roles": ["r", "q"],
            "interfaces": {"lan": ["10.0.0.1", "2001:db8::1"], "wan": {"addresses": ["10.1.0.1"]}},
            "firewall": ["ufw"],
            "limits": {"rate": 5, "host_rate": 3, "windows": ["22:00-06:00"]},
            "services": {
                "s": {"interfaces": ["lan"], "reason": "c", "class": "remote-admin", "protocol": "ssh"},
                "w": {
                    "ports": ["443/tcp", "1-9/udp"],
                    "interfaces": ["wan"],
                    "from": ["net", "10.0.0.0/24"],
                    "families": ["ipv4"],
                    "behind": "s",
                    "optional": True,
                    "answers": False,
                    "ticket": "T",
                    "approved_by": "me",
                    "patching": "monthly",
                    "review_by": "2026-12-31",
                },
                "n": None,
            },
        },
        "b": {"interfaces": {"lan": ["10.0.0.2"]}, "members": ["a"]},
    },
    "waivers": [
        {
            "match": {
                "host": ["a", "b*"],
                "tag": "t",
                "service": "s",
                "address": ["10.0.0.1", "10.0.0.0/24"],
                "interface": "lan",
                "family": "ipv4",
                "ports": ["22/tcp", "80-90/udp"],
                "protocol": ["tcp", "udp"],
                "viewpoint": "v",
                "kind": "undeclared-port",
                "class": ["udp"],
                "fingerprint": "v1:0123456789abcdef0123456789abcdef",
            },
            "severity": "control-bypass",
            "reason": "r",
            "owner": "o",
            "ticket": "T",
            "since": "2026-01-01",
            "expires": "2026-02-01",
        }
    ],
    "policy": {
        "forbid": [{"class": "data-store", "trust": "untrusted", "except": ["a.w"]}],
        "require": ["reason"],
        "max_waiver_days": 90,
    },
}
SEEDS = sorted(
    path.read_bytes()
    for folder, pattern in (
        ("inventories", "**/*.yaml"),
        ("tests", "cases/*/inventory.yaml"),
        ("tests", "bad_inventories/**/*.*"),
    )
    for path in (ROOT / folder).glob(pattern)
    if path.is_file() and path.suffix in (".yaml", ".json") and path.stat().st_size < 8000
)
# fmt: off
TOKENS = st.sampled_from([
    "*a", "&a ", "*b", "&b ", "<<: ", "!!binary ", "!x ", "? ", ": ", ":", "- ", "-", "[", "]", "{", "}", ",", '"',
    "'", "#", " # ", "\n", "\r\n", "\r", "\t", "  ", "\n  ", "|\n", ">\n", "\n---\n", "\n...\n", "%YAML 1.1\n", "\x00",
    "\x1b", "\x85", "\u2028", "\ufeff", "\u202e", "é", "🎉", "null", "~", "true", ".inf", "1e999", "0x", "0o7", "-0",
    "1_0", "22:22", "2026-02-30", "::", "/0", "/33", "0.0.0.0", "22/tcp", "host:a", "role:r", "x-", "x-a: ", "&a [*a]",
    "version: 1\n", "hosts:\n", "waivers:\n", "policy: {}\n", "\\u0000", "\\",
])
WORDS = st.sampled_from([
    "", "a", "b", "s", "w", "r", "lan", "loopback", "net", "one", "host:a", "role:r", "host:", "10.0.0.1", "10.0.0.1/8",
    "0.0.0.0/0", "::/0", "::", "22/tcp", "0/tcp", "9-1/udp", "x-y", "..", "-", "*", "a.w", "a.b.c", "v", "all", "local",
    "2026-02-30", "2026-12-31", "ipv4", "udp", "tcp", "public-web", "trusted", "control-bypass", "undeclared-port",
    "\x1b[31m", "\u202e", "é", "db.example.com", "fe80::1%1", "owner", "999.1.1.1",
])
# fmt: on
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 70000)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=6)
)


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path in the data."""
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(deeper for step, value in steps for deeper in paths(value, (*path, step)))]


PATHS = paths(WHOLE)[1:]
KEYS = st.sampled_from(sorted({step for path in PATHS for step in path if isinstance(step, str)})) | WORDS
# A value of its own, or one that stands elsewhere in a whole inventory.
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
) | st.sampled_from(PATHS).map(lambda path: at(WHOLE, path))


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return deepcopy(data)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A file of this repository after a few changes: bytes, lines, parts and tokens put in, taken out and swapped."""
    content = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        lines = content.splitlines(keepends=True) or [b""]
        line = draw(st.integers(0, len(lines) - 1))
        place = draw(st.integers(0, len(content)))
        match draw(st.sampled_from(["byte", "token", "take", "delete", "twice", "swap", "mix", "cut"])):
            case "byte" if content:
                place = min(place, len(content) - 1)
                content = (
                    content[:place] + bytes([content[place] ^ 1 << draw(st.integers(0, 7))]) + content[place + 1 :]
                )
            case "token":
                content = content[:place] + draw(TOKENS).encode() + content[place:]
            case "take":
                content = content[:place] + content[place + draw(st.integers(1, 20)) :]
            case "delete":
                content = b"".join(lines[:line] + lines[line + 1 :])
            case "twice":
                content = b"".join(lines[: line + 1] + lines[line:])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[line], lines[other] = lines[other], lines[line]
                content = b"".join(lines)
            case "mix":
                more = draw(st.sampled_from(SEEDS)).splitlines(keepends=True)
                first = draw(st.integers(0, max(len(more) - 1, 0)))
                content = b"".join(lines[:line] + more[first : first + 5] + lines[line:])
            case _:
                content = content[:place]
    return content


@st.composite
def changed(draw: st.DrawFn) -> dict[str, Any]:
    """A whole inventory in which a few keys have other values, other names, or company."""
    data: Any = deepcopy(WHOLE)
    for path in draw(st.lists(st.sampled_from(PATHS), min_size=1, max_size=4)):
        parent = data
        for step in path[:-1]:
            inside = isinstance(parent, dict) and step in parent
            inside = inside or (isinstance(parent, list) and isinstance(step, int) and step < len(parent))
            if not inside:
                break
            parent = parent[step]
        else:
            _change(draw, parent, path[-1])
    return data if isinstance(data, dict) else {}


def _change(draw: st.DrawFn, parent: Any, step: Any) -> None:
    match parent, draw(st.sampled_from(["value", "value", "delete", "name", "company"])):
        case dict(), "value" if isinstance(step, str):
            parent[step] = draw(TREES)
        case dict(), "delete":
            parent.pop(step, None)
        case dict(), "name" if step in parent:
            parent[draw(KEYS)] = parent.pop(step)
        case dict(), _:
            parent[draw(KEYS)] = draw(TREES)
        case list(), "delete" if parent:
            parent.pop()
        case list(), "value" if isinstance(step, int) and step < len(parent):
            parent[step] = draw(TREES)
        case list(), _:
            parent.append(draw(TREES))


def split(data: dict[str, Any], parts: list[int]) -> dict[str, bytes]:
    """The inventory as the files of a folder, by the part that each of its keys goes to; -1 is every one."""
    files: dict[str, dict[str, Any]] = {f"{part}.json": {"version": 1} for part in sorted({*parts, 0}) if part >= 0}
    for (key, value), part in zip(data.items(), parts, strict=False):
        for name in [f"{part}.json"] if part >= 0 else files:
            files[name][key] = value
    return {name: json.dumps(content).encode() for name, content in files.items()}
