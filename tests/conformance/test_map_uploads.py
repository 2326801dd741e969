"""Rows of a map that are handed in page by page, what is reused of them, and what a forecast knows of that: alike on both store engines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput
from hishamos.records.record import now
from hishamos.store.pruning import forget_requests
from hishamos.workspace import Workspace
from tests.rigs.simulator import Simulator

TOML = """
[providers.openai]
api_key = "env:OPENAI_API_KEY"
api_base = "{url}/v1"
concurrency = 4

[routes.default]
models = ["openai/gpt-4.1-mini"]
"""
ECHO = """
name: echo
description: Says it again.
parameters:
  text: {type: text}
  tone: {type: text, default: plain}
template: "{{ tone }}: {{ text }}"
max_output_tokens: 200
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(params=["duckdb", "postgres"])
def ws(request: Any, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    (tmp_path / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "echo.yaml").write_text(ECHO)
    simulator.clear()
    store = request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:"
    with open_in_process(tmp_path, store=store) as opened:
        yield opened


def texts(*values: str) -> list[dict[str, str]]:
    return [{"text": value} for value in values]


def test_pages_make_one_map(ws: Workspace, simulator: Simulator) -> None:
    upload = ws.commands.put_rows(texts("a", "b"))
    assert ws.commands.put_rows(texts("c", "a"), upload=upload, start=2) == upload
    with pytest.raises(InvalidInput, match="rows from 9 on do not follow the 4"):
        ws.commands.put_rows(texts("d"), upload=upload, start=9)
    run = ws.runs.wait(ws.commands.start_map("echo", upload, inputs={"tone": "loud"}).id)
    assert (run.id, run.state, run.steps_total, run.reused) == (upload, "succeeded", 4, 1)
    assert [(row.status, row.reused) for row in ws.commands.map_rows(upload)] == [("succeeded", False)] * 3 + [("succeeded", True)]
    assert sorted(entry["said"] for entry in simulator.book()) == ["loud: a", "loud: b", "loud: c"]
    again = ws.runs.wait(ws.commands.start_map("echo", [{"text": "c", "tone": "loud"}, {"text": "d"}], inputs={"tone": "loud"}).id)
    assert [row.reused for row in ws.commands.map_rows(again.id)] == [True, False]
    assert ws.runs.get(again.id).reused == 1
    with pytest.raises(InvalidInput, match="no rows were handed in as 'nobody'"):
        ws.commands.start_map("echo", "nobody")


def test_what_is_never_started_is_let_go(ws: Workspace) -> None:
    forgotten, started = ws.commands.put_rows(texts("x")), ws.commands.put_rows(texts("y"))
    run = ws.runs.wait(ws.commands.start_map("echo", started).id)
    store = ws.commands._service.machinery.store  # type: ignore[attr-defined]
    forget_requests(store, now())
    assert {row["run_id"] for row in store.fetch("select run_id from map_inputs")} == {forgotten, run.id}
    forget_requests(store, now() + timedelta(days=2))
    assert {row["run_id"] for row in store.fetch("select run_id from map_inputs")} == {run.id}
    assert store.fetch("select id from map_uploads") == []


def test_a_forecast_leaves_out_what_is_answered_and_says_how_long_the_rest_takes(ws: Workspace, simulator: Simulator) -> None:
    rows = texts(*(f"row {number}" for number in range(12)))
    first = ws.commands.forecast("echo", rows)
    assert (first.rows, first.reused, first.likely_s) == (12, 0, None)
    simulator.script("gpt-4.1-mini", then={"delay_s": 0.05})
    ws.runs.wait(ws.commands.start_map("echo", rows[:8]).id)
    told = ws.commands.forecast("echo", rows)
    assert (told.rows, told.reused, told.parts[0].times) == (12, 8, 4)
    assert 0.05 <= told.low_s <= told.likely_s <= told.high_s, "four at once, so one after the other none"
    assert ws.commands.forecast("echo", rows, concurrency=1).likely_s == pytest.approx(4 * told.likely_s, rel=0.01)
    assert ws.commands.forecast("echo", rows, key="other").reused == 0
    done = ws.commands.forecast("echo", rows[:8])
    assert (done.reused, done.high_nanos, done.high_s) == (8, 0, 0.0)
    some = ws.commands.forecast("echo", rows, of=1200)
    assert (some.rows, some.reused, some.parts[0].times) == (1200, 800, 400)
    assert some.notes == ("12 rows evenly taken were looked at",)
    assert some.likely_nanos == pytest.approx(100 * told.likely_nanos, rel=0.01)


def test_equal_rows_are_sent_once_though_two_servers_work_at_them(
    postgres_url: str, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    (tmp_path / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "echo.yaml").write_text(ECHO)
    simulator.clear()
    simulator.script("gpt-4.1-mini", then={"delay_s": 0.3})
    rows = texts(*(f"shared {number}" for number in range(4)))
    with open_in_process(tmp_path, store=postgres_url) as first, open_in_process(tmp_path, store=postgres_url) as second:
        runs = [(house, house.commands.start_map("echo", rows).id) for house in (first, second)]
        assert [house.runs.wait(run, timeout_s=60).state for house, run in runs] == ["succeeded"] * 2
        assert len(simulator.book()) == 4
        assert sum(first.runs.get(run).reused for _, run in runs) == 4


def test_equal_rows_of_maps_at_the_same_time_are_sent_once(ws: Workspace, simulator: Simulator) -> None:
    simulator.script("gpt-4.1-mini", then={"delay_s": 0.2})
    rows = texts(*(f"both {number}" for number in range(6)), "both 0")
    runs: list[str] = []
    threads = [threading.Thread(target=lambda: runs.append(ws.commands.start_map("echo", rows).id)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = [ws.runs.wait(run) for run in runs]
    assert [run.state for run in ended] == ["succeeded"] * 3
    assert len(simulator.book()) == 6
    assert sum(run.steps_done - run.reused for run in map(ws.runs.get, runs)) == 6, "every answer is new for one row, and no more"
    assert sum(run.cost_nanos for run in ended) == sum(call.cost_nanos for call in ws.ledger.calls())
