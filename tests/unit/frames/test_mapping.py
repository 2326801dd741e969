"""A command over a DataFrame: every row comes back, equal rows are paid once, nothing raises for a row."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pydantic
import pytest

import hishamos
from hishamos.charts.ranges import forecast_words
from hishamos.engine import active_run
from hishamos.engine.rows import PlannedRow, RowBook
from hishamos.errors import InvalidInput, UnknownName
from hishamos.frames.tables import frame
from hishamos.workspace import Workspace

OFFLINE = "offline/extractive"


@pytest.fixture
def ws() -> Iterator[Workspace]:
    with hishamos.open(":memory:") as workspace:
        yield workspace


def bugs() -> pd.DataFrame:
    texts = ["The app crashes on save", "Typo in the menu", "The app crashes on save", None]
    return pd.DataFrame({"body": texts, "number": [1, 2, 3, 4], "when": pd.to_datetime(["2026-01-01"] * 4)}, index=["a", "b", "b", "c"])


def test_order_index_and_dtypes_are_kept(ws: Workspace) -> None:
    given = bugs()
    done = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    pd.testing.assert_frame_equal(done[given.columns], given)
    assert list(done.columns[3:9]) == ["is_report", "severity", "component", "summary", "reproducible", "confidence"]
    assert list(done["hos_status"]) == ["succeeded", "succeeded", "succeeded", "failed"]
    assert "text" in done["hos_error"].iloc[3]
    assert done["severity"].iloc[0] == done["severity"].iloc[2]
    assert list(done["hos_cost_usd"])[:3] == [Decimal(0)] * 3
    assert list(done["hos_reused"]) == [False, False, True, False], "an equal row asks nobody"
    assert done["hos_command"].iloc[0].startswith("classify_bug@")
    assert done["hos_attempts"].sum() == 2, "equal rows are paid once"


def test_the_same_call_again_reuses_what_is_finished(ws: Workspace) -> None:
    given = bugs().head(2)
    first = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    again = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE, concurrency=1)
    anew = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE, fresh=True)
    assert (list(first["hos_reused"]), list(again["hos_reused"]), list(anew["hos_reused"])) == ([False] * 2, [True] * 2, [False] * 2)
    assert list(again["severity"]) == list(first["severity"])


def test_a_map_of_answers_that_are_there_moves_and_can_be_paused(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"text": f"It crashes {number}"} for number in range(300)]
    assert ws.commands.start_map("classify_bug", rows, model=OFFLINE).wait(120).state == "succeeded"
    take = RowBook.take

    def slow(book: RowBook, index: int) -> PlannedRow:
        time.sleep(0.01)
        return take(book, index)

    monkeypatch.setattr(RowBook, "take", slow)
    monkeypatch.setattr(active_run, "AT_ONCE", 10)
    run = ws.commands.start_map("classify_bug", rows, model=OFFLINE)
    deadline = time.monotonic() + 60
    while not (seen := ws.runs.get(run.id)).steps_done:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (seen.state, seen.steps_done < 300) == ("running", True)
    ws.runs.pause(run.id)
    paused = ws.runs.wait(run.id, timeout_s=60)
    assert (paused.state, paused.steps_done < 300) == ("paused", True)
    monkeypatch.undo()
    ws.runs.resume(run.id)
    ended = ws.runs.wait(run.id, timeout_s=60)
    assert (ended.state, ended.reused, ended.attempts) == ("succeeded", 300, 0)


def test_what_cannot_work_is_told_before_anything_starts(ws: Workspace) -> None:
    given = bugs()
    with pytest.raises(UnknownName, match="did you mean 'classify_bug'"):
        ws.map(given, "clasify_bug", columns={"text": "body"})
    with pytest.raises(UnknownName, match="did you mean 'text'"):
        ws.map(given, "classify_bug", columns={"txt": "body"})
    with pytest.raises(InvalidInput, match="no column 'bdy'; did you mean 'body'"):
        ws.map(given, "classify_bug", columns={"text": "bdy"})
    with pytest.raises(InvalidInput, match="no column for the parameter 'text'"):
        ws.map(given, "classify_bug")
    with pytest.raises(InvalidInput, match='prefix="new_"'):
        ws.map(given.assign(severity="x"), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert ws.runs.list() == []


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ({"prefix": 5}, r"prefix is 5 \(prefix\)\. Give a text"),
        ({"prefix": None}, r"prefix is None \(prefix\)\. Give a text"),
        (
            {"columns": "body"},
            r"columns is 'body', no mapping \(ws\.map, command classify_bug\)\. Write columns=\{\"PARAMETER\": COLUMN\}\. classify_bug takes: text",
        ),
        ({"columns": ["body"]}, r"columns is \['body'\], no mapping"),
        ({"inputs": "ui"}, r"inputs is 'ui', no mapping .*Write inputs=\{\"PARAMETER\": VALUE\}"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_told_before_anything_starts(ws: Workspace, named: dict, told: str) -> None:
    given = {"columns": {"text": "body"}, **named}
    with pytest.raises(InvalidInput, match=told):
        ws.map(bugs(), "classify_bug", model=OFFLINE, **given)
    with pytest.raises(InvalidInput, match=told):
        ws.map.forecast(bugs(), "classify_bug", model=OFFLINE, **given)
    assert ws.runs.list() == []


def test_every_verb_of_a_frame_tells_a_prefix_that_is_no_text(ws: Workspace) -> None:
    verbs = ws.frame(bugs())
    for forecast in (
        lambda: verbs.classify.forecast("body", ["a", "b"], prefix=5),
        lambda: verbs.summarize.forecast("body", prefix=5),
        lambda: verbs.join.forecast(bugs(), "the same", prefix=5),
    ):
        with pytest.raises(InvalidInput, match="prefix is 5"):
            forecast()


def test_a_prefix_names_the_new_columns(ws: Workspace) -> None:
    done = ws.map(bugs().head(1).assign(severity="mine"), "classify_bug", columns={"text": "body"}, model=OFFLINE, prefix="ai_")
    assert done["severity"].iloc[0] == "mine"
    assert done["ai_severity"].iloc[0] == "blocker"
    assert done["ai_hos_status"].iloc[0] == "succeeded"


def test_an_empty_frame_comes_back_with_its_columns(ws: Workspace) -> None:
    done = ws.map(bugs().head(0), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert len(done) == 0
    assert (str(done["hos_status"].dtype), str(done["is_report"].dtype), str(done["hos_reused"].dtype)) == ("str", "bool", "bool")
    assert ws.runs.list() == []


def test_a_frame_comes_back_as_it_was_whatever_its_index_and_columns(ws: Workspace) -> None:
    index = pd.MultiIndex.from_tuples([("x", 1), ("x", 1), ("y", 2)], names=["letter", None])
    given = pd.DataFrame(
        {"body": ["It crashes.", "A typo.", "It is slow."], "kind": pd.Categorical(["a", "b", "a"]), "gaps": pd.array([1, None, 3], dtype="Int64")}, index=index
    )
    given.attrs["source"] = "test"
    kept = given.copy(deep=True)
    done = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    pd.testing.assert_frame_equal(done[list(given.columns)], kept)
    pd.testing.assert_frame_equal(given, kept)
    assert done.attrs == {"source": "test"}
    assert done.index.equals(index)
    two_rows_of_names = given.set_axis(pd.MultiIndex.from_tuples([("in", "body"), ("in", "kind"), ("n", "gaps")]), axis=1)
    done = ws.map(two_rows_of_names, "classify_bug", columns={"text": ("in", "body")}, model=OFFLINE)
    assert done["severity", ""].iloc[0] == "blocker"
    numbered = pd.DataFrame({0: ["It crashes."]})
    assert ws.map(numbered, "classify_bug", columns={"text": 0}, model=OFFLINE)["severity"].iloc[0] == "blocker"


def test_rows_that_cannot_be_sent_fail_alone_and_say_why(ws: Workspace) -> None:
    cells = [
        "It crashes.",
        b"It crashes.",
        b"caf\xe9 crashes",
        "half \ud83d",
        float("nan"),
        {"title": "It", "list": [1, float("nan")]},
        object(),
        ["a"],
        "x" * 1_000_000,
    ]
    done = ws.map(pd.DataFrame({"body": pd.Series(cells, dtype=object)}), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert list(done["hos_status"]) == ["succeeded", "succeeded", *["failed"] * 7]
    why = list(done["hos_error"])
    assert "the column 'body', row 2, holds bytes that are no UTF-8 (0xe9 at position 3)" in why[2]
    assert "half a character (U+D83D at position 5)" in why[3]
    assert "'text' is missing" in why[4]
    assert "has to be text, not an object" in why[5]
    assert "a object, which has no plain form" in why[6]
    assert "has to be text, not a list" in why[7]
    assert "1,000,000 characters, at most 20,000" in why[8]
    assert list(done["hos_attempts"]) == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    nothing = ws.map(pd.DataFrame({"body": [b"\xff"]}), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert list(nothing["hos_status"]) == ["failed"]
    assert len(ws.runs.list()) == 1, "where nothing can be sent, nothing is started"


def test_a_cell_of_a_million_characters_is_answered_where_its_command_takes_it(ws: Workspace) -> None:
    given = pd.DataFrame({"body": ["It crashes on save. " * 50_000]})
    done = given.hishamos.classify("body", {"fault": "it crashes", "wish": "a new feature"}, model=OFFLINE)
    assert list(done["label"]) == ["fault"]


def test_rows_go_up_and_answers_come_down_page_by_page(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hishamos.frames.row_pages.PAGE_ROWS", 3)
    monkeypatch.setattr("hishamos.frames.row_pages.READ_AT_ONCE", 2)
    monkeypatch.setattr("hishamos.frames.row_answers.PAGE", 4)
    texts: list[object] = [f"Report {number}: it crashes" for number in range(11)]
    texts[4] = b"\xff"
    done = ws.map(pd.DataFrame({"text": pd.Series(texts, dtype=object)}), "classify_bug", model=OFFLINE, inputs={"components": ["one", "two"]})
    assert [("Report" in str(summary)) for summary in done["summary"]] == [number != 4 for number in range(11)]
    assert all(f"Report {number}" in done["summary"].iloc[number] for number in range(11) if number != 4)
    assert set(done["component"].dropna()) <= {"one", "two"}
    assert (ws.runs.list()[0].steps_total, ws.runs.list()[0].inputs["rows"]) == (10, 10)
    again = ws.map(pd.DataFrame({"text": texts[:3]}), "classify_bug", model=OFFLINE, inputs={"components": ["one", "two"]})
    assert list(again["hos_reused"]) == [True] * 3, "how rows are handed in is no part of the question"
    assert list(ws.map(pd.DataFrame({"text": texts[:3]}), "classify_bug", model=OFFLINE)["hos_reused"]) == [False] * 3


class Seen(pydantic.BaseModel):
    version: str = pydantic.Field(description="the version of the product")
    day: date | None = None

    @pydantic.field_validator("version")
    @classmethod
    def dotted(cls, value: str) -> str:
        if "." not in value:
            raise ValueError("a version has a dot")
        return value


def test_answers_take_the_shape_that_the_caller_gives(ws: Workspace) -> None:
    given = pd.DataFrame({"text": ["Version: 4.2\nIt crashes.", "Version: four\nIt crashes."]})
    done = ws.map(given, "classify_bug", output=Seen, model=OFFLINE)
    assert [name for name in done if not name.startswith("hos_")] == ["text", "version", "day"]
    assert done["version"].iloc[0] == "4.2"
    assert list(done["hos_status"]) == ["succeeded", "failed"]
    assert "a version has a dot" in done["hos_error"].iloc[1]
    with pytest.raises(InvalidInput, match="no JSON Schema"):
        ws.map(given, "classify_bug", output={"type": "objekt"}, model=OFFLINE)


def test_a_forecast_says_how_many_rows_are_to_be_asked(ws: Workspace) -> None:
    given = bugs()
    before = ws.map.forecast(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert (before.rows, before.reused, before.parts[0].times, before.offline) == (4, 0, 3, True)
    assert ws.runs.list() == []
    ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    after = given.hishamos.map.forecast("classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert (after.rows, after.reused, after.parts[0].times) == (4, 2, 1), "what failed is asked again"
    assert "4 rows: 1 to ask, 2 answered already" in forecast_words(after)
    with pytest.raises(InvalidInput, match="no column 'bdy'; did you mean 'body'"):
        ws.map.forecast(given, "classify_bug", columns={"text": "bdy"})


def test_what_is_no_frame_is_told_so(ws: Workspace) -> None:
    with pytest.raises(InvalidInput, match=r"a Series is no frame.*to_frame"):
        ws.map(bugs()["body"], "classify_bug", columns={"text": "body"})
    with pytest.raises(InvalidInput, match="a list is no frame"):
        ws.map([{"text": "x"}], "classify_bug")


def test_polars_frames_come_back_as_such_and_relations_as_dataframes(ws: Workspace) -> None:
    import duckdb
    import polars as pl

    given = pl.DataFrame({"body": ["It crashes on save.", None, "A typo in the menu."], "n": [1, None, 3]}, schema_overrides={"n": pl.Int16})
    done = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert done[given.columns].equals(given)
    assert done["n"].dtype == pl.Int16
    assert done["severity"].to_list() == ["blocker", None, "trivial"]
    assert (done["is_report"].dtype, done["hos_attempts"].dtype, done["hos_reused"].dtype) == (pl.Boolean, pl.Int64, pl.Boolean)
    labelled = given.drop_nulls().hishamos.classify("body", {"fault": "it crashes", "wording": "a typo"}, model=OFFLINE)
    assert labelled["label"].to_list() == ["fault", "wording"]
    relation = duckdb.sql("select 'It crashes on save.' as body, cast(7 as bigint) as n union all select 'A typo in the menu.', null order by n nulls last")
    found = ws.map(relation, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert (list(found["severity"]), str(found["n"].dtype), list(found["hos_reused"])) == (["blocker", "trivial"], "Int64", [True, True])


def test_an_interrupt_returns_what_has_come(ws: Workspace) -> None:
    def interrupted(workspace: Workspace, run: str, timeout_s: float | None) -> hishamos.records.runs.Run:  # type: ignore[name-defined]
        workspace.runs.wait(run)
        raise KeyboardInterrupt

    ws.watch = interrupted
    done = ws.map(bugs().head(2), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert list(done["hos_status"]) == ["succeeded"] * 2


def test_tables_keep_whole_numbers_whole() -> None:
    table = pa.table({"whole": [1, 2], "gaps": [1, None], "huge": pa.array([Decimal(10**18), None], pa.decimal128(38, 0)), "text": ["a", None]})
    found = frame(table)
    assert (str(found["whole"].dtype), str(found["gaps"].dtype), str(found["huge"].dtype)) == ("int64", "Int64", "Int64")
    assert found["huge"][0] == 10**18


def test_an_answer_that_a_limit_cut_off_warns(ws: Workspace) -> None:
    with pytest.warns(UserWarning, match="first 3 rows, there are more"):
        cut = ws.sql("select n from generate_series(1, 5) as g(n) order by n", limit=3)
    assert (list(cut["n"]), cut.attrs) == ([1, 2, 3], {"truncated": 3})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ws.sql("select n from generate_series(1, 5) as g(n)", limit=5).attrs == {}
