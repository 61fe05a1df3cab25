"""Pages in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import chromium
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tracer.reports.formats import FORMATS, Document
from tracer.reports.output import writing

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests, which fail if there is none."""
    expect.set_options(timeout=20_000)
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser's profile of the test's own, at the size of a desktop."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, permissions=["clipboard-read"])
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def opened(context: BrowserContext, tmp_path: Path) -> Iterator[Open]:
    """`opened(document, "#fragment")` writes a document's page and opens it. No page may write to the console."""
    messages: list[str] = []
    requests: list[str] = []

    def open_page(document: Document, fragment: str = "") -> Page:
        path = tmp_path / "page.html"
        if not path.exists():
            write_page(path, document)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("dialog", lambda dialog: messages.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{path.as_uri()}{fragment}")
        page.wait_for_selector("html[data-ready]", state="attached")
        return page

    yield open_page
    assert messages == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}


def write_page(path: Path, document: Document) -> None:
    """Write a document's page."""
    from io import TextIOWrapper

    with writing(path) as file:
        text = TextIOWrapper(file, encoding="utf-8")
        FORMATS["html"].print(document, text)
        text.detach()
