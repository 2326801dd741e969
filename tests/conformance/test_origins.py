"""What calls carry of the notebook, cell, commit and execution that they come from is summed to the last digit, on both stores."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hishamos.errors import UnknownName
from hishamos.records.calls import Tags
from hishamos.records.record import now
from hishamos.store.executions import execution_of
from hishamos.store.readonly import grant_views, select
from hishamos.store.spending import spend
from tests.rigs.gateways import answer, scripted

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HERE = {"notebook": "notebooks/réport & 100%.ipynb", "git_commit": COMMIT}
FIRST, SECOND = "AAAAAAAAAAAAAAAA", "BBBBBBBBBBBBBBBB"


@pytest.fixture(params=["duckdb", "postgres"])
def house(request):
    address = request.getfixturevalue("postgres_url") if request.param == "postgres" else ":memory:"
    house, _ = scripted(store=address, otherwise=lambda: answer(input=7, output=3))
    yield house
    house.close()


def ask(house, text, **tags):
    outcome = house.ask(text, tags=Tags(**tags))
    assert outcome.cost_nanos == 13_000
    return outcome


def groups(house, by):
    return [tuple(row[name] for name in row if name in {"notebook", "cell", "git_commit", "cost_nanos"}) for row in spend(house.store, by, "UTC").to_pylist()]


def test_spend_by_notebook_cell_and_commit(house):
    for number in range(3):
        ask(house, f"one {number}", **HERE, cell="In[1]", execution=FIRST)
    ask(house, "two", **HERE, cell="In[2]", execution=FIRST)
    ask(house, "elsewhere", notebook='other "quoted".ipynb', cell="In[1]", execution=SECOND)
    ask(house, "no notebook")
    assert groups(house, "notebook") == [(HERE["notebook"], 52_000), ('other "quoted".ipynb', 13_000), (None, 13_000)]
    assert set(groups(house, "cell")) == {
        (HERE["notebook"], "In[1]", 39_000),
        (HERE["notebook"], "In[2]", 13_000),
        ('other "quoted".ipynb', "In[1]", 13_000),
        (None, None, 13_000),
    }, "cells of the same number are told apart by their notebooks"
    assert groups(house, ["commit"]) == [(COMMIT, 52_000), (None, 26_000)]
    for by in ("notebook", "cell", "commit", ["day", "cell"]):
        assert sum(row["cost_nanos"] for row in spend(house.store, by, "UTC").to_pylist()) == 6 * 13_000
    grant_views(house.store)
    statement = "select notebook, cast(sum(cost_nanos) as bigint) as n from attempts where execution = $e group by 1"
    assert select(house.store, statement, limit=9, timeout_s=9, parameters={"e": FIRST}).to_pylist() == [{"notebook": HERE["notebook"], "n": 52_000}]
    with pytest.raises(UnknownName, match="did you mean 'notebook'"):
        spend(house.store, "notebok", "UTC")


def test_an_execution_is_exactly_its_own_calls(house):
    pretender = f'x","execution":"{FIRST}'
    for text, tags in (
        ("mine", {"execution": FIRST, **HERE, "command": "echo@123", "agent": "helper", "agent_version": "9"}),
        ("its", {"notebook": pretender}),
    ):
        ask(house, text, **tags)
    again = ask(house, "mine too", execution=FIRST, notebook=HERE["notebook"])
    found = execution_of(house.store, FIRST)
    [model] = found.models
    assert (model.model, model.attempts, model.succeeded, model.input_tokens, model.output_tokens, model.cost_nanos) == ("toy/model", 2, 2, 14, 6, 26_000)
    assert [(one.kind, one.name, one.version) for one in found.definitions] == [("agent", "helper", "9"), ("command", "echo", "123")]
    assert (found.origin.notebook, found.origin.git_commit, len(found.requests)) == (HERE["notebook"], COMMIT, 2)
    assert found.began_at <= again.attempts[0].started_at
    later = execution_of(house.store, FIRST, now() + timedelta(hours=1))
    assert (later.models, later.requests) == ((), ())
    assert execution_of(house.store, SECOND).models == ()
