"""Whether a page of the console is for everybody: held to axe in each theme, and to the window's width on a phone and on a desk."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page

HEIGHT = 900
LOOKS = {"light": 1400, "dark": 390}
"""Theme to the window's width in pixels: both themes and both widths, without each with each."""
STREAMLITS_OWN = [["[data-testid=stSidebarNav]"], ["[data-testid=stDataFrame]"]]
"""What Streamlit draws by itself and no page can change: its navigation's list has ``div`` between ``ul`` and ``li``, its tables are a canvas."""
MOVE = "address => { history.pushState(null, '', address); dispatchEvent(new PopStateEvent('popstate')) }"
MUTED = "getComputedStyle(document.querySelector('[data-testid=stCaptionContainer]')).color"


def drawn(page: Page, url: str, heading: str | None = None, words: str | re.Pattern[str] | None = None) -> None:
    """Open a page and wait until all of it is there, and what comes last is laid out.

    In a window that shows another page of this console it is opened as a link within the console does it: the console's program, most of
    what a load costs, stays. So it needs a ``heading``, and ``words`` where that is also the other page's.
    """
    path = url[url.index("/", len("http://")) :]
    if heading is not None and page.url.startswith(url.removesuffix(path) + "/") and urlsplit(page.url).path != urlsplit(url).path:
        page.evaluate(MOVE, path)
    else:
        page.goto(url)
    main = page.get_by_test_id("stMainBlockContainer")
    shown = main.get_by_role("heading", name=heading, level=1) if heading else main.get_by_role("heading")
    shown.first.wait_for(timeout=30_000)
    if words is not None:
        page.get_by_text(words).first.wait_for(state="attached", timeout=30_000)
    page.get_by_text("This month").first.wait_for(state="attached", timeout=30_000)  # the sidebar's foot, which the router draws last
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(state="attached", timeout=30_000)  # what was there before is gone
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="detached", timeout=30_000)


def looked_at(page: Page, theme: str) -> None:
    """Give the window a theme and its width."""
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    page.set_viewport_size({"width": LOOKS[theme], "height": HEIGHT})


def redrawn(page: Page) -> None:
    """Have a page that is drawn be drawn anew by Streamlit's own key, less work than a load, and wait for the theme's colours, which the server gives."""
    before = page.evaluate(MUTED)
    page.evaluate("document.activeElement?.blur()")
    deadline = time.monotonic() + 30
    while page.evaluate(MUTED) == before:
        assert time.monotonic() < deadline, "it is still drawn in the other theme's colours"
        page.keyboard.press("r")  # without effect while the page is being drawn, which a live one often is
        page.wait_for_timeout(300)
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(state="attached", timeout=30_000)  # what comes last has them too
    page.locator("[data-testid=stSkeleton]").first.wait_for(state="detached", timeout=30_000)


def held(url: str, page: Page, axe: str, heading: str, words: str | re.Pattern[str] | None = None) -> None:
    """Hold a page to axe in each look, and to the window's width, first in the look that the window has."""
    first = "dark" if page.viewport_size == {"width": LOOKS["dark"], "height": HEIGHT} else "light"
    for theme in sorted(LOOKS, key=lambda name: name != first):
        looked_at(page, theme)
        if theme == first:
            drawn(page, url, heading, words)
        else:
            redrawn(page)
        assert page.get_by_text("Traceback").count() == 0
        if not page.evaluate("'axe' in window"):
            page.evaluate(axe)
        found = page.evaluate("skipped => axe.run({exclude: skipped}, {resultTypes: ['violations']})", STREAMLITS_OWN)
        assert [_told(one) for one in found["violations"] if one["impact"] in {"serious", "critical"}] == [], theme
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1"), theme
        inner = "[...document.querySelectorAll('[data-testid=stMainBlockContainer]')].every(one => one.scrollWidth <= window.innerWidth + 1)"
        assert page.evaluate(inner), theme


def _told(violation: dict[str, Any]) -> str:
    nodes = [f"{node['html'][:160]} ({node['failureSummary'][:200]})" for node in violation["nodes"][:3]]
    return f"{violation['id']}: {'; '.join(nodes)}"
