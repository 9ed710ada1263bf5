"""A real Chromium, Debian's, driven by Playwright; Playwright itself downloads no browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from auditor.model.audit import Audit
from auditor.report.document import document
from auditor.report.html import html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Opened:
    """A page, and what it said and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def shown(self) -> int:
        return self.page.locator(".finding:visible").count()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing; install it with: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def show(chromium: Browser, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open the HTML report of an audit; at the end nothing may have been asked for, complained of or run."""
    opened: list[Opened] = []

    def shown(audit: Audit, *, fragment: str = "", width: int = 1400, **options: object) -> Opened:
        path = tmp_path / f"report-{len(opened)}.html"
        path.write_text(html(document(audit)), encoding="utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        one = Opened(context.new_page())
        opened.append(one)

        def asked(route: Route) -> None:
            one.requests.append(route.request.url)
            route.continue_()

        one.page.route("**/*", asked)
        one.page.on("console", lambda message: one.complaints.append(message.text))
        one.page.on("pageerror", lambda error: one.complaints.append(str(error)))
        one.page.on("dialog", lambda dialog: one.complaints.append(dialog.message))
        one.page.goto(path.as_uri() + fragment)
        return one

    yield shown
    for one in opened:
        assert [] == one.complaints
        assert [] == [url for url in one.requests if not url.startswith(tmp_path.as_uri())]
        assert 1 == len(one.requests)
        one.page.context.close()
