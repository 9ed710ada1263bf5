"""`auditor validate`: what it prints of an inventory, and how it exits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import auditor

ROOT = Path(__file__).parents[3]
INVENTORY = """version: 1
name: shop
scope: {allow: [203.0.113.0/24]}
ranges: {internet: {cidrs: [0.0.0.0/0], trust: untrusted}}
viewpoints: {public: {kind: public, addresses: [198.51.100.20], boundary: filtered}}
hosts:
  db-1:
    owner: team
    interfaces: {public: [203.0.113.10]}
    services:
      postgres: {ports: 5432/tcp, from: [internet], reason: orders}
"""
POLICY = "policy: {forbid: [{class: data-store, trust: untrusted}], max_waiver_days: 365}\n"
WAIVER = """waivers:
  - {match: {host: db-1, kind: policy-breach}, severity: direct-compromise, reason: r, owner: o,
     since: 2026-01-01, expires: EXPIRES}
"""
LINT = (
    "inventory.yaml:11:35: hosts.db-1.services.postgres.from: a data-store service, by its port number, is declared "
    "to untrusted sources: internet; narrow them, "
    "give its `class` if it is another, or accept it by `except` in a `forbid` of the policy [exposed-data-store]\n"
)
BREACH = (
    "inventory.yaml:11:7: hosts.db-1.services.postgres: db-1.postgres (data-store) is declared to untrusted sources: "
    "internet, against the policy (forbid class data-store, trust untrusted): "
    "whoever reaches it can try to take it over. [policy-breach]\n"
)
SIGHT = "source ranges: 1 of 1 has a viewpoint standing in them\naddresses: 1 of 1 IPv4 are looked at\n"
VALID = "shop: valid: 1 host, 1 service, 1 viewpoint in 1 file"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY, encoding="utf-8")
    (tmp_path / "breach.yaml").write_text(INVENTORY + POLICY, encoding="utf-8")
    return tmp_path


def waived(folder: Path, expires: str) -> Path:
    path = folder / "waived.yaml"
    path.write_text(INVENTORY + POLICY.replace("365", "99999") + WAIVER.replace("EXPIRES", expires), encoding="utf-8")
    return path


def test_lint_is_told_and_fails_nothing(folder: Path) -> None:
    """Lint comes first, then what the inventory holds and what the viewpoints see of it."""
    ended = auditor("validate", "inventory.yaml", cwd=folder)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"{LINT}{VALID}; 1 lint\n{SIGHT}" == ended.stdout


def test_strict_fails_on_lint(folder: Path) -> None:
    """The same lines, and exit code 1, also with -q."""
    ended = auditor("validate", "inventory.yaml", "--strict", "-q", cwd=folder)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"{LINT}{VALID}; 1 lint\n{SIGHT}" == ended.stdout


def test_a_breach_of_the_policy_fails(folder: Path) -> None:
    """Breaches come before lint."""
    (folder / "inventory.yaml").write_text(INVENTORY + POLICY, encoding="utf-8")
    ended = auditor("validate", "inventory.yaml", cwd=folder)

    assert (ended.returncode, ended.stderr) == (1, "")
    assert f"{BREACH}{LINT}{VALID}; 1 breach of the policy, 1 lint\n{SIGHT}" == ended.stdout


@pytest.mark.parametrize(("expires", "expected"), [("2099-12-31", 0), ("2026-01-02", 1)])
def test_a_waiver_covers_a_breach_until_it_expires(folder: Path, expires: str, expected: int) -> None:
    """A waived breach is counted apart and fails nothing; one whose waiver has expired is a breach again."""
    ended = auditor("validate", waived(folder, expires), "--format", "json")
    document = json.loads(ended.stdout)

    assert expected == ended.returncode
    assert (expected, 1 - expected) == (len(document["breaches"]), len(document["waived"]))


def test_a_long_waiver_is_a_breach_at_its_place(folder: Path) -> None:
    """`max_waiver_days` is broken by the waiver, which is named by file, line and path."""
    text = INVENTORY + POLICY.replace("365", "30").replace("data-store", "dev-debug")
    (folder / "inventory.yaml").write_text(text + WAIVER.replace("EXPIRES", "2099-12-31"), encoding="utf-8")
    ended = auditor("validate", "inventory.yaml", cwd=folder)

    assert ended.returncode == 1
    assert ended.stdout.startswith("inventory.yaml:14:5: waivers[0]: ")
    assert "[policy-breach]" in ended.stdout.splitlines()[0]


def test_quiet_says_nothing_where_all_is_well(folder: Path) -> None:
    """With -q, lint that fails nothing is not told."""
    ended = auditor("validate", "inventory.yaml", "-q", cwd=folder)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_json(folder: Path) -> None:
    """One object with the counts, the breaches, the lint with its reason, and the coverage."""
    ended = auditor("validate", "breach.yaml", "--format", "json", cwd=folder)
    document = json.loads(ended.stdout)
    (breach,) = document.pop("breaches")
    (lint,) = document.pop("lint")

    assert ended.returncode == 1
    assert document == {
        "schema": "auditor/validation/v1",
        "name": "shop",
        "valid": True,
        "counts": {"hosts": 1, "services": 1, "viewpoints": 1, "files": 1},
        "waived": [],
        "coverage": {
            "ranges": ["internet"],
            "unseen": [],
            "addresses": {"ipv4": 1, "ipv6": 0},
            "watched": {"ipv4": 1, "ipv6": 0},
            "unwatched": [],
            "denied": [],
        },
    }
    assert breach.pop("fingerprint").startswith("v1:")
    assert breach.pop("message") in BREACH
    assert breach == {
        "rule": "forbid class data-store, trust untrusted",
        "severity": "direct-compromise",
        "host": "db-1",
        "service": "postgres",
        "path": "hosts.db-1.services.postgres",
        "file": "breach.yaml",
        "line": 11,
        "column": 7,
    }
    assert lint.pop("message") in LINT
    assert lint.pop("reason")
    assert lint == {
        "rule": "exposed-data-store",
        "path": "hosts.db-1.services.postgres.from",
        "file": "breach.yaml",
        "line": 11,
        "column": 35,
    }


def test_json_of_an_invalid_inventory(folder: Path) -> None:
    """The errors, each with its place, and exit code 2."""
    (folder / "bad.yaml").write_text(INVENTORY.replace("5432/tcp", "70000/tcp"), encoding="utf-8")
    ended = auditor("validate", "bad.yaml", "--format", "json", cwd=folder)

    assert (ended.returncode, ended.stderr) == (2, "")
    assert json.loads(ended.stdout) == {
        "schema": "auditor/validation/v1",
        "valid": False,
        "errors": [
            {
                "id": "bad-ports",
                "message": "`70000/tcp` is outside the ports that there are, 1 to 65535",
                "path": "hosts.db-1.services.postgres.ports",
                "file": "bad.yaml",
                "line": 11,
                "column": 18,
            }
        ],
    }


def test_color_only_where_asked_for(folder: Path) -> None:
    """No code reaches a pipe, unless --color always says so; then it is all that differs."""
    plain = auditor("validate", "breach.yaml", cwd=folder).stdout
    colored = auditor("validate", "breach.yaml", "--color", "always", cwd=folder).stdout

    assert "\x1b" not in plain
    assert colored.startswith("\x1b[31m")
    assert plain == colored.replace("\x1b[31m", "").replace("\x1b[33m", "").replace("\x1b[0m", "")


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "inventories").iterdir()))
def test_what_is_shipped_is_valid(name: str) -> None:
    """The example inventories keep their own policy."""
    ended = auditor("validate", f"inventories/{name}", cwd=ROOT)

    assert (ended.returncode, ended.stderr) == (0, "")
