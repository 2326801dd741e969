"""The console's page Admin without a browser: how the workspace is, what it keeps, and what the clock starts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

import hishamos
from tests.conftest import stop_server
from tests.rigs.pages import drawn, press, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
SECRET = "sk-admin-0123456789abcdefghij"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("admin")
    (path / "key").write_text(SECRET)
    (path / "hishamos.toml").write_text(
        f'[providers.openai]\napi_key = "file:{path}/key"\napi_base = "http://amal:hunter2@127.0.0.1:9/v1"\nrpm = 7\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
    )
    yield path
    stop_server(path)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def test_health_settings_and_log_are_told_without_a_secret(draw: Draw, folder: Path):
    health = draw("admin")
    assert {one.label for one in health.metric} == {"Running", "Waiting", "Open calls", "Store"}
    assert all(fact in words(health) for fact in (str(folder), "pid ", hishamos.__version__, "openai"))
    page = draw("admin", show="Settings")
    tables = {frame.proto.alt: frame.value for frame in page.dataframe}
    assert list(tables["Settings of providers"][["Name", "rpm"]].iloc[0]) == ["openai", "7"]
    assert "route" in list(tables["Settings of workspace"]["Setting"])
    with hishamos.open(folder) as ws:
        log = folder / "data" / "local" / "server.log"
        with log.open("a") as file:
            file.write(f"2026-11-28 something about {SECRET} and Bread\n")
        page = draw("admin", show="Log", containing="bREAD")
        assert "something about [redacted] and Bread" in words(page)
        assert "1 line, the newest last" in words(page)
        assert "No line has these words" in words(draw("admin", show="Log", containing="nobody wrote this"))
        told = str(ws.health.settings())
        assert ws.health.logs(lines=0) == []
    assert "http://[redacted]@127.0.0.1:9/v1" in told
    for text in (words(health), told, *(frame.to_string() for frame in tables.values())):
        assert SECRET not in text
        assert "hunter2" not in text


def test_the_store_is_backed_up_and_a_copy_overwrites_nothing(draw: Draw, folder: Path):
    page = draw("admin", show="Storage")
    assert "hishamos.duckdb" in list(page.dataframe[0].value["Name"])
    field = next(one for one in page.text_input if one.label == "Into the file")
    field.set_value("copies/mine.duckdb")
    press(page, "Back up")
    assert (folder / "copies" / "mine.duckdb").stat().st_size > 10_000
    press(page, "Back up")
    assert "exists already" in words(page)


def test_a_copy_is_looked_at_and_restored_after_a_question(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        ws.projects.ensure("COPY")
        copy = ws.health.backup("copies/restored.duckdb")
        ws.commands.run("classify_bug", {"text": "It crashes."}, model="offline/extractive")
        ws.projects.ensure("LATER")
    page = draw("admin", show="Storage")
    field = next(one for one in page.text_input if one.label == "From the file")
    field.set_value("copies/nowhere.duckdb")
    press(page, "Look at the copy")
    assert "no such file" in words(page)
    next(one for one in page.text_input if one.label == "From the file").set_value("copies/restored.duckdb")
    press(page, "Look at the copy")
    assert "Would be lost, from the ledger and its budgets too: 1 attempt, 0 USD" in words(page)
    with hishamos.open(folder) as ws:
        assert {"COPY", "LATER"} <= {project.key for project in ws.projects.list()}
        press(page, "Restore")
        assert f"Restored from {copy}" in words(page)
        assert {"COPY", "LATER"} & {project.key for project in ws.projects.list()} == {"COPY"}


def spenders(draw: Draw) -> list[str]:
    (commands,) = [table.value["Command"] for table in draw("costs", by="command").dataframe if "Command" in table.value.columns]
    return [name.partition("@")[0] for name in commands]


def test_after_going_back_the_costs_are_those_of_the_store_as_it_is(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        ws.health.backup("copies/costs.duckdb")
        ws.commands.run("classify_bug", {"text": "It crashes."}, model="offline/extractive")
        assert "classify_bug" in spenders(draw)
        page = draw("admin", show="Storage")
        next(one for one in page.text_input if one.label == "From the file").set_value("copies/costs.duckdb")
        press(page, "Look at the copy")
        press(page, "Restore")
        ws.commands.run("classify_text", {"text": "It crashes.", "labels": {"good": "", "bad": ""}}, model="offline/extractive")
        assert "classify_text" in spenders(draw)


@pytest.mark.long
def test_old_runs_are_counted_and_pruned_after_a_question(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "yes"}, model="offline/extractive").wait(60)
        (result,) = ws.results.list(run=run.id)
    stop_server(folder)
    with duckdb.connect(str(folder / "data" / "local" / "hishamos.duckdb")) as store:
        store.execute("update journal_runs set finished_at = finished_at - interval 100 day")
    page = draw("admin", show="Storage")
    press(page, "Look what would go")
    with hishamos.open(folder) as ws:
        runs = len(ws.runs.list())
        number = f"{runs} run{'s' if runs > 1 else ''}"
        assert f"Would go: {number} that ended before" in words(page)
        press(page, "Prune for good")
        assert f"Went: {number}" in words(page)
        assert ws.runs.list() == []
    assert "was pruned on" in words(draw("run", run=run.id))
    assert f"Its run {run.id[:6]} was pruned on" in words(draw("results", result=result.id))


@pytest.mark.long
def test_a_schedule_is_set_paused_resumed_run_and_removed(draw: Draw, folder: Path):
    page = draw("admin", show="Schedules")
    assert "The clock starts nothing yet" in words(page)

    def fill(label: str, value: str) -> None:
        next(field for field in page.text_input if field.label == label).set_value(value)

    fill("Name", "nightly")
    fill("Times", "nonsense")
    fill("file", str(hishamos.sample("bugs.csv")))
    fill("model (optional)", "offline/extractive")
    press(page, "Set schedule")
    assert page.error
    fill("Times", "0 2 * * *")
    press(page, "Set schedule")
    assert "0 2 * * *" in words(page)
    with hishamos.open(folder) as ws:
        press(page, "Pause")
        assert not ws.schedules.get("nightly").enabled
        press(page, "Resume")
        assert ws.schedules.get("nightly").enabled
        press(draw("admin", show="Schedules"), "Run now")
        (run,) = ws.runs.list()
        assert ws.runs.wait(run.id, timeout_s=60).state in {"succeeded", "waiting"}
        press(draw("admin", show="Schedules"), "Remove for good")
        assert ws.schedules.list() == []


def test_nonsense_in_the_address_draws_the_page(draw: Draw):
    assert draw("admin", show="<script>").metric


def test_a_page_that_is_open_goes_on_with_the_next_server(draw: Draw, folder: Path):
    page = draw("admin")
    before = words(page)
    stop_server(folder)
    page.run()
    assert not page.exception
    assert page.metric
    assert "pid " in words(page)
    assert words(page) != before, "another server, of another pid"
