"""Costs and the calls behind them, drawn without a browser: equal sums for every filter, pages of calls, nonsense as a sentence."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import hishamos
from hishamos.charts.formats import exact_usd, money
from tests.conftest import stop_server
from tests.faces.conftest import Terminal
from tests.rigs.large_store import make
from tests.rigs.lengths import shared_out
from tests.rigs.pages import drawn

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

Draw = Callable[..., "AppTest"]
COLUMNS = {"user": "user_name", "commit": "git_commit", "key": "key_prefix"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("costs")
    make(path, 4_200)
    yield path
    stop_server(path)


@pytest.fixture
def draw(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Draw:
    return functools.partial(drawn, monkeypatch, folder)


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: str(metric.value) for metric in page.metric}


@pytest.mark.parametrize(
    ("by", "span"),
    shared_out(
        zip(["model", "project", "user", "notebook", "commit", "tag:customer"], itertools.cycle(["12 months", "30 days"]), strict=False),
        usual=[("model", "12 months"), ("notebook", "30 days"), ("tag:customer", "30 days")],
    ),
)
def test_the_page_says_what_the_ledger_sums_and_what_its_select_gives(draw: Draw, folder: Path, by: str, span: str):
    page = draw("costs", by=by, span=span)
    over_time, by_group = [str(one.value) for one in page.code if "from attempts" in str(one.value)]
    since = datetime.fromisoformat(by_group.split("started_at >= '")[1].split("'")[0])
    with hishamos.open(folder) as ws:
        spent = ws.ledger.spend(by=by, since=since)
        calls = ws.ledger.calls(since=since, limit=10_000)
        assert ws.sql(by_group).equals(spent)
        assert ws.sql(over_time)["cost_nanos"].sum() == spent["cost_nanos"].sum()
    assert sum(call.cost_nanos or 0 for call in calls) == spent["cost_nanos"].sum() > 0
    total = int(spent["cost_nanos"].sum())
    assert metrics(page)["Spend"] == money(total)
    assert next(metric for metric in page.metric if metric.label == "Spend").help == f"Exactly {exact_usd(total)} USD"
    assert metrics(page)["Unpriced attempts"] == str(spent["unpriced"].sum())
    shown = page.dataframe[0].value
    assert shown[by.removeprefix("tag:") if by.startswith("tag:") else by.capitalize()].tolist() == spent[COLUMNS.get(by, by)].fillna("–").tolist()
    assert len(shown) > 1


@pytest.mark.parametrize("asked", [{"tag:customer": "acme"}, {"tag:customer": "acme", "tag:experiment": "", "project": "DEMO"}])
def test_a_filter_in_the_address_is_one_for_all_that_the_page_says(draw: Draw, folder: Path, asked: dict[str, str]):
    page = draw("costs", by="model", span="12 months", **asked)
    over_time, by_group = [str(one.value) for one in page.code if "from attempts" in str(one.value)]
    since = datetime.fromisoformat(by_group.split("started_at >= '")[1].split("'")[0])
    only = {name: value or None for name, value in asked.items()}
    with hishamos.open(folder) as ws:
        spent = ws.ledger.spend(by="model", since=since, only=only)
        calls = ws.ledger.calls(since=since, only=only, limit=10_000)
        assert ws.sql(by_group).equals(spent)
        assert ws.sql(over_time)["cost_nanos"].sum() == spent["cost_nanos"].sum() == sum(call.cost_nanos or 0 for call in calls) > 0
        assert {call.own_tags["customer"] for call in calls} == {"acme"}
    assert metrics(page)["Spend"] == money(int(spent["cost_nanos"].sum()))
    assert page.dataframe[0].value["Model"].tolist() == spent["model"].tolist()
    listed = draw("calls", since=since.isoformat(), **asked)
    assert f"**{len(calls):,} attempts**" in str(listed.markdown[-1].value)
    assert all("customer=acme" in tags for tags in listed.dataframe[0].value["Tags"])


def test_tags_are_offered_as_groups_and_their_values_as_filters(draw: Draw, folder: Path):
    page = draw("costs", span="12 months")
    assert page.segmented_control(key="by").options[-2:] == ["tag:customer", "tag:experiment"]
    assert not page.selectbox
    page.session_state["filter"] = True
    page.run()
    assert page.selectbox[0].options == ["customer", "experiment"]
    page.selectbox[1].select("globex").run()
    assert not page.exception
    with hishamos.open(folder) as ws:
        since = datetime.fromisoformat(str(page.code[0].value).split("started_at >= '")[1].split("'")[0])
        assert metrics(page)["Spend"] == money(int(ws.ledger.spend(by=[], since=since, only={"tag:customer": "globex"})["cost_nanos"].iloc[0]))
    assert draw("costs", by="tag:of_old").segmented_control(key="by").value == "tag:of_old"


def test_the_terminal_sums_the_same_part_of_the_ledger(folder: Path):
    rows = Terminal(folder).json("spend", "--by", "model", "--only", "project=DEMO", "--only", "key=")
    with hishamos.open(folder) as ws:
        spent = ws.ledger.spend(by="model", only={"project": "DEMO", "key": None})
        assert [(row["model"], row["cost_nanos"]) for row in rows] == list(zip(spent["model"], spent["cost_nanos"], strict=True))
        assert 0 < spent["cost_nanos"].sum() < ws.ledger.spend(by=[], only={"project": "DEMO"})["cost_nanos"].sum()


def test_runs_are_filtered_and_counted_as_the_address_says(draw: Draw):
    assert len(draw("runs").dataframe[0].value) == 50
    assert len(draw("runs", shown="60").dataframe[0].value) == 60
    assert len(draw("runs", shown="<script>", state="nonsense").dataframe[0].value) == 50
    failed = draw("runs", state="failed").dataframe[0].value
    assert 0 < len(failed) < 50
    assert set(failed["State"]) == {"✕ failed"}


@pytest.mark.parametrize("chart", ["Tokens", "Times", "Rates"])
def test_every_chart_has_its_select(draw: Draw, folder: Path, chart: str):
    page = draw("costs", chart=chart, span="12 months")
    with hishamos.open(folder) as ws:
        assert len(ws.sql(str(page.code[0].value))) >= 12
    assert f"{chart} by month" in [str(one.value) for one in page.subheader]


def test_calls_come_in_pages_and_each_filter_can_be_taken_away(draw: Draw, folder: Path):
    page = draw("calls", provider="openai", status="succeeded")
    assert len(page.dataframe[0].value) == 50
    with hishamos.open(folder) as ws:
        every = ws.ledger.calls(only={"provider": "openai", "status": "succeeded"}, limit=10_000)
        known = ws.ledger.spend(by=[], only={"provider": "openai", "status": "succeeded"})
    assert f"**{len(every):,} attempts**" in str(page.markdown[-1].value)
    assert money(int(known["cost_nanos"].iloc[0])) in str(page.markdown[-1].value)
    further = draw("calls", provider="openai", status="succeeded", after=every[-3].id)
    assert len(further.dataframe[0].value) == 2
    assert draw("calls", project="").dataframe[0].value.shape[0] == 50


@pytest.mark.parametrize(
    ("view", "query", "words"),
    [
        ("calls", {"day": "yesterday"}, "is no day"),
        ("calls", {"since": "soon"}, "is no time"),
        ("calls", {"since": "9999-12-31T23:59:59+00:00"}, ""),
        ("calls", {"until": "0001-01-01"}, ""),
        ("calls", {"after": "nobody"}, "begin with the newest"),
        ("calls", {"model": "x" * 2000}, "longer than"),
        ("calls", {"model": "'; drop table <script>"}, ""),
        ("calls", {"status": "nonsense", "month": "2026-11", "nonsense": "1"}, ""),
        ("costs", {"span": "nonsense", "by": "nonsense", "chart": "nonsense"}, ""),
        ("costs", {"by": "tag:No Tag"}, "is no name for a tag"),
        ("costs", {"tag:notebook": "x"}, "no tag has this name"),
        ("costs", {"tag:customer": "nobody's"}, ""),
        ("calls", {"tag:customer": "x' or 1=1"}, ""),
        ("calls", {"tag:No Tag": "x"}, "is no name for a tag"),
    ],
)
def test_nonsense_in_the_address_is_a_sentence(draw: Draw, view: str, query: dict[str, str], words: str):
    page = draw(view, **query)
    if words:
        assert words in str(page.warning[0].value)
    else:
        assert not page.warning
        assert not page.error


def test_an_empty_workspace_says_what_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = drawn(monkeypatch, tmp_path, "costs")
    assert "hishamos demo" in str(page.code[0].value)
    stop_server(tmp_path)
