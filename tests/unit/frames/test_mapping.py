"""A command over a DataFrame: every row comes back, equal rows are paid once, nothing raises for a row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

import hishamos
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
    assert done["hos_command"].iloc[0].startswith("classify_bug@")
    assert done["hos_attempts"].sum() == 2, "equal rows are paid once"


def test_the_same_call_again_reuses_what_is_finished(ws: Workspace) -> None:
    given = bugs().head(2)
    first = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE)
    again = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE, concurrency=1)
    anew = ws.map(given, "classify_bug", columns={"text": "body"}, model=OFFLINE, fresh=True)
    assert (list(first["hos_reused"]), list(again["hos_reused"]), list(anew["hos_reused"])) == ([False] * 2, [True] * 2, [False] * 2)
    assert list(again["severity"]) == list(first["severity"])


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


def test_a_prefix_names_the_new_columns(ws: Workspace) -> None:
    done = ws.map(bugs().head(1).assign(severity="mine"), "classify_bug", columns={"text": "body"}, model=OFFLINE, prefix="ai_")
    assert done["severity"].iloc[0] == "mine"
    assert done["ai_severity"].iloc[0] == "blocker"
    assert done["ai_hos_status"].iloc[0] == "succeeded"


def test_an_empty_frame_comes_back_with_its_columns(ws: Workspace) -> None:
    done = ws.map(bugs().head(0), "classify_bug", columns={"text": "body"}, model=OFFLINE)
    assert len(done) == 0
    assert "hos_status" in done


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
