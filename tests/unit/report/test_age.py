"""How old what counts is: in the document, in the verdict's sentence, and so in every format."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest

from auditor.cli.acts import judged
from auditor.cli.main import run
from auditor.model.ages import Freshness
from auditor.report.formats import FORMATS
from auditor.report.stored import read
from auditor.report.views import seen, verdict
from auditor.resources import schema_text
from tests.commands import CASES

CASE = CASES / "any-age.exit0"
SEEN = datetime(2020, 1, 1, tzinfo=UTC)


def compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: datetime, *more: str, scan: Path | None = None):
    """The report of comparing the case at that time."""
    monkeypatch.setattr(judged, "now", lambda: now)
    given = ("compare", CASE / "inventory.yaml", "--nmap-xml", scan or CASE / "public.xml", "-o", tmp_path, "-q", *more)
    run([str(one) for one in given])
    return read(tmp_path / "latest" / "report.json")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_tells_that_it_is_old(name, tmp_path, monkeypatch):
    """Whichever of them is read, nobody takes what was seen in 2020 for what is there today."""
    document = compared(tmp_path, monkeypatch, SEEN + timedelta(days=12), "--max-age=any")
    told = FORMATS[name](document)

    assert ("2020-01-01T00:00:00Z" if name == "json" else "2020-01-01T00:00Z, 12 days before") in " ".join(told.split())
    assert [{"from": "2020-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}] == [
        row["seen"] for row in document["coverage"]
    ]
    assert verdict(document).sentence.endswith("It rests on what was seen at 2020-01-01T00:00Z, 12 days before.")


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_of_today_is_not_remarked_upon(name, tmp_path, monkeypatch):
    """An audit's own looks, and evidence of the same day."""
    document = compared(tmp_path, monkeypatch, SEEN + timedelta(days=1))

    assert "" == seen(document)
    assert "1 day before" not in FORMATS[name](document)


def test_first_and_last_look_of_each_viewpoint(tmp_path, monkeypatch):
    """Between them lies what the verdict rests on; the age is that of the oldest."""
    document = compared(tmp_path, monkeypatch, SEEN + timedelta(days=5))
    (row,) = document["coverage"]
    other = {**row, "viewpoint": "vpn", "seen": {"from": "2020-01-02T00:00:00Z", "to": "2020-01-04T00:00:00Z"}}
    document["coverage"].append(other)

    assert "from 2020-01-01T00:00Z to 2020-01-04T00:00Z, up to 5 days before" == seen(document)
    assert "from 2020-01-02T00:00Z to 2020-01-04T00:00Z, up to 4 days before" == seen(document, "vpn")


def test_what_has_no_time_is_said_to_have_none(tmp_path, monkeypatch):
    """It counts only where any age will do, and even then nobody reads a date into it."""
    scan = tmp_path / "timeless.xml"
    scan.write_text(
        '<nmaprun scanner="nmap" args="nmap -p 443 203.0.113.10" version="7.93">'
        '<host><status state="up" reason="reset"/>'
        '<address addr="203.0.113.10" addrtype="ipv4"/><ports><port protocol="tcp" portid="443">'
        '<state state="open" reason="syn-ack"/></port></ports></host>'
        '<runstats><finished exit="success"/></runstats></nmaprun>',
        encoding="utf-8",
    )
    now = SEEN + timedelta(days=1)
    document = compared(tmp_path / "any", monkeypatch, now, "--max-age=any", scan=scan)
    strict = compared(tmp_path / "strict", monkeypatch, now, scan=scan)

    jsonschema.validate(document, json.loads(schema_text("report")))
    assert [{"undated": True}] == [row["seen"] for row in document["coverage"]]
    assert "It rests on what was seen at a time that the evidence does not tell." in verdict(document).sentence
    assert ["of unknown age: the evidence does not say when it was seen, and --max-age asks for it"] == [
        row["reason"] for row in strict["unverified"]
    ]


def test_junit_and_sarif_tell_it_where_tools_look(tmp_path, monkeypatch):
    """A property of the viewpoint's suite, a note of the run."""
    document = compared(tmp_path, monkeypatch, SEEN + timedelta(days=12), "--max-age=any")
    (suite,) = fromstring(FORMATS["junit"](document))
    (run_,) = json.loads(FORMATS["sarif"](document))["runs"]
    (note,) = run_["invocations"][0]["toolExecutionNotifications"]

    assert "at 2020-01-01T00:00Z, 12 days before" == suite[0][0].get("value")
    assert ("age", "note") == (note["descriptor"]["id"], note["level"])
    assert "public: seen at 2020-01-01T00:00Z, 12 days before" == note["message"]["text"]


@pytest.mark.parametrize(
    ("ahead", "why"),
    [
        (timedelta(seconds=60), None),
        (timedelta(seconds=61), "from the future: a clock is wrong: seen 2020-01-01T00:01Z, 1 minute from now"),
        (timedelta(days=3), "from the future: a clock is wrong: seen 2020-01-04T00:00Z, 3 days from now"),
    ],
)
def test_clocks_may_differ_by_a_minute(ahead, why):
    """More is the fault of one of them, whatever age may be."""
    assert why == Freshness(SEEN, None).future(SEEN + ahead) == Freshness(SEEN, timedelta(days=1)).future(SEEN + ahead)
