"""Every page of the console for everybody: nothing serious for axe, light and dark; by keyboard; on a phone no page scrolls sideways."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.opening import shipped
from hishamos.records.results import ResultDraft
from tests.conftest import stop_server
from tests.rigs.access import HEIGHT, drawn, held, looked_at
from tests.rigs.consoles import serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.long]
OFFLINE = "offline/extractive"
OWN_SIZE = """() => {
    const seen = [...document.querySelectorAll("img[alt^='Run of triage_bugs']")].filter(one => one.clientWidth)
    return seen.length === 1 && seen[0].clientWidth === seen[0].naturalWidth
}"""
"""Whether one picture of the run is seen, no smaller than it was drawn."""
PAGES: dict[str, tuple[str, str | re.Pattern[str] | None]] = {
    "home": ("Home", "triage_bugs"),
    "runs": ("Runs", re.compile(r"^\d+ runs")),
    "run?run={run}": ("triage_bugs", None),
    "approvals": ("Approvals", "1 waits for you"),
    "batches": ("Batches", None),
    "admin": ("Admin", "What was found"),
    "batches?batch={batch}&row=1": ("batch_report.ipynb", None),
    "costs": ("Costs", "Attempts"),
    "budgets": ("Budgets", None),
    "admin?show=Settings": ("Admin", "There is no hishamos.toml"),
    "providers": ("Providers", "First token"),
    "workflows?workflow=triage_bugs": ("Workflows", "From a CSV of reports"),
    "admin?show=Storage": ("Admin", "in data/local"),
    "commands?command=classify_bug": ("Commands", "Run classify_bug"),
    "agents?task=check+a+contract": ("Agents", None),
    "chat": ("Chat", None),
    "agents?agent=legal": ("legal", None),
    "results": ("Results", "A result"),
    "admin?show=Log": ("Admin", "the newest last"),
    "chat?conversation={talk}": ("What is known?", None),
    "results?result={result}": ("A result", None),
    "sql": ("SQL", "Views and columns"),
    "admin?show=Schedules": ("Admin", "New schedule"),
}
"""Addresses, each with the page's heading and more that it shows once it is drawn; no two of one page beside each other, see :func:`drawn`."""
EMPTY = {
    "home": "Home",
    "runs": "Runs",
    "run?run=nobody": "Run",
    "approvals": "Approvals",
    "batches": "Batches",
    "costs": "Costs",
    "calls?model=nobody": "Calls",
    "budgets": "Budgets",
    "providers": "Providers",
    "chat": "Chat",
    "results": "Results",
    "admin?show=Schedules": "Admin",
}
"""Pages of a workspace in which nothing has happened yet, and of things that are not there."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("access")
    yield path
    stop_server(path)


@pytest.fixture(scope="module")
def things(folder: Path) -> dict[str, str]:
    """One thing of each kind, by the name that its page's address has it under."""
    with hishamos.open(folder) as ws, Path(hishamos.sample("batch_rows.csv")).open(encoding="utf-8") as file:
        run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "ask"}, model=OFFLINE).wait(60)
        batch = ws.batch.run(str(shipped("notebooks") / "batch_report.ipynb"), list(csv.DictReader(file))[:1], cells=True)
        talk = ws.conversations.start("research", model=OFFLINE)
        talk.say("What is known? Caches are fast. Caches may be stale.")
        result = ws.results.save(ResultDraft(title="A result", summary="Short.", body="# Body\n\n| a | b |\n|---|---|\n| 1 | 2 |"))
        ws.budgets.set("month", limit_usd="50")
        ws.schedules.create("nightly", "triage_bugs", "0 2 * * *", inputs={"file": hishamos.sample("bugs.csv")}, model=OFFLINE)
        return {"run": run.id, "batch": batch.id, "talk": talk.id, "result": result.id}


@pytest.fixture(scope="module")
def console(folder: Path, things: dict[str, str]) -> Iterator[str]:
    yield from serve(folder)


@pytest.fixture(scope="module")
def new_console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("new")
    yield from serve(path)
    stop_server(path)


@pytest.fixture(scope="module")
def sheet(browser: Browser) -> Iterator[Page]:
    """A window, kept from page to page."""
    opened = browser.new_page(reduced_motion="reduce")
    yield opened
    opened.close()


@pytest.mark.parametrize("address", PAGES)
def test_nothing_serious_keeps_anybody_from_a_page(console: str, things: dict[str, str], sheet: Page, axe: str, address: str) -> None:
    held(f"{console}/{address.format(**things).removeprefix('home')}", sheet, axe, *PAGES[address])


@pytest.mark.parametrize("address", EMPTY)
def test_nothing_serious_keeps_anybody_from_an_empty_page(new_console: str, sheet: Page, axe: str, address: str) -> None:
    held(f"{new_console}/{address.removeprefix('home')}", sheet, axe, EMPTY[address])


def test_a_graph_is_read_in_its_own_size_on_a_phone_and_on_a_page(console: str, things: dict[str, str], sheet: Page) -> None:
    sheet.set_viewport_size({"width": 390, "height": HEIGHT})
    drawn(sheet, f"{console}/run?run={things['run']}")
    for width, seen in ((390, ".hish-narrow"), (1400, ".hish-wide")):
        sheet.set_viewport_size({"width": width, "height": HEIGHT})
        sheet.locator(f"{seen} img").wait_for(timeout=30_000)
        sheet.wait_for_function(OWN_SIZE, timeout=30_000)


def test_the_sidebar_marks_what_an_unlisted_page_belongs_to(new_console: str, sheet: Page) -> None:
    look = "one => [one, ...one.querySelectorAll('span, p')].map(getComputedStyle).map(style => [style.backgroundColor, style.color, style.fontWeight])"
    for theme, listed, unlisted in (("light", "runs", "run"), ("dark", "costs", "calls")):
        looked_at(sheet, theme)
        sheet.set_viewport_size({"width": 1400, "height": HEIGHT})
        looks = []
        for address in (listed, unlisted):
            drawn(sheet, f"{new_console}/{address}")
            sheet.get_by_role("heading", name=address.title(), exact=True).wait_for(timeout=30_000)
            looks.append(sheet.locator(f"[data-testid=stSidebarNavLink][href$='/{listed}']").evaluate(look))
        assert looks[0] == looks[1]
        assert sheet.locator("[data-testid=stSidebarNavLink][href$='/batches']").evaluate(look) != looks[0]


def test_a_run_is_approved_and_a_message_sent_by_keyboard_alone(console: str, sheet: Page, folder: Path, things: dict[str, str]) -> None:
    page = sheet
    looked_at(page, "light")
    drawn(page, f"{console}/approvals")
    _type_into(page, "Comment", "looks right")
    _tab_to(page, "Approve")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing waits for you").wait_for(timeout=30_000)
    with hishamos.open(folder) as ws:
        assert ws.runs.wait(things["run"], timeout_s=60).state == "succeeded"
    drawn(page, f"{console}/chat?conversation={things['talk']}")
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=30_000)
    _type_into(page, "Message to research", "And what else?")
    page.keyboard.press("Enter")
    page.get_by_text("2 messages").wait_for(timeout=30_000)


def _type_into(page: Page, name: str, text: str) -> None:
    """Go to a field with Tab and type; what is typed while the page is drawn anew can be lost, and whoever types sees it and does it again."""
    for _ in range(3):
        _tab_to(page, name)
        page.keyboard.type(text)
        if page.evaluate("document.activeElement.value") == text:
            return
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.press("Backspace")
        page.wait_for_timeout(500)
    pytest.fail(f"what is typed into {name} does not stay there")


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the focus bears a name, as somebody without a mouse does."""
    said = "(one => one.getAttribute('aria-label') || one.placeholder || one.innerText || '')(document.activeElement)"
    for _ in range(120):
        page.keyboard.press("Tab")
        if name in str(page.evaluate(said)).split("\n")[0]:
            return
    pytest.fail(f"the keyboard does not get to {name}")
