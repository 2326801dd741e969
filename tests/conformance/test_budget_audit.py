"""Who set or removed a budget stands in the audit, in the commit that did it, on both stores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hishamos.composition import Composed, compose
from hishamos.records.actors import Actor
from hishamos.services.service import request_id
from hishamos.store.limits import change_budget

MONA = Actor(name="mona")


@pytest.fixture(params=["duckdb", "postgres"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Composed]:
    address = str(request.getfixturevalue("postgres_url") if request.param == "postgres" else tmp_path / "store.duckdb")
    made = compose(tmp_path, store=address)
    yield made
    made.close()


def test_each_change_is_told_with_what_was_before(house: Composed):
    ws = house.workspace_for(MONA)
    ws.budgets.set("b", limit_usd="5", scope="project:P", warn_at=["0.5"])
    ws.budgets.set("b", limit_usd="7.5", scope="project:P", period="day", hard=False)
    ws.budgets.remove("b")
    removed, changed, made = ws.audit.list(subject="b")
    assert [entry.action for entry in (made, changed, removed)] == ["budgets.set", "budgets.set", "budgets.remove"]
    assert {entry.actor for entry in (made, changed, removed)} == {"mona"}
    assert (made.value_before, removed.value_after) == (None, None)
    assert json.loads(made.value_after or "") == {"limit_usd": "5", "scope": "project:P", "period": "month", "hard": True, "warn_at": ["0.5"]}
    assert changed.value_before == made.value_after
    assert changed.value_after == removed.value_before
    assert json.loads(removed.value_before or "") == {"limit_usd": "7.5", "scope": "project:P", "period": "day", "hard": False, "warn_at": []}


def test_what_changes_nothing_and_what_is_repeated_are_not_told_again(house: Composed):
    ws = house.workspace_for(MONA)
    token = request_id.set("the client's id")
    try:
        ws.budgets.set("b", limit_usd="5")
        ws.budgets.set("b", limit_usd="5")
    finally:
        request_id.reset(token)
    ws.budgets.set("b", limit_usd="5.00")
    assert [entry.action for entry in ws.audit.list()] == ["budgets.set"]


def test_a_change_that_is_not_committed_is_not_told(house: Composed):
    machinery = house.machinery
    house.workspace_for(MONA).budgets.set("b", limit_usd="5")

    def removed_and_broken(transaction: object) -> None:
        change_budget(transaction, machinery.ledger, "b", None, actor="mona", request_id="r")  # type: ignore[arg-type]
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        machinery.store.transaction(removed_and_broken)
    ws = house.workspace_for(MONA)
    assert ws.budgets.get("b").limit_nanos == 5 * 10**9
    assert [entry.action for entry in ws.audit.list()] == ["budgets.set"]
