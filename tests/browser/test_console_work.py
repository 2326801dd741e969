"""Pages of the console on which work is started, in a real browser: one workspace, one console, one browser for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from tests.conftest import stop_server
from tests.rigs.consoles import serve
from tests.rigs.simulator import Simulator

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

pytestmark = [pytest.mark.browser, pytest.mark.long]
MODEL = "gpt-4.1-mini"
DRAWN = 30_000
"""Milliseconds in which a page is drawn, or something ends that was begun there."""


@pytest.fixture(scope="module")
def provider() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, provider: Simulator) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("work")
    (path / "key").write_text("sk-talking-0123456789abcdef")
    (path / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{path}/key"\napi_base = "{provider.url}/v1"\n[routes.default]\nmodels = ["openai/{MODEL}"]\nattempts = 1\n'
    )
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


@pytest.fixture
def page(page: Page) -> Page:
    page.set_default_timeout(DRAWN)
    return page


def test_a_batch_is_started_from_a_csv_file_watched_to_its_end_and_its_rows_are_opened(console: str, page: Page, folder: Path) -> None:
    page.goto(f"{console}/batches")
    page.get_by_text("No batch yet").wait_for()
    page.locator("input[type=file]").set_input_files(files=[{"name": "rows.csv", "mimeType": "text/csv", "buffer": b"number\n1\n0\n3\n"}])
    page.get_by_text("3 rows in rows.csv").wait_for()
    page.get_by_role("button", name="Start batch").click()
    page.get_by_role("heading", name="halves.ipynb").wait_for()
    page.get_by_role("button", name="Execute what is missing (1)").wait_for()  # drawn by itself, once the rows have ended
    page.get_by_text("2 of 3").first.wait_for()
    with hishamos.open(folder) as ws:
        (batch,) = ws.batch.list()
    assert f"batch={batch.run}" in page.url
    page.goto(f"{console}/batches?batch={batch.run}&row=2")
    page.get_by_text("ZeroDivisionError").locator("visible=true").first.wait_for()  # the table has it too, where only a reader of screens sees it
    page.get_by_role("tab", name="Executed notebook").click()
    page.locator("code", has_text="import hishamos").first.wait_for()
    page.goto(f"{console}/batches")
    page.get_by_text("1 batch").wait_for()
    page.locator("[data-testid=stDataFrameResizable] canvas").first.wait_for()
    page.wait_for_timeout(500)  # it is drawn
    page.get_by_test_id("stDataFrame").first.click(position={"x": 20, "y": 50})
    page.get_by_role("heading", name="halves.ipynb").wait_for()


def test_a_row_that_was_chosen_while_it_ran_tells_its_end_while_others_run(console: str, page: Page, folder: Path) -> None:
    facts: dict[str, object] = {"outputs": [], "execution_count": None, "cell_type": "code"}
    body = f"import pathlib, time\nwhile not (pathlib.Path({str(folder)!r}) / str(number)).exists():\n    time.sleep(0.05)\nraise ValueError(f'row {{number}}')"
    cells = [
        facts | {"metadata": {"tags": ["parameters"]}, "source": "number: int = 0", "id": "one"},
        facts | {"metadata": {}, "source": body, "id": "two"},
    ]
    (folder / "held.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with hishamos.open(folder) as ws:
        run = ws.batch.start("held.ipynb", [{"number": 1}, {"number": 2}], jobs=2)
        page.goto(f"{console}/batches?batch={run.id}&row=1")
        page.get_by_role("heading", name="Row 1").wait_for()
        (folder / "1").touch()
        page.get_by_test_id("stAlert").get_by_text("ValueError: row 1").wait_for()
        assert ws.runs.get(run.id).state == "running"
        (folder / "2").touch()
        ws.runs.wait(run.id, timeout_s=60)


def test_an_agent_is_tried_in_chat_as_it_comes_and_a_refresh_keeps_it(console: str, page: Page, folder: Path, provider: Simulator) -> None:
    seen: list[str] = []

    def note(request: Request) -> None:
        seen.append(request.url)

    page.on("request", note)
    words = f"## Findings\n\n![beacon]({provider.url}/seen) [press]({provider.url}/pressed) <b>bold</b> one two three four five six seven eight nine ten"
    provider.script(MODEL, {"text": words, "hold_after": 4})
    page.goto(f"{console}/agents?task=find%20sources%20for%20a%20comparison")
    page.get_by_text("best fit").wait_for()
    page.goto(f"{console}/agents?agent=research")
    page.get_by_role("button", name="Try in Chat").click()
    field = page.get_by_placeholder("Message to research")
    field.fill("Compare them")
    field.press("Enter")
    page.get_by_role("heading", name="Findings").wait_for()  # the answer is under way, and shown
    assert "ten" not in page.get_by_test_id("stChatMessage").nth(1).inner_text()
    assert "conversation=" in page.url
    page.reload()
    page.get_by_role("heading", name="Findings").wait_for()  # found again while it is under way
    provider.go_on()
    page.get_by_text("eight nine ten").wait_for()
    page.get_by_text("USD in all").wait_for()
    answer = page.get_by_test_id("stChatMessage").nth(1)
    assert answer.locator("img, a:not([href^='#']), b").count() == 0
    page.remove_listener("request", note)
    assert [url for url in seen if url.startswith(provider.url)] == []


def test_a_file_goes_with_a_message_and_an_answer_is_stopped(console: str, page: Page, folder: Path, provider: Simulator) -> None:
    provider.script(MODEL, {"text": "It says salt and flour."}, {"text": "one two three four five six seven eight nine ten", "chunk_s": 1.5})
    page.goto(f"{console}/chat?agent=assistant")
    field = page.get_by_placeholder("Message to assistant")
    field.wait_for()
    page.locator("[data-testid=stChatInput] input[type=file]").set_input_files(
        files=[{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Salt and flour"}]
    )
    page.get_by_text("notes.txt").wait_for()
    field.fill("What does it say?")
    field.press("Enter")
    page.get_by_text("It says salt and flour.").wait_for()
    page.get_by_text("notes.txt, text, 1 kB").wait_for()
    assert "Salt and flour" in provider.book()[-1]["said"] or "Salt and flour" in str(provider.book()[-1]["messages"])
    field.fill("Count")
    field.press("Enter")
    page.get_by_text("one two").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped").wait_for()
    assert page.get_by_text("nine ten").count() == 0
    with hishamos.open(folder) as ws:
        assert [one.state for one in ws.conversations.messages(ws.conversations.list(agent="assistant")[0].id)] == ["answered", "failed"]
