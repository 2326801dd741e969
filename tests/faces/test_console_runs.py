"""The page of one run, drawn without a browser: its trace, what is done with it again and what that costs, another run beside it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.contracts.verbs import Verb
from hishamos.records.runs import Run
from hishamos.remote.requests import Requests
from tests.conftest import stop_server
from tests.faces.test_console_pages import press, words
from tests.rigs.pages import APP, drawn

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
OFFLINE = "offline/extractive"
COMMAND = "name: say\ndescription: Say it.\nparameters: {text: {type: text}}\ntemplate: 'What does this say? {{ text }}'\n"
WORKFLOW = """name: said
description: Say it twice.
inputs: {text: {type: text}, ask: {type: string, default: "no"}}
steps:
  - {id: first, type: command, with: {command: say, inputs: {text: "{{ inputs.text }}"}}}
  - {id: second, type: command, after: [first], with: {command: say, inputs: {text: "{{ steps.first.output }}"}}}
  - {id: gate, type: approval, after: [second], when: "inputs.ask == 'yes'", with: {message: "Go on?"}}
"""


BROKEN = """name: broken
description: One of two is no number.
steps:
  - {id: first, type: command, with: {command: say, inputs: {text: "The cat sat on the mat."}}}
  - id: them
    type: map
    after: [first]
    with: {over: ["1", "x"], as: one, step: {type: sql, with: {query: "select cast($v as integer) as n", parameters: {v: "{{ one }}"}}}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("runs")
    for part, name, text in (("commands", "say", COMMAND), ("workflows", "said", WORKFLOW)):
        (path / part).mkdir()
        (path / part / f"{name}.yaml").write_text(text)
    yield path
    stop_server(path)


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    with hishamos.open(folder) as ws:
        return ws.workflows.start("said", {"text": "The cat sat on the mat."}, model=OFFLINE).wait(60)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def test_runs_are_filtered_by_project_and_state_which_are_counted(draw: Draw, folder: Path, run: Run):
    with hishamos.open(folder) as ws:
        waiting = ws.workflows.start("said", {"text": "The dog barks.", "ask": "yes"}, model=OFFLINE, project="DEMO").wait(60)
        torn = ws.runs.wait(ws.commands.start_map("say", [{"text": "The cat."}, {"text": ["no text"]}], model=OFFLINE).id, timeout_s=60)
        page = draw("runs")
        rows = next(table.value for table in page.dataframe if "Why" in table.value.columns)
        told = dict(zip(rows["Id"], rows["Why"], strict=True))
        assert (told[waiting.id[:6]], told[torn.id[:6]]) == ("approval of step gate", "1 of 2 rows without an answer")
        page = draw("runs", project="DEMO")
        assert "1 run" in words(page)
        assert page.pills[0].options == ["◷ waiting 1"]
        (rows,) = [table.value for table in page.dataframe]
        assert rows["Id"].tolist() == [waiting.id[:6]]
        page = draw("runs", project="DEMO", state="failed")
        assert page.pills[0].options == ["◷ waiting 1", "✕ failed 0"]
        assert "Take a filter away" in words(page)
        assert "1 run" in words(draw("runs", project="–", kind="workflow", within="24 h"))
        draw("runs", name="<script>", within="nonsense", user="nobody")
        ws.runs.cancel(waiting.id)


def test_the_trace_is_drawn_and_an_attempt_named_in_the_address_is_shown(draw: Draw, folder: Path, run: Run):
    with hishamos.open(folder) as ws:
        calls = ws.runs.calls(run.id)
    page = draw("run", run=run.id, attempt=calls[1].id)
    assert f"Attempt {calls[1].id[:6]}" in [str(one.value) for one in page.subheader]
    assert f'"id": "{calls[1].id}"' in words(page)
    assert all(said in words(page) for said in ("What it was asked", "What does this say?", "What came back"))
    page = draw("run", run=run.id, step="second")
    trace = next(table.value for table in page.dataframe if "Latency" in table.value.columns)
    assert trace["Step"].tolist() == ["second"]
    assert list(trace.columns) == ["State", "Step", "Model", "Cost, USD", "Latency", "Tokens in", "Tokens out"], "they fit beside a narrow graph"
    assert trace["State"].tolist() == ["⌁ offline"]
    assert "none of this name" in words(draw("run", run=run.id, step="<script>"))


def test_a_failed_run_leads_to_its_failed_steps_and_tells_what_it_cost(draw: Draw, folder: Path):
    (folder / "workflows" / "broken.yaml").write_text(BROKEN)
    with hishamos.open(folder) as ws:
        failed = ws.workflows.start("broken", {}, model=OFFLINE, project="DEMO").wait(60)
        assert (failed.state, ws.runs.step_counts(failed.id)) == ("failed", {"failed": 2, "succeeded": 2})
    page = draw("run", run=failed.id)
    assert "\nthem[1]: " in page.error[0].value.replace("\\", "")
    assert "project DEMO" in words(page)
    assert "The steps that failed" in words(page)
    page = draw("run", run=failed.id, steps="failed")
    steps = next(table.value for table in page.dataframe if "Step" in table.value.columns)
    assert steps["Step"].tolist() == ["them", "them[1]"]
    home = draw("home")
    latest = next(table.value for table in home.dataframe if "Started, UTC" in table.value.columns)
    assert set(latest.columns) <= {"State", "Run", "Why", "Spend, USD", "Time", "Started, UTC", "Project"}, "they fit into a window of 1300 pixels"
    assert "them: 1 of 2 items failed." in words(home)
    assert [["offline/extractive", "offline", "–"]] in [table.value.to_numpy()[:, :3].tolist() for table in home.dataframe]
    assert "No step has this state" in words(draw("run", run=failed.id, steps="skipped"))


def picked(row: int) -> dict[str, object]:
    return {"selection": {"rows": [row], "columns": [], "cells": []}}


def test_a_click_opens_the_run_that_was_seen_whatever_began_meanwhile(draw: Draw, folder: Path, run: Run):
    with hishamos.open(folder) as ws:
        first = ws.runs.list(limit=1)[0]
        pages = {view: (draw(view), key) for view, key in (("home", "latest runs"), ("runs", "runs"))}
        waiting = ws.workflows.start("said", {"text": "The dog barks.", "ask": "yes"}, model=OFFLINE).wait(60)
        for page, key in pages.values():
            page.session_state[key] = picked(0)
            assert f"/ {first.id[:6]}" in words(page.run())
        ws.runs.cancel(waiting.id)


def test_a_run_that_is_resumed_while_its_page_is_read_is_shown_at_work(draw: Draw, folder: Path, monkeypatch: pytest.MonkeyPatch):
    with hishamos.open(folder) as ws:
        run = ws.workflows.start("said", {"text": "The dog barks.", "ask": "yes"}, model=OFFLINE).wait(60)
        ws.runs.cancel(run.id)
        cancelled, call = [ws.runs.wait(run.id, timeout_s=60)], Requests.call

        def called(self: Requests, verb: Verb, arguments: dict[str, object]) -> object:
            if (verb.service, verb.name) == ("runs", "steps") and cancelled:
                ws.runs.resume(cancelled.pop().id)
                ws.runs.wait(run.id, timeout_s=60)
            return call(self, verb, arguments)

        monkeypatch.setattr(Requests, "call", called)
        page = draw("run", run=run.id)
        assert not cancelled
        assert {"Cancel run", "Approve"} <= {button.label for button in page.button}
        assert "Resume run" not in [button.label for button in page.button]
        ws.runs.cancel(run.id)


def test_the_mark_of_a_row_stays_with_what_was_chosen(monkeypatch: pytest.MonkeyPatch):
    from streamlit.testing.v1 import AppTest

    def script() -> None:
        import streamlit as st

        from parts.listings import table

        ids = st.session_state["ids"]
        st.text(table([{"Name": one} for one in ids], ids, "things", right=[]))

    monkeypatch.syspath_prepend(str(APP))
    page = AppTest.from_function(script)
    page.session_state["ids"] = ["a", "b", "c"]
    page.run()
    page.session_state["things"] = picked(1)
    for ids, row in (("abc", [1]), ("bc", [0]), ("zabc", [2]), ("zac", []), ("b", [])):
        page.session_state["ids"] = list(ids)
        page.run()
        assert not page.exception
        assert page.text[0].value == ("b" if row else "None")
        assert page.session_state["things"]["selection"]["rows"] == row


MANY = """name: many
description: One step, and a map of three.
steps:
  - {id: first, type: command, with: {command: say, inputs: {text: "The cat sat on the mat."}}}
  - id: each
    type: map
    after: [first]
    with: {over: ["One cat.", "Two dogs.", "Three hens."], as: one, step: {type: command, with: {command: say, inputs: {text: "{{ one }}"}}}}
"""


@pytest.mark.long
def test_a_step_among_the_costs_leads_to_its_calls_and_one_with_steps_inside_to_theirs(draw: Draw, folder: Path):
    (folder / "workflows" / "many.yaml").write_text(MANY)
    with hishamos.open(folder) as ws:
        run = ws.workflows.start("many", {}, model=OFFLINE).wait(60)

    def costs() -> AppTest:
        page = draw("run", run=run.id)
        page.session_state["tabs Steps None "] = "Costs"
        return page.run()

    def steps(page: AppTest) -> list[list[str]]:
        return [table.value["Step"].tolist() for table in page.dataframe if {"Step", "Share"} <= set(table.value.columns)]

    page = costs()
    (top,) = steps(page)
    assert sorted(top) == ["each", "first"]
    page.session_state[f"By step of {run.id}"] = picked(top.index("each"))
    (_, inside) = steps(page.run())
    assert sorted(inside) == ["each[0]", "each[1]", "each[2]"]
    page.session_state[f"Inside each of {run.id}"] = picked(inside.index("each[2]"))
    page.run()
    assert "step: each[2]" in words(page)
    assert "1 attempt" in words(page)
    page = costs()
    page.session_state[f"By step of {run.id}"] = picked(top.index("first"))
    assert "step: first" in words(page.run())


def widths(page: AppTest) -> dict[str, list[int]]:
    """The width of each graph on the page, by what says when it is seen."""
    found: dict[str, list[int]] = {}
    for one in page.get("html"):
        for kind, width in re.findall(r'<div class="([^"]*)"[^>]*><img [^>]*style="width:(\d+)px', one.proto.body):
            found.setdefault(kind, []).append(int(width))
    return found


def test_a_graph_that_is_wider_than_a_phone_is_there_in_one_column_too(draw: Draw, folder: Path, run: Run):
    with hishamos.open(folder) as ws:
        wide, narrow = ws.runs.picture(run.id), ws.runs.picture(run.id, narrow=True)
        planned, slim = ws.workflows.picture("said"), ws.workflows.picture("said", narrow=True)
    assert wide.width > 350 >= narrow.width
    assert widths(draw("run", run=run.id)) == {"hish-wide": [wide.width], "hish-narrow": [narrow.width]}
    assert widths(draw("workflows", workflow="said")) == {"hish-wide": [planned.width], "hish-narrow": [slim.width]}


def test_a_graph_that_a_phone_can_show_is_there_once(draw: Draw, folder: Path):
    (folder / "workflows" / "short.yaml").write_text("name: short\ndescription: One gate.\nsteps:\n  - {id: gate, type: approval, with: {message: Publish}}\n")
    with hishamos.open(folder) as ws:
        waiting = ws.workflows.start("short", {}).wait(60)
        width = ws.runs.picture(waiting.id).width
        assert widths(draw("run", run=waiting.id)) == {"": [width]}
        ws.runs.cancel(waiting.id)


@pytest.mark.long
def test_a_run_is_repeated_and_the_new_one_stands_beside_it(draw: Draw, folder: Path, run: Run):
    page = draw("run", run=run.id)
    assert "This run cost nothing: offline model" in words(page)
    press(page, "Repeat run")
    with hishamos.open(folder) as ws:
        newest = ws.runs.list(limit=1)[0]
        assert newest.repeats == run.id
        assert ws.runs.wait(newest.id, timeout_s=60).state == "succeeded"
    page = draw("run", run=newest.id, **{"with": run.id})
    assert "the same outputs" in words(page)
    assert [run.id, newest.id] in [row for table in page.dataframe for row in table.value.to_numpy()[:, -2:].tolist()]
    assert draw("run", run=newest.id, **{"with": "nobody"}).warning


@pytest.mark.long
def test_a_run_is_forked_from_a_step_whose_cost_is_said_first(draw: Draw, folder: Path, run: Run):
    page = draw("run", run=run.id)
    choice = next(box for box in page.selectbox if box.label == "From step")
    assert choice.options == ["first", "second", "gate"]
    choice.select("second").run()
    assert "In this run that cost at most nothing: offline model" in words(page)
    press(page, "Fork run")
    with hishamos.open(folder) as ws:
        forked = ws.runs.wait(ws.runs.list(limit=1)[0].id, timeout_s=60)
        assert {step.path: step.reused for step in ws.runs.steps(forked.id) if step.path != "gate"} == {"first": True, "second": False}
    page = draw("run", run=run.id)
    next(field for field in page.text_input if field.label == "model (optional)").set_value("nobody/nothing")
    press(page, "Fork run")
    assert page.error


@pytest.mark.long
def test_a_cancelled_run_is_tried_again_from_a_step(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        waiting = ws.workflows.start("said", {"text": "The dog ran.", "ask": "yes"}, model=OFFLINE).wait(60)
        assert waiting.state == "waiting"
        assert not [box for box in draw("run", run=waiting.id).selectbox if box.label == "From step"], "it goes on"
        ws.runs.cancel(waiting.id)
        ws.runs.wait(waiting.id, timeout_s=60)
        page = draw("run", run=waiting.id)
        next(box for box in page.selectbox if box.key == f"retry-step-{waiting.id}").select("second").run()
        press(page, "Retry from here")
        assert ws.runs.wait(waiting.id, timeout_s=60).state == "waiting"
        assert [step.attempt for step in ws.runs.steps(waiting.id)] == [1, 2, 2]


@pytest.mark.parametrize("query", [{"run": "ZZZZ"}, {"run": "<script>"}, {}, {"run": "one", "with": "<b>"}, {"run": "one", "attempt": "'", "step": "x" * 3000}])
def test_nonsense_in_the_address_is_a_sentence(draw: Draw, run: Run, query: dict[str, str]):
    page = draw("run", **{name: run.id if value == "one" else value for name, value in query.items()})
    assert page.warning or page.code or "none of this name" in words(page)
