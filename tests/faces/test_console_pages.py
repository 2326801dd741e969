"""Pages of the console, drawn and used without a browser: what they show, what their buttons do, what bad input comes to."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas
import pytest

import hishamos
from hishamos.charts.exports import csv_bytes, parquet_bytes
from hishamos.records.results import ResultDraft
from tests.conftest import stop_server
from tests.rigs.pages import drawn, press, words

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
OFFLINE = "offline/extractive"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("pages")
    (path / "commands").mkdir()
    (path / "commands" / "sums.yaml").write_text(
        "name: sums\ndescription: Every kind of parameter.\ntemplate: '{{ words }} {{ few }} {{ map }} {{ on }} {{ many }} {{ day }} {{ which }}'\nparameters:\n"
        "  words: {type: text}\n  few: {type: integer, min: 1, max: 9, default: 3}\n  many: {type: list, default: [a, b]}\n  map: {type: object, default: {k: 1}}\n"
        "  on: {type: boolean, default: true}\n  day: {type: date, default: '2026-11-28'}\n  which: {type: choice, choices: [left, right], default: right}\n"
    )
    yield path
    stop_server(path)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def test_an_approval_is_given_with_a_comment_that_stands_in_the_run(draw: Draw, folder: Path):
    assert "Nothing waits for you" in words(draw("approvals"))
    with hishamos.open(folder) as ws:
        run = ws.workflows.start("triage_bugs", {"file": hishamos.sample("bugs.csv"), "publish": "ask"}, model=OFFLINE).wait(60)
        assert run.state == "waiting"
        page = draw("approvals")
        assert "1 waits for you" in words(page)
        assert all(said in words(page) for said in ("started by", "offline model"))
        assert "components" not in words(page)
        page.session_state[f"before-{run.id}-approve"] = True
        assert "blocker" in words(page.run()), "what the steps before gave is read before it is decided"
        page.text_input[0].set_value("looks right")
        press(page, "Approve")
        assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
        assert any("looks right" in event.message for event in ws.runs.events(run.id))
    assert "Nothing waits for you" in words(draw("approvals"))


def test_a_workflow_is_forecast_and_started_from_its_form(draw: Draw, folder: Path):
    page = draw("workflows", workflow="triage_bugs")
    assert "From a CSV of reports" in words(page)
    press(page, "Start run")
    assert "'file' is missing" in words(page)
    next(field for field in page.text_input if field.label == "file").set_value(str(hishamos.sample("bugs.csv")))
    next(field for field in page.text_input if field.label == "model (optional)").set_value(OFFLINE)
    next(field for field in page.selectbox if field.label.startswith("publish")).set_value("no")
    press(page, "Forecast")
    assert "offline model" in words(page)
    with hishamos.open(folder) as ws:
        before = len(ws.runs.list())
        press(page, "Start run")
        started = ws.runs.list()
        assert len(started) == before + 1
        assert ws.runs.wait(started[0].id, timeout_s=60).state == "succeeded"
        assert started[0].inputs["publish"] == "no"


FLOW = """# kept as it is
name: noted
description: Says something.
steps:
  - {id: a, type: command, with: {command: classify_bug, inputs: {text: x}}}
"""


def opened(draw: Draw, name: str) -> AppTest:
    page = draw("workflows", workflow=name)
    page.session_state[f"tabs of {name}"] = "YAML"
    return page.run()


def test_a_workflows_text_is_checked_line_by_line_and_saved_as_the_next_version(draw: Draw, folder: Path):
    file = folder / "workflows" / "noted.yaml"
    with hishamos.open(folder) as ws:
        first = ws.workflows.save(FLOW)
        page = opened(draw, "noted")
        assert page.text_area[0].value == FLOW
        wrong = FLOW.replace("classify_bug", "clasify_bug").replace("description", "descripton") + "# <script>alert(1)</script>\n"
        page.text_area[0].set_value(wrong)
        press(page, "Check")
        assert "Line 3" in words(page)
        assert "Unknown key 'descripton'" in words(page)
        assert "descripton: Says something." in [one.value for one in page.code]
        page.text_area[0].set_value(wrong.replace("descripton", "description"))
        press(page, "Save")
        assert "clasify_bug" in words(page)
        assert "Line 5" in words(page)
        assert file.read_text() == FLOW
        changed = FLOW.replace("text: x", "text: y")
        page.text_area[0].set_value(changed)
        press(page, "Check")
        assert "No mistake. Saved, it is noted" in words(page)
        assert file.read_text() == FLOW
        press(page, "Save")
        saved = ws.workflows.get("noted")
        assert f"Saved: workflows/noted.yaml, version {saved.version}." in words(page)
        assert (file.read_text(), saved.version != first.version) == (changed, True)


def test_a_stale_text_is_refused_and_nothing_of_what_was_typed_is_lost(draw: Draw, folder: Path):
    file = folder / "workflows" / "shared.yaml"
    flow = FLOW.replace("noted", "shared")
    with hishamos.open(folder) as ws:
        ws.workflows.save(flow)
    page = opened(draw, "shared")
    mine, theirs = flow.replace("text: x", "text: mine"), flow.replace("kept as it is", "of somebody else")
    page.text_area[0].set_value(mine)
    file.write_text(theirs)
    press(page, "Save")
    assert "workflow shared was changed meanwhile" in words(page)
    assert "+# of somebody else" in words(page)
    assert (page.text_area[0].value, file.read_text()) == (mine, theirs)
    file.unlink()
    page.run()
    assert "shared is gone from the workspace" in words(page)
    assert page.text_area[0].value == mine
    press(page, "Keep what I typed")
    press(page, "Save")
    assert file.read_text() == mine
    file.write_text(theirs)
    page.run()
    assert page.text_area[0].value == theirs, "where nothing was typed, what is there now is shown"


@pytest.mark.long
def test_a_shipped_workflow_becomes_the_workspaces_own_and_another_name_a_new_one(draw: Draw, folder: Path):
    page = opened(draw, "triage_bugs")
    assert "Ships with HishamOS" in words(page)
    shipped = page.text_area[0].value
    page.text_area[0].set_value(shipped.replace("name: triage_bugs", "name: own_triage"))
    press(page, "Save")
    assert (folder / "workflows" / "own_triage.yaml").exists()
    assert "triage_bugs stays as it was" in words(page)
    press(page, "Open own_triage")
    assert page.selectbox[0].value == "own_triage"
    page = opened(draw, "own_triage")
    own = folder / "workflows" / "triage_bugs.yaml"
    own.write_text(shipped)
    page.text_area[0].set_value(shipped.replace("From a CSV", "Out of a CSV"))
    press(page, "Save")
    assert "the workspace has a workflow triage_bugs already" in words(page)
    own.unlink()
    page = opened(draw, "triage_bugs")
    press(page, "Save")
    assert own.read_text() == shipped
    assert "workflows/triage_bugs.yaml · version" in words(page)
    own.unlink()


def test_a_workflow_that_is_broken_in_the_workspace_is_listed_and_mended(draw: Draw, folder: Path):
    file = folder / "workflows" / "halved.yaml"
    file.parent.mkdir(exist_ok=True)
    whole = FLOW.replace("noted", "halved")
    file.write_text(whole.replace("classify_bug", "clasify_bug"))
    page = draw("workflows", workflow="halved")
    assert "halved has mistakes and can't run" in words(page)
    assert "Line 5" in words(page)
    page.text_area[0].set_value(whole)
    press(page, "Save")
    assert file.read_text() == whole
    assert "has mistakes" not in words(page)
    assert "Saved: workflows/halved.yaml" in words(page)


def test_a_command_is_run_from_a_form_with_a_field_for_each_kind_of_parameter(draw: Draw):
    page = draw("commands", command="sums")
    assert [field.label for field in page.number_input] == ["few (optional)"]
    assert [field.label for field in page.toggle] == ["on (optional)"]
    assert [field.label for field in page.date_input] == ["day (optional)"]
    page.text_area[0].set_value("These are the words.")
    next(field for field in page.text_input if field.label == "model (optional)").set_value(OFFLINE)
    press(page, "Run sums")
    assert "words" in words(page)
    assert "offline" in words(page)
    next(area for area in page.text_area if area.label == "map (optional)").set_value("{broken")
    press(page, "Run sums")
    assert "map (optional) is no JSON" in words(page)


def test_an_earlier_version_of_a_command_is_held_against_the_one_of_now(draw: Draw, folder: Path):
    file = folder / "commands" / "summed.yaml"
    with hishamos.open(folder) as ws:
        for said in ("Say it briefly.", "Say it in one sentence."):
            file.write_text(f"name: summed\ndescription: Sums up.\nparameters: {{text: {{type: text}}}}\ntemplate: '{said} {{{{ text }}}}'\n")
            run = ws.commands.start_map("summed", [{"text": "Caches are fast. Caches may be stale."}], model=OFFLINE)
            assert ws.runs.wait(run.id, timeout_s=60).state == "succeeded"
        before = ws.commands.versions("summed")[1].version
    page = draw("commands", command="summed")
    page.session_state["tabs of summed"] = "Versions"
    page.run()
    told = page.dataframe[0].value
    assert told["Version"].tolist()[1] == before
    assert told["Attempts"].tolist() == ["1", "1"]
    page.session_state["versions of summed"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert "-template: Say it briefly. {{ text }}" in words(page)


def test_a_command_is_made_a_favourite_and_rated_and_words_mean_nothing(draw: Draw, folder: Path):
    (folder / "commands" / "rated.yaml").write_text("name: rated\ndescription: Rated.\nparameters: {text: {type: text}}\ntemplate: '{{ text }}'\n")
    with hishamos.open(folder) as ws:
        page = draw("commands", command="rated")
        press(page, "Add to favourites")
        assert ws.commands.favourites() == ["rated"]
        assert (page.selectbox[0].options[0], page.selectbox[0].value) == ("★ rated, favourite", "rated")
        version = ws.commands.get("rated").version
        page.session_state[f"rate rated {version}"] = True
        page.run().get("feedback")[0].set_value(3).run()
        next(field for field in page.text_area if field.label == "Why").set_value(HOSTILE)
        press(page, "Save rating")
        (given,) = ws.commands.ratings("rated")
        assert (given.rating, given.comment, given.version) == (4, HOSTILE, version)
        assert "rated 4.0 of 5 (1 rating)" in words(page)
        assert "Save rating" not in [button.label for button in page.button]
        page.session_state["tabs of rated"] = "Versions"
        page.run()
        told = page.dataframe[0].value
        assert told[["Rating, of 5", "Ratings", "Attempts"]].to_numpy().tolist() == [["4.0", "1", "0"]]
        assert HOSTILE in [str(one.value) for one in page.text]
        press(page, "Remove from favourites")
        assert (ws.commands.favourites(), page.selectbox[0].value) == ([], "rated")


def test_a_budget_is_set_shown_and_removed_and_what_is_no_budget_is_a_sentence(draw: Draw, folder: Path):
    page = draw("budgets")
    assert "nothing limits what is spent" in words(page)
    page.text_input[0].set_value("mine")
    page.text_input[1].set_value("nonsense")
    press(page, "Set budget")
    assert page.error
    page.text_input[1].set_value("5")
    page.text_input[3].set_value("0.5, 0.8")
    press(page, "Set budget")
    assert "mine" in words(page)
    with hishamos.open(folder) as ws:
        assert (ws.budgets.get("mine").limit_nanos, [str(share) for share in ws.budgets.get("mine").warn_at]) == (5_000_000_000, ["0.5", "0.8"])
        press(draw("budgets"), "Remove budget")
        deadline = time.monotonic() + 10
        while ws.budgets.list() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert ws.budgets.list() == []


@pytest.mark.parametrize("view", ["workflows", "commands", "approvals"])
def test_nonsense_in_the_address_draws_the_page(draw: Draw, view: str):
    draw(view, workflow="<script>", command="nobody")


HOSTILE = "![beacon](http://127.0.0.1:9/seen) [press](javascript:alert(1)) <script>alert(1)</script> $x$ :red[hot] =1+1"


def test_results_are_found_read_rated_and_compared_and_their_words_mean_nothing(draw: Draw, folder: Path):
    assert "0 results" in words(draw("results", search="nobody wrote this"))
    with hishamos.open(folder) as ws:
        first = ws.results.save(ResultDraft(title=HOSTILE, summary=HOSTILE, body=f"# {HOSTILE}", action_items=("Mend it",)))
        second = ws.results.save(ResultDraft(title="The second", summary="calm"))
        page = draw("results", search="The second")
        assert "1 result" in words(page)
        page = draw("results", result=first.id)
        assert any(str(one.value).startswith("# \\!\\[beacon") for one in page.markdown)
        assert not any("![" in str(one.value).replace("\\!", "") for one in [*page.title, *page.markdown, *page.caption])
        page.get("feedback")[0].set_value(3).run()
        assert ws.results.get(first.id).rating == 4
        page = draw("results", result=first.id)
        assert "with" not in [box.label for box in page.selectbox], "nobody is asked who it may be compared with until somebody wants to"
        page.session_state["compare"] = True
        next(box for box in page.run().selectbox if box.label == "with").select(second.id).run()
        assert any("calm" in str(one.value) for one in page.text)
        ws.projects.ensure("PLAN")
        page = draw("results", result=first.id)
        next(box for box in page.selectbox if box.label == "Project of the issues").set_value("PLAN").run()
        press(page, "Make an issue")
        assert [issue.title for issue in ws.issues.list(project="PLAN")] == ["Mend it"]
        assert "Make an issue" not in [button.label for button in page.button]
        assert "PLAN-1" in words(page)
        assert "0 results" in words(draw("results", project="PLAN"))
    assert draw("results", result="<script>").warning


def test_people_say_something_of_a_result_and_what_is_not_kept_stays_in_the_field(draw: Draw, folder: Path):
    with hishamos.open(folder) as ws:
        result = ws.results.save(ResultDraft(title="Discussed"))
        page = draw("results", result=result.id)
        assert "Nobody has said anything" in words(page)
        press(page, "Add comment")
        assert "the comment is empty" in words(page)
        page.text_area[0].set_value(f"  {HOSTILE}")
        press(page, "Add comment")
        (said,) = ws.results.comments(result.id)
        assert (said.text, said.user_name) == (HOSTILE, result.user_name)
        assert (HOSTILE in [str(one.value) for one in page.text], page.text_area[0].value) == (True, "")
        assert not page.error
        ws.results.comment(result.id, "the second")
        told = [str(one.value) for one in draw("results", result=result.id).text]
        assert told.index("the second") > told.index(HOSTILE)


def test_a_select_is_shown_and_what_is_none_is_a_sentence(draw: Draw):
    page = draw("sql", statement="select kind, count(*) as n from runs group by 1")
    press(page, "Run statement")
    assert not page.error
    assert list(page.dataframe[-1].value.columns) == ["kind", "n"]
    page.text_area[0].set_value("delete from runs")
    press(page, "Run statement")
    assert len(page.error) == 1
    assert "run_id" in page.dataframe[0].value["Column"].tolist()  # of the view attempts
    next(box for box in page.selectbox if box.label == "View").select("budgets").run()
    assert "limit_nanos" in page.dataframe[0].value["Column"].tolist()
    press(page, "Write a SELECT of all of it")
    assert page.text_area[0].value == "select *\nfrom budgets\nlimit 100"


def test_an_answer_is_not_asked_for_again_when_only_its_chart_changes(draw: Draw):
    page = draw("sql", statement="select 'a' as name, random() as r, random() as q")
    press(page, "Run statement")
    before = page.dataframe[-1].value
    next(box for box in page.selectbox if box.label == "Up").select("r").run()
    assert page.dataframe[-1].value.equals(before)
    press(page, "Run statement")
    assert not page.dataframe[-1].value.equals(before)


def test_a_query_is_saved_as_a_file_written_into_the_field_and_forgotten(draw: Draw, folder: Path):
    statement = "select count(*) as n\nfrom runs"
    page = draw("sql", statement=statement)
    name = next(field for field in page.text_input if field.label == "Name")
    name.set_value("../away")
    press(page, "Save query")
    assert "is no name for a query" in words(page)
    next(field for field in page.text_input if field.label == "Name").set_value("how many")
    press(page, "Save query")
    assert (folder / "queries" / "how many.sql").read_text() == statement
    page = draw("sql")
    press(page, "how many")
    assert page.text_area[0].value == statement
    next(button for button in page.button if button.key == "forget how many").click().run()
    assert not list((folder / "queries").iterdir())


def test_what_is_exported_is_no_formula_in_a_spreadsheet_and_whole_in_parquet(tmp_path: Path):
    frame = pandas.DataFrame({"=name": ["=1+1", "@x", "plain"], "n": [-1, 2, 3]})
    told = csv_bytes(frame).decode().splitlines()
    assert told == ["'=name,n", "'=1+1,-1", "'@x,2", "plain,3"]
    (tmp_path / "a.parquet").write_bytes(parquet_bytes(frame))
    pandas.testing.assert_frame_equal(pandas.read_parquet(tmp_path / "a.parquet"), frame)
