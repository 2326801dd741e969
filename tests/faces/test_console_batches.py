"""The console's Batches page without a browser: what stands in a batch, row by row, and what can be done about it there."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.contracts.verbs import Verb
from hishamos.errors import InvalidInput
from hishamos.frames import csv_rows
from hishamos.records.runs import RunState
from hishamos.remote.requests import Requests
from tests.conftest import stop_server
from tests.rigs.pages import drawn, press, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
BODY = """
import pathlib
import hishamos
ws = hishamos.open()
answer = ws.commands.run("classify_bug", {"text": text}, model="offline/extractive")
print("![beacon](http://127.0.0.1:9/seen)")
if not pathlib.Path(gate).exists() and number == 2:
    raise ValueError("no <figures> in row two")
hishamos.result(double=number * 2)
"""


def cell(kind: str, source: str, *tags: str) -> dict[str, object]:
    made = {"cell_type": kind, "metadata": {"tags": list(tags)}, "source": source, "id": f"c{len(source)}"}
    return made if kind == "markdown" else made | {"outputs": [], "execution_count": None}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("batches")
    parameters = f'number: int = 0\ntext = "The app crashes on save and the file is lost"\ngate = {str(path / "gate")!r}'
    cells = [cell("markdown", "# A report of [one](http://127.0.0.1:9/row)"), cell("code", parameters, "parameters"), cell("code", BODY)]
    facts = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    (path / "report.ipynb").write_text(json.dumps({"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}))
    (path / "plain.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    yield path
    stop_server(path)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def until_ended(ws: hishamos.Workspace, run: str) -> str:
    return ws.runs.wait(run, timeout_s=120).state


def test_a_batch_is_started_read_row_by_row_and_only_what_is_missing_is_executed_again(draw: Draw, folder: Path):
    page = draw("batches")
    assert "No batch yet" in words(page)
    assert page.selectbox[0].options == ["report.ipynb"]  # the other one declares no parameters
    assert "number" in words(page)
    page.text_area[0].set_value("numbr\n1")
    press(page, "Start batch")
    assert "no parameter 'numbr'" in words(page)
    page.text_area[0].set_value("number\n1\n2\n3")
    press(page, "Start batch")
    with hishamos.open(folder) as ws:
        (batch,) = ws.batch.list()
        assert until_ended(ws, batch.run) == "failed"

        page = draw("batches")
        assert "1 batch" in words(page)
        assert list(page.dataframe[0].value[["Rows", "Failed"]].iloc[0]) == ["3 / 3", "1"]
        assert "No batch has this state" in words(draw("batches", state="succeeded"))

        page = draw("batches", batch=batch.run[:6])
        assert [one.value for one in page.metric][:2] == ["2 of 3", "1"]
        assert list(page.dataframe[0].value["Result"]) == ["double=2", "", "double=6"]
        failed = draw("batches", batch=batch.run, rows="failed", row="2")
        assert list(failed.dataframe[0].value["Row"]) == ["2"]
        assert "ValueError: no <figures> in row two" in words(failed)
        assert "offline/extractive" in list(failed.dataframe[1].value["Model"])  # its attempts
        assert not any("![beacon]" in str(one.value) or "](http://" in str(one.value) for one in failed.markdown)
        assert any("![beacon]" in one.value for one in failed.code)  # what it printed stands there as text

        failed.session_state["attempts of row 2"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
        failed.run()
        assert "What it was asked" in words(failed)
        assert "What came back" in words(failed)

        (folder / "gate").touch()
        before = len(ws.ledger.calls(limit=100))
        press(page, "Execute what is missing (1)")
        assert until_ended(ws, batch.run) == "succeeded"
        assert len(ws.ledger.calls(limit=100)) == before + 1, "what was done is not paid again"
        again = draw("batches", batch=batch.run)
        assert again.metric[0].value == "3 of 3"
        assert not any(button.label.startswith("Execute") for button in again.button)


@pytest.mark.long
def test_a_batch_at_work_is_paused_gone_on_with_and_cancelled(draw: Draw, folder: Path):
    body = "import pathlib, time\nwhile number > 1 and not pathlib.Path(gate).exists():\n    time.sleep(0.05)"
    slow = [cell("code", f"number: int = 0\ngate = {str(folder / 'slow gate')!r}", "parameters"), cell("code", body)]
    (folder / "slow.ipynb").write_text(json.dumps({"cells": slow, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    with hishamos.open(folder) as ws:
        run = ws.batch.start(str(folder / "slow.ipynb"), [{"number": number} for number in (1, 2, 3)], jobs=1).id
        deadline = time.monotonic() + 60
        while ws.batch.get(run).rows.get("succeeded", 0) < 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        page = draw("batches", batch=run)
        assert "1 of 3 rows have ended" in next(one.proto.text for one in page.get("progress"))
        assert {button.label for button in page.button} >= {"Pause batch", "Cancel batch"}
        press(page, "Cancel batch")
        assert until_ended(ws, run) == "cancelled"
        assert [row.index for row in ws.batch.rows(run, status="succeeded")] == [0]
        assert [row.index for row in ws.batch.rows(run, after=0, limit=1)] == [1]
        (folder / "slow gate").touch()
        press(draw("batches", batch=run), "Execute what is missing (2)")
        assert until_ended(ws, run) == "succeeded"
        assert next(info.run for info in ws.batch.list(state=RunState.SUCCEEDED)) == run
        with pytest.raises(InvalidInput, match="no such row"):
            ws.batch.executed(run, 3)
        Path(ws.batch.rows(run)[2].output_path or "").unlink()
        with pytest.raises(InvalidInput, match="can't be read"):
            ws.batch.executed(run, 2)
        assert "can't be read" in words(draw("batches", batch=run, row="3"))


def test_an_uploaded_file_is_read_once_however_often_the_form_is_drawn(draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch):
    read: list[str] = []
    real = csv_rows.csv_rows

    def counted(text: str, file: str, most: int | None = None):
        read.append(file)
        return real(text, file, most)

    monkeypatch.setattr(csv_rows, "csv_rows", counted)
    monkeypatch.delitem(sys.modules, "parts.csv_uploads", raising=False)
    page = draw("batches")
    page.file_uploader[0].set_value(("rows.csv", b"number\n1\n2\n", "text/csv")).run()
    for jobs in (3, 4):
        page.number_input[0].set_value(jobs).run()
        assert "2 rows in rows.csv" in words(page)
    assert read == ["rows.csv"]
    page.file_uploader[0].set_value(("rows.csv", b"number\n1\n", "text/csv")).run()
    assert "1 row in rows.csv" in words(page)  # another file of the same name
    page.file_uploader[0].set_value(("rows.csv", b"number\n\xff\n", "text/csv")).run()
    assert "byte 7 is not UTF-8" in words(page)
    page.file_uploader[0].set_value(("rows.csv", b"number\n1\n", "text/csv")).run()
    press(page, "Start batch")
    with hishamos.open(folder) as ws:
        newest = ws.batch.list(limit=1)[0]
        assert newest.total == 1
        until_ended(ws, newest.run)
    monkeypatch.delitem(sys.modules, "parts.csv_uploads")


@pytest.mark.parametrize("query", [{"batch": "ZZZZZZ"}, {"batch": "<script>"}, {"state": "nonsense", "notebook": "nobody", "rows": "x"}])
def test_nonsense_in_the_address_is_a_sentence(draw: Draw, query: dict[str, str]):
    page = draw("batches", **query)
    assert bool(page.warning) == ("batch" in query)


def test_a_batch_that_is_gone_on_with_while_its_page_is_read_is_shown_as_it_is_now(draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch):
    with hishamos.open(folder) as ws:
        rows = [{"number": number, "gate": str(folder / "another gate")} for number in (2, 3)]
        failed, call = [ws.batch.start(str(folder / "report.ipynb"), rows).id], Requests.call
        assert until_ended(ws, failed[0]) == "failed"

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            if (verb.service, verb.name) == ("batch", "rows") and failed:
                batch = failed.pop()
                (folder / "another gate").touch()
                ws.runs.resume(batch)
                assert until_ended(ws, batch) == "succeeded"
            return call(self, verb, arguments)

        monkeypatch.setattr(Requests, "call", called)
        page = draw("batches", batch=failed[0])
        assert page.metric[0].value == "2 of 2"
        assert not any(button.label.startswith("Execute") for button in page.button)


def test_a_row_that_is_none_is_a_sentence(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        batch = ws.batch.start(str(folder / "report.ipynb"), [{"number": 1}]).id
        until_ended(ws, batch)
    for row in ("99", "0", "x", "9" * 50, "²"):
        assert "no such row" in words(draw("batches", batch=batch, row=row))
