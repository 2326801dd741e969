"""Verbs on frames: each on a shipped command, with its forecast first, durable row by row, and honest about what was not judged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import hishamos
from hishamos.charts.ranges import forecast_words
from hishamos.composition import open_in_process
from hishamos.errors import InvalidInput, RowsNotJudged
from hishamos.frames.accessor import offer
from hishamos.frames.opened import note
from hishamos.frames.pairing import alike
from hishamos.frames.summarizing import parts
from hishamos.workspace import Workspace
from tests.rigs.simulator import Simulator

OFFLINE = "offline/extractive"
TOML = '[providers.openai]\napi_key = "env:OPENAI_API_KEY"\napi_base = "{url}/v1"\n[routes.default]\nmodels = ["openai/gpt-4.1-mini"]\n'
REVIEWS = ["The app crashes on save.", "I love the export.", None, "The app crashes on save."]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        yield running


@pytest.fixture(scope="module")
def house(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A workspace that the tests share: each asks something else, or says ``key=``."""
    root: Path = tmp_path_factory.mktemp("frames")
    (root / "hishamos.toml").write_text(TOML.format(url=simulator.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
        with open_in_process(root) as opened:
            yield opened


@pytest.fixture
def ws(house: Workspace, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    simulator.clear()
    offer(house)
    return house


def says(simulator: Simulator, *answers: dict[str, Any]) -> None:
    simulator.script("gpt-4.1-mini", *({"text": json.dumps(answer)} for answer in answers), then={"status": 500, "message": "nothing more was to be asked"})


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": [1, 2, 3, 4], "body": REVIEWS, **more}, index=["a", "b", "c", "c"])


def test_classify_asks_for_one_of_the_labels(ws: Workspace, simulator: Simulator) -> None:
    labels = {"fault": "something is broken", "praise": ""}
    forecast = frame().hishamos.classify.forecast("body", labels)
    assert (forecast.rows, forecast.parts[0].times, forecast.name) == (4, 3, "classify_text")
    assert simulator.book() == []
    says(simulator, {"label": "fault"}, {"label": "praise"})
    done = frame().hishamos.classify("body", labels, question="What is it?", concurrency=1)
    assert done["label"].tolist()[:2] == ["fault", "praise"]
    assert done["label"].iloc[3] == "fault"
    assert list(done["hos_status"]) == ["succeeded", "succeeded", "failed", "succeeded"]
    said = simulator.book()[0]["messages"][-1]["content"]
    assert "fault: something is broken" in said
    assert "What is it?" in said
    for wrong in (["one"], "ab", ["a", " "], []):
        with pytest.raises(InvalidInput, match="two texts or more"):
            frame().hishamos.classify("body", wrong)
    with pytest.raises(InvalidInput, match="no column 'bdy'; did you mean 'body'"):
        frame().hishamos.classify("bdy", labels)
    with pytest.raises(InvalidInput, match='already has the column .label.*prefix="new_"'):
        frame(label="x").hishamos.classify("body", labels)


def test_extract_gives_a_column_for_each_field(ws: Workspace, simulator: Simulator) -> None:
    says(simulator, {"product": "app", "version": None}, {"product": "export", "version": "4"})
    done = frame().hishamos.extract("body", {"product": "what it is about", "version": ""}, concurrency=1)
    assert done["product"].tolist()[:2] == ["app", "export"]
    assert done["version"].isna().tolist() == [True, False, True, True]
    schema = {"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}
    says(simulator, {"stars": 1}, {"stars": 5})
    counted = frame().hishamos.extract("body", schema, prefix="its_", concurrency=1)
    assert (counted["its_stars"].tolist()[:2], str(counted["its_stars"].dtype)) == ([1, 5], "Int64")
    with pytest.raises(InvalidInput, match="fields is no shape"):
        frame().hishamos.extract("body", {"a": 1})


def test_filter_returns_the_rows_for_which_it_holds_as_they_are(ws: Workspace, simulator: Simulator) -> None:
    criterion = "it reports a fault"
    assert frame().hishamos.filter.forecast(criterion, "body").parts[0].times == 2, "a row without a text is not asked"
    says(simulator, {"reason": "it crashes", "holds": True}, {"reason": "it is praise", "holds": False})
    with pytest.raises(RowsNotJudged, match=r"1 of 4 rows could not be judged.*row 'c' has no value in 'body'"):
        frame().hishamos.filter(criterion, "body", concurrency=1)
    kept = frame().hishamos.filter(criterion, "body", unjudged="drop")
    pd.testing.assert_frame_equal(kept, frame().iloc[[0, 3]])
    assert kept.attrs["hishamos"] == {"criterion": criterion, "rows": 4, "kept": 2, "unjudged": 1}
    assert frame().hishamos.filter(criterion, "body", unjudged="keep")["id"].tolist() == [1, 3, 4]
    seen = frame().hishamos.judge(criterion, "body")
    assert seen["holds"].tolist() == [True, False, pd.NA, True]
    assert seen["reason"].iloc[1] == "it is praise"
    assert seen.hishamos.filter(criterion, "body", unjudged="drop")["id"].tolist() == [1, 4], "columns of other verbs are no hindrance"
    assert len(simulator.book()) == 2, "looking again pays nothing"
    with pytest.raises(InvalidInput, match="raise, drop, keep"):
        frame().hishamos.filter(criterion, unjudged="lose")
    with pytest.raises(InvalidInput, match="criterion is empty"):
        frame().hishamos.filter(" ")


def test_what_failed_is_not_judged_and_is_asked_again(ws: Workspace, simulator: Simulator) -> None:
    given = pd.DataFrame({"body": ["one", "two"]})
    simulator.script("gpt-4.1-mini", {"status": 400, "message": "no"}, {"text": '{"reason": "r", "holds": true}'})
    with pytest.raises(RowsNotJudged, match="1 of 2 rows"):
        given.hishamos.filter("it is a number", concurrency=1)
    says(simulator, {"reason": "r", "holds": False})
    assert given.hishamos.filter("it is a number")["body"].tolist() == ["two"]


def test_summaries_are_folded_until_one_is_left_for_each_group(ws: Workspace, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.frames.summarizing.LEAST_TOKENS", 1)
    monkeypatch.setattr("hishamos.frames.summarizing.MOST_TOKENS", 40)
    given = pd.DataFrame({"team": ["b", "a", "b", "b"], "body": ["x" * 80, "y" * 10, "z" * 80, None]}, index=[9, 9, 9, 9])
    forecast = given.hishamos.summarize.forecast("body", by="team", words=10)
    assert [part.step for part in forecast.parts][:2] == ["level 1", "level 2"]
    assert forecast.parts[0].times == 3
    assert "levels: 3, " in forecast_words(forecast)
    says(simulator, {"summary": "X"}, {"summary": "Z"}, {"summary": "Y"}, {"summary": "X and Z"})
    done = given.hishamos.summarize("body", by="team", words=10, focus="letters", concurrency=1, budget_usd="1")
    assert done[["team", "rows", "summary", "hos_status", "hos_attempts"]].to_dict("records") == [
        {"team": "b", "rows": 2, "summary": "X and Z", "hos_status": "succeeded", "hos_attempts": 3},
        {"team": "a", "rows": 1, "summary": "Y", "hos_status": "succeeded", "hos_attempts": 1},
    ]
    assert sum(done["hos_cost_usd"]) * 10**9 == sum(call.cost_nanos for call in ws.ledger.calls(limit=4))
    again = given.hishamos.summarize("body", by="team", words=10, focus="letters")
    assert (again["hos_reused"].tolist(), again["summary"].tolist()) == ([True, True], ["X and Z", "Y"])
    assert len(simulator.book()) == 4
    whole = given.iloc[[3]].hishamos.summarize("body")
    assert (whole["hos_status"].tolist(), whole["hos_error"].tolist()) == (["failed"], ["none of its rows has a text"])


def test_a_group_of_which_a_part_failed_has_no_summary(ws: Workspace, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.frames.summarizing.LEAST_TOKENS", 1)
    monkeypatch.setattr("hishamos.frames.summarizing.MOST_TOKENS", 40)
    given = pd.DataFrame({"body": ["p" * 100, "q" * 100]})
    simulator.script("gpt-4.1-mini", {"text": '{"summary": "P"}'}, {"status": 400, "message": "no"})
    lost = given.hishamos.summarize("body", concurrency=1)
    assert (lost["hos_status"].tolist(), lost["summary"].isna().tolist()) == (["failed"], [True])
    assert lost["hos_error"].iloc[0].startswith("1 of 2 parts: ")
    says(simulator, {"summary": "Q"}, {"summary": "P, Q"})
    assert given.hishamos.summarize("body", concurrency=1)["summary"].tolist() == ["P, Q"]


def test_texts_are_cut_into_parts_that_keep_all_of_them() -> None:
    texts = ["short", "word " * 100, "é" * 300, "", "end"]
    found = parts(texts, 120)
    assert all(sum(len(text.encode()) + 8 for text in part) <= 120 for part in found)
    assert "".join(text for part in found for text in part) == "".join(texts)
    assert parts(texts, 120)[: len(parts(texts[:2], 120)) - 1] == parts(texts[:2], 120)[:-1], "what is added at the end leaves what was before"
    assert parts([], 120) == []


LEFT = {"company": ["Nile Foods Ltd.", "Berlin Press", "Old Mill", None], "n": [1, 2, 3, 4]}
RIGHT = {"name": ["NILE FOODS LIMITED, Cairo", "Presses of Berlin", "Acme"], "n": [10, 20, 30]}


def test_join_asks_the_most_alike_pairs_and_says_how_many(ws: Workspace, simulator: Simulator) -> None:
    left, right = pd.DataFrame(LEFT, index=[7, 7, 8, 9]), pd.DataFrame(RIGHT)
    sides = {"left_on": "company", "right_on": "name"}
    criterion = "both name the same company"
    forecast = left.hishamos.join.forecast(right, criterion, max_pairs=4, **sides)
    assert "2 of 12 pairs are asked, the most alike: at most 1 for each of 4 rows" in forecast_words(forecast)
    assert forecast.parts[0].times == 2
    says(simulator, {"reason": "the same name", "match": True}, {"reason": "presses are machines", "match": False})
    asked = left.hishamos.join(right, criterion, max_pairs=4, how="asked", concurrency=1, **sides)
    assert asked[["company", "name", "match"]].to_dict("records") == [
        {"company": "Nile Foods Ltd.", "name": "NILE FOODS LIMITED, Cairo", "match": True},
        {"company": "Berlin Press", "name": "Presses of Berlin", "match": False},
    ]
    joined = left.hishamos.join(right, criterion, max_pairs=4, **sides)
    assert list(joined.columns) == ["company", "n", "name", "n_right", "reason"]
    assert joined.iloc[0].tolist() == ["Nile Foods Ltd.", 1, "NILE FOODS LIMITED, Cairo", 10, "the same name"]
    assert (str(joined["n_right"].dtype), joined.attrs["hishamos"]["matches"]) == ("int64", 1)
    outer = left.hishamos.join(right, criterion, max_pairs=4, how="left", **sides)
    assert outer["n"].tolist() == [1, 2, 3, 4]
    assert outer["name"].isna().tolist() == [False, True, True, True]
    assert len(simulator.book()) == 2
    assert "all 9 pairs are asked" in forecast_words(left.hishamos.join.forecast(right, criterion, **sides)), "a missing name belongs to nobody"
    with pytest.raises(InvalidInput, match="4 rows are more than the 3 pairs"):
        left.hishamos.join(right, criterion, max_pairs=3, **sides)
    with pytest.raises(InvalidInput, match="inner, left, asked"):
        left.hishamos.join(right, criterion, how="outer")


def test_join_of_polars_frames(ws: Workspace, simulator: Simulator) -> None:
    import polars as pl

    says(simulator, {"reason": "same", "match": True}, {"reason": "r", "match": False})
    left, right = pl.DataFrame({"a": ["Nile", "Acme"], "n": [1, 2]}), pl.DataFrame({"b": ["Nile Ltd"], "n": [9]})
    joined = left.hishamos.join(right, "they are one", left_on="a", right_on="b", how="left", concurrency=1)
    assert joined.to_dicts() == [
        {"a": "Nile", "n": 1, "b": "Nile Ltd", "n_right": 9, "reason": "same"},
        {"a": "Acme", "n": 2, "b": None, "n_right": None, "reason": None},
    ]
    assert left.hishamos.filter("x", "a", model=OFFLINE, unjudged="keep").equals(left)
    summed = left.hishamos.summarize("a", by="n", model=OFFLINE)
    assert summed["summary"].to_list() == ["Nile", "Acme"]
    with pytest.raises(InvalidInput, match="different kinds"):
        left.hishamos.join(right.to_pandas(), "they are one")


def test_nearness_finds_what_is_misspelt() -> None:
    right = ["crash while saving a file", "typo in the menu", "export to pdf is slow", "cannot sign in"]
    pairs = alike(["crashs on save", "menue typo", "qqq www", "signing in fails"], right, 1)
    assert pairs == [(0, 0), (1, 1), (3, 3)]
    assert alike(["menu"], right, 9) == [(0, 1)]


def test_the_offline_model_is_never_taken_for_a_judge(ws: Workspace) -> None:
    given = pd.DataFrame({"body": ["The app crashes on save and the file is lost", "Lorem ipsum dolor"]})
    labelled = given.hishamos.classify("body", {"fault": "it crashes or loses data", "question": "somebody asks how something is done"}, model=OFFLINE)
    assert labelled["label"].iloc[0] == "fault"
    assert labelled["label"].isna().iloc[1], "what it can't tell is missing, not guessed"
    assert set(labelled["hos_model"]) == {OFFLINE}
    assert given.hishamos.filter("it reports a crash", model=OFFLINE, unjudged="drop").index.tolist() == [0]
    with pytest.raises(RowsNotJudged, match="the offline model can't tell"):
        given.hishamos.join(given, "both tell of the same", model=OFFLINE)
    found = pd.DataFrame({"body": ["Version: 4.2\nIt crashes."]}).hishamos.extract("body", {"version": "the version", "colour": "its colour"}, model=OFFLINE)
    assert (found["version"].tolist(), found["colour"].isna().tolist()) == (["4.2"], [True])


def test_verbs_work_in_the_workspace_opened_last_or_in_a_named_one(ws: Workspace) -> None:
    given = pd.DataFrame({"text": ["It crashes."]})
    with hishamos.open(":memory:") as second:
        given.hishamos.map("classify_bug", model=OFFLINE)
        assert len(second.runs.list()) == 1
        runs = len(ws.runs.list())
        given.hishamos.using(ws).map("classify_bug", model=OFFLINE)
        ws.frame(given).map("classify_bug", model=OFFLINE)
        assert (len(ws.runs.list()), len(second.runs.list())) == (runs + 2, 1)
    given.hishamos.map("classify_bug", model=OFFLINE)
    assert len(ws.runs.list()) == runs + 3, "a closed one is passed over"


def test_without_a_workspace_it_says_how_to_open_one(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.frames.opened._opened", [])
    with pytest.raises(InvalidInput, match=r"hishamos\.open\(\)"):
        frame().hishamos.map("classify_bug")
    note(ws)
    assert "summarize" in repr(frame().hishamos)
    assert "forecast" in repr(frame().hishamos.filter)
