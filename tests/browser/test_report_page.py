"""The HTML report in a real Chromium. Each test also asserts, at its end, no console message and no request."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from auditor.model.drift import Drift
from auditor.model.ports import PortSet
from auditor.model.words import Result
from tests.browser.conftest import Opened
from tests.builders import clean_audit
from tests.estates import HOSTILE, big_audit, busy_audit, hostile_audit

pytestmark = pytest.mark.browser
Show = Callable[..., Opened]

CONTRAST = """() => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return parts.length < 4 ? [...parts, 1] : parts;
  };
  const linear = (value) => (value <= .03928 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color[3] === 1) return color;
    }
    return [255, 255, 255, 1];
  };
  const exempt = "[aria-hidden=true].none, .visually-hidden, .skip, :disabled";
  const poor = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
    if (!own || !node.checkVisibility() || node.closest(exempt)) continue;
    const pair = [luminance(parse(getComputedStyle(node).color)), luminance(behind(node))].sort((a, b) => b - a);
    const ratio = (pair[0] + .05) / (pair[1] + .05);
    if (ratio < 4.5) poor.push(`${node.className}: ${node.textContent.slice(0, 40)} ${ratio.toFixed(2)}`);
  }
  return poor;
}"""


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("severity", "direct-compromise", 4),
        ("class", "data-store", 2),
        ("class", "no class", 9),
        ("viewpoint", "vpn", 1),
        ("host", "web-1", 6),
        ("owner", "platform", 3),
        ("owner", "no owner", 2),
    ],
)
def test_filter(show: Show, name: str, value: str, expected: int) -> None:
    """Each filter leaves the findings that fit, counts them, and stands in the address of the page."""
    opened = show(busy_audit())
    opened.page.select_option(f"[data-filter={name}]", value)

    assert expected == opened.shown()
    assert str(expected) == opened.page.inner_text("#shown")
    assert opened.page.url.endswith(f"#{name}={value.replace(' ', '+')}")


def test_search(show: Show) -> None:
    """Every word of the search has to occur, in what the row shows."""
    opened = show(busy_audit())
    opened.page.fill("[data-filter=q]", "Redis 6379")

    assert 1 == opened.shown()
    opened.page.fill("[data-filter=q]", "nowhere")
    assert 0 == opened.shown()
    expect(opened.page.locator("#nothing")).to_be_visible()
    opened.page.click("#clear")
    assert 17 == opened.shown()
    assert opened.page.evaluate("document.activeElement.matches('select')")  # the disabled button cannot keep it


def test_search_finds_every_endpoint(show: Show) -> None:
    """Also those that the row has no room for; a wrong "no finding" would be the worst answer here."""
    audit = busy_audit()
    addresses = {
        str(o.expectation.address)
        for found in audit.findings
        if isinstance(found.subject, Drift)
        for o in found.subject.outcomes
    }
    opened = show(audit)
    for address in addresses:
        opened.page.fill("[data-filter=q]", address)

        assert opened.shown() > 0, address


def test_back_shows_what_was_there(show: Show) -> None:
    """The address says which view it is; the same number can be clicked again."""
    opened = show(busy_audit())
    opened.page.click(".severities .tally >> nth=1")
    expect(opened.page.locator("#shown")).not_to_have_text("17")
    filtered = opened.shown()
    opened.page.evaluate("scrollTo(0, 0)")
    opened.page.click(".severities .tally >> nth=1")
    assert opened.page.evaluate("document.activeElement.id") == "findings"
    assert filtered == opened.shown() < 17
    opened.page.go_back()
    expect(opened.page.locator("#shown")).to_have_text("17")


@pytest.mark.parametrize("width", [1280, 1000, 390])
def test_tables_show_all_their_words(show: Show, width: int) -> None:
    """No header is cut; at full width nothing is out of sight either."""
    opened = show(busy_audit(), width=width)
    every = "[...document.querySelectorAll('.grid th')]"
    cut = f"{every}.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerText)"

    assert [] == opened.page.evaluate(cut)
    if width == 1280:
        hidden = "[...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).length"
        assert 0 == opened.page.evaluate(hidden)


@pytest.mark.parametrize("width", [1400, 390])
def test_no_port_number_is_broken(show: Show, width: int) -> None:
    """Half a number on the next line would be another port."""
    audit = busy_audit()
    covered = PortSet.of(*range(1, 65535, 500))
    first = audit.comparisons[0].outcomes[0]
    wide = replace(first, ports=covered, expectation=replace(first.expectation, ports=covered))
    opened = show(replace(audit, comparisons=(replace(audit.comparisons[0], outcomes=(wide,)),)), width=width)
    parts = """() => [...document.querySelectorAll('#coverage td:nth-child(3) code')].flatMap((code) =>
      [...code.childNodes].filter((node) => node.nodeType === 3).map((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return range.getClientRects().length;
      }))"""
    lines = opened.page.evaluate(parts)

    assert len(lines) > 100
    assert set(lines) == {1}


def test_filters_combine(show: Show) -> None:
    """Two filters leave what fits both."""
    opened = show(busy_audit())
    opened.page.select_option("[data-filter=severity]", "direct-compromise")
    opened.page.select_option("[data-filter=host]", "db-1")

    assert 3 == opened.shown()


def test_linked_view(show: Show) -> None:
    """A link with filters in its fragment shows the same view to somebody else; unknown values are ignored."""
    assert 3 == show(busy_audit(), fragment="#severity=direct-compromise&host=db-1").shown()
    assert 17 == show(busy_audit(), fragment="#severity=%3Cscript%3E&nothing=1").shown()


def test_linked_finding(show: Show) -> None:
    """A link to one finding opens it."""
    opened = show(busy_audit())
    link = opened.page.locator(".finding .permalink").nth(3).get_attribute("href")
    opened.page.evaluate("link => { location.hash = link }", link)

    expect(opened.page.locator(f"{link}[open]")).to_be_visible()


def test_tables_filter(show: Show) -> None:
    """A cell of the class × severity table, and of the viewpoint × host matrix, shows its findings."""
    opened = show(busy_audit())
    opened.page.click(".severities .tally >> nth=1")
    number = opened.page.locator(".severities .tally").nth(1).inner_text().split()[0]
    expect(opened.page.locator("#shown")).to_have_text(number)  # waits: the browser tells of a new fragment later
    assert int(number) == opened.shown()

    opened.page.click("a.cell:has-text('lateral-movement')")
    expect(opened.page.locator("[data-filter=viewpoint]")).to_have_value("vpn")
    assert 1 == opened.shown()


def test_keyboard(show: Show) -> None:
    """Tab reaches the skip link first, then everything that acts; Enter opens a finding; focus can be seen."""
    opened = show(busy_audit())
    opened.page.keyboard.press("Tab")
    assert "Skip to the findings" == opened.page.evaluate("document.activeElement.textContent")
    opened.page.keyboard.press("Enter")
    reached = []
    for _ in range(12):
        opened.page.keyboard.press("Tab")
        reached.append(
            opened.page.evaluate(
                "document.activeElement.dataset.filter || document.activeElement.id || document.activeElement.tagName"
            )
        )
    assert ["severity", "class", "viewpoint", "host", "owner", "q", "expand", "collapse", "SUMMARY"] == reached[:9]
    assert "none" != opened.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    opened.page.keyboard.press("Enter")
    assert 1 == opened.page.locator(".finding[open]").count()
    assert [] == opened.page.evaluate(
        "[...document.querySelectorAll('select, input')].filter((c) => !c.labels.length).map((c) => c.outerHTML)"
    )


def test_copy(show: Show) -> None:
    """A command is copied whole, without the network."""
    opened = show(busy_audit(), permissions=["clipboard-read", "clipboard-write"])
    finding = opened.page.locator(".finding").first
    finding.locator("summary").click()
    finding.locator(".command button").first.click()

    expect(finding.locator(".command button").first).to_have_text("Copied")
    assert finding.locator(".command code").first.inner_text() == opened.page.evaluate("navigator.clipboard.readText()")


def test_hostile(show: Show) -> None:
    """No script of a banner runs, whatever is opened, hovered or filtered, and every banner can be read."""
    opened = show(hostile_audit())
    opened.page.click("#expand")
    for row in opened.page.locator(".finding").all():
        row.hover()
    opened.page.fill("[data-filter=q]", "<script>")
    opened.page.fill("[data-filter=q]", "")

    assert opened.page.evaluate("window.pwned === undefined")
    assert 1 == opened.page.evaluate("document.scripts.length")
    assert 0 == opened.page.locator("img").count()
    assert 2 * len(HOSTILE) == opened.shown()  # each text in a drift, and in a breach
    assert HOSTILE[0] in opened.page.inner_text("h1")


def test_what_is_waived(show: Show) -> None:
    """Each with its reason, owner and how long it is accepted for; what ends soon also stands at the top."""
    opened = show(busy_audit())
    page = opened.page

    assert 3 == page.locator("#waived > details").count()
    first = page.locator("#waived > details").first
    assert "team-web: replaced with the console server" in first.inner_text()
    assert "until 2027-06-30" in first.inner_text()
    first.locator("summary").click()
    assert "2026-10-02 to 2027-06-30 220 days left" in first.inner_text()
    assert "3 days left, until 2026-11-25" in page.locator(".expiring").inner_text()
    assert "It was waived until 2026-11-20 by team-web: partner migration." in page.locator(".expired").text_content()
    assert 1 == page.locator("#notices > details").count()


def test_policy_holds(show: Show) -> None:
    """Even markup that got into the page could neither run nor fetch."""
    opened = show(busy_audit())
    opened.page.evaluate(
        """() => {
          const image = "<img src=https://example.org/x onerror='window.pwned=1'>";
          document.body.insertAdjacentHTML("beforeend", image);
          const script = document.createElement("script");
          script.textContent = "window.pwned = 2";
          document.body.append(script);
        }"""
    )

    assert opened.page.evaluate("window.pwned === undefined")
    assert opened.complaints
    opened.complaints.clear()


@pytest.mark.parametrize("audit", [busy_audit, clean_audit, hostile_audit])
def test_phone(show: Show, audit: Callable[[], object]) -> None:
    """At 390 pixels the page never scrolls sideways, everything opened."""
    opened = show(audit(), width=390)
    opened.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    assert 390 == opened.page.evaluate("document.documentElement.scrollWidth")


def test_phone_without_viewpoint(show: Show) -> None:
    """What no viewpoint saw, such as a breach of the policy, is "from" nowhere."""
    page = show(busy_audit(), width=390).page
    told = {name: page.locator(f".finding .from{name}").evaluate_all(
        "all => all.map((each) => getComputedStyle(each, '::before').content)"
    ) for name in (":empty", ":not(:empty)")}  # fmt: skip

    assert {":empty": {"none"}, ":not(:empty)": {'"from "'}} == {name: set(each) for name, each in told.items()}


def test_paper(show: Show) -> None:
    """In print every finding is open and the filters are gone."""
    opened = show(busy_audit())
    opened.page.emulate_media(media="print")

    assert 17 == opened.page.locator(".finding .why:visible").count()
    assert 0 == opened.page.locator("#filters:visible, button:visible").count()
    assert opened.page.locator(".finding .body").last.bounding_box()["height"] > 100  # type: ignore[index]
    assert opened.page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts(show: Show) -> None:
    """Without JavaScript every finding is there and opens; no dead controls."""
    opened = show(busy_audit(), java_script_enabled=False)

    assert 17 == opened.shown()
    assert 0 == opened.page.locator("#filters:visible, #expand:visible").count()
    opened.page.locator(".finding summary").first.click()
    expect(opened.page.locator(".finding .why").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(show: Show, scheme: str) -> None:
    """All text has at least the contrast of WCAG AA, light and dark."""
    opened = show(busy_audit(), color_scheme=scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")

    assert [] == opened.page.evaluate(CONTRAST)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verified_is_green_and_silent_no_color_of_a_severity(show: Show, scheme: str) -> None:
    """A host that is as declared looks sound, though some of it is silent; silence looks like nothing else."""
    (seen,) = clean_audit().comparisons
    silent = [outcome for outcome in seen.outcomes if outcome.result is Result.SILENT]
    mute = show(replace(clean_audit(), comparisons=(replace(seen, outcomes=tuple(silent)),)), color_scheme=scheme)
    sound = show(clean_audit(), color_scheme=scheme)

    def colors(page: Page, selector: str) -> tuple[list[int], list[int]]:
        """Of the text and of what is behind it, red, green, blue and how opaque where that is told."""
        return tuple(
            [round(float(number)) for number in re.findall(r"[\d.]+", found)]
            for found in page.eval_on_selector(
                selector, "(one) => [getComputedStyle(one).color, getComputedStyle(one).backgroundColor]"
            )
        )

    for red, green, blue, *_ in colors(sound.page, ".cell.verified"):
        assert green > max(red, blue)
    ink, behind = colors(mute.page, ".cell.silent")
    assert max(ink) - min(ink) < 16
    assert [0, 0, 0, 0] == behind
    assert [] == sound.page.evaluate(CONTRAST) + mute.page.evaluate(CONTRAST)


def test_severity_in_words(show: Show) -> None:
    """Severity, legs and outcomes are words, not colour alone."""
    opened = show(busy_audit())
    opened.page.click("#expand")

    assert 17 == opened.page.locator(".finding > summary .chip").count()
    assert "direct-compromise" in opened.page.locator(".finding > summary .chip").first.inner_text()
    assert {"yes", "no", "unknown"} == set(opened.page.locator(".path .state").all_inner_texts())


def test_big(show: Show) -> None:
    """Two thousand findings load, filter and count."""
    opened = show(big_audit(2000))
    opened.page.select_option("[data-filter=severity]", "data-exposure")

    assert "333" == opened.page.inner_text("#shown")
    assert opened.page.inner_text(".count").startswith("333 of 2,000 findings shown")
