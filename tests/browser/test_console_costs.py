"""The Costs page in a real browser: one number everywhere, and from a bar to its calls to the trace of their run."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import pytest

import hishamos
from tests.conftest import stop_server
from tests.faces.conftest import Terminal
from tests.rigs.consoles import serve
from tests.rigs.large_store import make

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.long]
COUNTED = re.compile(r"^[\d,]+ attempts?$")
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("costs")
    make(path, 2_100)
    yield path
    stop_server(path)


@pytest.fixture(scope="module")
def console(folder: Path) -> Iterator[str]:
    yield from serve(folder)


def settled(page: Page) -> None:
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=20_000)


def taken(page: Page, button: str) -> bytes:
    with page.expect_download(timeout=20_000) as found:
        page.get_by_role("button", name=button, exact=True).locator("visible=true").click()
    return Path(found.value.path()).read_bytes()


def test_page_file_notebook_terminal_and_sql_say_the_same_to_the_last_digit(console: str, page: Page, folder: Path) -> None:
    page.goto(f"{console}/costs?by=project&span=7+days")
    page.get_by_text("Top spenders by project").wait_for(timeout=20_000)
    settled(page)
    page.get_by_test_id("stMetric").filter(has_text="Spend").first.get_by_test_id("stTooltipIcon").hover()
    told = page.get_by_text("Exactly").inner_text(timeout=10_000)
    on_page = round(float(told.removeprefix("Exactly ").removesuffix(" USD")) * 10**9)
    page.mouse.move(5, 5)
    page.get_by_role("button", name="SQL and data").last.click()
    statement = page.locator("[data-testid=stCode]").locator("visible=true").last.inner_text()
    by_csv = pandas.read_csv(io.BytesIO(taken(page, "CSV")))
    by_parquet = pandas.read_parquet(io.BytesIO(taken(page, "Parquet")))
    since = re.search(r"started_at >= '([^']+)'", statement)
    assert since
    with hishamos.open(folder) as ws:
        by_notebook = ws.ledger.spend(by="project", since=pandas.Timestamp(since[1]).to_pydatetime())
        by_sql = ws.sql(statement)
    by_terminal = pandas.DataFrame(Terminal(folder).json("spend", "--by", "project", "--since", since[1].removesuffix("+00:00")))
    assert on_page > 0
    assert on_page == by_notebook["cost_nanos"].sum()
    for frame in (by_csv, by_parquet, by_sql, by_terminal):
        for column in ("project", "cost_nanos", "attempts", "calls", "unpriced", "input_tokens", "p95_ms"):
            assert frame[column].fillna("").tolist() == by_notebook[column].fillna("").tolist(), column


def test_a_bar_leads_to_its_calls_and_a_call_to_its_trace(console: str, page: Page) -> None:
    page.goto(f"{console}/costs?span=7+days")
    bar = page.locator(".js-plotly-plot .bars .point path").first
    bar.wait_for(timeout=20_000)
    settled(page)
    box = bar.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/calls?**", timeout=20_000)
    page.get_by_role("heading", name="Calls").wait_for(timeout=20_000)
    assert "day=" in page.url
    assert "model=" in page.url
    settled(page)
    page.reload()  # the address holds the view
    page.get_by_text(COUNTED).first.wait_for(timeout=20_000)
    table = page.locator("[data-testid=stDataFrameResizable] canvas").first
    table.wait_for(timeout=20_000)
    settled(page)
    corner = table.bounding_box()
    assert corner
    page.mouse.click(corner["x"] + 230, corner["y"] + 52)  # the first row's model
    page.wait_for_url("**/run?**", timeout=20_000)
    page.get_by_role("heading", name="Attempt ").wait_for(timeout=20_000)
    page.locator(".js-plotly-plot").locator("visible=true").first.wait_for(timeout=20_000)


def test_costs_and_calls_fit_a_narrow_screen(console: str, page: Page) -> None:
    page.set_viewport_size(NARROW)
    for address, words in {"/costs?chart=Times": "Times by day", "/calls?status=failed": COUNTED}.items():
        page.goto(console + address)
        page.get_by_text(words).first.wait_for(timeout=20_000)
        settled(page)
        assert page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth + 1")


def test_an_answer_that_is_cut_on_the_sql_page_is_whole_in_its_file(console: str, page: Page) -> None:
    page.goto(f"{console}/sql?statement=select+id,+cost_nanos+from+attempts")
    page.get_by_role("button", name="Run statement").click(timeout=20_000)
    page.get_by_text("1,000 rows in").wait_for(timeout=20_000)
    settled(page)
    assert len(pandas.read_csv(io.BytesIO(taken(page, "CSV")))) == 2_102
