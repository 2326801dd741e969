"""Pages of the console on which work is started, in a real browser: one workspace, one console, one browser for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from tests.conftest import stop_server
from tests.rigs.consoles import SWITCHES, serve

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
DRAWN = 30_000
"""Milliseconds in which a page is drawn, or something ends that was begun there."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("work")
    cells = [
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "number: int = 0", "id": "one", "outputs": [], "execution_count": None},
        {
            "cell_type": "code",
            "metadata": {},
            "source": "import hishamos\nhishamos.result(double=6 // number)",
            "id": "two",
            "outputs": [],
            "execution_count": None,
        },
    ]
    (path / "halves.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    yield path
    stop_server(path)


@pytest.fixture(scope="module")
def console(folder: Path) -> Iterator[str]:
    yield from serve(folder)


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=chromium_path, args=SWITCHES)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    sheet = browser.new_page(viewport={"width": 1400, "height": 1000})
    sheet.set_default_timeout(DRAWN)
    yield sheet
    sheet.close()


def test_a_batch_is_started_from_a_csv_file_watched_to_its_end_and_its_rows_are_opened(console: str, page: Page, folder: Path) -> None:
    page.goto(f"{console}/batches")
    page.get_by_text("No batch yet").wait_for()
    page.locator("input[type=file]").set_input_files(files=[{"name": "rows.csv", "mimeType": "text/csv", "buffer": b"number\n1\n0\n3\n"}])
    page.get_by_text("rows.csv").first.wait_for()
    page.get_by_role("button", name="Start batch").click()
    page.get_by_role("heading", name="halves.ipynb").wait_for()
    page.get_by_role("button", name="Execute what is missing (1)").wait_for()  # drawn by itself, once the rows have ended
    page.get_by_text("2 of 3").wait_for()
    with hishamos.open(folder) as ws:
        (batch,) = ws.batch.list()
    assert f"batch={batch.run}" in page.url
    page.goto(f"{console}/batches?batch={batch.run}&row=2")
    page.get_by_text("ZeroDivisionError").first.wait_for()
    page.get_by_role("tab", name="Executed notebook").click()
    page.locator("code", has_text="import hishamos").first.wait_for()
    page.goto(f"{console}/batches")
    page.get_by_text("1 batch").wait_for()
    page.get_by_test_id("stDataFrame").first.click(position={"x": 20, "y": 50})
    page.get_by_role("heading", name="halves.ipynb").wait_for()
