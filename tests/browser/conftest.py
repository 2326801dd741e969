"""One browser and one window for the tests of a file: the console's program, a second of a processor for each new window, is loaded once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.conftest import RIGS, missing
from tests.rigs.consoles import SWITCHES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium_path, args=SWITCHES)
        yield started
        started.close()


@pytest.fixture(scope="module")
def window(browser: Browser) -> Page:
    return browser.new_page(reduced_motion="reduce")


@pytest.fixture
def page(window: Page) -> Iterator[Page]:
    """The window, showing nothing; what a test had it remember is forgotten."""
    window.set_viewport_size({"width": 1400, "height": 1000})
    yield window
    if window.url.startswith("http"):
        window.evaluate("localStorage.clear(); sessionStorage.clear()")
    window.context.clear_cookies()
    window.goto("about:blank")


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that finds what keeps people from using a page."""
    file = RIGS / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not file.exists():
        missing("axe", f"{file} (run: npm ci --prefix tests/rigs/axe)")
    return file.read_text(encoding="utf-8")
