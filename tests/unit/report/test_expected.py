"""`auditor expect` as JSON and CSV: every expectation with its reason."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.expectation import Expectation, Expectations
from auditor.model.inventory import Inventory, InventoryFile, Location
from auditor.model.words import Profile
from auditor.report.expected import EXPECT_FORMATS, expected_document, expected_rows
from auditor.resources import schema_text
from tests.commands import auditor

TEXT = """
version: 1
name: estate
scope: {allow: [203.0.113.0/24, "2001:db8:1::/64", 10.20.0.0/16]}
ranges: {internet: {cidrs: [0.0.0.0/0, "::/0"]}, bastion: [203.0.113.7]}
viewpoints:
  public: {kind: public, addresses: [198.51.100.20, "2001:db8:f::20"], targets: [203.0.113.0/24, "2001:db8:1::/64"]}
roles:
  server:
    services:
      ssh: {ports: 22/tcp, interfaces: [public], from: [bastion, "host:web"]}
hosts:
  web:
    roles: [server]
    interfaces: {public: [203.0.113.10, "2001:db8:1::10"], private: [10.20.1.10]}
    services:
      https: {ports: [443/tcp, 8443/tcp], interfaces: [public], from: [bastion, internet]}
      www: {ports: 443/tcp, interfaces: [public], from: [internet]}
      four: {ports: 4/tcp, interfaces: [public], from: [internet], families: [ipv4], optional: true}
      app: {ports: 8080/tcp, interfaces: [private, loopback], from: [internet]}
      peer: {ports: 9/tcp, interfaces: [public], from: ["host:lost"]}
  lost: {interfaces: {lan: [lost.example.com]}}
"""


@pytest.fixture
def estate(tmp_path: Path) -> Inventory:
    (tmp_path / "hosts").mkdir()
    roles, hosts = TEXT.split("hosts:\n")
    (tmp_path / "main.yaml").write_text(roles, encoding="utf-8")
    (tmp_path / "hosts" / "web.yaml").write_text(f"version: 1\nhosts:\n{hosts}", encoding="utf-8")
    return load(tmp_path, lambda names: dict.fromkeys(names, "no such name"))


@pytest.fixture
def expected(estate: Inventory) -> Expectations:
    return expect(estate, estate.viewpoints["public"], Profile.QUICK)


def reasons(rows: list[dict[str, Any]], address: str) -> dict[str, str]:
    return {row["ports"]: row["why"] for row in rows if row["address"] == address and len(row["ports"]) < 10}


def test_the_reason_for_each_line(estate: Inventory, expected: Expectations) -> None:
    """What is expected, which declaration says so, and where it stands, as seen from the folder of the inventory."""
    rows = list(expected_rows(estate, expected))

    assert reasons(rows, "203.0.113.10") == {
        "4": "permitted: four, from internet, hosts/web.yaml:9",
        "9": "blocked: peer, its source ranges are not all known (host:lost), hosts/web.yaml:11",
        "22": "blocked: ssh, viewpoint outside its source ranges (bastion, host:web), main.yaml:11",
        "443": "reachable: https and www, from internet, hosts/web.yaml:7",
        "8443": "reachable: https, from internet, hosts/web.yaml:7",
        "8080": "blocked: app, declared on other interfaces only (private, loopback), hosts/web.yaml:10",
    }
    assert reasons(rows, "2001:db8:1::10")["4"] == "blocked: four, declared for the other family only, hosts/web.yaml:9"
    assert {row["why"] for row in rows if "service" not in row} == {"blocked: declared nowhere"}


def test_rows_without_what_should_be_blocked(estate: Inventory, expected: Expectations) -> None:
    """As the table has them."""
    rows = list(expected_rows(estate, expected, blocked=False))

    assert {row["expected"] for row in rows} == {"reachable", "permitted"}


def test_json_follows_its_schema(estate: Inventory, expected: Expectations) -> None:
    """And what could not be resolved is in it."""
    document = json.loads(EXPECT_FORMATS["json"](expected_document(estate, [expected])))
    schema = json.loads(schema_text("expect"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)

    assert document["expectations"] == list(expected_rows(estate, expected))
    assert document["unresolved"] == [
        {"host": "lost", "name": "lost.example.com", "reason": "has no address: no such name"}
    ]
    assert {left["viewpoint"] for left in document["left_out"]} == {"public"}


def test_csv_has_every_row(estate: Inventory, expected: Expectations) -> None:
    """RFC 4180: lines end with CR LF, every one of them with as many fields as the first."""
    text = EXPECT_FORMATS["csv"](expected_document(estate, [expected]))
    rows = list(csv.DictReader(StringIO(text, newline="")))
    plain = [{key: str(row.get(key, "")) for key in rows[0]} for row in expected_rows(estate, expected)]

    assert rows == plain
    assert text.count("\r\n") == text.count("\n") == len(plain) + 1


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("=HYPERLINK(1).yaml", "'=HYPERLINK(1).yaml"),
        ("+1.yaml", "'+1.yaml"),
        ("-1.yaml", "'-1.yaml"),
        ("@a.yaml", "'@a.yaml"),
        ("\ta.yaml", "'\\x09a.yaml"),
        ("\ra.yaml", "'\\x0da.yaml"),
        ('a",b\n.yaml', 'a",b\\x0a.yaml'),
        ("a-1=2.yaml", "a-1=2.yaml"),
    ],
)
def test_no_text_is_a_formula(file: str, shown: str, estate: Inventory, expected: Expectations) -> None:
    """A spreadsheet that opens it computes nothing."""
    estate = replace(estate, files=(InventoryFile(file, "0" * 64),))
    rows = tuple(moved(one, file) for one in expected.expectations)
    text = EXPECT_FORMATS["csv"](expected_document(estate, [replace(expected, expectations=rows)]))

    assert {row["file"] for row in csv.DictReader(StringIO(text, newline=""))} == {shown, ""}


def moved(one: Expectation, file: str) -> Expectation:
    return replace(one, service=replace(one.service, location=Location(file, 1))) if one.service else one


def test_the_command_prints_them() -> None:
    """Only what `--host`, `-V` and `--profile` choose."""
    options = ("-V", "public", "--host", "bastion", "--profile", "quick")
    ended = {
        form: auditor("expect", "inventories/practice", *options, "--format", form, cwd=Path(__file__).parents[3])
        for form in ("json", "csv", "table")
    }
    document = json.loads(ended["json"].stdout)
    jsonschema.validate(document, json.loads(schema_text("expect")))

    assert {form: (one.returncode, one.stderr) for form, one in ended.items()} == dict.fromkeys(ended, (0, ""))
    assert {(row["viewpoint"], row["host"]) for row in document["expectations"]} == {("public", "bastion")}
    assert len(ended["csv"].stdout.splitlines()) == len(document["expectations"]) + 1
    for row in document["expectations"]:
        assert (row["why"] in ended["table"].stdout) is (row["expected"] != "blocked")
        assert ip_address(row["address"])


def test_an_unknown_format_is_bad_usage() -> None:
    """The message names those there are."""
    ended = auditor("expect", "inventories/practice", "--format", "xml", cwd=Path(__file__).parents[3])

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "'table', 'json', 'csv'" in ended.stderr
