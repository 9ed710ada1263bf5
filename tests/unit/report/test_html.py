"""The HTML report as text: self-contained, escaped, complete without scripts."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from auditor.model.audit import Verdict
from auditor.model.words import Result
from auditor.report.document import document
from auditor.report.hostile import visible
from auditor.report.html import html
from tests.builders import clean_audit
from tests.estates import big_audit, blind_audit, busy_audit, hostile_audit

BUSY, CLEAN, HOSTILE = (html(document(audit())) for audit in (busy_audit, clean_audit, hostile_audit))
VOID = {"meta", "link", "br", "input", "circle", "path", "wbr"}


class Page(HTMLParser):
    """Collects elements, checks nesting, and keeps the visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert tag == self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


@pytest.mark.parametrize("page", [BUSY, CLEAN, HOSTILE])
def test_well_formed(page: str) -> None:
    """Every element is closed where it should be, and ids are unique."""
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]

    assert [] == parsed.open
    assert sorted(set(ids), key=str) == sorted(ids, key=str)


@pytest.mark.parametrize("page", [BUSY, CLEAN, HOSTILE])
def test_self_contained(page: str) -> None:
    """Nothing is fetched: no address but the empty icon and links within the page."""
    elements = Page(page).elements
    addresses = [value for _, attributes in elements for key, value in attributes.items() if key in ("src", "href")]

    assert [] == [address for address in addresses if address != "data:," and not str(address).startswith("#")]
    assert [] == re.findall(r"url\(|@import", page.partition("</style>")[0])
    assert not {"img", "iframe", "object", "form", "base"} & {tag for tag, _ in elements}
    assert [] == [key for _, attributes in elements for key in attributes if key == "style" or key.startswith("on")]


@pytest.mark.parametrize("page", [BUSY, HOSTILE])
def test_policy(page: str) -> None:
    """The content security policy allows exactly the one style sheet and the one script, by hash."""
    policy = next(a["content"] for tag, a in Page(page).elements if "http-equiv" in a)
    inline = re.findall(r"<(style|script)>(.*?)</\1>", page, re.DOTALL)

    assert ["style", "script"] == [tag for tag, _ in inline]
    assert str(policy).startswith("default-src 'none'; ")
    for tag, content in inline:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in str(policy)


def test_hostile_text_is_inert() -> None:
    """Markup, template syntax and attribute breaks from the network come out as text, exactly as they were."""
    text = Page(HOSTILE).text

    for wanted in (
        "<script>window.pwned=1</script>",
        '"><img src=x onerror="window.pwned=3">',
        "{{7*7}}{% raw %}${7*7}#{7*7}",
    ):
        assert wanted in text


def test_controls_are_visible() -> None:
    """Control and bidirectional characters are shown as escapes."""
    assert [] == re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", HOSTILE)
    assert "admin\\u202etxt.exe\\u2066\\u200b" in HOSTILE
    assert "esc\\x1b[2J" in HOSTILE


def test_long_text_is_cut() -> None:
    """A banner of 50,000 characters does not swamp the page, and the page says how much is missing."""
    assert "A" * 4001 not in HOSTILE
    assert "(46000 more characters)" in HOSTILE


def test_blind() -> None:
    """The page says of a viewpoint that could not look why it could not, and shows its hosts as unverified."""
    page = html(document(blind_audit()))

    assert 2 <= page.count("the source address would be 192.0.2.9, declared is 198.51.100.20")
    assert "? unverified" in page
    assert "alive" in page


@pytest.mark.parametrize(
    ("words", "shown"),
    [((), "any finding"), (("none",), "none"), (("undeclared-port", "wrong-family"), "undeclared-port, wrong-family")],
)
def test_what_fails(words: tuple[str, ...], shown: str) -> None:
    """The page says on what the audit fails; without --fail-on, that is any finding."""
    audit = busy_audit()
    page = html(document(replace(audit, verdict=replace(audit.verdict, fail_on=words))))

    assert f" · fails on {shown} · " in page


def test_a_host_of_silence_alone_is_not_verified() -> None:
    """The host matrix says verified only where at least one endpoint is."""
    (seen,) = clean_audit().comparisons
    silent = [outcome for outcome in seen.outcomes if outcome.result is Result.SILENT]
    quiet = replace(clean_audit(), comparisons=(replace(seen, outcomes=tuple(silent)),))
    page = html(document(quiet))

    assert 0 == page.count("✓ verified")
    assert 1 == page.count('<a class="cell silent" href="#silent">– silent</a>')
    assert 1 == CLEAN.count("✓ verified <small>+silent</small>")


def test_order() -> None:
    """Verdict first, then what is about to expire, the tables, the findings, and what was accepted or not verified."""
    headings = re.findall(r"<h[12][^>]*>(.*?)</h[12]>", BUSY)

    assert [
        "example-estate",
        "Failed in part",
        "1 waiver about to expire",
        "Class × severity",
        "Viewpoint × host",
        "Findings",
        "Notices",
        "Waived",
        "Coverage",
        "Unverified",
        "Silent",
        "Left out",
        "Viewpoints and commands",
    ] == headings


def test_everything_without_scripts() -> None:
    """Every finding, its evidence and its filled playbook are in the page itself."""
    text = Page(BUSY).text

    report = document(busy_audit())
    for each in (*report["findings"], *report["waived"]):
        assert each["why"] in text
        assert each["fingerprint"] in text
    assert "nmap -Pn -n -6 -p 22 2001:db8:1::10" in text
    assert "{" not in re.sub(
        r"\{(bind|behind|trace|ping|addresses|route_back|allow|replier|members|container)\}", "", text
    )


def test_many_findings_share_their_playbooks() -> None:
    """Beyond a thousand findings a playbook stands once, and each finding links to it."""
    page = html(document(big_audit(1001)))

    assert 1001 == page.count('href="#playbook-too-open"')
    assert 1 == page.count('id="playbook-too-open"')


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("Grüße 東京 🙂", "Grüße 東京 🙂"),
        ("a\x00\x1b[1m\x7f\x9b", "a\\x00\\x1b[1m\\x7f\\x9b"),
        ("\u202eevil\u2069\ufeff\u061c", "\\u202eevil\\u2069\\ufeff\\u061c"),
        ("\U000e0041\ud800\u2028", "\\U000e0041\\ud800\\u2028"),
        ("two\nlines", "two\\x0alines"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    """What can be seen stays; what would act is written out."""
    assert shown == visible(text)


def test_no_host_with_a_finding_is_left_away() -> None:
    """However many rows the matrix gets: what is cut is said to be well."""
    page = html(document(big_audit(4500)))

    assert page.count('<th scope="row">host-') == 450
    assert "more host" not in page


def test_commands_are_filled_in_however_many_findings_there_are() -> None:
    """Only the words of a playbook stand once for all."""
    page = html(document(big_audit(1001)))

    assert page.count("nmap -Pn -n -p 6379 10.64.0.1</code>") == 1
    assert page.count("<dt>Blast radius</dt>") == 1


def test_nothing_looked_at_is_no_pass() -> None:
    """Where nothing was to be looked at, no sentence says that everything was judged."""
    empty = replace(clean_audit(), comparisons=(), verdict=Verdict("incomplete", False, (), 3))
    page = html(document(empty))

    assert "every endpoint of the coverage gave an answer" not in page
    assert "No single endpoint; what failed is told above." in page


def test_waived_findings_beyond_a_thousand_are_counted() -> None:
    """What the page leaves away it says; the JSON report has all."""
    audit = busy_audit()
    page = html(document(replace(audit, waived=audit.waived * 400)))

    assert 1000 == page.count("waived-one") - page.count(".waived-one")
    assert "And 200 more waived findings in the JSON report." in page
